/** @typedef {import("./prefs.js").Transport} Transport */

/** @type {readonly Transport[]} the least delay first */
export const ORDER = ["ws", "rtc", "hls"];

/** @type {Record<Transport, number>} seconds without a picture that are too many; HLS waits for a segment */
const PATIENCE_S = { ws: 8, rtc: 8, hls: 20 };
const RETURN_S = 300;
const RETURN_MOST_S = 3600;
const CURED_S = 60;

/**
 * What to play with: the wished transport first, then the others in their order.
 * @param {Transport} wish
 * @param {readonly Transport[]} supported by this browser
 * @returns {Transport[]} the wish alone when nothing is supported: its player then says why
 */
export function waysFor(wish, supported) {
  const ways = [wish, ...ORDER.filter((one) => one !== wish)];
  const possible = ways.filter((one) => supported.includes(one));
  return possible.length ? possible : [wish];
}

/**
 * Chooses the transport of one source: the next one when a transport shows no picture, the wished
 * one again after a while, later each time it fails. Pure; times in seconds.
 */
export class Fallback {
  #wish;
  #ways;
  #at = 0;
  #triedSince = Number.NaN;
  #playedSince = Number.NaN;
  #leftAt = 0;
  #returnS = RETURN_S;

  /**
   * @param {Transport} wish
   * @param {readonly Transport[]} ways from waysFor()
   */
  constructor(wish, ways) {
    this.#wish = wish;
    this.#ways = ways;
  }

  get wish() {
    return this.#wish;
  }

  /** @returns {Transport} the one to play with now */
  get transport() {
    return this.#ways[this.#at] ?? this.#wish;
  }

  /** Another player begins. */
  restart() {
    this.#triedSince = this.#playedSince = Number.NaN;
  }

  /**
   * Tell how it goes, about each second.
   * @param {number} now
   * @param {"playing" | "trying" | "resting"} state resting: no picture is to be expected
   * @returns {boolean} whether the transport is another one now
   */
  observe(now, state) {
    if (state === "playing") return this.#played(now);
    this.#playedSince = Number.NaN;
    if (state === "resting" || Number.isNaN(this.#triedSince)) {
      this.#triedSince = state === "resting" ? Number.NaN : now;
      return false;
    }
    return now - this.#triedSince > PATIENCE_S[this.transport] && this.#leave(now);
  }

  /** @param {number} now */
  #played(now) {
    this.#triedSince = Number.NaN;
    if (Number.isNaN(this.#playedSince)) this.#playedSince = now;
    if (this.#at > 0) return now - this.#leftAt > this.#returnS && this.#return();
    if (now - this.#playedSince > CURED_S) this.#returnS = RETURN_S;
    return false;
  }

  /** Try the wished one again; should it fail, not so soon the next time. */
  #return() {
    this.#returnS = Math.min(RETURN_MOST_S, this.#returnS * 2);
    return this.#goTo(0);
  }

  /** This one shows nothing: take the next. @param {number} now */
  #leave(now) {
    if (this.#at === 0) this.#leftAt = now;
    return this.#goTo((this.#at + 1) % this.#ways.length);
  }

  /** @param {number} at */
  #goTo(at) {
    const isOther = at !== this.#at;
    this.#at = at;
    this.restart();
    return isOther;
  }
}
