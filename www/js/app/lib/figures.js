import { t } from "./i18n.js";
import { md5 } from "./md5.js";

/**
 * @param {number} kbps
 * @returns {string} as "2.0 Mbit/s"
 */
export function bitrate(kbps) {
  if (!(kbps > 0)) return "";
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(1)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}

/**
 * @param {number} fps
 * @returns {string} as "25 fps"; slow ones with a digit more
 */
export function rate(fps) {
  if (!(fps > 0)) return "";
  return t("fps", { n: fps >= 9.5 ? Math.round(fps) : Number(fps.toFixed(1)) });
}

/**
 * @param {number | null} seconds
 * @returns {string} as "0.2 s behind", "<0.1 s behind"
 */
export function delay(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "";
  return t("behind", { n: seconds < 0.05 ? "<0.1" : seconds.toFixed(1) });
}

/**
 * How long ago, in the largest unit that fits.
 * @param {string} since ISO 8601
 * @param {number} nowMs
 */
export function elapsed(since, nowMs) {
  const seconds = Math.floor((nowMs - Date.parse(since)) / 1000);
  if (!(seconds >= 0)) return "";
  if (seconds < 60) return t("secondsShort", { n: seconds });
  if (seconds < 3600) return t("minutesShort", { n: Math.floor(seconds / 60) });
  if (seconds < 86_400) return t("hoursShort", { n: Math.floor(seconds / 3600) });
  return t("daysShort", { n: Math.floor(seconds / 86_400) });
}

/**
 * A token made from a name: what may not stand in one becomes a dash. A name of other letters gets a number.
 * @param {string} name
 */
export function suggestToken(name) {
  const plain = name.normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  const token = plain
    .replace(/[^A-Za-z0-9_.]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .toLowerCase()
    .slice(0, 64);
  return token || (name.trim() && `camera-${md5(name.trim()).slice(0, 4)}`);
}
