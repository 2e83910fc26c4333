import { clock } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
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

/** @param {import("../lib/span.js").Gap} gap @returns {string} a sentence on what was not recorded */
export function describeGap(gap) {
  const until = gap.isLasting ? t("pbNow") : clock(gap.end);
  const time = `${clock(gap.start)} – ${until} (${length(gap.end - gap.start)})`;
  const cause = CAUSES[gap.cause];
  const words = [cause ? t(cause) : "", sentence(gap.reason)].filter(Boolean);
  return `${time}: ${words.join(". ") || t("pbGap")}`;
}

/** One line that says what is asked of it: gaps while they are pointed at, results for a while. */
export function makeNote() {
  const element = make("p", { class: "replay-note", role: "status" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @param {string} kind @param {...(Node | string)} content */
  const show = (kind, ...content) => {
    clearTimeout(timer);
    element.dataset["kind"] = kind;
    element.replaceChildren(...content);
  };
  const clear = () => show("", "");

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
    /** @param {import("../lib/span.js").Gap | null} gap */
    gap(gap) {
      if (gap) show("gap", describeGap(gap));
      else if (element.dataset["kind"] === "gap") clear();
    },
    close() {
      clearTimeout(timer);
    },
  };
}
