import { clock, ticks } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { clip, join } from "../lib/span.js";
import { TimeWindow } from "../lib/window.js";
import { GapRow } from "./timeline-gaps.js";
import { NARROW, keyTarget, placeAt, placeOver, tellValue } from "./timeline-parts.js";
import { MarkedRange } from "./timeline-range.js";

/**
 * @typedef {import("../lib/span.js").Stretch} Stretch
 * @typedef {import("../lib/span.js").Gap} Gap
 * @typedef {import("../lib/span.js").Recording} Recording
 */

const STEP = { plain: 10_000, shifted: 1000 };
const ZOOM = 0.4;
const LABEL_PX = 58;
const AROUND = 10; // a stretch is revealed with so much around it
const JOINT_MS = 2000; // times on the wire are whole seconds

/**
 * A day with what was recorded, what was not, the place that is shown and a range that is marked.
 * Sends `seek` (detail: ms), `range` (detail: a Stretch) and `gap` (detail: a Gap or null).
 */
export class H5sTimeline extends HTMLElement {
  /** @type {TimeWindow | null} */
  #window = null;
  /** @type {Recording[]} */
  #recordings = [];
  /** @type {Gap[]} */
  #gaps = [];
  #position = Number.NaN;
  #isDragged = false;
  #ruler = make("div", { class: "timeline-ruler", "aria-hidden": "true" });
  #media = make("div", { class: "timeline-media" });
  #ahead = make("div", { class: "timeline-ahead" });
  #head = make("div", { class: "timeline-head" });
  #bubble = make("span", { class: "timeline-bubble", hidden: true, "aria-hidden": "true" });
  #track = make("div", { class: "timeline-track", tabIndex: 0 });
  #row = new GapRow((gap) => this.#send("gap", gap));
  #range = new MarkedRange(
    (event) => this.#timeOf(event),
    (range) => this.#send("range", range),
  );
  #resized = new ResizeObserver(() => this.#draw());

  connectedCallback() {
    this.classList.add("timeline");
    this.#track.setAttribute("role", "slider");
    this.#track.setAttribute("aria-label", t("pbTimeline"));
    this.#track.replaceChildren(this.#media, this.#ahead, this.#range.area, this.#head);
    const over = [this.#row.element, ...this.#range.handles, this.#bubble];
    this.replaceChildren(this.#ruler, this.#track, ...over);
    this.#track.onpointerdown = (event) => this.#grab(event);
    this.#track.onpointermove = (event) => this.#hover(event);
    this.#track.onpointerleave = () => (this.#bubble.hidden = true);
    this.#track.onkeydown = (event) => this.#key(event);
    this.#ruler.onpointerdown = (event) => this.#pull(event);
    this.addEventListener("wheel", this.#wheel, { passive: false });
    this.#resized.observe(this);
  }

  /** Have its events heard. @param {Record<string, (detail: any) => void>} acts by type */
  hear(acts) {
    for (const [type, act] of Object.entries(acts))
      this.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail));
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
    this.fill([], []);
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

  /**
   * The moment that is shown; NaN for none. What was looked at stays in sight, unless somebody has
   * turned away from it.
   * @param {number} ms
   */
  moveTo(ms) {
    if (this.#isDragged) return;
    const wasSeen = this.#window?.holds(this.#position) ?? false;
    this.#position = ms;
    if (wasSeen && this.#window?.follow(ms)) this.#draw();
    else this.#drawHead();
  }

  /** Go to a moment and have it in sight. @param {number} ms */
  jumpTo(ms) {
    if (this.#isDragged) return; // it would move away below the finger
    if (this.#window?.follow(ms)) this.#draw();
    this.moveTo(ms);
  }

  /** @param {Stretch | null} range */
  mark(range) {
    this.#range.mark(range);
  }

  /** Have a stretch in sight, so large that its ends can be dragged apart. @param {Stretch} stretch */
  reveal({ start, end }) {
    const shown = this.#window;
    if (!shown) return;
    shown.zoom(Math.min(1, ((end - start) * AROUND) / shown.span), start);
    shown.follow(start);
    this.#draw();
  }

  /** @param {number} direction 1 for closer, -1 for further */
  zoom(direction) {
    const shown = this.#window;
    if (!shown) return;
    const middle = (shown.start + shown.end) / 2;
    this.#zoomAt(direction, shown.holds(this.#position) ? this.#position : middle);
  }

  /** @param {number} direction @param {number} ms */
  #zoomAt(direction, ms) {
    this.#window?.zoom(direction > 0 ? ZOOM : 1 / ZOOM, ms);
    this.#draw();
  }

  /** @param {number} pixels to the later */
  #pan(pixels) {
    const shown = this.#window;
    shown?.pan((pixels / Math.max(1, this.clientWidth)) * shown.span);
    this.#draw();
  }

  #draw() {
    const shown = this.#window;
    if (!shown) return;
    this.#drawRuler(shown);
    this.#drawMedia(shown);
    this.#row.draw(this.#gaps, shown);
    this.#range.draw(shown);
    this.#drawHead();
  }

  /** @param {TimeWindow} shown */
  #drawRuler(shown) {
    const marks = ticks(shown, Math.floor(this.clientWidth / LABEL_PX)).map(({ at, label }) => {
      const mark = make("span", { class: "timeline-tick" }, label);
      placeAt(mark, shown, at);
      return mark;
    });
    this.#ruler.replaceChildren(...marks);
  }

  /** @param {TimeWindow} shown */
  #drawMedia(shown) {
    const joint = Math.max(JOINT_MS, shown.span * NARROW);
    const bars = /** @type {const} */ (["schedule", "manual", "alarm"]).flatMap((kind) => {
      const own = this.#recordings.filter((one) => one.kind === kind && clip(one, shown));
      return join(own, joint).map((stretch) => {
        const bar = make("div", { class: `timeline-bar is-${kind}` });
        placeOver(bar, shown, clip(stretch, shown));
        return bar;
      });
    });
    this.#media.replaceChildren(...bars);
  }

  #drawHead() {
    const shown = this.#window;
    if (!shown) return;
    placeAt(this.#head, shown, this.#position);
    tellValue(this.#track, this.#position, shown.day);
    placeOver(this.#ahead, shown, clip({ start: Date.now(), end: shown.day.end }, shown));
  }

  /** Scrub from here on. @param {PointerEvent} event */
  #grab(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#track.focus({ preventScroll: true });
    this.#track.setPointerCapture(event.pointerId);
    this.#isDragged = true;
    this.#scrub(event);
    this.#track.onpointerup = this.#track.onpointercancel = (last) => {
      this.#isDragged = false;
      this.#track.onpointerup = this.#track.onpointercancel = null;
      if (last.type === "pointerup") this.#scrub(last);
      this.#bubble.hidden = last.pointerType !== "mouse";
    };
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    if (this.#isDragged) this.#scrub(event);
    else if (event.pointerType === "mouse") this.#tell(this.#timeOf(event));
  }

  /** @param {PointerEvent} event */
  #scrub(event) {
    this.#position = this.#timeOf(event);
    this.#drawHead();
    this.#tell(this.#position);
    this.#send("seek", this.#position);
  }

  /** Say which moment is pointed at. @param {number} ms */
  #tell(ms) {
    this.#bubble.textContent = clock(ms);
    if (this.#window) placeAt(this.#bubble, this.#window, ms);
  }

  /** Move the part that is shown, by the ruler. @param {PointerEvent} event */
  #pull(event) {
    this.#ruler.setPointerCapture(event.pointerId);
    let x = event.clientX;
    this.#ruler.onpointermove = (moved) => {
      if (!this.#ruler.hasPointerCapture(moved.pointerId)) return;
      this.#pan(x - moved.clientX);
      x = moved.clientX;
    };
  }

  /** Zoom at the pointer, or move sideways. @param {WheelEvent} event */
  #wheel = (event) => {
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (isSideways) this.#pan(event.deltaX || event.deltaY);
    else if (event.ctrlKey || event.metaKey) this.#zoomAt(-event.deltaY, this.#timeOf(event));
    else return;
    event.preventDefault();
  };

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "+" || event.key === "-") return this.zoom(event.key === "+" ? 1 : -1);
    const limits = this.#limits();
    const from = Number.isNaN(this.#position) ? limits.start : this.#position;
    const to = keyTarget(event, from, limits, STEP);
    if (to === null) return;
    event.preventDefault();
    this.jumpTo(to);
    this.#send("seek", to);
  }

  /** From the first to the last of what was recorded. @returns {Stretch} */
  #limits() {
    const day = this.#window?.day ?? { start: 0, end: 0 };
    const start = this.#recordings[0]?.start ?? day.start;
    const end = Math.max(start, ...this.#recordings.map((one) => one.end));
    return clip({ start, end }, day) ?? day;
  }

  /** @param {MouseEvent} event */
  #timeOf(event) {
    const { left, width } = this.getBoundingClientRect();
    return this.#window?.at((event.clientX - left) / Math.max(1, width)) ?? Number.NaN;
  }

  /** @param {string} type @param {unknown} detail */
  #send(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

customElements.define("h5s-timeline", H5sTimeline);
