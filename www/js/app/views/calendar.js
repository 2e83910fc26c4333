import { dateName, dayBeside, dayOf, monthName, weekdays } from "../lib/day.js";
import { iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { explain } from "./exporter.js";

/** @typedef {import("../lib/day.js").Day} Day */

/** @type {Record<string, number>} days that a key moves by */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

/**
 * Choose a day in a dialog; those with recordings are marked.
 * @param {Day} chosen
 * @param {(year: number, month: number) => Promise<Map<number, { hasAlarm: boolean }>>} recorded
 * @param {(day: Day) => void} onChoice
 */
export function openCalendar(chosen, recorded, onChoice) {
  let focused = chosen;
  let asked = 0;
  const title = make("h2", { id: "calendar-title", "aria-live": "polite" });
  const back = iconButton("back", t("pbMonthBack"), () => show(monthBeside(focused, -1)));
  const on = iconButton("on", t("pbMonthOn"), () => show(monthBeside(focused, 1)));
  const close = iconButton("close", t("close"), () => dialog.close());
  const days = make("div", { class: "calendar-days", role: "group" });
  const names = weekdays().map(({ short, long }) => make("span", { title: long }, short));
  const week = make("div", { class: "calendar-week", "aria-hidden": "true" }, ...names);
  const note = make("p", { class: "muted calendar-note" }, t("pbCalendarNote"));
  const head = make("div", { class: "calendar-head" }, back, title, on, close);
  const card = make("div", { class: "card calendar" }, head, week, days, note);
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "calendar-title" }, card);

  /** @param {Day} day */
  const show = (day, hasFocus = false) => {
    focused = day;
    const first = firstOf(day);
    title.textContent = monthName(first.start);
    const all = monthOf(first);
    const buttons = all.map((one) => button(one));
    const column = (new Date(first.start).getDay() + 6) % 7;
    if (buttons[0]) buttons[0].style.gridColumnStart = String(column + 1);
    days.replaceChildren(...buttons);
    on.disabled = dayBeside(all.at(-1) ?? day, 1).start > Date.now();
    if (hasFocus) buttons[new Date(day.start).getDate() - 1]?.focus();
    void mark(first, buttons);
  };
  /** @param {Day} day */
  const button = (day) => {
    const date = String(new Date(day.start).getDate());
    const element = make("button", { type: "button", class: "calendar-day" }, date);
    element.setAttribute("aria-label", dateName(day.start));
    element.tabIndex = day.start === focused.start ? 0 : -1;
    element.disabled = day.start > Date.now();
    if (day.start === chosen.start) element.setAttribute("aria-current", "date");
    if (day.start === dayOf(Date.now()).start) element.classList.add("is-today");
    element.onclick = () => {
      dialog.close();
      onChoice(day);
    };
    return element;
  };
  /** @param {Day} first @param {HTMLButtonElement[]} buttons */
  const mark = async (first, buttons) => {
    asked += 1;
    const mine = asked;
    const at = new Date(first.start);
    let failure = "";
    const found = await recorded(at.getFullYear(), at.getMonth() + 1).catch((error) => {
      failure = explain(error);
      return /** @type {Awaited<ReturnType<typeof recorded>>} */ (new Map());
    });
    if (mine !== asked) return;
    note.textContent = failure || t("pbCalendarNote");
    for (const [date, { hasAlarm }] of found) {
      const element = buttons[date - 1];
      element?.classList.add(hasAlarm ? "has-alarm" : "has-recording");
      element?.setAttribute("aria-label", `${element.ariaLabel}, ${t("pbHasRecording")}`);
    }
  };

  days.onkeydown = (event) => {
    const step = STEPS[event.key];
    const months = { PageUp: -1, PageDown: 1 }[event.key];
    if (!step && !months) return;
    event.preventDefault();
    const next = step ? dayBeside(focused, step) : monthBeside(focused, months ?? 0);
    if (next.start <= Date.now()) show(next, true);
  };
  dialog.onclose = () => dialog.remove();
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  document.body.append(dialog);
  dialog.showModal();
  show(chosen, true);
}

/** @param {Day} day */
function firstOf(day) {
  const at = new Date(day.start);
  return dayOf(new Date(at.getFullYear(), at.getMonth(), 1, 12).getTime());
}

/** All days of a month. @param {Day} first */
function monthOf(first) {
  const at = new Date(first.start);
  const count = new Date(at.getFullYear(), at.getMonth() + 1, 0).getDate();
  return Array.from({ length: count }, (_, index) => dayBeside(first, index));
}

/** The same day some months further, or the last there is. @param {Day} day @param {number} months */
function monthBeside(day, months) {
  const at = new Date(day.start);
  const [year, month] = [at.getFullYear(), at.getMonth() + months];
  const last = new Date(year, month + 1, 0).getDate();
  const date = Math.min(at.getDate(), last);
  const found = dayOf(new Date(year, month, date, 12).getTime());
  return found.start > Date.now() ? dayOf(Date.now()) : found;
}
