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
