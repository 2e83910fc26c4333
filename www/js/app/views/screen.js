import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { sentence } from "../lib/state.js";
import { toggleFullScreen } from "./stage.js";

/** @typedef {import("../lib/playback.js").Playback} Playback */

/** The picture of a playback, and what stands on it. @param {string} name of the source */
export function makeScreen(name) {
  const video = make("video", { class: "screen-video", id: "video", tabIndex: -1 });
  video.setAttribute("aria-label", name);
  const chip = make("span", { class: "chip" });
  const reason = make("p", { class: "screen-reason", role: "status" });
  const sound = iconButton("silent", t("soundOn"), () => (video.muted = !video.muted));
  const full = iconButton("full", t("fullScreen"), () => void toggleFullScreen(element));
  const buttons = make("div", { class: "screen-buttons" }, sound, full);
  const element = make("div", { class: "screen" }, video, reason, chip, buttons);
  video.ondblclick = () => void toggleFullScreen(element);
  video.onvolumechange = () => {
    sound.title = t(video.muted ? "soundOn" : "soundOff");
    sound.setAttribute("aria-label", sound.title);
    sound.replaceChildren(icon(video.muted ? "silent" : "sound"));
  };

  return {
    element,
    video,
    /**
     * @param {Playback} playback
     * @param {import("../lib/daybook.js").DayBook} book
     */
    update(playback, book) {
      const shown = describePlayback(playback, book);
      element.dataset["tone"] = shown.tone;
      chip.textContent = shown.word;
      if (reason.textContent !== shown.detail) reason.textContent = shown.detail;
      video.classList.toggle("is-empty", book.isEmpty);
    },
  };
}

/**
 * What a playback does, in plain words.
 * @param {Pick<Playback, "state" | "reason" | "isPaused" | "speed" | "isFromDevice">} playback
 * @param {Pick<import("../lib/daybook.js").DayBook, "isLoaded" | "isEmpty" | "failure">} book
 * @returns {{ tone: string, word: string, detail: string }}
 */
export function describePlayback(playback, book) {
  if (book.failure) return { tone: "bad", word: t("stateFailed"), detail: book.failure };
  if (!book.isLoaded) return { tone: "busy", word: t("pbLoading"), detail: "" };
  if (book.isEmpty) {
    const detail = t(playback.isFromDevice ? "pbNothingOnDevice" : "pbNothingHint");
    return { tone: "idle", word: t("pbNothing"), detail };
  }
  if (playback.state === "blocked") return { tone: "idle", word: t("stateBlocked"), detail: "" };
  if (playback.state === "ended") return { tone: "idle", word: t("pbEnded"), detail: "" };
  if (playback.state === "stopped" && playback.reason)
    return { tone: "bad", word: t("stateFailed"), detail: sentence(playback.reason) };
  if (playback.state === "waiting")
    return { tone: "bad", word: t("stateReconnecting"), detail: sentence(playback.reason) };
  if (playback.isPaused) return { tone: "idle", word: t("pbPaused"), detail: "" };
  if (playback.state !== "playing")
    return { tone: "busy", word: t("stateConnecting"), detail: "" };
  const speed = playback.speed === 1 ? "" : ` · ${playback.speed}×`;
  return { tone: "live", word: t("pbPlaying") + speed, detail: "" };
}
