import { ApiError, UnreachableError } from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/**
 * A form in a dialog. `act` does the work; what it raises is shown, else the dialog closes.
 * @param {{ title: string, action: string, isDanger?: boolean, act: () => Promise<void>, onClose?: () => void }} options
 * @param {...HTMLElement} fields
 */
export function openForm({ title, action, isDanger = false, act, onClose }, ...fields) {
  const alert = make("p", { class: "form-error", role: "alert" });
  const style = `button ${isDanger ? "is-danger" : "is-primary"}`;
  const submit = make("button", { class: style, type: "submit" }, action);
  const cancel = make("button", { class: "button", type: "button" }, t("cancel"));
  const form = make(
    "form",
    { class: "card dialog-form" },
    make(
      "div",
      { class: "dialog-head" },
      make("h2", { id: "dialog-title" }, title),
      iconButton("close", t("close"), () => dialog.close()),
    ),
    ...fields,
    alert,
    make("div", { class: "dialog-foot" }, cancel, submit),
  );
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
  cancel.onclick = () => dialog.close();
  dialog.onclose = () => {
    dialog.remove();
    onClose?.();
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    alert.textContent = await failureOf(act);
    submit.disabled = false;
    if (!alert.textContent) dialog.close();
  };
  document.body.append(dialog);
  dialog.showModal();
  if (isDanger) cancel.focus();
}

/** @param {() => Promise<void>} act @returns {Promise<string>} why it failed, or "" */
async function failureOf(act) {
  try {
    await act();
    return "";
  } catch (error) {
    if (error instanceof UnreachableError) return t("unreachable");
    if (error instanceof ApiError) return error.message || t("expired");
    throw error;
  }
}
