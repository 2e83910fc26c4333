import { dateName } from "../lib/day.js";
import { make } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { size } from "../lib/span.js";
import { sentence } from "../lib/state.js";
import { room } from "../recordings.js";

/** The line that says so. @param {string} token */
export function makeRoom(token) {
  const element = make("p", { class: "muted playback-disk" });
  /** Ask, and say it. */
  const show = async () => {
    element.textContent = describeRoom(await room(token)).join(" ");
  };
  return { element, show };
}

/**
 * What the recordings take and how long there is room, in a line or two.
 * @param {import("../recordings.js").Room} room
 * @returns {string[]} sentences
 */
export function describeRoom({ reason, bytesPerDay, freeBytes, daysLeft, fullAt, own }) {
  const perDay = size(bytesPerDay);
  const free = size(freeBytes);
  const mine = own && { kept: size(own.bytes), perDay: size(own.bytesPerDay) };
  return [
    sentence(reason),
    mine ? t("pbDiskOwn", mine) : "",
    bytesPerDay ? t("pbDiskAll", { perDay, free }) : t("pbDiskFree", { free }),
    daysLeft === null || Number.isNaN(fullAt)
      ? ""
      : t("pbDiskFull", { days: days(daysLeft), date: dateName(fullAt) }),
  ].filter(Boolean);
}

/** @param {number} count @returns {string} one digit more where it matters */
function days(count) {
  return count < 9.95 ? String(Number(count.toFixed(1))) : String(Math.round(count));
}
