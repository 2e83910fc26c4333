import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { clip } from "../lib/span.js";
import { keyTarget, placeAt, placeOver, tellValue } from "./timeline-parts.js";

/**
 * @typedef {import("../lib/span.js").Stretch} Stretch
 * @typedef {import("../lib/window.js").TimeWindow} TimeWindow
 * @typedef {"start" | "end"} Side
 */

const LEAST_MS = 1000;
const STEP = { plain: 1000, shifted: 10_000 };

/** A marked range of a timeline with a handle at either end, in whole seconds. */
export class MarkedRange {
  #timeOf;
  #onChange;
  /** @type {Stretch | null} */
  #range = null;
  /** @type {TimeWindow | null} */
  #shown = null;
  #area = make("div", { class: "timeline-marked" });
  #handles;

  /**
   * @param {(event: MouseEvent) => number} timeOf the moment that is pointed at
   * @param {(range: Stretch) => void} onChange a handle was moved
   */
  constructor(timeOf, onChange) {
    this.#timeOf = timeOf;
    this.#onChange = onChange;
    this.#handles = {
      start: this.#makeHandle("start", t("pbRangeStart")),
      end: this.#makeHandle("end", t("pbRangeEnd")),
    };
  }

  /** What is laid over the recordings. */
  get area() {
    return this.#area;
  }

  get handles() {
    return [this.#handles.start, this.#handles.end];
  }

  /** @param {Stretch | null} range */
  mark(range) {
    this.#range = range;
    if (this.#shown) this.draw(this.#shown);
  }

  /** @param {TimeWindow} shown */
  draw(shown) {
    this.#shown = shown;
    const range = this.#range;
    placeOver(this.#area, shown, range && clip(range, shown));
    for (const side of /** @type {const} */ (["start", "end"])) {
      placeAt(this.#handles[side], shown, range?.[side] ?? Number.NaN);
      if (range) tellValue(this.#handles[side], range[side], shown.day);
    }
  }

  /** @param {Side} side @param {string} label */
  #makeHandle(side, label) {
    const properties = { type: "button", class: `timeline-handle is-${side}`, role: "slider" };
    const handle = make("button", { ...properties, hidden: true, "aria-label": label });
    handle.onpointerdown = (event) => {
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
    };
    handle.onpointermove = (event) => {
      if (handle.hasPointerCapture(event.pointerId)) this.#move(side, this.#timeOf(event));
    };
    handle.onkeydown = (event) => {
      if (!this.#range || !this.#shown) return;
      const to = keyTarget(event, this.#range[side], this.#shown.day, STEP);
      if (to === null) return;
      event.preventDefault();
      this.#move(side, to);
    };
    return handle;
  }

  /** @param {Side} side @param {number} ms */
  #move(side, ms) {
    if (!this.#range) return;
    const whole = Math.round(ms / 1000) * 1000;
    const { start, end } = this.#range;
    this.mark(
      side === "start"
        ? { start: Math.min(whole, end - LEAST_MS), end }
        : { start, end: Math.max(whole, start + LEAST_MS) },
    );
    this.#onChange(this.#range);
  }
}
