import { session } from "../api.js";
import { Fallback, ORDER, waysFor } from "./fallback.js";
import { bitrate, delay, rate } from "./figures.js";
import { t } from "./i18n.js";
import { transport } from "./prefs.js";

/** @typedef {import("./prefs.js").Transport} Transport */
/** @typedef {H5sPlayerWS | H5sPlayerRTC | H5sPlayerHls} Player */

/** @type {Record<Transport, string>} */
const NAMES = { ws: "transportWs", rtc: "transportRtc", hls: "transportHls" };

/** @type {Map<string, Fallback>} by token: what a tile found out holds for the large picture */
const found = new Map();

/** @returns {Record<Transport, typeof H5sPlayerWS | typeof H5sPlayerRTC | typeof H5sPlayerHls>} */
function players() {
  return { ws: H5sPlayerWS, rtc: H5sPlayerRTC, hls: H5sPlayerHls };
}

/** @param {Transport} transport */
export function wayName(transport) {
  return t(NAMES[transport]);
}

/** @param {Transport} wish */
function possibleWays(wish) {
  return waysFor(
    wish,
    ORDER.filter((one) => players()[one].isSupported),
  );
}

/**
 * The transports for a source on the wall, as this viewer wishes; remembered until the page is left.
 * @param {string} token
 */
export function fallbackFor(token) {
  const wish = transport();
  const known = found.get(token);
  if (known?.wish === wish) return known;
  const fallback = new Fallback(wish, possibleWays(wish));
  found.set(token, fallback);
  return fallback;
}

/**
 * The one transport of a page that is named after it; another one only where the browser lacks it.
 * @param {Transport} wish
 */
export function fixedTransport(wish) {
  return new Fallback(wish, possibleWays(wish).slice(0, 1));
}

/** One source playing in one element, over the transport that shows a picture. */
export class Viewing {
  #video;
  #token;
  #hlsver;
  #hasSound;
  #onState;
  /** @type {Fallback | null} */
  #fallback = null;
  /** @type {Player | null} */
  #player = null;
  #profile = "";

  /**
   * @param {HTMLVideoElement} video
   * @param {string} token
   * @param {{ hlsver?: string, hasSound?: boolean, onState: () => void }} options
   */
  constructor(video, token, { hlsver = "v2", hasSound = true, onState }) {
    this.#video = video;
    this.#token = token;
    this.#hlsver = hlsver;
    this.#hasSound = hasSound;
    this.#onState = onState;
  }

  get isOn() {
    return this.#player !== null;
  }

  /** @returns {H5sState} */
  get state() {
    return this.#player?.state ?? "stopped";
  }

  /** In words: the transport in use, and the one it stands in for. */
  get way() {
    if (!this.#fallback) return "";
    const { transport: used, wish } = this.#fallback;
    if (used === wish) return wayName(used);
    return t("transportInstead", { used: wayName(used), wished: wayName(wish) });
  }

  /**
   * @param {Fallback} fallback says over which transport
   * @param {string} [profile]
   */
  start(fallback, profile = "") {
    if (this.#player) return;
    this.#fallback = fallback;
    this.#profile = profile;
    fallback.restart();
    this.#connect(fallback.transport);
  }

  stop() {
    const player = this.#player;
    this.#player = null;
    player?.disconnect();
  }

  /** Change over when no picture comes; call it each second. @param {boolean} isOnline */
  check(isOnline) {
    const state = this.#progress(isOnline);
    if (!this.#player || !this.#fallback?.observe(performance.now() / 1000, state)) return;
    this.stop();
    this.#connect(this.#fallback.transport);
  }

  /** What it shows about itself: pictures a second, bit rate, distance to live. */
  figures() {
    if (!this.#player) return [];
    const stats = this.#player.stats();
    const behind = stats.behindLiveS ?? stats.lagS;
    return [rate(stats.fps), bitrate(stats.bitrateKbps), delay(behind)].filter(Boolean);
  }

  /** @param {Transport} transport */
  #connect(transport) {
    const player = new (players()[transport])({
      videodom: this.#video,
      token: this.#token,
      session: session(),
      hlsver: this.#hlsver,
      profile: this.#profile,
      audio: this.#hasSound,
      onState: this.#onState,
    });
    this.#player = player;
    player.connect();
  }

  /** @param {boolean} isOnline */
  #progress(isOnline) {
    if (this.state === "playing") return "playing";
    const isTrying = this.state === "connecting" || this.state === "waiting";
    return isTrying && isOnline && !document.hidden ? "trying" : "resting";
  }
}

/**
 * The same figures from what the server measured, for a source that is not playing here.
 * @param {import("../api.js").SourceItem} source
 */
export function sourceFigures(source) {
  if (!source.bOnline) return [];
  return [rate(source.nFps ?? 0), bitrate(source.nBitrateKbps ?? 0)].filter(Boolean);
}
