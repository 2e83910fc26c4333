import { isWithin } from "./day.js";
import * as span from "./span.js";

/**
 * @typedef {import("./day.js").Day} Day
 * @typedef {import("./span.js").Stretch} Stretch
 *
 * @typedef {object} Kept what there is of a day
 * @property {import("../recordings.js").FoundItem[]} found
 * @property {import("../recordings.js").GapItem[]} gaps
 * @property {boolean} isAll false: a recorder has more than it tells
 */

const BEFORE_END_MS = 60_000; // where a day that is not over is opened
const NEWEST_MS = 1000; // before the end there is a picture for certain

/** What was recorded on one day of one source, and what was not. Pure; times in ms. */
export class DayBook {
  /** @param {Day} day */
  constructor(day) {
    this.day = day;
    this.isLoaded = false;
    this.isAll = true;
    this.failure = ""; // why what there is could not be told
    /** @type {span.Recording[]} by their beginning */
    this.recordings = [];
    /** @type {span.Gap[]} */
    this.gaps = [];
    /** @type {Stretch[]} recordings that follow each other, joined */
    this.stretches = [];
  }

  /**
   * Take what the server says now.
   * @param {import("../recordings.js").FoundItem[]} items
   * @param {import("../recordings.js").GapItem[]} gaps
   * @param {boolean} [isAll] false: a recorder has more than it tells
   */
  fill(items, gaps, isAll = true) {
    this.recordings = span.readRecordings(items);
    this.gaps = span.readGaps(gaps);
    this.stretches = span.join(this.recordings);
    this.isLoaded = true;
    this.isAll = isAll;
    this.failure = "";
  }

  get isEmpty() {
    return this.stretches.length === 0;
  }

  /** Whether somebody has a recording made now, by hand. */
  get isRecordedByHand() {
    return this.recordings.some(({ kind, isGrowing }) => kind === "manual" && isGrowing);
  }

  /** Where to begin: with the day, or near the newest picture of one that is not over. @param {number} now */
  beginning(now) {
    const [first, last] = [this.stretches[0], this.stretches.at(-1)];
    if (!first || !last) return this.day.start;
    if (!isWithin(this.day, now)) return Math.max(this.day.start, first.start);
    return Math.max(last.start, last.end - BEFORE_END_MS);
  }

  /** The nearest moment of the day that can be shown, no later than the newest picture. @param {number} ms */
  nearest(ms) {
    const newest = (this.stretches.at(-1)?.end ?? this.day.end) - NEWEST_MS;
    return Math.max(this.day.start, Math.min(ms, newest, this.day.end - NEWEST_MS));
  }

  /** The recording that covers a moment. @param {number} ms */
  at(ms) {
    return span.at(this.recordings, ms);
  }

  /**
   * The beginning of the stretch after a moment, or of the one before it.
   * @param {number} ms
   * @param {number} direction
   */
  beside(ms, direction) {
    const found = direction > 0 ? span.after(this.stretches, ms) : span.before(this.stretches, ms);
    return found?.start;
  }
}
