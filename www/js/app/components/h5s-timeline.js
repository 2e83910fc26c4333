import { clock, ticks } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { clip, join, longest } from "../lib/span.js";
import { TimeWindow } from "../lib/window.js";

/**
 * @typedef {import("../lib/span.js").Stretch} Stretch
 * @typedef {import("../lib/span.js").Gap} Gap
 * @typedef {import("../lib/span.js").Recording} Recording
 */

const STEP_MS = 10_000;
const FINE_MS = 1000;
const PAGE_MS = 600_000;
const ZOOM = 0.4;
const LABEL_PX = 58;
const NARROW = 0.0008; // of the width: less is not to be seen
const MOST_GAPS = 200; // buttons at once; closer, the shorter ones show as well

/** @type {Record<string, (at: number, limits: Stretch) => number>} where a key goes */
const KEYS = {
  ArrowLeft: (at) => at - STEP_MS,
  ArrowRight: (at) => at + STEP_MS,
  ArrowDown: (at) => at - STEP_MS,
  ArrowUp: (at) => at + STEP_MS,
  PageDown: (at) => at - PAGE_MS,
  PageUp: (at) => at + PAGE_MS,
  Home: (_at, limits) => limits.start,
  End: (_at, limits) => limits.end - FINE_MS,
};

/**
 * A day with what was recorded, what was not, the place that is shown and a range that is marked.
 * Sends `seek` (detail: { at, isFinal }), `range` (detail: a Stretch) and `gap` (detail: a Gap or null).
 */
export class H5sTimeline extends HTMLElement {
  /** @type {TimeWindow | null} */
  #window = null;
  /** @type {Recording[]} */
  #recordings = [];
  /** @type {Gap[]} */
  #gaps = [];
  /** @type {Stretch | null} */
  #range = null;
  #position = Number.NaN;
  #isDragged = false;
  #ruler = make("div", { class: "timeline-ruler", "aria-hidden": "true" });
  #media = make("div", { class: "timeline-media" });
  #ahead = make("div", { class: "timeline-ahead" });
  #marked = make("div", { class: "timeline-marked" });
  #head = make("div", { class: "timeline-head" });
  #bubble = make("output", { class: "timeline-bubble", hidden: true });
  #track = make("div", { class: "timeline-track", role: "slider", tabIndex: 0 });
  #holes = make("div", { class: "timeline-gaps", role: "group" });
  #handles = { start: make("button"), end: make("button") };
  #resized = new ResizeObserver(() => this.#draw());

  connectedCallback() {
    this.classList.add("timeline");
    this.#track.append(this.#media, this.#ahead, this.#marked, this.#head);
    this.#track.setAttribute("aria-label", t("pbTimeline"));
    this.#holes.setAttribute("aria-label", t("pbGaps"));
    const { start, end } = this.#handles;
    this.replaceChildren(this.#ruler, this.#track, this.#holes, start, end, this.#bubble);
    this.#prepareHandle("start", t("pbRangeStart"));
    this.#prepareHandle("end", t("pbRangeEnd"));
    this.#track.onpointerdown = (event) => this.#grab(event);
    this.#track.onpointermove = (event) => this.#hover(event);
    this.#track.onpointerleave = () => this.#hideBubble();
    this.#track.onkeydown = (event) => this.#key(event);
    this.#ruler.onpointerdown = (event) => this.#drag(event);
    this.#holes.onkeydown = (event) => this.#walkGaps(event);
    this.addEventListener("wheel", this.#wheel, { passive: false });
    this.#resized.observe(this);
  }

  disconnectedCallback() {
    this.#resized.disconnect();
    this.removeEventListener("wheel", this.#wheel);
  }

  /** Whether it shows the whole day, and whether it can show no less. */
  get zoomed() {
    return { isWhole: this.#window?.isWhole ?? true, isClosest: this.#window?.isClosest ?? false };
  }

  /** Show a day, whole. @param {import("../lib/day.js").Day} day */
  showDay(day) {
    this.#window = new TimeWindow(day);
    this.#position = Number.NaN;
    this.#recordings = [];
    this.#gaps = [];
    this.#draw();
  }

  /**
   * @param {Recording[]} recordings
   * @param {Gap[]} gaps
   */
  fill(recordings, gaps) {
    this.#recordings = recordings;
    this.#gaps = gaps;
    this.#draw();
  }

  /** The moment that is shown; NaN for none. @param {number} ms */
  moveTo(ms) {
    if (this.#isDragged) return;
    this.#position = ms;
    if (this.#window?.follow(ms)) this.#draw();
    else this.#drawHead();
  }

  /** @param {Stretch | null} range */
  mark(range) {
    this.#range = range;
    this.#drawRange();
  }

  /** @param {number} direction 1 for closer, -1 for further */
  zoom(direction) {
    const { start = 0, end = 0 } = this.#window ?? {};
    const middle = (start + end) / 2;
    const isSeen = this.#position >= start && this.#position <= end;
    this.#zoomAt(direction, isSeen ? this.#position : middle);
  }

  /** @param {number} direction @param {number} ms */
  #zoomAt(direction, ms) {
    this.#window?.zoom(direction > 0 ? ZOOM : 1 / ZOOM, ms);
    this.#draw();
    this.dispatchEvent(new CustomEvent("zoom"));
  }

  #draw() {
    const shown = this.#window;
    if (!shown) return;
    this.#drawRuler(shown);
    this.#drawMedia(shown);
    this.#drawGaps(shown);
    this.#drawRange();
    this.#drawHead();
  }

  /** @param {TimeWindow} shown */
  #drawRuler(shown) {
    const most = Math.floor(this.clientWidth / LABEL_PX);
    const marks = ticks(shown, most).map(({ at, label }) => {
      const mark = make("span", { class: "timeline-tick" }, label);
      mark.style.left = percent(shown.place(at));
      return mark;
    });
    this.#ruler.replaceChildren(...marks);
  }

  /** @param {TimeWindow} shown */
  #drawMedia(shown) {
    const bars = [];
    const joint = Math.max(2000, shown.span * NARROW);
    for (const kind of /** @type {const} */ (["schedule", "manual", "alarm"])) {
      const own = this.#recordings.filter((one) => one.kind === kind && clip(one, shown));
      for (const stretch of join(own, joint)) {
        const seen = clip(stretch, shown);
        if (!seen) continue;
        const bar = make("div", { class: `timeline-bar is-${kind}` });
        place(bar, shown, seen);
        bars.push(bar);
      }
    }
    this.#media.replaceChildren(...bars);
  }

  /** @param {TimeWindow} shown */
  #drawGaps(shown) {
    const focused = Number(/** @type {HTMLElement} */ (document.activeElement)?.dataset["start"]);
    const inSight = this.#gaps.filter((gap) => clip(gap, shown));
    const buttons = longest(inSight, MOST_GAPS).map((gap) =>
      this.#gapButton(gap, clip(gap, shown) ?? gap, shown),
    );
    if (buttons[0]) buttons[0].tabIndex = 0;
    this.#holes.replaceChildren(...buttons);
    this.#holes.hidden = buttons.length === 0;
    const again = buttons.find((one) => Number(one.dataset["start"]) === focused);
    if (again) this.#focusGap(again);
  }

  /**
   * @param {Gap} gap
   * @param {Stretch} seen
   * @param {TimeWindow} shown
   */
  #gapButton(gap, seen, shown) {
    const label = `${clock(gap.start)} – ${clock(gap.end)}`;
    const button = make("button", { type: "button", class: "timeline-gap", tabIndex: -1 });
    button.setAttribute("aria-label", `${t("pbGap")} ${label}`);
    button.dataset["start"] = String(gap.start);
    button.dataset["cause"] = gap.cause;
    const tell = () => this.#send("gap", gap);
    const hush = () => this.#send("gap", null);
    button.onfocus = button.onpointerenter = button.onclick = tell;
    button.onblur = button.onpointerleave = hush;
    place(button, shown, seen);
    return button;
  }

  #drawHead() {
    const shown = this.#window;
    if (!shown) return;
    const at = this.#position;
    const isKnown = !Number.isNaN(at);
    const where = shown.place(at);
    this.#head.hidden = !isKnown || where < 0 || where > 1;
    if (isKnown) this.#head.style.left = percent(where);
    tellValue(this.#track, at, shown.day);
    const ahead = clip({ start: Date.now(), end: shown.day.end }, shown);
    this.#ahead.hidden = !ahead;
    if (ahead) place(this.#ahead, shown, ahead);
  }

  #drawRange() {
    const [shown, range] = [this.#window, this.#range];
    if (!shown) return;
    const seen = range && clip(range, shown);
    this.#marked.hidden = !seen;
    if (seen) place(this.#marked, shown, seen);
    for (const side of /** @type {const} */ (["start", "end"])) {
      const handle = this.#handles[side];
      const where = range ? shown.place(range[side]) : -1;
      handle.hidden = where < 0 || where > 1;
      if (!range || handle.hidden) continue;
      handle.style.left = percent(where);
      tellValue(handle, range[side], shown.day);
    }
  }

  /**
   * @param {"start" | "end"} side
   * @param {string} label
   */
  #prepareHandle(side, label) {
    const handle = this.#handles[side];
    handle.type = "button";
    handle.className = `timeline-handle is-${side}`;
    handle.hidden = true;
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", label);
    handle.onpointerdown = (event) => {
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
    };
    handle.onpointermove = (event) => {
      if (handle.hasPointerCapture(event.pointerId)) this.#setRange(side, this.#timeOf(event));
    };
    handle.onkeydown = (event) => {
      const go = KEYS[event.key];
      if (!go || !this.#range || !this.#window) return;
      event.preventDefault();
      const step = go(this.#range[side], this.#window.day) - this.#range[side];
      this.#setRange(side, this.#range[side] + (Math.abs(step) === STEP_MS ? step / 10 : step));
    };
  }

  /** @param {"start" | "end"} side @param {number} ms */
  #setRange(side, ms) {
    if (!this.#range || !this.#window) return;
    const whole = Math.round(ms / 1000) * 1000;
    const { start, end } = this.#range;
    const range =
      side === "start"
        ? { start: Math.min(whole, end - FINE_MS), end }
        : { start, end: Math.max(whole, start + FINE_MS) };
    this.mark(clip(range, this.#window.day) ?? this.#range);
    this.#send("range", this.#range);
  }

  /** Scrub from here on. @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0 || !this.#window) return;
    event.preventDefault();
    this.#track.focus({ preventScroll: true });
    this.#track.setPointerCapture(event.pointerId);
    this.#isDragged = true;
    this.#scrub(event, false);
    const end = (/** @type {PointerEvent} */ last) => {
      this.#isDragged = false;
      this.#track.onpointerup = this.#track.onpointercancel = null;
      if (last.type === "pointerup") this.#scrub(last, true);
      if (last.pointerType !== "mouse") this.#hideBubble();
    };
    this.#track.onpointerup = this.#track.onpointercancel = end;
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    if (this.#isDragged) this.#scrub(event, false);
    else if (event.pointerType === "mouse") this.#showBubble(this.#timeOf(event));
  }

  /** @param {PointerEvent} event @param {boolean} isFinal */
  #scrub(event, isFinal) {
    const at = this.#timeOf(event);
    this.#position = at;
    this.#drawHead();
    this.#showBubble(at);
    this.#send("seek", { at, isFinal });
  }

  /** Move the part that is shown, by the ruler. @param {PointerEvent} event */
  #drag(event) {
    if (!this.#window || this.#window.isWhole) return;
    this.#ruler.setPointerCapture(event.pointerId);
    let x = event.clientX;
    this.#ruler.onpointermove = (moved) => {
      const shown = this.#window;
      if (!shown || !this.#ruler.hasPointerCapture(moved.pointerId)) return;
      shown.pan(((x - moved.clientX) / this.clientWidth) * shown.span);
      x = moved.clientX;
      this.#draw();
    };
  }

  /** Zoom at the pointer, or move sideways. @param {WheelEvent} event */
  #wheel = (event) => {
    const shown = this.#window;
    if (!shown) return;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      shown.pan(((event.deltaX || event.deltaY) / this.clientWidth) * shown.span);
      this.#draw();
    } else if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.#zoomAt(-event.deltaY, this.#timeOf(event));
    }
  };

  /** @param {KeyboardEvent} event */
  #key(event) {
    const shown = this.#window;
    if (!shown || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "+" || event.key === "-") return this.zoom(event.key === "+" ? 1 : -1);
    const go = KEYS[event.key];
    if (!go) return;
    event.preventDefault();
    const limits = this.#limits(shown.day);
    const from = Number.isNaN(this.#position) ? limits.start : this.#position;
    const step = go(from, limits) - from;
    const to = from + (event.shiftKey && Math.abs(step) === STEP_MS ? step / 10 : step);
    const at = Math.min(limits.end, Math.max(limits.start, to));
    this.moveTo(at);
    this.#send("seek", { at, isFinal: true });
  }

  /** From the first to the last of what was recorded. @param {Stretch} day */
  #limits(day) {
    const start = this.#recordings[0]?.start ?? day.start;
    const end = Math.max(...this.#recordings.map((one) => one.end), start);
    return clip({ start, end }, day) ?? day;
  }

  /** Arrow keys go from gap to gap. @param {KeyboardEvent} event */
  #walkGaps(event) {
    const all = /** @type {HTMLButtonElement[]} */ ([...this.#holes.children]);
    const here = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = step && all[here + step];
    if (!next) return;
    event.preventDefault();
    this.#focusGap(next);
  }

  /** @param {HTMLButtonElement} button */
  #focusGap(button) {
    for (const one of this.#holes.querySelectorAll("button")) one.tabIndex = -1;
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
  }

  /** @param {MouseEvent} event */
  #timeOf(event) {
    const { left, width } = this.getBoundingClientRect();
    return this.#window?.at((event.clientX - left) / Math.max(1, width)) ?? Number.NaN;
  }

  /** @param {number} ms */
  #showBubble(ms) {
    const shown = this.#window;
    if (!shown) return;
    this.#bubble.hidden = false;
    this.#bubble.textContent = clock(ms);
    this.#bubble.style.left = percent(shown.place(ms));
  }

  #hideBubble() {
    this.#bubble.hidden = true;
  }

  /** @param {string} type @param {unknown} detail */
  #send(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * Tell a slider's value to who cannot see it.
 * @param {HTMLElement} slider
 * @param {number} ms NaN for none
 * @param {import("../lib/day.js").Day} day
 */
function tellValue(slider, ms, day) {
  const isKnown = !Number.isNaN(ms);
  const seconds = (/** @type {number} */ at) => String(Math.round((at - day.start) / 1000));
  slider.setAttribute("aria-valuemin", "0");
  slider.setAttribute("aria-valuemax", seconds(day.end));
  slider.setAttribute("aria-valuenow", isKnown ? seconds(ms) : "0");
  slider.setAttribute("aria-valuetext", isKnown ? clock(ms) : t("pbNothingShown"));
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(4)}%`;
}

/**
 * @param {HTMLElement} element
 * @param {TimeWindow} shown
 * @param {Stretch} stretch
 */
function place(element, shown, { start, end }) {
  const left = shown.place(start);
  element.style.left = percent(left);
  element.style.width = percent(Math.max(NARROW, shown.place(end) - left));
}

customElements.define("h5s-timeline", H5sTimeline);
