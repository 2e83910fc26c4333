// The only place that asks the server.

import { md5 } from "./lib/md5.js";

/**
 * @typedef {object} SourceItem one item of GetSrc: the keys these pages use
 * @property {string} strToken
 * @property {string} strName
 * @property {string} nType
 * @property {boolean} bOnline
 * @property {"STOPPED" | "STARTING" | "RUNNING" | "BACKOFF" | "FATAL"} [strState]
 * @property {string} [strReason]
 * @property {string} [strSince] ISO 8601
 * @property {number} [nFps]
 * @property {number} [nBitrateKbps]
 * @property {number} [nViewers]
 * @property {string} [strVideoCodec]
 * @property {number} [nWidth]
 * @property {number} [nHeight]
 * @property {boolean} [bSub]
 * @property {boolean} [bPtz] its camera can be moved
 * @property {boolean} [bRec] it is being recorded
 * @property {boolean} [bFixed] stands in config.json, so it can't be deleted here
 */

/**
 * @typedef {object} PresetItem a place that a camera can turn to
 * @property {string} strName
 * @property {string} strToken
 */

/** What the server refused, in its own words. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {Record<string, unknown>} [answer]
   */
  constructor(message, answer = {}) {
    super(message);
    this.answer = answer;
  }
}

/** There is no session, or it has ended. */
export class SignInError extends ApiError {}

/** The server did not answer. */
export class UnreachableError extends ApiError {}

const TIMEOUT_MS = 15_000;

/** @returns {string} id of the session, or "" */
export function session() {
  return sessionStorage.getItem("h5s_session") ?? "";
}

/** Take over a session given in the page's address, and take it out of there. */
export function adoptSession() {
  const here = new URL(location.href);
  const given = here.searchParams.get("session");
  if (!given) return;
  sessionStorage.setItem("h5s_session", given);
  here.searchParams.delete("session");
  history.replaceState(null, "", here);
}

/** Whether whoever looks may add and delete, as far as the server told. */
export function isAdministrator() {
  return sessionStorage.getItem("h5s_role") === "Administrator";
}

/** Learn what whoever looks may do, where signing in has not told; what is not told is not offered. */
export async function learnRole() {
  if (sessionStorage.getItem("h5s_role")) return;
  sessionStorage.setItem("h5s_role", await role().catch(() => ""));
}

/** Seconds after which an unused session ends. */
export function sessionTimeout() {
  return Number(sessionStorage.getItem("h5s_timeout")) || 600;
}

/**
 * One call of the API. Raises SignInError, UnreachableError or ApiError.
 * @param {string} name
 * @param {Record<string, string>} [parameters]
 * @param {RequestInit} [options]
 * @returns {Promise<Record<string, unknown>>}
 */
export async function call(name, parameters = {}, options = {}) {
  const query = new URLSearchParams(parameters);
  if (session()) query.set("session", session());
  return read(name, await ask(`api/v1/${name}?${query}`, options));
}

/**
 * As call(), with the parameters in a form: what is in an address ends up in logs.
 * @param {string} name
 * @param {Record<string, string>} parameters
 */
async function post(name, parameters) {
  const body = new URLSearchParams({ ...parameters, session: session() });
  return read(name, await ask(`api/v1/${name}`, { method: "POST", body }));
}

/**
 * @param {string} name
 * @param {Response} response
 * @returns {Promise<Record<string, unknown>>}
 */
async function read(name, response) {
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) throw new SignInError(String(answer.strCode ?? ""), answer);
  if (answer.bStatus === false) throw new ApiError(String(answer.strCode ?? ""), answer);
  if (!response.ok) throw new UnreachableError(`${name}: HTTP ${response.status}`);
  return answer;
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, { cache: "no-store", signal, ...options });
  } catch (error) {
    throw new UnreachableError(String(error));
  }
}

/**
 * @param {string} user
 * @param {string} password in clear; only its MD5 leaves the page
 */
export async function login(user, password) {
  const answer = await call("Login", { user, password: md5(password) });
  sessionStorage.setItem("h5s_session", String(answer["strSession"]));
  sessionStorage.setItem("h5s_role", String(answer["strRole"] ?? ""));
  sessionStorage.setItem("h5s_timeout", String(answer["nTimeout"] ?? ""));
  sessionStorage.setItem("h5s_default", String(answer["bDefaultPassword"] === true));
}

/**
 * Give whoever is signed in another password; all their other sessions end.
 * @param {string} old in clear, as `fresh`; only MD5s leave the page
 * @param {string} fresh
 */
export async function changePassword(old, fresh) {
  const { strUser } = await call("GetUserInfo");
  const passwords = { oldpassword: md5(old), newpassword: md5(fresh) };
  await post("UpdateUser", { user: String(strUser), ...passwords });
  sessionStorage.removeItem("h5s_default");
}

/** End the session, here and on the server. */
export async function logout() {
  try {
    await call("Logout");
  } finally {
    forgetSession();
  }
}

/** Forget what belongs to a session that is over. */
export function forgetSession() {
  for (const name of ["session", "role", "timeout", "default"])
    sessionStorage.removeItem(`h5s_${name}`);
}

/** Have the session live as long as a page is open; the page's other calls tell of one that has ended. */
export async function stayAlive() {
  if (session()) await call("Keepalive").catch(() => undefined);
}

/**
 * @param {string} [token] of one source; all without it
 * @returns {Promise<SourceItem[]>}
 */
export async function sources(token) {
  const answer = await call("GetSrc", token ? { token } : {});
  return /** @type {SourceItem[]} */ (answer["src"] ?? []);
}

/**
 * One source, or null when there is none: what it left may still be there.
 * @param {string} token
 */
export async function findSource(token) {
  try {
    return (await sources(token)).find((item) => item.strToken === token) ?? null;
  } catch (error) {
    if (error instanceof SignInError || error instanceof UnreachableError) throw error;
    return null;
  }
}

/** Whether the default password still opens this server. */
export async function hasDefaultPassword() {
  if (sessionStorage.getItem("h5s_default") === "true") return true;
  const answer = await call("GetSystemInfo");
  return answer["bDefaultPassword"] === true;
}

/** @param {{ token: string, name: string, url: string, audio: string }} source */
export async function addFile(source) {
  await call("AddSrcFile", source);
}

/** @param {{ token: string, name: string, url: string, user: string, password: string, audio: string }} source */
export async function addAddress(source) {
  await call("AddSrcRTSP", source);
}

/**
 * Cameras on the server's networks that answer within a time.
 * @param {number} seconds
 */
export async function searchOnvif(seconds) {
  const answer = await call("OnvifSearch", { timeout: String(seconds) });
  return /** @type {import("./lib/onvif.js").FoundCamera[]} */ (answer["device"] ?? []);
}

/** @param {{ ip: string, port: string, user: string, password: string, onvifaddr: string, https: string }} camera */
export async function probeOnvif(camera) {
  const answer = await post("OnvifProbe", camera);
  return /** @type {import("./lib/onvif.js").OnvifProfile[]} */ (answer["profile"] ?? []);
}

/** @param {Record<string, string>} source with the parameters of AddSrcONVIF */
export async function addOnvif(source) {
  await post("AddSrcONVIF", source);
}

/** @returns {Promise<import("./lib/recorder.js").Recorder[]>} */
export async function recorders() {
  const answer = await call("GetDevice");
  return /** @type {import("./lib/recorder.js").Recorder[]} */ (answer["dev"] ?? []);
}

/**
 * Add a recorder; what is answered says whether it can be reached.
 * @param {string} name of the call, AddDeviceHik or AddDeviceDh
 * @param {Record<string, string>} recorder with its parameters
 */
export async function addRecorder(name, recorder) {
  return String((await post(name, recorder))["strCode"] ?? "");
}

/** @param {string} token */
export async function deleteRecorder(token) {
  await call("DelDevice", { token });
}

/**
 * Have a recorder asked with another login; what is answered says whether it takes it.
 * @param {{ token: string, user: string, password: string }} login
 */
export async function changeRecorderLogin(login) {
  return String((await post("SetDeviceLogin", login))["strCode"] ?? "");
}

/**
 * The channels of a recorder, those that may be seen.
 * @param {string} token of the recorder
 */
export async function recorderChannels(token) {
  return /** @type {SourceItem[]} */ ((await call("GetDeviceSrc", { token }))["src"] ?? []);
}

/** @param {string} token */
export async function deleteSource(token) {
  await call("DelSrc", { token });
}

/**
 * Address of a source's newest picture.
 * @param {string} token
 */
export function pictureUrl(token) {
  const query = new URLSearchParams({ token, update: String(Date.now()) });
  if (session()) query.set("session", session());
  return `api/v1/GetImage?${query}`;
}

/**
 * Move a camera, or stop it.
 * @param {string} token
 * @param {string} action of the call Ptz
 * @param {string} speed 0 to 1
 */
export async function ptz(token, action, speed) {
  // a stop arrives though the page goes
  if (action === "stop") await call("Ptz", { token, action }, { keepalive: true });
  else await call("Ptz", { token, action, speed });
}

/** Stop a camera as the last thing a page does. @param {string} token */
export function ptzLast(token) {
  const query = new URLSearchParams({ token, action: "stop" });
  if (session()) query.set("session", session());
  // nobody is left to be told; the server stops the camera by itself should this not arrive
  void fetch(`api/v1/Ptz?${query}`, { keepalive: true }).catch(() => undefined);
}

/** @param {string} token @param {string} preset */
export async function goToPreset(token, preset) {
  await call("Ptz", { token, action: "preset", preset });
}

/** @param {string} token @returns {Promise<PresetItem[]>} */
export async function presets(token) {
  const answer = await call("GetPresets", { token });
  return /** @type {PresetItem[]} */ (answer["preset"] ?? []);
}

/** Keep where a camera looks now. @param {string} token @param {string} preset @param {string} name */
export async function setPreset(token, preset, name) {
  await call("SetPreset", { token, presettoken: preset, presetname: name });
}

/** @param {string} token @param {string} preset */
export async function deletePreset(token, preset) {
  await call("DelPreset", { token, presettoken: preset });
}

/**
 * The role of whoever looks, signed in or not, for what changes something: a cookie, by which a
 * page may look, does not count there.
 */
export async function role() {
  try {
    return String((await call("GetUserInfo", {}, { credentials: "omit" }))["strRole"] ?? "");
  } catch (error) {
    if (error instanceof SignInError && !session()) return "Viewer";
    throw error;
  }
}

/**
 * Address of a file that a call has named.
 * @param {string} path
 */
export function fileUrl(path) {
  const relative = path.replace(/^\/+/, "").split("/").map(encodeURIComponent).join("/");
  return session() ? `${relative}?${new URLSearchParams({ session: session() })}` : relative;
}

/** All calls, as OpenAPI describes them. */
export async function description() {
  return await call("openapi.json");
}

/**
 * What a call answers, as text: its JSON set in lines, or what else came.
 * @param {string} name of a call that only reads
 * @param {Record<string, string>} parameters
 */
export async function tryCall(name, parameters) {
  const query = new URLSearchParams(parameters);
  if (session()) query.set("session", session());
  const response = await ask(`api/v1/${name}?${query}`);
  const head = `HTTP ${response.status} ${response.headers.get("Content-Type") ?? ""}\n`;
  if (!response.headers.get("Content-Type")?.includes("json")) return head;
  return head + JSON.stringify(await response.json(), null, 2);
}
