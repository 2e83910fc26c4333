import { language } from "./prefs.js";

/**
 * A day on the clocks of whoever looks: 23 to 25 hours long, for some days clocks are changed.
 * @typedef {{ start: number, end: number }} Day in ms since 1970
 */

const HOUR_MS = 3_600_000;
const STEPS_MS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 21_600].map(
  (seconds) => seconds * 1000,
);

/** @param {number} ms @returns {Day} the day that a moment lies in */
export function dayOf(ms) {
  const at = new Date(ms);
  const [year, month, date] = [at.getFullYear(), at.getMonth(), at.getDate()];
  const start = new Date(year, month, date).getTime();
  return { start, end: new Date(year, month, date + 1).getTime() };
}

/** @param {Day} day @param {number} days how many further, negative for back */
export function dayBeside(day, days) {
  const at = new Date(day.start);
  return dayOf(new Date(at.getFullYear(), at.getMonth(), at.getDate() + days, 12).getTime());
}

/** @param {Day} day @param {number} ms */
export function isWithin(day, ms) {
  return day.start <= ms && ms < day.end;
}

/**
 * The moment of a day at which clocks show a time; the first where they show it twice.
 * @param {Day} day
 * @param {string} text as an input of type "time" has it: "10:12" or "10:12:05"
 * @returns {number} NaN when it is no time
 */
export function atClock(day, text) {
  const found = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?/.exec(text);
  if (!found) return Number.NaN;
  const at = new Date(day.start);
  at.setHours(Number(found[1]), Number(found[2]), Number(found[3] ?? 0), 0);
  return Math.min(day.end, Math.max(day.start, at.getTime()));
}

/** How dates are written: by the browser's language where it is the page's. */
function locale() {
  const own = globalThis.navigator?.language ?? "";
  if (language() === "zh") return own.toLowerCase().startsWith("zh") ? own : "zh-CN";
  return own.toLowerCase().startsWith("en") ? own : "en-GB";
}

/** @param {number} ms @param {boolean} [hasSeconds] @returns {string} as "10:12:05" */
export function clock(ms, hasSeconds = true) {
  const at = new Date(ms);
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()].slice(0, hasSeconds ? 3 : 2);
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** @param {number} ms @returns {string} as "Sat, 2 May 2026" */
export function dateName(ms) {
  const style = /** @type {const} */ ({ weekday: "short", day: "numeric", month: "short" });
  return new Intl.DateTimeFormat(locale(), { ...style, year: "numeric" }).format(ms);
}

/** @param {number} ms @returns {string} as "May 2026" */
export function monthName(ms) {
  return new Intl.DateTimeFormat(locale(), { month: "long", year: "numeric" }).format(ms);
}

/** @returns {{ short: string, long: string }[]} the days of the week from Monday on */
export function weekdays() {
  const name = (/** @type {"short" | "long"} */ weekday, /** @type {number} */ date) =>
    new Intl.DateTimeFormat(locale(), { weekday }).format(new Date(2024, 0, date)); // a Monday is the 1st
  return [1, 2, 3, 4, 5, 6, 7].map((date) => ({
    short: name("short", date),
    long: name("long", date),
  }));
}

/**
 * Moments to write on a ruler, at round times of the clock.
 * @param {Day} view what the ruler shows
 * @param {number} most how many there is room for
 * @returns {{ at: number, label: string }[]}
 */
export function ticks(view, most) {
  const room = (view.end - view.start) / Math.max(1, most);
  const step = STEPS_MS.find((one) => one >= room) ?? 12 * HOUR_MS;
  const hour = new Date(view.start).setMinutes(0, 0, 0);
  const found = [];
  for (let at = hour; at <= view.end; at += Math.min(step, HOUR_MS)) {
    const isRound = step <= HOUR_MS || new Date(at).getHours() % (step / HOUR_MS) === 0;
    if (at >= view.start && isRound) found.push({ at, label: clock(at, step < 60_000) });
  }
  return found;
}
