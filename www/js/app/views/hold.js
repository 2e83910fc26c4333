import { actionOf, isSteering } from "../lib/mover.js";

/**
 * Have a button do something as long as it is held, by mouse, finger or key.
 * @param {HTMLElement} button
 * @param {() => void} onHold
 * @param {() => void} onRelease
 */
export function watchHold(button, onHold, onRelease) {
  let isHeld = false;
  const begin = () => {
    isHeld = true;
    button.classList.add("is-held");
    onHold();
  };
  const end = () => {
    if (!isHeld) return;
    isHeld = false;
    button.classList.remove("is-held");
    onRelease();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    // a finger is held on to by what it touched first, which would not notice that it leaves
    button.releasePointerCapture(event.pointerId);
    begin();
  });
  for (const type of ["pointerup", "pointerleave", "pointercancel", "blur"])
    button.addEventListener(type, end);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  button.addEventListener("keyup", (event) => {
    if (event.key === " " || event.key === "Enter") end();
  });
}

/**
 * Move by arrow keys, + and -, and stop by Escape, while a pad is open and nothing is in front.
 * @param {HTMLElement} pad
 * @param {import("../lib/mover.js").Mover} mover
 * @param {AbortSignal} signal ends it
 */
export function watchSteering(pad, mover, signal) {
  /** @type {Set<string>} */
  const down = new Set();
  const follow = () => {
    const action = actionOf(down);
    if (action) mover.hold(action);
    else mover.release();
  };
  const letGo = () => {
    down.clear();
    mover.release();
  };
  document.addEventListener(
    "keydown",
    (event) => {
      if (pad.hidden || !isInFront(pad) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && (mover.held || !pad.closest("dialog"))) {
        event.preventDefault(); // or it would close the picture
        down.clear();
        return mover.stop();
      }
      const target = /** @type {HTMLElement} */ (event.target);
      if (!isSteering(event.key) || target.closest("input, select")) return;
      event.preventDefault();
      if (event.repeat) return;
      down.add(event.key);
      follow();
    },
    { signal },
  );
  document.addEventListener(
    "keyup",
    (event) => {
      // with Shift held at one end only the same key has two names
      const names = event.key === "_" || event.key === "-" ? ["-", "_"] : [event.key];
      if (event.key === "=" || event.key === "+") names.push("=", "+");
      const held = names.filter((name) => down.delete(name));
      if (held.length) follow();
    },
    { signal },
  );
  window.addEventListener("blur", letGo, { signal });
  document.addEventListener("visibilitychange", () => document.hidden && letGo(), { signal });
}

/** Whether no dialog stands before it. @param {HTMLElement} pad */
function isInFront(pad) {
  const open = document.querySelectorAll("dialog[open]");
  return (open[open.length - 1] ?? null) === pad.closest("dialog");
}
