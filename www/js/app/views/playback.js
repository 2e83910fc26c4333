import * as api from "../api.js";
import { H5sTimeline } from "../components/h5s-timeline.js";
import { dayOf, isWithin } from "../lib/day.js";
import { DayBook } from "../lib/daybook.js";
import { iconButton, icon, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toggleTheme } from "../lib/prefs.js";
import { Playback } from "../lib/playback.js";
import { clip } from "../lib/span.js";
import * as recordings from "../recordings.js";
import { makeDayBar } from "./daybar.js";
import { makeDeck } from "./deck.js";
import { describeRoom } from "./disk.js";
import { explain, makeExporter } from "./exporter.js";
import { makeNote } from "./note.js";
import { makeScreen } from "./screen.js";

/** @typedef {import("../lib/day.js").Day} Day */

const TICK_MS = 200;
const POLL_MS = 4000;
const ROOM_MS = 60_000;
const EXPORT_MS = 60_000;

/**
 * @typedef {object} PlaybackOptions
 * @property {string} token
 * @property {import("../api.js").SourceItem | null} source null when only its recordings are left
 * @property {number} at the moment to begin with; NaN for the newest
 * @property {(note: string) => void} onSignIn
 */

/** Days of one source, as they were recorded. */
class PlaybackView {
  #token;
  #onSignIn;
  #book;
  #gone = new AbortController();
  #wanted = Number.NaN; // where to begin once there is something
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #remembering;
  #note = makeNote();
  #screen = makeScreen();
  #timeline = new H5sTimeline();
  #disk = make("p", { class: "muted playback-disk" });
  #chip = make("span", { class: "chip playback-recorded", hidden: true }, t("pbRecorded"));
  #exporter;
  #deck;
  #days;
  #playback;
  #element;
  #timers;

  /**
   * @param {HTMLElement} root
   * @param {PlaybackOptions} options
   */
  constructor(root, { token, source, at, onSignIn }) {
    this.#token = token;
    this.#onSignIn = onSignIn;
    this.#book = new DayBook(dayOf(Number.isNaN(at) ? Date.now() : at));
    this.#exporter = makeExporter(token, (range) => this.#timeline.mark(range));
    this.#playback = new Playback(this.#screen.video, token, () => this.#refresh());
    this.#deck = makeDeck(this.#actions());
    this.#days = makeDayBar({
      recorded: (year, month) => recordings.recordedDays(token, year, month),
      onDay: (day) => void this.#showDay(day, Number.NaN),
    });
    this.#element = this.#build(source);
    this.#listen();
    root.append(this.#element);
    void this.#showDay(this.#book.day, at);
    void this.#attempt(async () => {
      if ((await api.role()) !== "Viewer") this.#deck.allow();
    });
    void this.#showRoom();
    this.#timers = [
      setInterval(() => this.#refresh(), TICK_MS),
      setInterval(() => void this.#poll(), POLL_MS),
      setInterval(() => void this.#showRoom(), ROOM_MS),
      setInterval(() => void stayAlive(), (api.sessionTimeout() * 1000) / 3),
    ];
  }

  close() {
    this.#gone.abort();
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#remembering);
    this.#note.close();
    this.#exporter.close();
    this.#playback.close();
    this.#element.remove();
  }

  /** @returns {import("./deck.js").DeckActions} */
  #actions() {
    return {
      onPlay: () => this.#play(),
      onSkip: (seconds) => this.#goTo(this.#playback.position + seconds * 1000),
      onRecording: (direction) => this.#toRecording(direction),
      onSpeed: (speed) => this.#playback.setSpeed(speed),
      onWay: (way) => this.#playback.choose(way),
      onSnapshot: () => void this.#snap(),
      onExport: () => this.#offerExport(),
      onRecord: () => void this.#record(),
      onZoom: (direction) => this.#timeline.zoom(direction),
    };
  }

  /** @param {import("../api.js").SourceItem | null} source */
  #build(source) {
    const name = source?.strName || this.#token;
    document.title = `${t("pbTitle", { name })} – h5sup`;
    const home = make("a", { class: "icon-button", href: "./", title: t("allCameras") });
    home.setAttribute("aria-label", t("allCameras"));
    home.append(icon("camera"));
    const query = new URLSearchParams({ token: this.#token });
    const live = make(
      "a",
      { class: "button is-compact", href: `ws.html?${query}` },
      t("stateLive"),
    );
    live.hidden = !source;
    const theme = iconButton("sun", t("theme"), toggleTheme);
    const spacer = make("div", { class: "spacer" });
    const title = make("h1", { class: "playback-name" }, name);
    const top = make("header", { class: "top" }, home, title, this.#chip, spacer, live, theme);
    const main = make(
      "main",
      { class: "playback-main" },
      this.#screen.element,
      this.#timeline,
      this.#note.element,
      this.#deck.element,
      this.#exporter.element,
      this.#disk,
    );
    top.insertBefore(this.#days.element, spacer);
    return make("div", { class: "playback" }, top, main);
  }

  #listen() {
    const on = (/** @type {string} */ type, /** @type {(detail: any) => void} */ act) =>
      this.#timeline.addEventListener(type, (event) =>
        act(/** @type {CustomEvent} */ (event).detail),
      );
    on("seek", ({ at }) => this.#goTo(at));
    on("range", (range) => this.#exporter.update(range));
    on("gap", (gap) => this.#note.gap(gap));
    const { signal } = this.#gone;
    document.addEventListener("keydown", (event) => this.#shortcut(event), { signal });
  }

  /** Show a day from a moment on; NaN for where it is best begun. @param {Day} day @param {number} ms */
  async #showDay(day, ms) {
    this.#book = new DayBook(day);
    this.#wanted = ms;
    this.#playback.close();
    this.#exporter.show(null, null);
    this.#timeline.showDay(day);
    this.#days.update(day);
    this.#refresh();
    await this.#load();
  }

  /** Ask what there is of the day, and begin to play once there is something. */
  async #load() {
    const book = this.#book;
    await this.#attempt(
      async () => {
        const [found, gaps] = await Promise.all([
          recordings.search(this.#token, book.day),
          recordings.gaps(this.#token, book.day),
        ]);
        if (book === this.#book && !this.#gone.signal.aborted) this.#fill(found, gaps);
      },
      (reason) => {
        if (book.isLoaded) this.#note.fail(reason);
        else book.failure = reason;
      },
    );
    this.#refresh();
  }

  /**
   * @param {recordings.FoundItem[]} found
   * @param {recordings.GapItem[]} gaps
   */
  #fill(found, gaps) {
    const book = this.#book;
    const hadNone = book.isEmpty;
    book.fill(found, gaps);
    this.#timeline.fill(book.recordings, book.gaps);
    this.#note.explain(book);
    if (!hadNone || book.isEmpty) return;
    const ms = Number.isNaN(this.#wanted) ? book.beginning(Date.now()) : this.#wanted;
    this.#playback.open(book.day, book.nearest(ms));
  }

  /** Bring words, buttons and the place that is shown up to date. */
  #refresh() {
    const playback = this.#playback;
    const ms = playback.position;
    const shown = this.#book.at(ms);
    this.#deck.update(playback.state === "playing" && !playback.isPaused, ms);
    this.#deck.offerFile(shown ? api.fileUrl(shown.path) : "");
    this.#deck.enable(!this.#book.isEmpty);
    this.#deck.zoomed(this.#timeline.zoomed);
    this.#deck.recording(this.#book.isRecordedByHand);
    this.#screen.update(playback, this.#book);
    this.#timeline.moveTo(ms);
  }

  /** A day that is not over grows, and the source comes and goes. */
  async #poll() {
    await this.#attempt(async () => {
      this.#chip.hidden = !(await api.findSource(this.#token))?.bRec;
    });
    const { day, isLoaded } = this.#book;
    if (!isLoaded || isWithin(day, Date.now())) await this.#load();
  }

  async #showRoom() {
    await this.#attempt(async () => {
      this.#disk.textContent = describeRoom(await recordings.room(this.#token)).join(" ");
    });
  }

  /** @param {number} ms */
  #goTo(ms) {
    if (this.#book.isEmpty || Number.isNaN(ms)) return;
    const to = this.#book.nearest(ms);
    this.#playback.goTo(to);
    this.#timeline.moveTo(to);
    clearTimeout(this.#remembering);
    this.#remembering = setTimeout(() => remember(to), 1000);
  }

  /** Play, pause, or play again what has come to its end. */
  #play() {
    const playback = this.#playback;
    if (playback.state !== "ended") return playback.pause(!playback.isPaused);
    this.#goTo(this.#book.beginning(Date.now()));
    playback.pause(false);
  }

  /** @param {number} direction */
  #toRecording(direction) {
    const { position } = this.#playback;
    const from = Number.isNaN(position) ? this.#book.day.start : position;
    const start = this.#book.beside(from, direction);
    if (start !== undefined) this.#goTo(start);
    else this.#note.tell(t(direction > 0 ? "pbNoNext" : "pbNoPrevious"));
  }

  #offerExport() {
    const { day } = this.#book;
    if (this.#exporter.isOpen || this.#book.isEmpty) return this.#exporter.show(null, null);
    const { position } = this.#playback;
    const from = Number.isNaN(position) ? this.#book.beginning(Date.now()) : position;
    const start = Math.floor(from / 1000) * 1000;
    this.#exporter.show(day, clip({ start, end: start + EXPORT_MS }, day));
  }

  async #snap() {
    await this.#attempt(async () => {
      const path = await recordings.snapshot(this.#token, this.#playback.session);
      this.#note.link(t("pbSnapshotKept"), api.fileUrl(path));
    });
  }

  async #record() {
    const isOn = this.#book.isRecordedByHand;
    await this.#attempt(async () => {
      await (isOn ? recordings.stopRecording : recordings.startRecording)(this.#token);
      this.#note.tell(t(isOn ? "pbStopped" : "pbStarted"));
    });
    await this.#poll();
  }

  /**
   * Do what may fail, and say so.
   * @param {() => Promise<void>} act
   * @param {(reason: string) => void} [tell]
   */
  async #attempt(act, tell = (reason) => this.#note.fail(reason)) {
    try {
      await act();
    } catch (error) {
      if (this.#gone.signal.aborted) return;
      if (error instanceof api.SignInError) this.#onSignIn(t("expired"));
      else tell(explain(error));
    }
  }

  /** Keys that work wherever nothing else takes them. @param {KeyboardEvent} event */
  #shortcut(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest("input, select, dialog")) return;
    const isButton = target.closest("button, a") !== null;
    /** @type {Record<string, () => void>} */
    const keys = {
      k: () => this.#play(),
      j: () => this.#goTo(this.#playback.position - 10_000),
      l: () => this.#goTo(this.#playback.position + 10_000),
      n: () => this.#toRecording(1),
      p: () => this.#toRecording(-1),
    };
    const act = event.key === " " && !isButton ? keys["k"] : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/**
 * @param {HTMLElement} root
 * @param {PlaybackOptions} options
 * @returns {() => void} takes the view away
 */
export function mountPlayback(root, options) {
  const view = new PlaybackView(root, options);
  return () => view.close();
}

/** Keep the place in the page's address. @param {number} ms */
function remember(ms) {
  const here = new URL(location.href);
  here.searchParams.set("at", new Date(ms).toISOString());
  history.replaceState(null, "", here);
}

/** The session lives as long as the page is open; the poll reports one that has ended. */
async function stayAlive() {
  if (api.session()) await api.keepAlive().catch(() => undefined);
}
