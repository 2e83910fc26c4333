// What the server keeps, and how it is asked for.

import { call } from "./api.js";

/**
 * @typedef {object} FoundItem one item of Search
 * @property {string} strStartTime
 * @property {string} strDuration whole seconds; "0" while it grows
 * @property {string} strPath
 * @property {string} [strEndTime]
 * @property {string} [nType]
 */

/**
 * @typedef {object} GapItem one item of GetRecordGaps
 * @property {string} strStartTime
 * @property {string} strEndTime
 * @property {string} strCause one word
 * @property {string} strReason one sentence
 * @property {boolean} [bLasting]
 */

/**
 * @typedef {object} DeviceItem one item of SearchDeviceRecordByTime
 * @property {string} strStartTime
 * @property {string} strEndTime
 * @property {string} nType
 */

const PAGE = 10_000; // the most that one answer of Search holds
const DEVICE_PAGES = 5; // how often a recorder is asked for what it has not told yet
const DEVICE_MS = 25_000; // the server gives up on a recorder before

/**
 * @param {string} token
 * @param {import("./lib/span.js").Stretch} range
 * @returns {Record<string, string>}
 */
function between(token, { start, end }) {
  return { token, start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

/**
 * What was recorded in a range of time.
 * @param {string} token
 * @param {import("./lib/span.js").Stretch} range
 * @returns {Promise<FoundItem[]>}
 */
export async function search(token, range) {
  const answer = await call("Search", { type: "record", ...between(token, range) });
  const found = /** @type {FoundItem[]} */ (answer["record"] ?? []);
  const last = Date.parse(found.at(-1)?.strStartTime ?? "");
  if (found.length < PAGE || !(last > range.start)) return found;
  return [...found, ...(await search(token, { start: last + 1000, end: range.end }))];
}

/**
 * What the recorder of a channel has of a range of time, as if this server had recorded it.
 * @param {string} token
 * @param {import("./lib/span.js").Stretch} range
 * @param {number} [pages] how often it may be asked, for it may tell little at once
 * @returns {Promise<{ found: FoundItem[], isAll: boolean }>}
 */
export async function searchDevice(token, range, pages = DEVICE_PAGES) {
  const signal = AbortSignal.timeout(DEVICE_MS);
  const answer = await call("SearchDeviceRecordByTime", between(token, range), { signal });
  const items = /** @type {DeviceItem[]} */ (answer["record"] ?? []);
  const found = items.map(readDeviceItem);
  if (answer["bFinished"] !== false) return { found, isAll: true };
  const last = Math.max(...items.map(({ strEndTime }) => Date.parse(strEndTime)));
  const isOn = range.start < last && last < range.end;
  if (pages <= 1 || !isOn) return { found, isAll: false };
  const rest = await searchDevice(token, { start: last, end: range.end }, pages - 1);
  const known = new Set(found.map(({ strStartTime }) => strStartTime));
  const fresh = rest.found.filter(({ strStartTime }) => !known.has(strStartTime));
  return { found: [...found, ...fresh], isAll: rest.isAll };
}

/** @param {DeviceItem} item @returns {FoundItem} that has no file here */
function readDeviceItem({ strStartTime, strEndTime, nType }) {
  const seconds = Math.round((Date.parse(strEndTime) - Date.parse(strStartTime)) / 1000);
  const strDuration = String(Math.max(1, seconds || 0)); // 0 would say that it grows
  return { strStartTime, strEndTime, strDuration, nType, strPath: "" };
}

/**
 * What was not, and why.
 * @param {string} token
 * @param {import("./lib/span.js").Stretch} range
 * @returns {Promise<GapItem[]>}
 */
export async function gaps(token, range) {
  const answer = await call("GetRecordGaps", between(token, range));
  return /** @type {GapItem[]} */ (answer["gap"] ?? []);
}

/**
 * The days of a month that have recordings.
 * @param {string} token
 * @param {number} year
 * @param {number} month 1 to 12
 * @returns {Promise<Map<number, { hasAlarm: boolean }>>}
 */
export async function recordedDays(token, year, month) {
  return readDays(await call("GetRecordCalendar", monthOf(token, year, month)));
}

/**
 * The days of a month of which the recorder of a channel has recordings.
 * @param {string} token
 * @param {number} year
 * @param {number} month 1 to 12
 * @returns {Promise<Map<number, { hasAlarm: boolean }>>}
 */
export async function deviceDays(token, year, month) {
  const signal = AbortSignal.timeout(DEVICE_MS);
  const asked = monthOf(token, year, month);
  return readDays(await call("SearchDeviceRecordCalendar", asked, { signal }));
}

/** @param {string} token @param {number} year @param {number} month */
function monthOf(token, year, month) {
  return { token, year: String(year), month: String(month) };
}

/** @param {Record<string, unknown>} answer */
function readDays(answer) {
  const days = /** @type {{ nDay: number, bHasRec: boolean, bHasAlarmRec: boolean }[]} */ (
    answer["record"] ?? []
  );
  const kept = days.filter((day) => day.bHasRec || day.bHasAlarmRec);
  return new Map(kept.map((day) => [day.nDay, { hasAlarm: day.bHasAlarmRec }]));
}

/** @param {string} token */
export async function startRecording(token) {
  await call("ManualRecordStart", { token });
}

/** @param {string} token */
export async function stopRecording(token) {
  await call("ManualRecordStop", { token });
}

/**
 * Keep the picture that a playback shows.
 * @param {string} token
 * @param {string} pbsession
 * @returns {Promise<string>} its path
 */
export async function snapshot(token, pbsession) {
  return String((await call("PbSnapshot", { token, pbsession }))["strUrl"]);
}

/**
 * Have a range of time made one file.
 * @param {string} token
 * @param {import("./lib/span.js").Stretch} range
 * @returns {Promise<{ name: string, path: string }>} a file that is there once archived() says 100
 */
export async function archive(token, { start, end }) {
  const [date, time] = new Date(start).toISOString().split(/[T.]/);
  const answer = await call("Archive", {
    token,
    start1: String(date),
    start2: String(time).replaceAll(":", "-"),
    duration: String(Math.max(1, Math.round((end - start) / 1000))),
    tz: "0",
  });
  return { name: String(answer["strFileName"]), path: String(answer["strUrl"]) };
}

/**
 * How far it is, in percent. Raises what has kept it from being made.
 * @param {string} token
 * @param {string} filename
 */
export async function archived(token, filename) {
  const answer = await call("GetArchiveStatus", { token, filename });
  return Number(answer["nPercentage"]) || 0;
}

/**
 * @typedef {object} Room what recordings take, and what is left for them
 * @property {string} reason why nothing is recorded; "" while all is well
 * @property {number} bytesPerDay
 * @property {number} freeBytes
 * @property {number | null} daysLeft until the oldest has to go for want of room
 * @property {number} fullAt in ms; NaN when that is not to come
 * @property {{ bytes: number, bytesPerDay: number } | null} own of one source
 */

/** @param {string} token @returns {Promise<Room>} */
export async function room(token) {
  const answer = await call("GetRunInfo");
  const shares = /** @type {{ strToken: string, nBytes: number, nBytesPerDay: number }[]} */ (
    answer["record"] ?? []
  );
  const own = shares.find(({ strToken }) => strToken === token);
  const daysLeft = answer["fRecordDaysLeft"];
  return {
    reason: String(answer["strRecordReason"] ?? ""),
    bytesPerDay: Number(answer["nRecordBytesPerDay"] ?? 0),
    freeBytes: Number(answer["nRecordFreeBytes"] ?? 0),
    daysLeft: typeof daysLeft === "number" ? daysLeft : null,
    fullAt: Date.parse(String(answer["strRecordFullTime"] ?? "")),
    own: own ? { bytes: own.nBytes, bytesPerDay: own.nBytesPerDay } : null,
  };
}
