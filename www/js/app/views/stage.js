import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { Viewing, sourceFigures } from "../lib/playing.js";
import { nameOf } from "../lib/recorder.js";
import { describe, isWorthPlaying } from "../lib/state.js";
import { makePad } from "./pad.js";

/**
 * @typedef {object} Stage one source as large as the room allows
 * @property {HTMLElement} element
 * @property {(source: import("../api.js").SourceItem) => void} update
 * @property {() => void} close frees the player
 */

/**
 * @param {string} token
 * @param {{ fallback: import("../lib/fallback.js").Fallback, hlsver?: string, buttons: HTMLElement[] }} options
 * @returns {Stage}
 */
export function makeStage(token, { fallback, hlsver, buttons }) {
  /** @type {import("../api.js").SourceItem | null} */
  let source = null;
  let wasPlaying = false;
  const video = make("video", { class: "stage-video", id: "video", tabIndex: -1 });
  const name = make("h1", { class: "stage-name", dir: "auto" }, token);
  const chip = make("span", { class: "chip" });
  const figures = make("span", { class: "stage-figures" });
  const reason = make("p", { class: "stage-reason", role: "status" });
  const sound = iconButton("silent", t("soundOn"), () => (video.muted = !video.muted));
  const full = iconButton("full", t("fullScreen"), () => void toggleFullScreen(element));
  const title = make("div", { class: "stage-title" }, name, chip);
  const past = make("a", { class: "icon-button" });
  past.href = `playback.html?${new URLSearchParams({ token })}`;
  past.append(icon("history"));
  const pad = makePad(token);
  const shownButtons = [pad.button, sound, full, past, ...buttons];
  const controls = make("div", { class: "stage-buttons" }, ...shownButtons);
  const bar = make("div", { class: "stage-bar" }, title, figures, controls, pad.element);
  const element = make("div", { class: "stage" }, video, reason, bar);
  const idler = watchIdle(element);

  const refresh = () => {
    const { state } = viewing;
    const item = source ?? { strToken: token, strName: token, nType: "", bOnline: true };
    const shown = describe(item, state, Date.now(), { way: viewing.way });
    element.dataset["tone"] = shown.tone;
    name.textContent = name.title = nameOf(item);
    video.setAttribute("aria-label", name.title);
    past.title = t("pbOpen", { name: name.title });
    past.setAttribute("aria-label", past.title);
    chip.textContent = shown.word;
    reason.textContent = shown.detail;
    const isPlaying = state === "playing";
    if (wasPlaying && !isPlaying) pad.letGo(); // nobody sees where it goes
    wasPlaying = isPlaying;
    figures.textContent = (isPlaying ? viewing.figures() : sourceFigures(item)).join(" · ");
  };
  const viewing = new Viewing(video, token, { hlsver: hlsver ?? "v2", onState: refresh });
  video.onvolumechange = () => {
    const label = t(video.muted ? "soundOn" : "soundOff");
    sound.title = label;
    sound.setAttribute("aria-label", label);
    sound.replaceChildren(icon(video.muted ? "silent" : "sound"));
  };
  video.ondblclick = () => void toggleFullScreen(element);
  const timer = setInterval(() => {
    viewing.check(source?.bOnline ?? false);
    refresh();
  }, 1000);

  return {
    element,
    update(item) {
      source = item;
      void pad.offer(item.bPtz === true);
      if (isWorthPlaying(item)) viewing.start(fallback);
      refresh();
    },
    close() {
      clearInterval(timer);
      idler();
      pad.close();
      viewing.stop();
    },
  };
}

/** @param {HTMLElement} element */
export async function toggleFullScreen(element) {
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
