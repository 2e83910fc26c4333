/** @typedef {import("./day.js").Day} Day */

const LEAST_MS = 120_000;
const EDGE = 0.04; // of the width: nearer than this to a border is out of sight
const AHEAD = 0.8; // of the width that is shown ahead when the place is turned over

/** The part of a day that a timeline shows. Pure; times in ms. */
export class TimeWindow {
  #day;
  #start;
  #span;

  /** @param {Day} day */
  constructor(day) {
    this.#day = day;
    this.#start = day.start;
    this.#span = day.end - day.start;
  }

  get day() {
    return this.#day;
  }

  get start() {
    return this.#start;
  }

  get end() {
    return this.#start + this.#span;
  }

  get span() {
    return this.#span;
  }

  get isWhole() {
    return this.#span >= this.#day.end - this.#day.start;
  }

  get isClosest() {
    return this.#span <= LEAST_MS;
  }

  /** Where a moment lies, 0 at the left and 1 at the right. @param {number} ms */
  place(ms) {
    return (ms - this.#start) / this.#span;
  }

  /** Whether a moment is in sight. @param {number} ms */
  holds(ms) {
    return ms >= this.#start && ms <= this.end;
  }

  /** The moment at a place. @param {number} place */
  at(place) {
    return this.#start + Math.min(1, Math.max(0, place)) * this.#span;
  }

  /**
   * Show less or more; what lies at a moment stays where it is.
   * @param {number} factor below 1 shows less
   * @param {number} ms
   */
  zoom(factor, ms) {
    const place = Math.min(1, Math.max(0, this.place(ms)));
    const whole = this.#day.end - this.#day.start;
    this.#span = Math.min(whole, Math.max(LEAST_MS, this.#span * factor));
    this.#moveTo(ms - place * this.#span);
  }

  /** @param {number} ms to the later */
  pan(ms) {
    this.#moveTo(this.#start + ms);
  }

  /** Have a moment in sight, and time ahead of it. @param {number} ms @returns {boolean} whether it moved */
  follow(ms) {
    const place = this.place(ms);
    const isSeen = place >= EDGE && place <= 1 - EDGE;
    if (this.isWhole || isSeen || Number.isNaN(place)) return false;
    const before = this.#start;
    this.#moveTo(ms - (1 - AHEAD) * this.#span);
    return this.#start !== before;
  }

  /** @param {number} start */
  #moveTo(start) {
    this.#start = Math.min(this.#day.end - this.#span, Math.max(this.#day.start, start));
  }
}
