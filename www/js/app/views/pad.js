import * as api from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { Mover } from "../lib/mover.js";
import { sentence } from "../lib/state.js";
import { watchHold, watchSteering } from "./hold.js";
import { makePresets } from "./presets.js";

const WAYS = [
  ["upleft", "ptzUpLeft"],
  ["up", "ptzUp"],
  ["upright", "ptzUpRight"],
  ["left", "ptzLeft"],
  ["stop", "ptzStop"],
  ["right", "ptzRight"],
  ["downleft", "ptzDownLeft"],
  ["down", "ptzDown"],
  ["downright", "ptzDownRight"],
];
const SPEED = "0.5";

/**
 * What moves a camera: a button that opens a pad, and the pad.
 * @param {string} token of the source
 */
export function makePad(token) {
  const gone = new AbortController();
  let mayMove = false;
  let hasAsked = false;
  const speed = make("input", { type: "range", min: "0.1", max: "1", step: "0.1", value: SPEED });
  speed.setAttribute("aria-label", t("ptzSpeed"));
  const said = make("p", { class: "pad-said", role: "status" });
  const mover = new Mover(
    (action) => api.ptz(token, action, speed.value),
    (error) => tell(error),
    (error) => error instanceof api.UnreachableError,
  );
  /** @param {unknown} error */
  const tell = (error) => {
    const text = error === null ? "" : failure(error);
    if (said.textContent !== text) said.textContent = text;
  };
  /** @param {() => Promise<unknown>} work */
  const attempt = async (work) => {
    try {
      await work();
      tell(null);
    } catch (error) {
      tell(error);
    }
  };
  /** @param {string} action @param {string} word @param {string} [shape] */
  const held = (action, word, shape = action) => {
    const button = iconButton(shape, t(word), () => undefined);
    button.dataset["action"] = action;
    watchHold(
      button,
      () => mover.hold(action),
      () => mover.release(),
    );
    return button;
  };
  /** @param {string} action @param {string} word @param {string} shape */
  const pressed = (action, word, shape) =>
    iconButton(shape, t(word), () => void attempt(() => api.ptz(token, action, speed.value)));

  const stop = iconButton("stop", t("ptzStop"), () => mover.stop());
  stop.classList.add("pad-stop");
  const ways = WAYS.map(([action = "", word = ""]) =>
    action === "stop" ? stop : held(action, word),
  );
  const cross = make("div", { class: "pad-cross" }, ...ways);
  const lens = make(
    "div",
    { class: "pad-lens" },
    pair(t("ptzZoom"), held("zoomout", "ptzZoomOut", "less"), held("zoomin", "ptzZoomIn", "add")),
    pair(
      t("ptzFocus"),
      held("focusin", "ptzFocusIn", "less"),
      held("focusout", "ptzFocusOut", "add"),
    ),
    pair(t("ptzIris"), held("irisout", "ptzIrisOut", "less"), held("irisin", "ptzIrisIn", "add")),
    pair(
      t("ptzLight"),
      pressed("lightoff", "ptzLightOff", "dark"),
      pressed("lighton", "ptzLightOn", "sun"),
    ),
    pair(
      t("ptzWiper"),
      pressed("wiperoff", "ptzWiperOff", "less"),
      pressed("wiperon", "ptzWiperOn", "wiper"),
    ),
  );
  const pace = make("label", { class: "pad-speed" }, make("span", {}, t("ptzSpeed")), speed);
  const places = makePresets(token, attempt);
  const element = make(
    "section",
    { class: "pad", hidden: true, id: "pad", "aria-label": t("ptzTitle") },
    said, // at the top: where it shows it moves no button away from the finger
    make("div", { class: "pad-move" }, cross, lens),
    pace,
    places.element,
  );
  const button = iconButton("move", t("ptzTitle"), () => open(element.hidden === true));
  button.hidden = true;
  button.setAttribute("aria-controls", "pad");
  button.setAttribute("aria-expanded", "false");

  /** @param {boolean} isOpen */
  const open = (isOpen) => {
    mover.release();
    element.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) void attempt(places.load);
  };
  const leave = () => {
    if (mover.isAtRest) return;
    mover.abandon();
    api.ptzLast(token);
  };
  window.addEventListener("pagehide", leave, { signal: gone.signal });
  window.addEventListener("offline", () => mover.release(), { signal: gone.signal });
  watchSteering(element, mover, gone.signal);

  return {
    element,
    button,
    /** Whether the camera can be moved; who may is asked once it can. @param {boolean} canMove */
    async offer(canMove) {
      if (canMove && !hasAsked) {
        hasAsked = true;
        const role = await api.role().catch(() => "");
        mayMove = role === "Operator" || role === "Administrator";
        hasAsked = role !== "";
      }
      button.hidden = !(canMove && mayMove);
      if (button.hidden && !element.hidden) open(false);
    },
    /** Stop what is held. */
    letGo() {
      mover.release();
    },
    close() {
      leave();
      gone.abort();
    },
  };
}

/** @param {string} label @param {...HTMLElement} buttons */
function pair(label, ...buttons) {
  const [less, more] = buttons;
  const name = make("span", { class: "pad-name" }, label);
  return make(
    "div",
    { class: "pad-pair", role: "group", "aria-label": label },
    less ?? null,
    name,
    more ?? null,
  );
}

/** Why it did not move, in plain words. @param {unknown} error */
function failure(error) {
  if (error instanceof api.SignInError) return t("expired");
  if (error instanceof api.UnreachableError) return t("ptzUnreachable");
  return sentence(error instanceof Error ? error.message : String(error));
}
