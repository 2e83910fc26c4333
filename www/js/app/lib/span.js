import { t } from "./i18n.js";

/**
 * @typedef {"schedule" | "manual" | "alarm"} Kind
 * @typedef {{ start: number, end: number }} Stretch in ms since 1970
 * @typedef {Stretch & { kind: Kind, path: string, name: string, isGrowing: boolean }} Recording
 * @typedef {Stretch & { cause: string, reason: string, isLasting: boolean }} Gap
 */

/** Times on the wire are whole seconds, so files that follow each other may seem a little apart. */
const JOINT_MS = 2000;

/** @type {Record<string, Kind>} */
const KINDS = { H5_REC_MANUAL: "manual", H5_REC_ALARM: "alarm" };

/**
 * @param {import("../recordings.js").FoundItem[]} items of Search
 * @returns {Recording[]} by their beginning
 */
export function readRecordings(items) {
  return items
    .map((item) => {
      const start = Date.parse(item.strStartTime);
      const isGrowing = item.strDuration === "0";
      const lasts = start + Number(item.strDuration) * 1000;
      const end = Math.max(start, Date.parse(item.strEndTime ?? "") || lasts);
      const name = item.strPath.slice(item.strPath.lastIndexOf("/") + 1);
      const kind = KINDS[item.nType ?? ""] ?? "schedule";
      return { start, end, kind, path: item.strPath, name, isGrowing };
    })
    .filter(({ start }) => !Number.isNaN(start))
    .sort((a, b) => a.start - b.start);
}

/** @param {import("../recordings.js").GapItem[]} items of GetRecordGaps @returns {Gap[]} */
export function readGaps(items) {
  return items.map((item) => ({
    start: Date.parse(item.strStartTime),
    end: Date.parse(item.strEndTime),
    cause: item.strCause,
    reason: item.strReason,
    isLasting: item.bLasting === true,
  }));
}

/**
 * Recordings that follow each other as one stretch.
 * @param {Stretch[]} recordings by their beginning
 * @param {number} [joint] ms between two that are no gap
 * @returns {Stretch[]}
 */
export function join(recordings, joint = JOINT_MS) {
  /** @type {Stretch[]} */
  const found = [];
  for (const { start, end } of recordings) {
    const last = found.at(-1);
    if (last && start <= last.end + joint) last.end = Math.max(last.end, end);
    else found.push({ start, end });
  }
  return found;
}

/**
 * What covers a moment: the one that began last.
 * @template {Stretch} Found
 * @param {Found[]} stretches by their beginning
 * @param {number} ms
 * @returns {Found | undefined}
 */
export function at(stretches, ms) {
  return stretches.findLast(({ start, end }) => start <= ms && ms < end);
}

/** @param {Stretch[]} stretches @param {number} ms @returns {Stretch | undefined} the next to begin */
export function after(stretches, ms) {
  return stretches.find(({ start }) => start > ms);
}

/**
 * The beginning of what is shown, or of what was before when that is near.
 * @param {Stretch[]} stretches
 * @param {number} ms
 * @param {number} [nearMs]
 * @returns {Stretch | undefined}
 */
export function before(stretches, ms, nearMs = 5000) {
  return stretches.findLast(({ start }) => start < ms - nearMs);
}

/**
 * What of a range there is; null when nothing.
 * @param {Stretch} range
 * @param {Stretch} within
 * @returns {Stretch | null}
 */
export function clip(range, within) {
  const start = Math.max(range.start, within.start);
  const end = Math.min(range.end, within.end);
  return start < end ? { start, end } : null;
}

/**
 * The longest of many, in their order.
 * @template {Stretch} Found
 * @param {Found[]} stretches
 * @param {number} most
 * @returns {Found[]}
 */
export function longest(stretches, most) {
  if (stretches.length <= most) return stretches;
  const sorted = [...stretches].sort((a, b) => b.end - b.start - (a.end - a.start));
  const kept = new Set(sorted.slice(0, most));
  return stretches.filter((one) => kept.has(one));
}

/** @param {number} ms @returns {string} as "2 h 5 min", "40 s" */
export function length(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const parts = [
    hours && t("hoursShort", { n: hours }),
    minutes && t("minutesShort", { n: minutes }),
    !hours && (seconds % 60 || seconds < 60) && t("secondsShort", { n: seconds % 60 }),
  ];
  return parts.filter(Boolean).join(" ");
}

/** @param {number} count @returns {string} as "12.5 GB" */
export function size(count) {
  if (!(count >= 0)) return "";
  const names = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = count < 1000 ? 0 : Math.min(5, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${power && value < 99.5 ? Number(value.toPrecision(3)) : Math.round(value)} ${names[power]}`;
}
