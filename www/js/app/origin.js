// Where the recordings of a source are had from: this server, or the recorder that has the camera.

import * as recordings from "./recordings.js";

/**
 * @typedef {import("./lib/day.js").Day} Day
 * @typedef {import("./lib/daybook.js").Kept} Kept
 */

const DEVICE_EVERY_MS = 30_000; // recorders have more to do than to tell what is new

/** Asks the one that was chosen. */
export class Origin {
  #token;
  #askedAt = -Infinity;

  /**
   * @param {string} token
   * @param {boolean} hasDevice whether it is a channel of a recorder
   * @param {boolean} isDevice whether the recorder is asked first
   */
  constructor(token, hasDevice, isDevice) {
    this.#token = token;
    this.hasDevice = hasDevice;
    this.isDevice = hasDevice && isDevice;
  }

  /** What there is of a day. @param {Day} day @returns {Promise<Kept>} */
  async ask(day) {
    this.#askedAt = performance.now();
    if (this.isDevice) {
      const { found, isAll } = await recordings.searchDevice(this.#token, day);
      return { found, gaps: [], isAll };
    }
    const both = [recordings.search(this.#token, day), recordings.gaps(this.#token, day)];
    const [found, gaps] = /** @type {[recordings.FoundItem[], recordings.GapItem[]]} */ (
      await Promise.all(both)
    );
    return { found, gaps, isAll: true };
  }

  /** Whether it may be asked again for what it was asked. */
  get isDue() {
    return !this.isDevice || performance.now() - this.#askedAt >= DEVICE_EVERY_MS;
  }

  /**
   * Whether the recorder has what this server has not. One that can't tell has nothing.
   * @param {import("./lib/daybook.js").DayBook} book
   */
  async isBetter(book) {
    if (this.isDevice || !this.hasDevice || !book.isLoaded || !book.isEmpty) return false;
    const asked = recordings.searchDevice(this.#token, book.day, 1);
    const { found } = await asked.catch(() => ({ found: [] }));
    return found.length > 0 && !this.isDevice;
  }

  /**
   * The days of a month that have recordings.
   * @param {number} year
   * @param {number} month 1 to 12
   */
  days(year, month) {
    const ask = this.isDevice ? recordings.deviceDays : recordings.recordedDays;
    return ask(this.#token, year, month);
  }
}
