import * as api from "../api.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { openPassword } from "./dialogs.js";

/** What stands where tiles would. */
export function emptyNote() {
  const hint = t(api.isAdministrator() ? "emptyHint" : "emptyViewer");
  const words = [make("h2", {}, t("empty")), make("p", { class: "muted" }, hint)];
  return make("div", { class: "empty" }, icon("camera"), ...words);
}

/**
 * Remind of the default password until it is changed.
 * @param {HTMLElement} view
 * @param {HTMLElement} after
 */
export async function nag(view, after) {
  view.querySelector(".banner.is-nag")?.remove();
  const isDefault = await api.hasDefaultPassword().catch(() => false);
  if (!isDefault || !view.isConnected) return;
  const hide = iconButton("close", t("dismiss"), () => banner.remove());
  const change = make("button", { type: "button", class: "button is-compact" }, t("changeIt"));
  change.onclick = () => openPassword(() => void nag(view, after));
  const banner = make(
    "div",
    { class: "banner is-nag", role: "note" },
    make("p", {}, t("defaultPassword")),
    make("div", { class: "spacer" }),
    change,
    hide,
  );
  after.after(banner);
}
