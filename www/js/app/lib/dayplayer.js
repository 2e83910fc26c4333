import { isWithin } from "./day.js";
import { DayBook } from "./daybook.js";

/**
 * @typedef {import("./day.js").Day} Day
 * @typedef {import("./daybook.js").Kept} Kept
 */

/** Plays days of one source: knows what there is of the day, and where in it to go. */
export class DayPlayer {
  #playback;
  #ask;
  #book;
  #wanted = Number.NaN; // where to begin once there is something

  /**
   * @param {import("./playback.js").Playback} playback
   * @param {(day: Day) => Promise<Kept>} ask what there is of a day
   * @param {Day} day
   */
  constructor(playback, ask, day) {
    this.#playback = playback;
    this.#ask = ask;
    this.#book = new DayBook(day);
  }

  get book() {
    return this.#book;
  }

  /** The moment that is shown, or else that would be shown first. */
  get place() {
    const { position } = this.#playback;
    return Number.isNaN(position) ? this.#book.beginning(Date.now()) : position;
  }

  /** The moment that is shown, or else that was asked for; NaN for neither. */
  get goal() {
    const { position } = this.#playback;
    return Number.isNaN(position) ? this.#wanted : position;
  }

  /** Whether more may come. */
  get isGrowing() {
    return !this.#book.isLoaded || isWithin(this.#book.day, Date.now());
  }

  /** Turn to a day; NaN for where it is best begun. @param {Day} day @param {number} ms */
  turnTo(day, ms) {
    this.#playback.close();
    this.#book = new DayBook(day);
    this.#wanted = ms;
  }

  /**
   * Ask what there is now, and begin to play once there is something.
   * @returns {Promise<boolean>} false when another day has been turned to meanwhile
   */
  async load() {
    const book = this.#book;
    const { found, gaps, isAll } = await this.#ask(book.day);
    if (book !== this.#book) return false;
    const hadNone = book.isEmpty;
    book.fill(found, gaps, isAll);
    if (hadNone && !book.isEmpty) {
      const ms = Number.isNaN(this.#wanted) ? book.beginning(Date.now()) : this.#wanted;
      this.#playback.open(book.day, book.nearest(ms));
    }
    return true;
  }

  /** @param {number} ms @returns {number} where it goes; NaN when there is nothing */
  goTo(ms) {
    if (this.#book.isEmpty || Number.isNaN(ms)) return Number.NaN;
    const to = this.#book.nearest(ms);
    this.#playback.goTo(to);
    return to;
  }

  /** Play, pause, or play again what has come to its end. */
  toggle() {
    const playback = this.#playback;
    if (playback.state !== "ended") return playback.pause(!playback.isPaused);
    this.goTo(this.#book.beginning(Date.now()));
    playback.pause(false);
  }
}
