import { dateName, dayBeside, dayOf } from "../lib/day.js";
import { icon, iconButton, make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { openCalendar } from "./calendar.js";

/** @typedef {import("../lib/day.js").Day} Day */

/**
 * The day that is shown, and the way to others.
 * @param {{ recorded: Parameters<typeof openCalendar>[1], onDay: (day: Day) => void }} actions
 */
export function makeDayBar({ recorded, onDay }) {
  let day = dayOf(Date.now());
  const name = make("span");
  const choose = make("button", { type: "button", class: "button is-compact daybar-date" });
  choose.append(icon("calendar"), name);
  choose.title = t("pbChooseDay");
  choose.onclick = () => openCalendar(day, recorded, onDay);
  const back = iconButton("back", t("pbDayBack"), () => onDay(dayBeside(day, -1)));
  const on = iconButton("on", t("pbDayOn"), () => onDay(dayBeside(day, 1)));
  const today = make("button", { type: "button", class: "button is-compact" }, t("pbToday"));
  today.onclick = () => onDay(dayOf(Date.now()));
  const element = make("div", { class: "daybar" }, back, choose, on, today);

  return {
    element,
    /** @param {Day} shown */
    update(shown) {
      day = shown;
      const isToday = shown.start === dayOf(Date.now()).start;
      name.textContent = dateName(shown.start);
      on.disabled = today.disabled = isToday;
    },
  };
}
