import { ApiError, UnreachableError, fileUrl } from "../api.js";
import { atClock, clock, dateName } from "../lib/day.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { length } from "../lib/span.js";
import { sentence } from "../lib/state.js";
import { archive, archived } from "../recordings.js";

/** @typedef {import("../lib/span.js").Stretch} Stretch */

const ASK_MS = 700;

/**
 * Marks a range of a day and makes a file of it.
 * @param {string} token
 * @param {(range: Stretch | null) => void} onRange the range was set here
 */
export function makeExporter(token, onRange) {
  /** @type {import("../lib/day.js").Day | null} */
  let day = null;
  /** @type {Stretch | null} */
  let range = null;
  let isGone = false;
  const from = timeInput(t("pbFrom"));
  const to = timeInput(t("pbTo"));
  const lasts = make("span", { class: "muted export-length" });
  const alert = make("p", { class: "form-error", role: "alert" });
  const submit = make("button", { type: "submit", class: "button is-primary" }, t("pbExport"));
  const hide = iconButton("close", t("close"), () => api.show(null, null));
  const jobs = make("ul", { class: "export-jobs" });
  const fields = make(
    "div",
    { class: "export-fields" },
    from.field,
    to.field,
    lasts,
    submit,
    make("div", { class: "spacer" }),
    hide,
  );
  const form = make("form", {}, fields, make("p", { class: "muted" }, t("pbExportHint")), alert);
  const element = make("section", { class: "export card", hidden: true }, form, jobs);
  element.setAttribute("aria-label", t("pbExport"));

  const refresh = () => {
    form.hidden = range === null;
    element.hidden = range === null && jobs.childElementCount === 0;
    if (!range) return;
    from.input.value = clock(range.start);
    to.input.value = clock(range.end);
    lasts.textContent = length(range.end - range.start);
  };
  const typed = () => {
    if (!day || !from.input.value || !to.input.value) return;
    const [start, end] = [atClock(day, from.input.value), atClock(day, to.input.value)];
    const isRight = start < end;
    to.input.setCustomValidity(isRight ? "" : t("pbRangeWrong"));
    if (!isRight) return void to.input.reportValidity();
    range = { start, end };
    lasts.textContent = length(end - start);
    onRange(range);
  };
  from.input.onchange = to.input.onchange = typed;
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (!range) return;
    const wanted = range;
    submit.disabled = true;
    alert.textContent = "";
    try {
      const made = await archive(token, wanted);
      const job = makeJob(wanted, made.path);
      jobs.prepend(job.element);
      void follow(token, made.name, job, () => isGone);
    } catch (error) {
      alert.textContent = explain(error);
    }
    submit.disabled = false;
  };

  const api = {
    element,
    get isOpen() {
      return range !== null;
    },
    /** Offer a range, or none. @param {import("../lib/day.js").Day | null} of @param {Stretch | null} given */
    show(of, given) {
      day = of;
      api.update(given);
      onRange(given);
      if (!given) return;
      from.input.focus({ preventScroll: true });
      element.scrollIntoView({ block: "nearest" });
    },
    /** The range was set elsewhere. @param {Stretch | null} given */
    update(given) {
      range = given;
      to.input.setCustomValidity("");
      alert.textContent = "";
      refresh();
    },
    close() {
      isGone = true;
    },
  };
  return api;
}

/** @param {string} label */
function timeInput(label) {
  const input = make("input", { type: "time", step: "1", required: true });
  return { input, field: make("label", { class: "field" }, make("span", {}, label), input) };
}

/**
 * One file in the making.
 * @param {Stretch} range
 * @param {string} path
 */
function makeJob(range, path) {
  const name = `${dateName(range.start)}, ${clock(range.start)} – ${clock(range.end)}`;
  const bar = make("progress", { max: 100, value: 0, "aria-label": name });
  const word = make("span", { class: "muted", role: "status" }, t("pbExporting", { percent: 0 }));
  const element = make("li", { class: "export-job" }, make("span", {}, name), bar, word);
  return {
    element,
    /** @param {number} percent */
    progress(percent) {
      bar.value = percent;
      word.textContent = t("pbExporting", { percent: Math.round(percent) });
      if (percent < 100) return;
      const link = make("a", { class: "button is-compact", href: fileUrl(path), download: "" });
      link.append(icon("download"), t("pbDownload"));
      bar.remove();
      word.replaceWith(link);
    },
    /** @param {string} reason */
    fail(reason) {
      bar.remove();
      word.className = "form-error";
      word.textContent = reason;
    },
  };
}

/**
 * Ask how far it is until it is there.
 * @param {string} token
 * @param {string} name
 * @param {ReturnType<typeof makeJob>} job
 * @param {() => boolean} isGone
 */
async function follow(token, name, job, isGone) {
  while (!isGone()) {
    try {
      const percent = await archived(token, name);
      job.progress(percent);
      if (percent >= 100) return;
    } catch (error) {
      if (!(error instanceof UnreachableError)) return job.fail(explain(error));
    }
    await new Promise((done) => setTimeout(done, ASK_MS));
  }
}

/** @param {unknown} error @returns {string} in plain words */
export function explain(error) {
  if (error instanceof UnreachableError) return t("unreachable");
  if (error instanceof ApiError) return sentence(error.message) || t("expired");
  throw error;
}
