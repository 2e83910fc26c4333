import { clock } from "../lib/day.js";
import { t } from "../lib/i18n.js";

/**
 * @typedef {import("../lib/span.js").Stretch} Stretch
 * @typedef {import("../lib/window.js").TimeWindow} TimeWindow
 */

export const NARROW = 0.0008; // of the width: less is not to be seen
const PAGE_MS = 600_000;

/** @type {Record<string, number>} which way an arrow goes */
const ARROWS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
/** @type {Record<string, number>} */
const PAGES = { PageDown: -PAGE_MS, PageUp: PAGE_MS };

/**
 * Where a key of a slider goes from a moment; null when it is none.
 * @param {KeyboardEvent} event
 * @param {number} ms
 * @param {Stretch} limits
 * @param {{ plain: number, shifted: number }} step of the arrow keys, in ms
 * @returns {number | null}
 */
export function keyTarget(event, ms, limits, { plain, shifted }) {
  if (event.altKey || event.ctrlKey || event.metaKey) return null;
  const arrow = ARROWS[event.key];
  const page = PAGES[event.key];
  if (arrow) return within(ms + arrow * (event.shiftKey ? shifted : plain), limits);
  if (page) return within(ms + page, limits);
  if (event.key === "Home") return limits.start;
  return event.key === "End" ? limits.end : null;
}

/** @param {number} ms @param {Stretch} limits */
function within(ms, { start, end }) {
  return Math.min(end, Math.max(start, ms));
}

/**
 * Tell a slider's value to who cannot see it.
 * @param {HTMLElement} slider
 * @param {number} ms NaN for none
 * @param {Stretch} day
 */
export function tellValue(slider, ms, day) {
  const isKnown = !Number.isNaN(ms);
  const seconds = (/** @type {number} */ at) => String(Math.round((at - day.start) / 1000));
  slider.setAttribute("aria-valuemin", "0");
  slider.setAttribute("aria-valuemax", seconds(day.end));
  slider.setAttribute("aria-valuenow", isKnown ? seconds(ms) : "0");
  slider.setAttribute("aria-valuetext", isKnown ? clock(ms) : t("pbNothingShown"));
}

/**
 * Put an element at a moment, or hide it while that is not in sight.
 * @param {HTMLElement} element
 * @param {TimeWindow} shown
 * @param {number} ms NaN for none
 */
export function placeAt(element, shown, ms) {
  element.hidden = !shown.holds(ms);
  if (!element.hidden) element.style.left = percent(shown.place(ms));
}

/**
 * Lay an element over a stretch, or hide it without one.
 * @param {HTMLElement} element
 * @param {TimeWindow} shown
 * @param {Stretch | null} stretch
 */
export function placeOver(element, shown, stretch) {
  element.hidden = stretch === null;
  if (!stretch) return;
  const left = shown.place(stretch.start);
  element.style.left = percent(left);
  element.style.width = percent(Math.max(NARROW, shown.place(stretch.end) - left));
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(4)}%`;
}
