import { make } from "../lib/dom.js";

/**
 * A labelled input of a form.
 * @param {string} label
 * @param {HTMLElement} input
 * @param {string} [hint]
 */
export function field(label, input, hint = "") {
  const about = hint ? make("small", { class: "muted" }, hint) : null;
  return make("label", { class: "field" }, make("span", {}, label), input, about);
}
