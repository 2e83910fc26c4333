import { ApiError, UnreachableError } from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/**
 * A form in a dialog. `act` does the work; what it raises is shown, else the dialog closes, or
 * shows what it returns.
 * @param {{ title: string, action: string, isDanger?: boolean, act: () => Promise<string | void>, onClose?: () => void }} options
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
    const { failure, note } = await outcomeOf(act);
    alert.textContent = failure;
    submit.disabled = false;
    if (failure) return;
    if (!note) return dialog.close();
    for (const part of [...fields, submit]) part.remove();
    alert.replaceWith(make("p", { role: "status" }, note));
    cancel.textContent = t("close");
    cancel.focus();
  };
  document.body.append(dialog);
  dialog.showModal();
  if (isDanger) cancel.focus();
}

/** @param {() => Promise<string | void>} act */
async function outcomeOf(act) {
  try {
    return { failure: "", note: (await act()) || "" };
  } catch (error) {
    if (error instanceof UnreachableError) return { failure: t("unreachable"), note: "" };
    if (error instanceof ApiError) return { failure: error.message || t("expired"), note: "" };
    throw error;
  }
}
