import * as api from "../api.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { learnNames } from "../lib/recorder.js";
import { makeRecorderRow } from "./recorder-row.js";

/** @typedef {import("../lib/recorder.js").Recorder} Recorder */

const POLL_MS = 4000; // while they are looked at

/**
 * The recorders that there are: a button that tells how many are offline, and what it opens.
 * @param {() => void} onChange one was deleted, or is asked with another login
 */
export function makeRecorders(onChange) {
  const button = iconButton("recorder", t("recorders"), () => openRecorders(poll, onChange));
  button.classList.add("recorders-open");
  button.hidden = true;

  /** Ask how they fare; what fails is asked again. */
  const poll = async () => {
    const found = await api.recorders().catch(() => null);
    if (!found) return null;
    learnNames(found);
    const offline = found.filter((one) => !one.bOnline).length;
    const title = offline ? t("recordersOffline", { n: offline }) : t("recorders");
    button.title = title;
    button.setAttribute("aria-label", title);
    button.classList.toggle("is-bad", offline > 0);
    button.hidden = found.length === 0;
    return found;
  };
  return { button, poll };
}

/**
 * @param {() => Promise<Recorder[] | null>} ask
 * @param {() => void} onChange
 */
function openRecorders(ask, onChange) {
  /** @type {Map<string, ReturnType<typeof makeRecorderRow>>} */
  const rows = new Map();
  const list = make("ul", { class: "recorders" });
  const none = make("p", { class: "muted", hidden: true }, t("recordersNone"));
  const title = make("h2", { id: "recorders-title" }, t("recorders"));
  const close = iconButton("close", t("close"), () => dialog.close());
  const head = make("div", { class: "dialog-head" }, title, close);
  const card = make("div", { class: "card dialog-form" }, head, none, list);
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "recorders-title" }, card);

  const changed = () => {
    void refresh();
    onChange();
  };
  /** Rows stay where they are, for one may have the focus. */
  const refresh = async () => {
    const found = await ask();
    if (!found) return;
    const now = new Set(found.map(({ strToken }) => strToken));
    for (const [token, row] of rows) {
      if (now.has(token)) continue;
      row.element.remove();
      rows.delete(token);
    }
    for (const one of found) {
      const row = rows.get(one.strToken) ?? makeRecorderRow(one.strToken, changed);
      rows.set(one.strToken, row);
      row.update(one);
      list.append(...(row.element.isConnected ? [] : [row.element]));
    }
    none.hidden = found.length > 0;
    if (!dialog.contains(document.activeElement) && isInFront(dialog)) close.focus();
  };
  const timer = setInterval(() => void refresh(), POLL_MS);
  dialog.onclose = () => {
    clearInterval(timer);
    dialog.remove();
  };
  document.body.append(dialog);
  dialog.showModal();
  void refresh();
}

/** @param {HTMLDialogElement} dialog */
function isInFront(dialog) {
  return [...document.querySelectorAll("dialog[open]")].at(-1) === dialog;
}
