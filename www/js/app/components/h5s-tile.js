import { pictureUrl } from "../api.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { nameOf, recorderName } from "../lib/recorder.js";
import { Viewing, fallbackFor, sourceFigures } from "../lib/playing.js";
import { describe, isWorthPlaying } from "../lib/state.js";

/**
 * One source on the wall: its picture, playing while the wall says so, its name, state and figures.
 * Sends `enlarge` and `remove` (bubbling) when a person asks for them.
 */
export class H5sTile extends HTMLElement {
  static #PICTURE_AGE_MS = 10_000;
  static #SMALL_PX = 640; // a tile of this width shows no more than the sub input has

  /** @type {import("../api.js").SourceItem | null} */
  #source = null;
  /** @type {Viewing | null} */
  #viewing = null;
  #isWanted = false;
  #isResting = false;
  #isCrowded = false;
  #pictureAt = -Infinity;
  #picture = make("img", { class: "tile-picture", alt: "", decoding: "async" });
  #video = make("video", { class: "tile-video", tabIndex: -1, "aria-hidden": "true" });
  #recorder = make("bdi", { class: "tile-recorder" });
  #name = make("bdi", { class: "tile-name" });
  #state = make("span", { class: "chip" });
  #figures = make("span", { class: "tile-figures" });
  #reason = make("p", { class: "tile-reason" });
  #open = make("button", { type: "button", class: "tile-open" });
  #past = make("a", { class: "icon-button tile-past" }, icon("history"));
  /** @type {HTMLButtonElement | null} */
  #remove = null;

  connectedCallback() {
    this.className = "tile";
    this.#open.onclick = () => this.#send("enlarge");
    const between = make("span", { class: "tile-between" }, " · ");
    const names = make("div", { class: "tile-names" }, this.#recorder, between, this.#name);
    const foot = make("div", { class: "tile-foot" }, names, this.#figures);
    const parts = [
      this.#picture,
      this.#video,
      this.#reason,
      this.#state,
      foot,
      this.#open,
      this.#past,
    ];
    this.replaceChildren(...parts);
    if (this.#remove) this.append(this.#remove);
    this.refresh();
  }

  disconnectedCallback() {
    this.#stop();
  }

  get source() {
    return this.#source;
  }

  /** Whether it has something to play. */
  get isWorthPlaying() {
    return this.#source !== null && isWorthPlaying(this.#source);
  }

  /** Let this tile be deleted by its viewer. */
  allowRemoval() {
    this.#remove ??= iconButton("trash", "", () => this.#send("remove"));
    this.#remove.classList.add("tile-remove");
    this.append(this.#remove);
  }

  /**
   * Show what the server says now.
   * @param {import("../api.js").SourceItem} source
   * @param {boolean} isCrowded many tiles: the sub input will do
   */
  update(source, isCrowded) {
    const wasOnline = this.#source?.bOnline ?? false;
    this.#source = source;
    this.#isCrowded = isCrowded;
    if (source.bOnline && !wasOnline) this.#pictureAt = -Infinity;
    this.#decide();
    this.refresh();
  }

  /**
   * Play or rest.
   * @param {boolean} isWanted in view, and not covered by a large player
   * @param {boolean} isResting as many others play as can
   */
  play(isWanted, isResting) {
    this.#isWanted = isWanted;
    this.#isResting = isResting;
    this.#decide();
    this.refresh();
  }

  /** Look whether it plays, and bring the words up to date. */
  check() {
    this.#viewing?.check(this.#source?.bOnline ?? false);
    this.refresh();
  }

  /** Bring the words up to date. */
  refresh() {
    const source = this.#source;
    if (!source) return;
    const player = this.#viewing?.state ?? "stopped";
    const isResting = this.#isWanted && this.#isResting;
    const shown = describe(source, player, Date.now(), { way: this.#viewing?.way, isResting });
    this.dataset["tone"] = shown.tone;
    this.#recorder.textContent = recorderName(source.strToken);
    this.#name.textContent = source.strName || source.strToken;
    this.#state.textContent = shown.word;
    this.#reason.textContent = shown.detail;
    this.#figures.textContent = this.#figureList(source).join(" · ");
    this.#video.classList.toggle("is-playing", this.#hasPicture(player));
    this.#label(source, `${shown.word} ${shown.detail}`);
  }

  /** @param {import("../api.js").SourceItem} source */
  #figureList(source) {
    const viewing = this.#viewing;
    return viewing?.state === "playing" ? viewing.figures() : sourceFigures(source);
  }

  /** A lost connection leaves the last picture standing. @param {H5sState} player */
  #hasPicture(player) {
    if (player === "playing") return true;
    return player !== "stopped" && this.#video.classList.contains("is-playing");
  }

  /**
   * @param {import("../api.js").SourceItem} source
   * @param {string} state
   */
  #label(source, state) {
    const name = nameOf(source);
    this.#open.setAttribute("aria-label", `${t("enlarge", { name })}, ${state.trim()}`);
    this.#open.title = name;
    this.#past.href = `playback.html?${new URLSearchParams({ token: source.strToken })}`;
    this.#past.title = t("pbOpen", { name });
    this.#past.setAttribute("aria-label", this.#past.title);
    if (!this.#remove) return;
    this.#remove.title = t("delete", { name });
    this.#remove.setAttribute("aria-label", this.#remove.title);
  }

  #decide() {
    if (!this.#isWanted || this.#isResting) this.#stop();
    if (!this.#isWanted || !this.#source) return;
    this.#showPicture(this.#source);
    const canPlay = !this.#isResting && isWorthPlaying(this.#source);
    if (!this.#viewing && canPlay) this.#start(this.#source);
  }

  /** @param {import("../api.js").SourceItem} source */
  #showPicture(source) {
    if (this.#viewing || performance.now() - this.#pictureAt < H5sTile.#PICTURE_AGE_MS) return;
    if (this.#pictureAt > 0 && !source.bOnline) return;
    this.#pictureAt = performance.now();
    this.#picture.src = pictureUrl(source.strToken);
  }

  /** @param {import("../api.js").SourceItem} source */
  #start(source) {
    const { strToken: token, bSub } = source;
    const onState = () => this.refresh();
    this.#viewing = new Viewing(this.#video, token, { hasSound: false, onState });
    this.#viewing.start(fallbackFor(token), this.#isSmall() && bSub ? "sub" : "");
    this.refresh();
  }

  #isSmall() {
    return this.#isCrowded || this.clientWidth * devicePixelRatio <= H5sTile.#SMALL_PX;
  }

  #stop() {
    const viewing = this.#viewing;
    if (!viewing) return;
    this.#viewing = null;
    viewing.stop();
    this.refresh();
  }

  /** @param {string} type */
  #send(type) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true }));
  }
}

customElements.define("h5s-tile", H5sTile);
