import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { playerFigures, sourceFigures, startPlayer } from "../lib/playing.js";
import { describe, isWorthPlaying } from "../lib/state.js";

/**
 * @typedef {object} Stage one source as large as the room allows
 * @property {HTMLElement} element
 * @property {(source: import("../api.js").SourceItem) => void} update
 * @property {() => void} close frees the player
 */

/**
 * @param {string} token
 * @param {{ transport: import("../lib/prefs.js").Transport, hlsver?: string, buttons: HTMLElement[] }} options
 * @returns {Stage}
 */
export function makeStage(token, { transport, hlsver, buttons }) {
  /** @type {import("../api.js").SourceItem | null} */
  let source = null;
  /** @type {H5sPlayerWS | H5sPlayerHls | null} */
  let player = null;
  const video = make("video", { class: "stage-video", id: "video", tabIndex: -1 });
  const name = make("h1", { class: "stage-name" }, token);
  const chip = make("span", { class: "chip" });
  const figures = make("span", { class: "stage-figures" });
  const reason = make("p", { class: "stage-reason", role: "status" });
  const sound = iconButton("silent", t("soundOn"), () => (video.muted = !video.muted));
  const full = iconButton("full", t("fullScreen"), () => void toggleFullScreen(element));
  const bar = make("div", { class: "stage-bar" }, name, chip, figures, sound, full, ...buttons);
  const element = make("div", { class: "stage" }, video, reason, bar);
  const idler = watchIdle(element);

  const refresh = () => {
    const state = player?.state ?? "stopped";
    const item = source ?? { strToken: token, strName: token, nType: "", bOnline: true };
    const shown = describe(item, state, Date.now());
    element.dataset["tone"] = shown.tone;
    name.textContent = item.strName || token;
    chip.textContent = shown.word;
    reason.textContent = shown.detail;
    const isPlaying = state === "playing";
    figures.textContent = (player && isPlaying ? playerFigures(player) : sourceFigures(item)).join(
      " · ",
    );
  };
  const start = () => {
    player ??= startPlayer(video, token, transport, { hlsver: hlsver ?? "v2", onState: refresh });
    refresh();
  };
  video.onvolumechange = () => {
    const label = t(video.muted ? "soundOn" : "soundOff");
    sound.title = label;
    sound.setAttribute("aria-label", label);
    sound.replaceChildren(icon(video.muted ? "silent" : "sound"));
  };
  video.ondblclick = () => void toggleFullScreen(element);
  const timer = setInterval(refresh, 1000);

  return {
    element,
    update(item) {
      source = item;
      if (isWorthPlaying(item)) start();
      else refresh();
    },
    close() {
      clearInterval(timer);
      idler();
      player?.disconnect();
      player = null;
    },
  };
}

/** @param {HTMLElement} element */
async function toggleFullScreen(element) {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await element.requestFullscreen?.();
}

/**
 * Hide the controls while nobody moves.
 * @param {HTMLElement} element
 * @returns {() => void} stops that
 */
function watchIdle(element) {
  let timer = 0;
  const wake = () => {
    clearTimeout(timer);
    element.classList.remove("is-idle");
    timer = setTimeout(() => element.classList.add("is-idle"), 3500);
  };
  for (const type of ["pointermove", "pointerdown", "focusin", "keydown"])
    element.addEventListener(type, wake);
  wake();
  return () => clearTimeout(timer);
}
