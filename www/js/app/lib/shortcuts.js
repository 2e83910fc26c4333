const SKIP_MS = 10_000;

/**
 * Keys that work wherever nothing else takes them.
 * @param {Record<string, () => void>} keys " " does not fire on buttons, which it presses
 * @param {AbortSignal} signal ends it
 */
export function watchKeys(keys, signal) {
  document.addEventListener("keydown", (event) => press(keys, event), { signal });
}

/**
 * @param {Record<string, () => void>} keys
 * @param {KeyboardEvent} event
 */
function press(keys, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest("input, select, dialog")) return;
  if (event.key === " " && target.closest("button, a")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/**
 * The keys of a playback.
 * @param {{ toggle: () => void, skip: (ms: number) => void, toRecording: (direction: number) => void }} actions
 * @returns {Record<string, () => void>}
 */
export function playbackKeys({ toggle, skip, toRecording }) {
  return {
    " ": toggle,
    k: toggle,
    j: () => skip(-SKIP_MS),
    l: () => skip(SKIP_MS),
    n: () => toRecording(1),
    p: () => toRecording(-1),
  };
}
