// What is said of recorders and their channels, without a page: so that it can be tested alone.

import { t } from "./i18n.js";
import { sentence } from "./state.js";

/**
 * @typedef {object} Recorder one item of GetDevice: the keys these pages use
 * @property {string} strToken
 * @property {string} strName
 * @property {boolean} bOnline
 * @property {string} strReason why it is offline
 * @property {number} nChannels
 * @property {number} nChannelsOnline
 * @property {string} nType
 * @property {string} strUser
 * @property {string} strDevIpAddress
 * @property {boolean} bFixed stands in config.json, so it can't be deleted here
 */

/** @type {Record<string, { call: string, port: string, type: string, maker: string }>} how each kind is added, its usual port, what GetDevice calls it */
export const KINDS = {
  hik: { call: "AddDeviceHik", port: "8000", type: "H5_DEV_HIK", maker: "Hikvision" },
  dahua: { call: "AddDeviceDh", port: "37777", type: "H5_DEV_DH", maker: "Dahua" },
};

/** @type {Map<string, string>} what recorders are called, by token, as far as the server has told */
const names = new Map();

/** Remember what recorders are called. @param {Pick<Recorder, "strToken" | "strName">[]} recorders */
export function learnNames(recorders) {
  names.clear();
  for (const { strToken, strName } of recorders) if (strName) names.set(strToken, strName);
}

/** Whose it is and where. @param {Recorder} recorder */
export function tellPlace(recorder) {
  const kind = Object.values(KINDS).find(({ type }) => type === recorder.nType);
  return [kind?.maker, recorder.strDevIpAddress].filter(Boolean).join(" · ");
}

/** Why a recorder is offline, or "". @param {string} answer of AddDeviceHik or SetDeviceLogin */
export function restOf(answer) {
  const rest = answer.replace(/^(Add|Set) successfully[,;]?\s*/, "");
  return sentence(rest.replace(/^but /, ""));
}

/** The same as a sentence on what was done, or "". @param {string} answer */
export function tellAdded(answer) {
  const rest = restOf(answer);
  return rest && t("recorderAdded", { rest });
}

/** How a recorder fares. @param {Pick<Recorder, "bOnline" | "strReason" | "nChannels" | "nChannelsOnline">} recorder */
export function tellRecorder({ bOnline, strReason, nChannels, nChannelsOnline }) {
  if (!bOnline) return t("recorderOffline", { why: sentence(strReason) });
  const isAll = nChannelsOnline === nChannels;
  return t(isAll ? "recorderOnline" : "recorderPartly", { n: nChannels, online: nChannelsOnline });
}

/** The recorder's part of a channel's token, or "". @param {string} token */
export function recorderOf(token) {
  const [recorder, channel] = token.split("--");
  return channel === undefined ? "" : (recorder ?? "");
}

/** What the recorder of a channel is called; "" of what is no channel. @param {string} token */
export function recorderName(token) {
  const recorder = recorderOf(token);
  return names.get(recorder) ?? recorder;
}

/**
 * What a source is called: a channel with its recorder, for each of those has a "Camera 01".
 * @param {{ strName: string, strToken: string }} source
 */
export function nameOf({ strName, strToken }) {
  return [recorderName(strToken), strName || strToken].filter(Boolean).join(" · ");
}
