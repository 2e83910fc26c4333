import { session } from "../api.js";
import { bitrate, delay, rate } from "./figures.js";

const HLS_AT_ONCE = 4;

/**
 * Start playing a source into an element.
 * @param {HTMLVideoElement} video
 * @param {string} token
 * @param {import("./prefs.js").Transport} transport
 * @param {{ profile?: string, hlsver?: string, onState: () => void }} options
 * @returns {H5sPlayerWS | H5sPlayerHls}
 */
export function startPlayer(video, token, transport, { profile = "", hlsver = "v2", onState }) {
  const conf = { videodom: video, token, session: session(), hlsver, profile, onState };
  const isHls = transport === "hls" || !H5sPlayerWS.isSupported;
  const player = isHls ? new H5sPlayerHls(conf) : new H5sPlayerWS(conf);
  player.connect();
  return player;
}

/**
 * How many sources a page may play at once. A browser opens six connections to a host; each HLS
 * player holds one by waiting for the next playlist, and media and calls need the rest.
 * @param {import("./prefs.js").Transport} transport
 */
export function mostAtOnce(transport) {
  return transport === "hls" || !H5sPlayerWS.isSupported ? HLS_AT_ONCE : Infinity;
}

/**
 * What a playing source shows about itself: pictures a second, bit rate, distance to live.
 * @param {H5sPlayerWS | H5sPlayerHls} player
 */
export function playerFigures(player) {
  const stats = player.stats();
  const behind = stats.behindLiveS ?? stats.lagS;
  return [rate(stats.fps), bitrate(stats.bitrateKbps), delay(behind)].filter(Boolean);
}

/**
 * The same from what the server measured, for a source that is not playing here.
 * @param {import("../api.js").SourceItem} source
 */
export function sourceFigures(source) {
  if (!source.bOnline) return [];
  return [rate(source.nFps ?? 0), bitrate(source.nBitrateKbps ?? 0)].filter(Boolean);
}
