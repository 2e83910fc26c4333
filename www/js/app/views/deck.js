import { clock } from "../lib/day.js";
import { iconButton, icon, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { wayName } from "../lib/playing.js";
import { playbackWays } from "../lib/playback.js";

const NO_TIME = "--:--:--";
const SPEEDS = [0.5, 1, 2, 4, 8, 16];

/**
 * @typedef {object} DeckActions
 * @property {() => void} onPlay play or pause
 * @property {(ms: number) => void} onSkip
 * @property {(direction: number) => void} onRecording to the next recording, or the one before
 * @property {(speed: number) => void} onSpeed
 * @property {(way: "ws" | "rtc") => void} onWay
 * @property {() => void} onSnapshot
 * @property {() => void} onExport
 * @property {() => void} onRecord start or stop recording
 * @property {(direction: number) => void} onZoom
 */

/**
 * The buttons below a playback.
 * @param {DeckActions} actions
 */
export function makeDeck(actions) {
  const play = iconButton("play", t("pbPlay"), actions.onPlay);
  play.classList.add("deck-play");
  const time = make("span", { class: "deck-time" }, NO_TIME);
  const options = SPEEDS.map((value) => make("option", { value: String(value) }, `${value}×`));
  const speed = make("select", { class: "deck-select", title: t("pbSpeed") }, ...options);
  speed.setAttribute("aria-label", t("pbSpeed"));
  speed.value = "1";
  speed.onchange = () => actions.onSpeed(Number(speed.value));
  const ways = playbackWays().map((value) => make("option", { value }, wayName(value)));
  const way = make("select", { class: "deck-select", title: t("transport") }, ...ways);
  way.setAttribute("aria-label", t("transport"));
  way.onchange = () => actions.onWay(way.value === "rtc" ? "rtc" : "ws");
  const file = make("a", { class: "icon-button", hidden: true, download: "" }, icon("download"));
  file.title = t("pbFile");
  file.setAttribute("aria-label", t("pbFile"));
  const closer = iconButton("closer", t("pbCloser"), () => actions.onZoom(1));
  const further = iconButton("further", t("pbFurther"), () => actions.onZoom(-1));
  const picture = iconButton("picture", t("pbSnapshot"), actions.onSnapshot);
  const cut = iconButton("cut", t("pbExport"), actions.onExport);
  const record = iconButton("record", t("pbRecord"), actions.onRecord);
  record.classList.add("deck-record");
  const previous = iconButton("previous", t("pbPrevious"), () => actions.onRecording(-1));
  const back = iconButton("back10", t("pbBack"), () => actions.onSkip(-10_000));
  const on = iconButton("on10", t("pbOn"), () => actions.onSkip(10_000));
  const next = iconButton("next", t("pbNext"), () => actions.onRecording(1));
  let mayChange = false; // until the role is known
  let isDevice = false;
  const offer = () => {
    for (const one of [picture, cut]) one.hidden = !mayChange;
    record.hidden = !mayChange || isDevice; // this server's alone
  };
  offer();
  const needing = [previous, back, play, on, next, picture, cut]; // something to play
  const element = make(
    "div",
    { class: "deck", role: "group", "aria-label": t("pbControls") },
    group(previous, back, play, on, next),
    time,
    group(speed, way),
    make("div", { class: "spacer" }),
    group(further, closer),
    group(picture, file, cut, record),
  );

  return {
    element,
    /** @param {boolean} isPlaying @param {number} ms the moment that is shown; NaN for none */
    update(isPlaying, ms) {
      const text = Number.isNaN(ms) ? NO_TIME : clock(ms);
      if (time.textContent !== text) time.textContent = text;
      relabel(play, isPlaying ? "pause" : "play", t(isPlaying ? "pbPause" : "pbPlay"));
    },
    /** What may be reached closer. @param {{ isWhole: boolean, isClosest: boolean }} zoomed */
    zoomed({ isWhole, isClosest }) {
      further.disabled = isWhole;
      closer.disabled = isClosest;
    },
    /** What covers the picture that is shown. @param {string} href "" for nothing */
    offerFile(href) {
      file.hidden = href === "";
      if (file.getAttribute("href") !== href) file.setAttribute("href", href);
    },
    /** @param {boolean} hasMedia whether there is anything to play */
    enable(hasMedia) {
      for (const one of needing) one.disabled = !hasMedia;
    },
    /** Offer what changes something, or don't. @param {boolean} isAllowed */
    allow(isAllowed) {
      mayChange = isAllowed;
      offer();
    },
    /** Whose recordings are shown. @param {boolean} isOfDevice */
    showOrigin(isOfDevice) {
      isDevice = isOfDevice;
      offer();
    },
    /** Over which transport it plays. @param {"ws" | "rtc"} used */
    showWay(used) {
      way.value = used;
    },
    /** @param {boolean} isRecording by hand */
    recording(isRecording) {
      record.classList.toggle("is-on", isRecording);
      relabel(record, isRecording ? "stop" : "record", t(isRecording ? "pbStop" : "pbRecord"));
    },
  };
}

/** @param {...HTMLElement} parts */
function group(...parts) {
  return make("div", { class: "deck-group" }, ...parts);
}

/**
 * @param {HTMLElement} button
 * @param {string} shape
 * @param {string} label
 */
function relabel(button, shape, label) {
  if (button.title === label) return;
  button.title = label;
  button.setAttribute("aria-label", label);
  button.replaceChildren(icon(shape));
}
