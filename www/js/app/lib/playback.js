import { session } from "../api.js";

/** @typedef {import("./day.js").Day} Day */

const AGAIN_MS = 350; // between two places while somebody scrubs

/** @returns {("ws" | "rtc")[]} what this browser can play recordings over, the better one first */
export function playbackWays() {
  /** @type {("ws" | "rtc")[]} */
  const found = [];
  if (H5sPlayerWS.isSupported) found.push("ws");
  if (H5sPlayerRTC.isSupported) found.push("rtc");
  return found;
}

/** One source's past playing in one element. What was chosen holds from one player to the next. */
export class Playback {
  #video;
  #token;
  #onState;
  #way = playbackWays()[0] ?? "ws";
  /** @type {Day | null} */
  #day = null;
  /** @type {H5sPlayerWS | H5sPlayerRTC | null} */
  #player = null;
  #reason = "";
  #speed = 1;
  #isPaused = false;
  /** Whether what the recorder has is played, not what this server has. */
  isFromDevice = false;
  #goneAt = -Infinity;
  #goal = Number.NaN;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #going;

  /**
   * @param {HTMLVideoElement} video
   * @param {string} token
   * @param {() => void} onState
   */
  constructor(video, token, onState) {
    this.#video = video;
    this.#token = token;
    this.#onState = onState;
  }

  get way() {
    return this.#way;
  }

  /** @returns {H5sState} */
  get state() {
    return this.#player?.state ?? "stopped";
  }

  /** Why it does not play. */
  get reason() {
    return this.#reason;
  }

  get speed() {
    return this.#speed;
  }

  get isPaused() {
    return this.#player ? this.#player.isPaused : this.#isPaused;
  }

  /** Its name on the server, for snapshots; "" until it is known. */
  get session() {
    return this.#player?.pbSession ?? "";
  }

  /** When the picture that is shown was taken; NaN when that isn't known. */
  get position() {
    return this.#player?.position?.getTime() ?? Number.NaN;
  }

  /** Play a day from a moment on. @param {Day} day @param {number} ms */
  open(day, ms) {
    this.close();
    this.#day = day;
    this.#connect(ms);
  }

  /** Give everything back. */
  close() {
    clearTimeout(this.#going);
    this.#isPaused = this.isPaused;
    const player = this.#player;
    this.#player = null;
    this.#reason = "";
    player?.disconnect();
  }

  /** Go on over another transport at the same picture. @param {"ws" | "rtc"} way */
  choose(way) {
    if (!playbackWays().includes(way)) return;
    const [day, ms] = [this.#day, this.position];
    this.#way = way;
    if (this.#player && day) this.open(day, ms);
  }

  /** @param {boolean} isPaused */
  pause(isPaused) {
    this.#isPaused = isPaused;
    if (isPaused) this.#stand();
    else this.#player?.resume();
    this.#onState();
  }

  /**
   * Stand still here and on the server at the very picture that is shown, for snapshots are the
   * server's. Over WebRTC, and from a recorder, for which a seek is dear, it is the one that came last.
   */
  #stand() {
    const shown = this.#player?.position;
    this.#player?.pause();
    if (shown && this.#way === "ws" && !this.isFromDevice) this.#player?.moveTo(shown);
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.#speed = speed;
    this.#player?.speed(speed);
  }

  /**
   * Go to a moment of the day, and to the last one alone when many come in a row.
   * @param {number} ms
   */
  goTo(ms) {
    this.#goal = ms;
    clearTimeout(this.#going);
    const wait = this.#goneAt + AGAIN_MS - performance.now();
    if (wait <= 0) this.#go();
    else this.#going = setTimeout(() => this.#go(), wait);
  }

  #go() {
    this.#goneAt = performance.now();
    this.#player?.moveTo(this.#goal);
  }

  /** @param {number} ms */
  #connect(ms) {
    if (!this.#day) return;
    const Player = this.#way === "rtc" ? H5sPlayerRTC : H5sPlayerWS;
    const player = new Player({
      videodom: this.#video,
      token: this.#token,
      session: session(),
      onState: (_state, reason) => this.#changed(reason),
      pbconf: {
        begintime: new Date(this.#day.start).toISOString(),
        endtime: new Date(this.#day.end).toISOString(),
        serverpb: this.isFromDevice ? "false" : "true",
        callback: this.#onState,
      },
    });
    this.#player = player;
    if (this.#speed !== 1) player.speed(this.#speed);
    if (!Number.isNaN(ms)) player.moveTo(ms);
    player.start();
    if (this.#isPaused) player.pause();
    player.connect();
  }

  /** @param {string} reason */
  #changed(reason) {
    this.#reason = reason;
    this.#onState();
  }
}
