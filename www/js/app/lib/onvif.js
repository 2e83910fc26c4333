// What an ONVIF dialog says and sends, without a page: so that it can be tested alone.

import { t } from "./i18n.js";

/**
 * @typedef {object} FoundCamera one item of OnvifSearch
 * @property {string} strIp
 * @property {string} strPort
 * @property {string} strOnvifAddr
 * @property {string} strModel
 * @property {boolean} bHttps
 */
/**
 * @typedef {object} OnvifProfile one item of OnvifProbe
 * @property {string} strToken
 * @property {string} strCodecName
 * @property {number} nWidth
 * @property {number} nHeight
 * @property {number} nFps
 * @property {number} nBandwidth kbit/s
 * @property {boolean} bGotUrl
 */

/** @type {Record<string, string>} strFailure to the sentence for people */
const FAILURES = {
  unreachable: "onvifUnreachable",
  no_answer: "onvifNoAnswer",
  wrong_password: "onvifWrongPassword",
  locked_out: "onvifLockedOut",
  clock: "onvifClock",
  certificate: "onvifCertificate",
  unsupported: "onvifNotOnvif",
  not_understood: "onvifNotOnvif",
};

/**
 * Why a camera could not be asked, in plain words.
 * @param {Record<string, unknown>} answer of OnvifProbe
 * @returns {string} "" where the answer does not say
 */
export function tellFailure(answer) {
  const words = FAILURES[String(answer["strFailure"])];
  return words ? t(words) : "";
}

/** Which profile it is. @param {OnvifProfile} profile */
export function tellProfile(profile) {
  const rate = profile.nBandwidth ? `${profile.nBandwidth} kbit/s` : "";
  const fps = profile.nFps ? t("fps", { n: profile.nFps }) : "";
  const size = `${profile.nWidth} × ${profile.nHeight}`;
  const what = [profile.strCodecName, size, fps, rate].filter(Boolean).join(" · ");
  return `${what} (${profile.strToken})`;
}

/** Which camera it is. @param {FoundCamera} camera */
export function tellCamera(camera) {
  const { strIp, strPort, strModel } = camera;
  const host = strIp.includes(":") ? `[${strIp}]` : strIp;
  return { name: strModel || host, where: strPort === "80" ? host : `${host}:${strPort}` };
}

/**
 * Cameras that were not there yet.
 * @param {FoundCamera[]} known
 * @param {FoundCamera[]} more
 */
export function newCameras(known, more) {
  const keys = new Set(known.map((one) => `${one.strIp} ${one.strPort}`));
  return more.filter((one) => !keys.has(`${one.strIp} ${one.strPort}`));
}
