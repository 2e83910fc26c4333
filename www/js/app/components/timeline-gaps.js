import { clock } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { clip, longest } from "../lib/span.js";
import { placeOver } from "./timeline-parts.js";

/** @typedef {import("../lib/span.js").Gap} Gap */

const MOST = 200; // buttons at once; closer, the shorter ones show as well

/** The gaps of a timeline as buttons: Tab reaches the row, arrow keys go along it. */
export class GapRow {
  #onGap;
  #element = make("div", { class: "timeline-gaps", role: "group" });

  /** @param {(gap: Gap | null) => void} onGap one is pointed at, or none any more */
  constructor(onGap) {
    this.#onGap = onGap;
    this.#element.setAttribute("aria-label", t("pbGaps"));
    this.#element.onkeydown = (event) => this.#walk(event);
  }

  get element() {
    return this.#element;
  }

  /**
   * @param {Gap[]} gaps
   * @param {import("../lib/window.js").TimeWindow} shown
   */
  draw(gaps, shown) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset["start"];
    const inSight = gaps.filter((gap) => clip(gap, shown));
    const buttons = longest(inSight, MOST).map((gap) => this.#button(gap, shown));
    if (buttons[0]) buttons[0].tabIndex = 0;
    this.#element.replaceChildren(...buttons);
    this.#element.hidden = buttons.length === 0;
    const again = focused && buttons.find((one) => one.dataset["start"] === focused);
    if (again) this.#focus(again);
  }

  /**
   * @param {Gap} gap
   * @param {import("../lib/window.js").TimeWindow} shown
   */
  #button(gap, shown) {
    const label = `${t("pbGap")} ${clock(gap.start)} – ${clock(gap.end)}`;
    const button = make("button", { type: "button", class: "timeline-gap", tabIndex: -1 });
    button.setAttribute("aria-label", label);
    button.dataset["start"] = String(gap.start);
    button.onfocus = button.onpointerenter = button.onclick = () => this.#onGap(gap);
    button.onblur = button.onpointerleave = () => this.#onGap(null);
    placeOver(button, shown, clip(gap, shown));
    return button;
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const all = /** @type {HTMLButtonElement[]} */ ([...this.#element.children]);
    const here = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = step && all[here + step];
    if (!next) return;
    event.preventDefault();
    this.#focus(next);
  }

  /** @param {HTMLButtonElement} button */
  #focus(button) {
    for (const one of this.#element.querySelectorAll("button")) one.tabIndex = -1;
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
  }
}
