import * as api from "../api.js";
import { H5sTimeline } from "../components/h5s-timeline.js";
import { Address, readPlace } from "../lib/address.js";
import { dayOf } from "../lib/day.js";
import { DayPlayer } from "../lib/dayplayer.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { Playback } from "../lib/playback.js";
import { playbackKeys, watchKeys } from "../lib/shortcuts.js";
import { nameOf } from "../lib/recorder.js";
import { clip } from "../lib/span.js";
import * as recordings from "../recordings.js";
import { makeDayBar } from "./daybar.js";
import { makeDeck } from "./deck.js";
import { makeRoom } from "./disk.js";
import { explain, makeExporter } from "./exporter.js";
import { makeNote } from "./note.js";
import { makeOriginChoice } from "./origin.js";
import { makePlaybackTop } from "./playback-top.js";
import { makeScreen } from "./screen.js";

const TICK_MS = 200;
const POLL_MS = 4000;
const ROOM_MS = 60_000;
const EXPORT_MS = 60_000;

/**
 * Days of one source, as they were recorded.
 * @param {HTMLElement} root
 * @param {{ token: string, source: api.SourceItem | null, origin: import("../origin.js").Origin, place: import("../lib/address.js").Place, onSignIn: (note: string) => void }} options
 *   source is null when only its recordings are left
 * @returns {() => void} takes the view away
 */
export function mountPlayback(root, { token, source, origin, place, onSignIn }) {
  const gone = new AbortController();
  const address = new Address();
  const note = makeNote();
  const screen = makeScreen(nameOf(source ?? { strName: "", strToken: token }));
  const timeline = new H5sTimeline();
  const room = makeRoom(token);
  const playback = new Playback(screen.video, token, () => refresh());
  const player = new DayPlayer(playback, (day) => origin.ask(day), dayOf(place.day || Date.now()));
  const exporter = makeExporter(token, (range) => timeline.mark(range));

  /** Bring words, buttons and the place that is shown up to date. */
  const refresh = () => {
    const { position } = playback;
    const { book } = player;
    const file = book.at(position);
    deck.update(playback.state === "playing" && !playback.isPaused, position);
    deck.offerFile(file?.path ? api.fileUrl(file.path) : "");
    deck.enable(!book.isEmpty);
    deck.zoomed(timeline.zoomed);
    deck.recording(book.isRecordedByHand);
    screen.update(playback, book);
    timeline.moveTo(position);
    address.follow(position);
  };
  /**
   * Do what may fail, and say so.
   * @param {() => Promise<void>} act
   * @param {(reason: string) => void} [tell]
   */
  const attempt = async (act, tell = note.fail) => {
    try {
      await act();
    } catch (error) {
      if (gone.signal.aborted) return;
      if (error instanceof api.SignInError) onSignIn(t("expired"));
      else tell(explain(error));
    }
  };
  const load = async () => {
    const { book } = player;
    const act = async () => {
      if (!(await player.load())) return;
      timeline.fill(book.recordings, book.gaps);
      note.explain(book);
    };
    await attempt(act, (reason) => {
      if (book.isLoaded) note.fail(reason);
      else book.failure = reason;
    });
    refresh();
  };
  /** @param {import("../lib/day.js").Day} day @param {number} [ms] */
  const showDay = async (day, ms = Number.NaN) => {
    player.turnTo(day, ms);
    const { book } = player;
    playback.isFromDevice = origin.isDevice;
    deck.showOrigin(origin.isDevice);
    note.withdraw();
    exporter.show(null, null);
    timeline.showDay(day);
    days.update(day);
    refresh();
    await load();
    await choice.offer(book, note, () => book === player.book && !gone.signal.aborted);
  };
  /** @param {number} ms */
  const goTo = (ms) => {
    const to = player.goTo(ms);
    if (Number.isNaN(to)) return;
    timeline.jumpTo(to);
    address.remember(to);
  };
  const toggle = () => player.toggle();
  const skip = (/** @type {number} */ ms) => goTo(playback.position + ms);
  const toRecording = (/** @type {number} */ direction) => {
    const start = player.book.beside(player.place, direction);
    if (start !== undefined) goTo(start);
    else note.tell(t(direction > 0 ? "pbNoNext" : "pbNoPrevious"));
  };
  const offerExport = () => {
    const { day } = player.book;
    const start = Math.floor(player.place / 1000) * 1000;
    const range = exporter.isOpen ? null : clip({ start, end: start + EXPORT_MS }, day);
    if (range) timeline.reveal(range);
    exporter.show(range && day, range);
  };
  const snap = async () => {
    const path = await recordings.snapshot(token, playback.session);
    note.link(t("pbSnapshotKept"), api.fileUrl(path));
  };
  const record = async () => {
    const isOn = player.book.isRecordedByHand;
    await (isOn ? recordings.stopRecording : recordings.startRecording)(token);
    note.tell(t(isOn ? "pbStopped" : "pbStarted"));
    await poll();
  };
  /** A day that is not over grows, and the source comes and goes. */
  const poll = async () => {
    await attempt(async () => top.update((await api.findSource(token))?.bRec === true));
    if (player.isGrowing && origin.isDue) await load();
  };
  /** The browser's way back was taken, or the way on. */
  const goBack = () => {
    const back = readPlace(location.search);
    origin.isDevice = origin.hasDevice && back.isDevice;
    choice.show();
    void showDay(dayOf(back.day || Date.now()), back.at);
  };
  const showRoom = () => attempt(room.show);

  const deck = makeDeck({
    onPlay: toggle,
    onSkip: skip,
    onRecording: toRecording,
    onSpeed: (speed) => playback.setSpeed(speed),
    onWay: (way) => {
      playback.choose(way);
      address.chooseWay(way);
    },
    onSnapshot: () => void attempt(snap),
    onExport: offerExport,
    onRecord: () => void attempt(record),
    onZoom: (direction) => timeline.zoom(direction),
  });
  const days = makeDayBar({
    recorded: (year, month) => origin.days(year, month),
    onDay: (day) => {
      address.turnTo(day.start);
      void showDay(day);
    },
  });
  const choice = makeOriginChoice(origin, () => {
    address.choose(origin.isDevice);
    void showDay(player.book.day, player.goal);
  });
  const top = makePlaybackTop(token, source, choice.element, days.element);
  const parts = [timeline, note.element, deck.element, exporter.element, room.element];
  const main = make("main", { class: "playback-main" }, screen.element, ...parts);
  const view = make("div", { class: "playback" }, top.element, main);
  timeline.hear({ seek: goTo, range: exporter.update, gap: note.gap });
  watchKeys(playbackKeys({ toggle, skip, toRecording }), gone.signal);
  window.addEventListener("popstate", goBack, { signal: gone.signal });
  root.append(view);
  if (place.way) playback.choose(place.way);
  deck.showWay(playback.way);
  void showDay(player.book.day, place.at);
  void showRoom();
  void attempt(async () => deck.allow((await api.role()) !== "Viewer"));
  const timers = [
    setInterval(refresh, TICK_MS),
    setInterval(() => void poll(), POLL_MS),
    setInterval(() => void showRoom(), ROOM_MS),
    setInterval(() => void api.stayAlive(), (api.sessionTimeout() * 1000) / 3),
  ];

  return () => {
    gone.abort();
    timers.forEach(clearInterval);
    address.close();
    note.close();
    exporter.close();
    playback.close();
    view.remove();
  };
}
