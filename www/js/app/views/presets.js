import { deletePreset, goToPreset, presets, setPreset } from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { freeToken } from "../lib/mover.js";
import { openForm } from "./form.js";

/** @typedef {import("../api.js").PresetItem} PresetItem */

/**
 * The places that a camera can turn to: go there, keep, delete.
 * @param {string} token of the source
 * @param {(work: () => Promise<unknown>) => Promise<void>} attempt does what may fail, and tells so
 */
export function makePresets(token, attempt) {
  /** @type {PresetItem[]} */
  let known = [];
  const list = make("ul", { class: "pad-presets" });
  const empty = make("p", { class: "muted" }, t("ptzNoPresets"));
  const name = make("input", { name: "preset", maxLength: 64, required: true });
  name.placeholder = t("ptzNewPreset");
  name.setAttribute("aria-label", t("ptzNewPreset"));
  name.autocomplete = "off";
  const keep = iconButton("add", t("ptzKeep"), () => form.requestSubmit());
  const form = make("form", { class: "pad-keep" }, name, keep);
  form.onsubmit = (event) => {
    event.preventDefault();
    void attempt(async () => {
      await load(); // what is not known would be replaced
      await setPreset(token, freeToken(known), name.value.trim());
      name.value = "";
      await load();
    });
  };

  const load = async () => {
    known = await presets(token);
    list.replaceChildren(...known.map(row));
    empty.hidden = known.length > 0;
  };
  /** @param {PresetItem} preset */
  const row = (preset) => {
    const label = preset.strName || preset.strToken;
    const go = make("button", { type: "button", class: "pad-go" }, label);
    go.title = t("ptzGo", { name: label });
    go.onclick = () => void attempt(() => goToPreset(token, preset.strToken));
    const again = iconButton("again", t("ptzReplace", { name: label }), () =>
      ask(t("ptzReplace", { name: label }), t("ptzReplaceText"), t("ptzReplaceYes"), () =>
        setPreset(token, preset.strToken, label),
      ),
    );
    const trash = iconButton("trash", t("delete", { name: label }), () =>
      ask(t("ptzDeleteTitle"), t("ptzDeleteText", { name: label }), t("deleteYes"), () =>
        deletePreset(token, preset.strToken),
      ),
    );
    return make("li", {}, go, again, trash);
  };
  /** @param {string} title @param {string} text @param {string} action @param {() => Promise<void>} work */
  const ask = (title, text, action, work) => {
    const act = async () => {
      await work();
      await load();
    };
    openForm({ title, action, isDanger: true, act }, make("p", {}, text));
  };

  const title = make("h3", {}, t("ptzPresets"));
  const element = make("section", { class: "pad-places" }, title, list, empty, form);
  return { element, load };
}
