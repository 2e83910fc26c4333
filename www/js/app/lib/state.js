import { elapsed } from "./figures.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Shown what a tile says about its source
 * @property {"live" | "busy" | "idle" | "bad"} tone
 * @property {string} word
 * @property {string} detail
 */

/**
 * Tell the state of a source in plain words.
 * @param {import("../api.js").SourceItem} source
 * @param {H5sState} player what the player of this page does
 * @param {number} nowMs
 * @param {{ way?: string | undefined, isResting?: boolean }} [more] over which transport it plays;
 *   whether others play in its place
 * @returns {Shown}
 */
export function describe(source, player, nowMs, { way = "", isResting = false } = {}) {
  if (player === "playing") {
    const word = [t("stateLive"), way].filter(Boolean).join(" · ");
    return { tone: "live", word, detail: "" };
  }
  if (player === "blocked") return { tone: "idle", word: t("stateBlocked"), detail: "" };
  const state = source.strState ?? (source.bOnline ? "RUNNING" : "BACKOFF");
  if (state === "FATAL") return bad("stateFailed", source, nowMs);
  if (state === "BACKOFF") return bad("stateOffline", source, nowMs);
  if (isResting) return { tone: "idle", word: t("stateResting"), detail: t("stateRestingHint") };
  if (player === "waiting") return busy("stateReconnecting");
  if (player === "connecting" || state === "STARTING") return busy("stateConnecting");
  if (state === "STOPPED")
    return { tone: "idle", word: t("stateIdle"), detail: t("stateIdleHint") };
  return { tone: "live", word: t("stateReady"), detail: "" };
}

/** Whether it makes sense to ask the server for this source's media. @param {import("../api.js").SourceItem} source */
export function isWorthPlaying(source) {
  return source.bOnline || !["BACKOFF", "FATAL"].includes(source.strState ?? "BACKOFF");
}

/** @param {string} word @returns {Shown} */
function busy(word) {
  return { tone: "busy", word: t(word), detail: "" };
}

/**
 * @param {string} word
 * @param {import("../api.js").SourceItem} source
 * @param {number} nowMs
 * @returns {Shown}
 */
function bad(word, source, nowMs) {
  const time = elapsed(source.strSince ?? "", nowMs);
  const since = time && t("since", { time });
  return {
    tone: "bad",
    word: [t(word), since].filter(Boolean).join(" "),
    detail: sentence(source.strReason ?? ""),
  };
}

/** What the server says, as a sentence. @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
