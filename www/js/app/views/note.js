import { clock } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { language } from "../lib/prefs.js";
import { length } from "../lib/span.js";
import { sentence } from "../lib/state.js";

const SHOWN_MS = 15_000;

/** @type {Record<string, string>} words for the causes of recording/gaps.py */
const CAUSES = {
  offline: "pbCauseOffline",
  disk: "pbCauseDisk",
  lost: "pbCauseLost",
  restart: "pbCauseRestart",
  clock: "pbCauseClock",
};

/** @type {Record<import("../lib/span.js").Kind, string>} */
const KINDS = { schedule: "pbKindSchedule", manual: "pbKindManual", alarm: "pbKindAlarm" };

/** The colours of a day, in words. @param {import("../lib/daybook.js").DayBook} book */
function legendOf({ recordings, gaps, isAll }) {
  const kinds = /** @type {const} */ (["schedule", "manual", "alarm"]);
  const found = kinds.filter((kind) => recordings.some((one) => one.kind === kind));
  const words = found.map((kind) => make("span", { class: `is-${kind}` }, t(KINDS[kind])));
  if (gaps.length) words.push(make("span", { class: "is-hole" }, t("pbGap")));
  if (!isAll) words.push(make("em", {}, t("pbNotAll")));
  return words;
}

/** @param {import("../lib/span.js").Gap} gap @returns {string} a sentence on what was not recorded */
export function describeGap(gap) {
  const until = gap.isLasting ? t("pbNow") : clock(gap.end);
  const time = `${clock(gap.start)} – ${until} (${length(gap.end - gap.start)})`;
  const cause = CAUSES[gap.cause];
  const reason = sentence(gap.reason);
  // the server's own sentences say it all, but for why a camera was offline
  const isTold = reason && language() === "en" && gap.cause !== "offline";
  const words = [cause && !isTold ? t(cause) : "", reason].filter(Boolean);
  return `${time}: ${words.join(". ") || t("pbGap")}`;
}

/**
 * One line that says what is asked of it: gaps while they are pointed at, results for a while, else
 * what the colours mean.
 */
export function makeNote() {
  /** @type {HTMLElement[]} */
  let legend = [];
  const element = make("p", { class: "playback-note", role: "status" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @param {string} kind @param {...(Node | string)} content */
  const show = (kind, ...content) => {
    clearTimeout(timer);
    element.dataset["kind"] = kind;
    element.replaceChildren(...content);
  };
  const clear = () => show("", make("span", { class: "legend" }, ...legend));

  return {
    element,
    /** @param {string} text */
    tell(text) {
      show("result", text);
      timer = setTimeout(clear, SHOWN_MS);
    },
    /** @param {string} text */
    fail(text) {
      show("failure", text);
      timer = setTimeout(clear, SHOWN_MS);
    },
    /** @param {string} text @param {string} href */
    link(text, href) {
      show("result", text, " ", make("a", { href, target: "_blank" }, t("pbOpenIt")));
    },
    /** Say what else there is, until it is taken or withdrawn. @param {string} text @param {string} label @param {() => void} act */
    offer(text, label, act) {
      const button = make("button", { type: "button", class: "button is-compact" }, label);
      button.onclick = act;
      show("offer", text, " ", button);
    },
    /** The day that anything was said of is not shown any more. */
    withdraw() {
      legend = [];
      if (element.dataset["kind"] !== "result") clear();
    },
    /** @param {import("../lib/span.js").Gap | null} gap */
    gap(gap) {
      if (gap) show("gap", describeGap(gap));
      else if (element.dataset["kind"] === "gap") clear();
    },
    /** What there is to explain. @param {import("../lib/daybook.js").DayBook} book */
    explain(book) {
      legend = legendOf(book);
      const isOver = element.dataset["kind"] === "offer" && !book.isEmpty;
      if (isOver || !element.dataset["kind"]) clear();
    },
    close() {
      clearTimeout(timer);
    },
  };
}
