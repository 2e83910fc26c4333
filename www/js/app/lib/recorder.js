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
 * @property {boolean} bFixed stands in config.json, so it can't be deleted here
 */

/** @type {Record<string, { call: string, port: string }>} how each kind is added, and its usual port */
export const KINDS = {
  hik: { call: "AddDeviceHik", port: "8000" },
  dahua: { call: "AddDeviceDh", port: "37777" },
};

/**
 * What follows what was said of a recorder that was added: why it is offline, or nothing.
 * @param {string} answer of AddDeviceHik
 */
export function tellAdded(answer) {
  const rest = answer.replace(/^Add successfully[,;]?\s*/, "");
  return rest && t("recorderAdded", { rest: sentence(rest.replace(/^but /, "")) });
}

/** How a recorder fares. @param {Recorder} recorder */
export function tellRecorder({ bOnline, strReason, nChannels }) {
  return bOnline
    ? t("recorderOnline", { n: nChannels })
    : t("recorderOffline", { why: strReason });
}

/** The recorder's part of a channel's token, or "". @param {string} token */
export function recorderOf(token) {
  const [recorder, channel] = token.split("--");
  return channel === undefined ? "" : (recorder ?? "");
}

/**
 * What a source is called: a channel with its recorder, for each of those has a "Camera 01".
 * @param {{ strName: string, strToken: string }} source
 */
export function nameOf({ strName, strToken }) {
  const recorder = recorderOf(strToken);
  return recorder ? `${recorder} · ${strName || strToken}` : strName || strToken;
}
