// @ts-check
"use strict";

/**
 * The players of h5sup: live video over WebSocket (H5sPlayerWS), WebRTC (H5sPlayerRTC) and HLS
 * (H5sPlayerHls), and playback of what was recorded over the first two.
 * Constructor options and methods are those of H5Stream's players (manual, chapter 6) plus a few of
 * ours; docs/players.md explains them.
 */

/**
 * @typedef {"stopped" | "connecting" | "playing" | "waiting" | "blocked" | "suspended" | "ended"} H5sState
 * stopped: not connected. connecting: no picture yet. playing. waiting: lost, will try again.
 * blocked: the browser wants a click before it plays. suspended: hidden or paused for long.
 * ended: a playback has come to its end.
 */

/**
 * @typedef {object} H5sPbConf what to see again: a range of time, or with both times "0" a file
 * @property {string} [begintime] ISO 8601
 * @property {string} [endtime]
 * @property {string | boolean} [serverpb] true: recordings of the server, false: of the device
 * @property {string} [filename] strFileName of a recording
 * @property {(event: string, userdata: unknown) => void} [callback] the server's text events
 * @property {unknown} [userdata] handed to callback
 */

/**
 * @typedef {object} H5sConf
 * @property {string} [videoid] id of the video element
 * @property {HTMLVideoElement} [videodom] the element itself, when there is no id
 * @property {string} [protocol] "http:" or "https:"; the page's own when left out
 * @property {string} [host] "localhost:8080"; the page's own when left out
 * @property {string} [rootpath] taken for compatibility; not needed
 * @property {string} token name of the source
 * @property {string} [session] session id from Login
 * @property {string} [hlsver] HLS only: "v1" is MPEG-TS, "v2" is fMP4
 * @property {string} [profile] "main", "sub" or the name of a profile
 * @property {"auto" | boolean | string} [hevc] ask for H.265; "auto" asks the browser
 * @property {boolean} [audio] of WebRTC: `false` asks for the picture alone, which comes sooner
 * @property {number} [targetLatency] seconds to stay behind the newest picture, 0.05 to 5
 * @property {H5sPbConf} [pbconf] playback; live without it. Not of HLS
 * @property {(event: string, userdata: unknown) => void} [callback] the server's text events
 * @property {unknown} [userdata] handed to callback
 * @property {(state: H5sState, reason: string) => void} [onState] what the player is doing
 */

/**
 * @typedef {object} H5sStats
 * @property {H5sState} state
 * @property {number} fps pictures shown in a second
 * @property {number} bitrateKbps media received
 * @property {number} lagS seconds between the picture shown and the newest one received
 * @property {number | null} behindLiveS seconds behind the server's newest picture, if it tells
 * @property {number} targetS the lag aimed at
 * @property {number} droppedFrames
 * @property {number} reconnects
 * @property {number} stalls times the picture had to be set going again; of WebRTC: times it froze
 * @property {string} mime
 * @property {number} [packetsLost] WebRTC only
 * @property {number | null} [roundTripMs] WebRTC only; null until it is known
 */

const H5S_KEEPALIVE_MS = 1000;
const H5S_TICK_MS = 100;
const H5S_SILENCE_S = 10; // the server promises its first message within 9 s
const H5S_HIDDEN_MS = 60_000;
const H5S_PAUSED_S = 15; // a paused player would fill its buffer
const H5S_HEALTHY_S = 5; // pictures for so long clear the back-off
const H5S_START_S = 0.8;
const H5S_SETTLE_S = 1; // running dry right after a jump tells nothing
const H5S_SLOWEST = 0.5; // times as fast, of a playback
const H5S_FASTEST = 16;
const H5S_REFUSED = 1008; // the server's code where another try would end alike
const H5S_HEVC_TYPE = 'video/mp4; codecs="hvc1.1.6.L93.B0"';

/** @returns {number} seconds on a clock that never jumps */
function h5sNow() {
  return performance.now() / 1000;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function h5sClamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * Complete what a page gave with the page's own address.
 * @param {H5sConf} conf
 */
function h5sResolve(conf) {
  const found = conf.videoid ? document.getElementById(conf.videoid) : conf.videodom;
  if (!(found instanceof HTMLVideoElement)) throw new Error("h5splayer: videoid names no <video>");
  const secure = (conf.protocol ?? location.protocol) === "https:";
  const host = conf.host ?? location.host;
  return {
    video: found,
    http: `${secure ? "https:" : "http:"}//${host}`,
    ws: `${secure ? "wss:" : "ws:"}//${host}`,
    token: conf.token,
    session: conf.session ?? "",
  };
}

/**
 * Address of a WebSocket of the API; empty parameters are left out.
 * @param {string} origin
 * @param {string} call
 * @param {Record<string, string>} parameters
 */
function h5sSocketUrl(origin, call, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  return `${origin}/api/v1/${call}?${query}`;
}

/**
 * What a text message says, or null when it is not JSON.
 * @param {string} text
 * @returns {any}
 */
function h5sParse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Make an element ready to play without a click wherever a browser lets it.
 * @param {HTMLVideoElement} video
 */
function h5sPrepareVideo(video) {
  video.muted = true; // browsers start only silent video without a click
  video.autoplay = false; // it starts once there is enough for a smooth start
  video.playsInline = true;
  video.disableRemotePlayback = true; // Safari opens a ManagedMediaSource only then
}

/** Time to wait before each try: 0.8 s growing to 10 s, spread so that many players don't return at once. */
class H5sBackoff {
  #tries = 0;

  /** @param {number} [chance] 0 to 1 */
  nextMs(chance = Math.random()) {
    const base = Math.min(8000, 800 * 1.6 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 20);
    return base * (1 + 0.25 * chance);
  }

  reset() {
    this.#tries = 0;
  }
}

/** Sums over the last two seconds: bytes in, pictures out. */
class H5sMeter {
  static #WINDOW_S = 2;

  /** @type {{ at: number, amount: number }[]} */
  #items = [];

  /**
   * @param {number} now
   * @param {number} amount
   */
  add(now, amount) {
    this.#items.push({ at: now, amount });
    this.#drop(now);
  }

  /** @param {number} now @returns {number} amount per second */
  rate(now) {
    this.#drop(now);
    const first = this.#items[0];
    if (!first) return 0;
    const total = this.#items.reduce((sum, item) => sum + item.amount, 0) - first.amount;
    return total / Math.max(0.5, now - first.at);
  }

  clear() {
    this.#items = [];
  }

  /** @param {number} now */
  #drop(now) {
    while (this.#items[0] && now - this.#items[0].at > H5sMeter.#WINDOW_S) this.#items.shift();
  }
}

/**
 * Decides how to hold the live edge: the distance to keep, the playback rate, when to jump.
 * Pure; times in seconds.
 */
class H5sEdge {
  static #JUMP_S = 3; // further behind than this is not worth catching up with
  static #MOST_EXTRA_S = 0.5; // on top of what the arrivals ask for
  static #OUTAGE_S = 0.7;
  static #CALM_S = 8; // how long after running dry the distance is kept
  static #SETTLE_S = 3; // after a start or jump the edge is approached faster

  #base;
  #target;
  #gap = 0.04;
  #smoothLag = 0;
  #grewAt = Number.NaN;
  #decidedAt = Number.NaN;
  #underrunAt = -Infinity;
  #settledAt = 0;

  /** @param {number} [base] */
  constructor(base = 0.2) {
    this.#base = h5sClamp(base, 0.05, 5);
    this.#target = this.#base;
  }

  get target() {
    return this.#target;
  }

  /** The longer ones among the usual times between two arrivals. */
  get gap() {
    return this.#gap;
  }

  /** Media was appended. @param {number} now */
  grew(now) {
    const gap = now - this.#grewAt;
    this.#grewAt = now;
    if (!(gap < 2)) return;
    const weight = gap <= this.#gap ? 0.01 : gap < H5sEdge.#OUTAGE_S ? 0.25 : 0.05;
    this.#gap += (gap - this.#gap) * weight;
  }

  /**
   * The player had run dry and plays again: keep more distance for a while, unless it was an outage
   * that no distance would have bridged.
   * @param {number} now
   * @param {number} dryS how long the picture stood
   */
  underrun(now, dryS) {
    if (dryS > H5sEdge.#OUTAGE_S || now - this.#underrunAt < 1) return;
    this.#underrunAt = now;
    const most = this.#floor() + H5sEdge.#MOST_EXTRA_S;
    this.#target = Math.min(most, this.#target + h5sClamp(dryS, 0.03, 0.15));
  }

  /** Playing starts, or goes on after a jump. @param {number} now @param {number} lag */
  restart(now, lag) {
    this.#smoothLag = lag;
    this.#settledAt = now + H5sEdge.#SETTLE_S;
  }

  /**
   * @param {number} now
   * @param {number} lag seconds between the play position and the newest media
   * @returns {{ rate: number, jump: boolean }}
   */
  decide(now, lag) {
    const elapsed = h5sClamp(now - this.#decidedAt || 0, 0, 1);
    this.#decidedAt = now;
    this.#relax(now, elapsed);
    this.#smoothLag += (lag - this.#smoothLag) * Math.min(1, elapsed / 0.5);
    if (lag > H5sEdge.#JUMP_S + this.#target) return { rate: 1, jump: true };
    return { rate: this.#rate(now), jump: false };
  }

  #floor() {
    return Math.max(this.#base, this.#gap * 1.5 + 0.06);
  }

  /**
   * @param {number} now
   * @param {number} elapsed
   */
  #relax(now, elapsed) {
    const floor = this.#floor();
    if (this.#target < floor) this.#target = floor;
    else if (now - this.#underrunAt > H5sEdge.#CALM_S)
      this.#target += (floor - this.#target) * Math.min(1, elapsed / 20);
  }

  /** @param {number} now */
  #rate(now) {
    const excess = this.#smoothLag - this.#target;
    // a player at the very edge stumbles at each late frame: fall back a little
    if (excess < -0.06) return Math.round(Math.max(0.5, 1 + excess * 2) * 100) / 100;
    if (excess < 0.03) return 1;
    const isNew = now < this.#settledAt;
    const most = excess > 1 || isNew ? 1.5 : excess > 0.5 ? 1.25 : 1.1;
    return Math.round(Math.min(most, 1 + (isNew ? excess : excess / 2)) * 100) / 100;
  }
}

/**
 * Notices a picture that stands still although media arrives. Pure; times in seconds.
 * Chromium can leave the video standing for 3 s while its clock, or only the audio, runs on: shown
 * pictures are what counts.
 */
class H5sWatchdog {
  static #STILL_S = 0.7;
  static #NEW_MEDIA_S = 0.3;
  static #CURED_S = 3;
  static #STRIKES = 3;

  #pictures = -1;
  #movedAt = Number.NaN;
  #endThen = 0;
  #strikes = 0;
  #struckAt = 0;

  /** Wait anew, after a seek. @param {number} now @param {number} end newest media */
  rest(now, end) {
    this.#movedAt = now;
    this.#endThen = end;
  }

  /**
   * @param {number} now
   * @param {number} pictures shown so far
   * @param {number} end newest media
   * @param {number} gap usual time between arrivals
   * @returns {"ok" | "jump" | "reconnect"}
   */
  check(now, pictures, end, gap) {
    if (pictures !== this.#pictures || Number.isNaN(this.#movedAt)) {
      this.#pictures = pictures;
      this.rest(now, end);
      if (now - this.#struckAt > H5sWatchdog.#CURED_S) this.#strikes = 0;
      return "ok";
    }
    const patience = Math.max(H5sWatchdog.#STILL_S, gap * 3);
    if (now - this.#movedAt < patience || end - this.#endThen < H5sWatchdog.#NEW_MEDIA_S)
      return "ok";
    this.rest(now, end);
    this.#struckAt = now;
    this.#strikes += 1;
    return this.#strikes > H5sWatchdog.#STRIKES ? "reconnect" : "jump";
  }
}

/**
 * Holds an element at the live edge of its media: sets its rate, jumps, and sets a standing picture
 * going. Owned by a player, which says what media there is.
 */
class H5sFollower {
  #video;
  #range;
  #edge;
  #watchdog = new H5sWatchdog();
  #jumpedAt = 0;
  #dryAt = Number.NaN;
  #stalls = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => { start: number, end: number, isAll: boolean } | null} range the newest stretch of media
   * @param {number} [distance] seconds to stay behind the newest picture
   */
  constructor(video, range, distance) {
    this.#video = video;
    this.#range = range;
    this.#edge = new H5sEdge(distance);
  }

  get target() {
    return this.#edge.target;
  }

  /** Times the picture had to be set going again. */
  get stalls() {
    return this.#stalls;
  }

  /** Media was appended. @param {number} now */
  grew(now) {
    this.#edge.grew(now);
  }

  /** Playing starts. @param {number} now @param {number} ready seconds of media */
  start(now, ready) {
    this.#jumpedAt = now;
    this.#edge.restart(now, ready);
    if (ready > this.target + 1) this.jump();
  }

  /** Go to the live edge. */
  jump() {
    const range = this.#range();
    if (!range) return;
    const now = h5sNow();
    const lag = Math.min(this.target, range.end - range.start);
    this.#video.currentTime = range.end - lag;
    this.#jumpedAt = now;
    this.#edge.restart(now, lag);
    this.#watchdog.rest(now, range.end);
  }

  /**
   * Hold the live edge.
   * @param {number} now
   * @param {number} shown pictures so far
   * @returns {boolean} false when the picture stands and jumps don't help
   */
  follow(now, shown) {
    const range = this.#range();
    if (!range) return true;
    const verdict = this.#watchdog.check(now, shown, range.end, this.#edge.gap);
    if (verdict === "reconnect") return false;
    if (verdict === "jump") this.#unfreeze(now);
    else if (!this.#video.seeking) this.#keepDistance(now, range);
    return true;
  }

  /** The element waits for media. */
  ranDry() {
    const now = h5sNow();
    const isSettled = now - this.#jumpedAt > H5S_SETTLE_S;
    if (!this.#video.seeking && isSettled) this.#dryAt = now;
  }

  /** The element plays. */
  flows() {
    const now = h5sNow();
    if (!Number.isNaN(this.#dryAt)) this.#edge.underrun(now, now - this.#dryAt);
    this.forgetDry();
  }

  /** The connection went: what comes next says nothing about the distance. */
  forgetDry() {
    this.#dryAt = Number.NaN;
  }

  /** Media of another source or connection comes. */
  reset() {
    this.#watchdog = new H5sWatchdog();
    this.forgetDry();
    this.#video.playbackRate = 1;
  }

  /** Media arrives, the picture stands: a seek sets the decoder going. @param {number} now */
  #unfreeze(now) {
    this.#stalls += 1;
    this.#edge.underrun(now, 0.1);
    this.jump();
  }

  /**
   * @param {number} now
   * @param {{ start: number, end: number, isAll: boolean }} range
   */
  #keepDistance(now, range) {
    const position = this.#video.currentTime;
    const { rate, jump } = this.#edge.decide(now, range.end - position);
    // media may start a little after 0: browsers cross that by themselves
    const isBefore = position < range.start - (range.isAll ? 1 : 0.02);
    const isOutside = isBefore || position > range.end + 0.5;
    if (jump || isOutside) this.jump();
    if (this.#video.playbackRate !== rate) this.#video.playbackRate = rate;
  }
}

/**
 * Plays an element's media as it comes: what H5sFollower is for live, this is for a playback. It only
 * sets a standing picture going, and skips what a jump has made stale.
 */
class H5sSteady {
  static #START_S = 0.1;
  static #LONGEST_GAP_S = 20; // key frames alone may come so rarely
  static #WITHIN_S = 0.0005; // times of pictures are rounded on their way

  #video;
  #range;
  #watchdog = new H5sWatchdog();
  #gap = 0.04;
  #grewAt = Number.NaN;
  #landing = Number.NaN;
  #stalls = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => { start: number, end: number } | null} range the newest stretch of media
   */
  constructor(video, range) {
    this.#video = video;
    this.#range = range;
  }

  /** Seconds of media with which playing starts. */
  get target() {
    return H5sSteady.#START_S;
  }

  /** Times the picture had to be set going again. */
  get stalls() {
    return this.#stalls;
  }

  /** Media was appended. @param {number} now */
  grew(now) {
    const gap = h5sClamp(now - this.#grewAt || 0, 0, H5sSteady.#LONGEST_GAP_S);
    this.#gap = Math.max(gap, this.#gap * 0.95);
    this.#grewAt = now;
    this.#land();
  }

  /** Playing starts. @param {number} now */
  start(now) {
    const range = this.#range();
    if (range && this.#video.currentTime < range.start) this.#video.currentTime = range.start;
    this.#rest(now);
  }

  /** Playing goes on: nothing is skipped. */
  jump() {
    this.#rest(h5sNow());
  }

  /** The media from here on is what was asked for last. @param {number} time */
  skipTo(time) {
    this.#landing = time;
    this.#land();
  }

  /**
   * @param {number} now
   * @param {number} shown pictures so far
   * @returns {boolean} false when the picture stands and nothing helps
   */
  follow(now, shown) {
    const end = this.#range()?.end ?? 0;
    const verdict = this.#watchdog.check(now, shown, end, this.#gap);
    if (verdict === "jump") {
      this.#stalls += 1;
      this.#video.currentTime += H5sSteady.#WITHIN_S; // a seek sets the decoder going
    }
    return verdict !== "reconnect";
  }

  /** The element waits for media: more comes when it is due. */
  ranDry() {}

  /** The element plays. */
  flows() {}

  /** The connection went. */
  forgetDry() {
    this.#grewAt = this.#landing = Number.NaN;
  }

  /** Media of another connection comes. */
  reset() {
    this.#watchdog = new H5sWatchdog();
    this.forgetDry();
  }

  #land() {
    const at = this.#landing;
    if (!((this.#range()?.end ?? 0) > at + H5sSteady.#WITHIN_S)) return;
    this.#landing = Number.NaN;
    if (at > this.#video.currentTime) this.#video.currentTime = at + H5sSteady.#WITHIN_S;
    this.#rest(h5sNow());
  }

  /** @param {number} now */
  #rest(now) {
    this.#watchdog.rest(now, this.#range()?.end ?? 0);
  }
}

/**
 * The boxes of an ISO file (ISO/IEC 14496-12 §4.2) between two offsets.
 * @param {DataView} view
 * @param {number} start
 * @param {number} end
 * @returns {Generator<{ type: string, start: number, end: number }>}
 */
function* h5sBoxes(view, start, end) {
  for (let at = start; at + 8 <= end;) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > end) return;
    const letters = [4, 5, 6, 7].map((offset) => view.getUint8(at + offset));
    yield { type: String.fromCharCode(...letters), start: at + 8, end: at + size };
    at += size;
  }
}

/**
 * @param {DataView} view
 * @param {{ start: number, end: number }} parent
 * @param {string} path as "mdia/hdlr"
 * @returns {{ type: string, start: number, end: number } | null}
 */
function h5sFindBox(view, parent, path) {
  const [name, ...rest] = path.split("/");
  for (const box of h5sBoxes(view, parent.start, parent.end)) {
    if (box.type !== name) continue;
    return rest.length ? h5sFindBox(view, box, rest.join("/")) : box;
  }
  return null;
}

/**
 * The id of the video track of an init segment; 0 when the data is something else.
 * @param {ArrayBuffer} data
 */
function h5sVideoTrackId(data) {
  const view = new DataView(data);
  const moov = h5sFindBox(view, { start: 0, end: data.byteLength }, "moov");
  if (!moov) return 0;
  for (const trak of h5sBoxes(view, moov.start, moov.end)) {
    if (trak.type !== "trak") continue;
    const handler = h5sFindBox(view, trak, "mdia/hdlr");
    const header = h5sFindBox(view, trak, "tkhd");
    if (!handler || !header || view.getUint32(handler.start + 8) !== 0x76696465) continue; // "vide"
    return view.getUint32(header.start + (view.getUint8(header.start) === 1 ? 20 : 12));
  }
  return 0;
}

/**
 * Flags of the first sample of a track run (ISO/IEC 14496-12 §8.8.7, §8.8.8), or null.
 * @param {DataView} view
 * @param {{ start: number, end: number }} traf
 * @param {number} track
 * @returns {number | null}
 */
function h5sFirstSampleFlags(view, traf, track) {
  const tfhd = h5sFindBox(view, traf, "tfhd");
  const trun = h5sFindBox(view, traf, "trun");
  if (!tfhd || !trun || view.getUint32(tfhd.start + 4) !== track) return null;
  const has = view.getUint32(trun.start) & 0xffffff;
  let at = trun.start + 8 + (has & 0x1 ? 4 : 0);
  if (has & 0x4) return view.getUint32(at);
  if (has & 0x400) {
    at += (has & 0x100 ? 4 : 0) + (has & 0x200 ? 4 : 0);
    return at + 4 <= trun.end ? view.getUint32(at) : null;
  }
  const defaults = view.getUint32(tfhd.start) & 0xffffff;
  if (!(defaults & 0x20)) return null;
  const skipped = [0x1, 0x2, 0x8, 0x10].filter((bit) => defaults & bit);
  return view.getUint32(tfhd.start + 8 + skipped.length * 4 + (defaults & 0x1 ? 4 : 0));
}

/**
 * Whether a fragment starts with a key frame of the track.
 * @param {ArrayBuffer} data
 * @param {number} track
 */
function h5sStartsWithKey(data, track) {
  const view = new DataView(data);
  const moof = h5sFindBox(view, { start: 0, end: data.byteLength }, "moof");
  if (!moof) return false;
  for (const traf of h5sBoxes(view, moof.start, moof.end)) {
    if (traf.type !== "traf") continue;
    const flags = h5sFirstSampleFlags(view, traf, track);
    if (flags !== null) return (flags & 0x10000) === 0; // sample_is_non_sync_sample
  }
  return false;
}

/**
 * What a reader of boxes finds; nothing when the boxes are too short for what they should hold.
 * @template Found
 * @param {() => Found} read
 * @param {Found} nothing
 * @returns {Found}
 */
function h5sTry(read, nothing) {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return nothing;
    throw error;
  }
}

/**
 * The text of a MIME message, or "" when the message is media.
 * @param {ArrayBuffer} data
 */
function h5sMimeOf(data) {
  if (data.byteLength < 9 || data.byteLength > 400) return "";
  const text = String.fromCharCode(...new Uint8Array(data));
  return /^(video|audio)\/[ -~]+$/.test(text) ? text : "";
}

/**
 * One MediaSource with its SourceBuffer: appends in order, several messages at once when they queue
 * up, and drops what has been watched. Owned by a player; lives from one connection to the next.
 */
class H5sBuffer {
  static #BATCH_BYTES = 2_000_000;
  static #QUEUE_BYTES = 32_000_000;
  static #KEEP_S = 5;
  static #TRIM_S = 15;
  static #TRIM_BLIND_S = 90; // where no key frame is known

  #video;
  #mime;
  #onAppend;
  #onError;
  /** @type {MediaSource | null} */
  #source = null;
  /** @type {SourceBuffer | null} */
  #buffer = null;
  #released = new AbortController();
  #url = "";
  /** @type {ArrayBuffer[]} */
  #queue = [];
  #queuedBytes = 0;
  #track = 0;
  /** @type {number[]} times at which a GOP starts */
  #keyTimes = [];
  #removeTo = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {string} mime
   * @param {() => void} onAppend
   * @param {(reason: string) => void} onError
   */
  constructor(video, mime, onAppend, onError) {
    this.#video = video;
    this.#mime = mime;
    this.#onAppend = onAppend;
    this.#onError = onError;
  }

  /** The MediaSource class of this browser: iPhones have the managed one alone. */
  static get api() {
    return globalThis.MediaSource ?? globalThis.ManagedMediaSource;
  }

  get mime() {
    return this.#mime;
  }

  /** @returns {{ start: number, end: number, isAll: boolean } | null} the newest stretch of media */
  get edge() {
    const ranges = this.#ranges();
    return ranges && h5sNewestRange(ranges);
  }

  open() {
    const Api = H5sBuffer.api;
    if (!Api?.isTypeSupported(this.#mime)) throw new Error(`cannot play ${this.#mime}`);
    const signal = this.#released.signal;
    this.#source = new Api();
    this.#source.addEventListener("sourceopen", () => this.#opened(), { signal });
    this.#source.addEventListener("startstreaming", () => this.#pump(), { signal });
    this.#url = URL.createObjectURL(this.#source);
    this.#video.src = this.#url;
  }

  /** Queue one message. @param {ArrayBuffer} data */
  push(data) {
    this.#queue.push(data);
    this.#queuedBytes += data.byteLength;
    if (this.#queuedBytes > H5sBuffer.#QUEUE_BYTES) this.#onError("the browser is too slow");
    else this.#pump();
  }

  /**
   * Drop what lies well behind the play position. Removal goes on up to the next key frame, so it must
   * end at one that is known, or it takes the picture being shown with it.
   * @param {number} position
   */
  trim(position) {
    const ranges = this.#ranges();
    if (!ranges?.length || this.#removeTo) return;
    const behind = position - ranges.start(0);
    if (behind > H5sBuffer.#TRIM_S) this.#trimTo(this.#keyBefore(position - H5sBuffer.#KEEP_S));
    if (behind > H5sBuffer.#TRIM_BLIND_S && !this.#removeTo)
      this.#trimTo(position - H5sBuffer.#TRIM_BLIND_S / 2);
    if (this.#removeTo) this.#pump();
  }

  /** Let go of everything. Safe to call twice. */
  close() {
    this.#released.abort();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = "";
    const [source, buffer] = [this.#source, this.#buffer];
    this.#source = this.#buffer = null;
    this.#queue = [];
    this.#queuedBytes = 0;
    if (source?.readyState !== "open" || !buffer) return;
    try {
      source.removeSourceBuffer(buffer);
    } catch {
      // the element let go of it first
    }
  }

  #opened() {
    if (!this.#source || this.#buffer) return;
    const signal = this.#released.signal;
    try {
      this.#buffer = this.#source.addSourceBuffer(this.#mime);
    } catch (error) {
      this.#onError(`cannot play ${this.#mime}: ${String(error)}`);
      return;
    }
    this.#buffer.addEventListener("updateend", () => this.#updated(), { signal });
    this.#buffer.addEventListener("error", () => this.#onError("bad media"), { signal });
    this.#pump();
  }

  #updated() {
    this.#onAppend();
    this.#pump();
  }

  #pump() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source?.readyState !== "open") return;
    if (this.#removeTo) {
      const to = this.#removeTo;
      this.#removeTo = 0;
      buffer.remove(0, to);
    } else if (this.#queue.length && !this.#isHeld()) {
      this.#append(buffer, this.#takeBatch());
    }
  }

  /** Safari's managed source says when it has enough; the live edge itself is always wanted. */
  #isHeld() {
    const source = /** @type {{ streaming?: boolean } | null} */ (this.#source);
    const end = this.edge?.end ?? 0;
    return source?.streaming === false && end - this.#video.currentTime > 1;
  }

  /**
   * @param {SourceBuffer} buffer
   * @param {ArrayBuffer} data
   */
  #append(buffer, data) {
    try {
      buffer.appendBuffer(data);
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") this.#full(data);
      else this.#onError(`append failed: ${String(error)}`);
    }
  }

  /** Make room and try again. @param {ArrayBuffer} data */
  #full(data) {
    this.#queue.unshift(data);
    this.#queuedBytes += data.byteLength;
    this.#trimTo(this.#keyBefore(this.#video.currentTime));
    if (this.#removeTo) this.#pump();
    else this.#onError("the browser's buffer is full");
  }

  /** Join queued messages up to the next key frame, so that the time of each key frame is known. */
  #takeBatch() {
    let count = 0;
    let size = 0;
    for (const data of this.#queue) {
      if (count && (this.#isKey(data) || size + data.byteLength > H5sBuffer.#BATCH_BYTES)) break;
      if (!count && this.#isKey(data)) this.#keyTimes.push(this.edge?.end ?? 0);
      count += 1;
      size += data.byteLength;
    }
    const parts = this.#queue.splice(0, count);
    this.#queuedBytes -= size;
    return count === 1 && parts[0] ? parts[0] : h5sJoin(parts, size);
  }

  /** @param {ArrayBuffer} data */
  #isKey(data) {
    if (!this.#track) this.#track = h5sTry(() => h5sVideoTrackId(data), 0);
    return this.#track !== 0 && h5sTry(() => h5sStartsWithKey(data, this.#track), false);
  }

  /** @param {number} time */
  #keyBefore(time) {
    let found = 0;
    for (const key of this.#keyTimes) if (key <= time) found = key;
    return found;
  }

  /** Have the media before a time removed. @param {number} time */
  #trimTo(time) {
    const start = this.#ranges()?.start(0) ?? 0;
    if (time - start < 0.5) return;
    this.#removeTo = time;
    this.#keyTimes = this.#keyTimes.filter((key) => key >= time);
  }

  /** @returns {TimeRanges | null} */
  #ranges() {
    if (!this.#buffer || this.#source?.readyState !== "open") return null;
    return this.#buffer.buffered;
  }
}

/**
 * @param {ArrayBuffer[]} parts
 * @param {number} size
 * @returns {ArrayBuffer}
 */
function h5sJoin(parts, size) {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole.buffer;
}

/** Tells a player when its page was hidden for long, and when it is seen again. */
class H5sPresence {
  #onAway;
  #onBack;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => void} onAway
   * @param {() => void} onBack
   */
  constructor(onAway, onBack) {
    this.#onAway = onAway;
    this.#onBack = onBack;
  }

  /** @param {AbortSignal} signal */
  watch(signal) {
    document.addEventListener("visibilitychange", () => this.#changed(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
    if (document.hidden) this.#changed();
  }

  #changed() {
    clearTimeout(this.#timer);
    if (document.hidden) this.#timer = setTimeout(this.#onAway, H5S_HIDDEN_MS);
    else this.#onBack();
  }
}

/** The state of a player, told to the page when it changes. */
class H5sStatus {
  /** @type {H5sState} */
  #state = "stopped";
  #onState;

  /** @param {H5sConf["onState"]} onState */
  constructor(onState) {
    this.#onState = onState;
  }

  get state() {
    return this.#state;
  }

  /**
   * @param {H5sState} state
   * @param {string} [reason]
   */
  set(state, reason = "") {
    if (state === this.#state && !reason) return;
    this.#state = state;
    this.#onState?.(state, reason);
  }
}

/**
 * Start an element; browsers refuse until a click when it is not silent.
 * @param {HTMLVideoElement} video
 * @param {() => void} onBlocked
 */
async function h5sPlay(video, onBlocked) {
  try {
    await video.play();
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
    if (video.muted) return onBlocked();
    video.muted = true;
    await h5sPlay(video, onBlocked);
  }
}

/**
 * Start an element for a player, by a click where the browser wants one.
 * @param {HTMLVideoElement} video
 * @param {H5sStatus} status
 * @param {AbortSignal | undefined} signal ends the waiting for a click
 */
function h5sStart(video, status, signal) {
  void h5sPlay(video, () => {
    if (!signal || signal.aborted) return;
    status.set("blocked", "click to play");
    const retry = () => h5sStart(video, status, signal);
    document.addEventListener("pointerdown", retry, { once: true, signal });
  });
}

/** @param {HTMLVideoElement} video @returns {{ shown: number, dropped: number }} */
function h5sFrames(video) {
  const quality = video.getVideoPlaybackQuality?.();
  if (!quality) return { shown: Math.round(video.currentTime * 1000), dropped: 0 };
  return {
    shown: quality.totalVideoFrames - quality.droppedVideoFrames,
    dropped: quality.droppedVideoFrames,
  };
}

/** Counts the pictures an element shows: the proof that a player plays. */
class H5sPictures {
  #video;
  #meter = new H5sMeter();
  #shown = 0;
  #since = Number.NaN;
  #movedAt = 0;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  /** Pictures shown so far. */
  get shown() {
    return this.#shown;
  }

  /** When the newest one came, or the count began. */
  get movedAt() {
    return this.#movedAt;
  }

  /** A connection begins: none of its pictures has been shown. @param {number} now */
  restart(now) {
    this.#since = Number.NaN;
    this.#movedAt = now;
  }

  /** Count anew: what the element has shown so far belongs to what was before. */
  clear() {
    this.#shown = h5sFrames(this.#video).shown;
    this.#meter.clear();
  }

  /** @param {number} now @returns {boolean} whether there are new ones */
  count(now) {
    const { shown } = h5sFrames(this.#video);
    const more = shown - this.#shown;
    this.#shown = shown;
    if (more <= 0) return false;
    this.#movedAt = now;
    this.#meter.add(now, more);
    if (Number.isNaN(this.#since)) this.#since = now;
    return true;
  }

  /** Nothing is to be seen now, for a good reason. @param {number} now */
  rest(now) {
    this.#movedAt = now;
  }

  /** Whether this connection has shown pictures for a while. @param {number} now */
  isHealthy(now) {
    return now - this.#since > H5S_HEALTHY_S;
  }

  /** @param {number} now */
  fps(now) {
    return this.#meter.rate(now);
  }
}

/** Brings a player back after a loss, later each time until it plays well. */
class H5sReturn {
  #backoff = new H5sBackoff();
  #act;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} act */
  constructor(act) {
    this.#act = act;
  }

  later() {
    this.cancel();
    this.#timer = setTimeout(this.#act, this.#backoff.nextMs());
  }

  cancel() {
    clearTimeout(this.#timer);
  }

  /** It plays well: the next wait is short again. */
  reset() {
    this.#backoff.reset();
  }
}

/**
 * What is to be seen of the past and where it stands, over however many connections. Pure; the clock
 * is the player's: seconds of media on this connection, which stand while the playback does.
 */
class H5sPlayback {
  static #MARKS = 8;

  #conf;
  #hasMediaTime;
  #speed = 1;
  #isStarted = false;
  #isPaused = false;
  #isEnded = false;
  #session = "";
  /** @type {{ message: object, timeMs: number } | null} asked for, and not yet seen to be done */
  #jump = null;
  /** @type {{ clock: number, timeMs: number, speed: number }[]} moments known, in order */
  #marks = [];

  /**
   * @param {H5sPbConf} conf
   * @param {boolean} hasMediaTime whether the clock is that of the server's media
   */
  constructor(conf, hasMediaTime) {
    this.#conf = conf;
    this.#hasMediaTime = hasMediaTime;
  }

  get isStarted() {
    return this.#isStarted;
  }

  get isPaused() {
    return this.#isPaused;
  }

  /** The server has nothing more. */
  get isEnded() {
    return this.#isEnded;
  }

  /** Whether media is to be expected. */
  get isFlowing() {
    return this.#isStarted && !this.#isPaused && !this.#isEnded;
  }

  get playbackRate() {
    return this.#speed;
  }

  /** Its name on the server, for PbSnapshot; "" until it is told. */
  get session() {
    return this.#session;
  }

  /** What the address of the socket says of it. @returns {Record<string, string>} */
  get query() {
    const { begintime, endtime, filename, serverpb } = this.#conf;
    return {
      playback: "true",
      serverpb: String(serverpb ?? false),
      begintime: begintime ?? "",
      endtime: endtime ?? "",
      filename: filename ?? "",
    };
  }

  /** What a new connection has to be told, in order. @returns {object[]} */
  get commands() {
    const told = [];
    if (this.#speed !== 1) told.push(H5sPlayback.#speedOf(this.#speed));
    if (this.#jump) told.push(this.#jump.message);
    if (this.#isStarted) told.push({ cmd: "H5_START" });
    if (this.#isPaused) told.push({ cmd: "H5_PAUSE" });
    return told;
  }

  start() {
    this.#isStarted = true;
    return { cmd: "H5_START" };
  }

  pause() {
    this.#isPaused = true;
    return { cmd: "H5_PAUSE" };
  }

  resume() {
    this.#isPaused = false;
    return { cmd: "H5_RESUME" };
  }

  /** @param {number} speed @param {number} clock where the newest media stands */
  setSpeed(speed, clock) {
    const timeMs = this.positionMs(clock);
    this.#speed = h5sClamp(Number(speed) || 1, H5S_SLOWEST, H5S_FASTEST);
    if (!this.#jump) this.#note(clock, timeMs);
    return H5sPlayback.#speedOf(this.#speed);
  }

  /** @param {number} seconds of time after the begin */
  seek(seconds) {
    const beginMs = Date.parse(this.#conf.begintime ?? "");
    return this.#jumpTo({ cmd: "H5_SEEK", nSeekTime: seconds }, beginMs + seconds * 1000);
  }

  /** @param {Date | number | string} time */
  moveTo(time) {
    const timeMs = new Date(time).getTime();
    return this.#jumpTo(H5sPlayback.#moveTo(timeMs), timeMs);
  }

  /**
   * Take what the server says of this playback.
   * @param {any} event
   * @param {number} clock where the newest media stands, unless the server says it
   * @returns {number | null} where a jump that was asked for lands on the clock
   */
  hear(event, clock) {
    if (event?.type === "H5S_EVENT_PB_SESSION") this.#session = String(event.strPbSession);
    if (event?.type !== "H5S_EVENT_PB_TIME") return null;
    const { strTime, strExactTime, nMediaTime, bEnd } = event.pbTime ?? {};
    const timeMs = Date.parse(strExactTime ?? strTime);
    if (Number.isNaN(timeMs)) return null;
    const at = this.#hasMediaTime && Number.isFinite(nMediaTime) ? nMediaTime : clock;
    const hasJumped = this.#jump !== null;
    this.#jump = null;
    this.#isEnded = bEnd === true;
    if (hasJumped) this.#marks = [];
    this.#note(at, timeMs);
    return hasJumped ? at : null;
  }

  /** The connection is gone: the next one goes on from here. @param {number} clock */
  leave(clock) {
    const timeMs = this.positionMs(clock);
    if (!this.#jump && !Number.isNaN(timeMs))
      this.#jump = { message: H5sPlayback.#moveTo(timeMs), timeMs };
    this.#marks = [];
    this.#session = "";
    this.#isEnded = false;
  }

  /** The moment shown at a time of the clock, in ms since 1970; NaN when it isn't known. @param {number} clock */
  positionMs(clock) {
    if (this.#jump) return this.#jump.timeMs;
    const mark = this.#marks.findLast((one) => one.clock <= clock) ?? this.#marks[0];
    return mark ? mark.timeMs + (clock - mark.clock) * mark.speed * 1000 : Number.NaN;
  }

  /**
   * @param {object} message
   * @param {number} timeMs
   */
  #jumpTo(message, timeMs) {
    this.#jump = { message, timeMs };
    this.#isEnded = false;
    return message;
  }

  /**
   * @param {number} clock
   * @param {number} timeMs
   */
  #note(clock, timeMs) {
    if (Number.isNaN(timeMs)) return;
    this.#marks = this.#marks.filter((one) => one.clock < clock).slice(1 - H5sPlayback.#MARKS);
    this.#marks.push({ clock, timeMs, speed: this.#speed });
  }

  /** @param {number} timeMs */
  static #moveTo(timeMs) {
    return { cmd: "H5_MOVETO", strMovetoTime: new Date(timeMs).toISOString() };
  }

  /** @param {number} speed */
  static #speedOf(speed) {
    return { cmd: "H5_SPEED", nSpeed: String(speed) };
  }
}

/**
 * What the players over a WebSocket have in common: one connection after the other, until
 * disconnect(). It is given back while nobody looks and comes back by itself after any loss: live at
 * the live edge, a playback where it was, paused if it was. The players say what the socket carries.
 */
class H5sSocketPlayer {
  /** @protected */ _conf;
  /** @protected */ _place;
  /** @protected */ _status;
  /** @protected */ _pictures;
  /** @protected */ _bytes = new H5sMeter();
  /** @protected @type {H5sPlayback | null} null when it plays live */ _playback;
  #presence;
  #return = new H5sReturn(() => this.#open());
  #isConnected = false;
  /** @type {AbortController | null} listeners of one connect() */
  #listening = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker;
  #toldAt = 0;
  #pausedSince = Number.NaN;
  #reconnects = 0;

  /** @param {H5sConf} conf */
  constructor(conf) {
    this._conf = conf;
    this._place = h5sResolve(conf);
    this._status = new H5sStatus(conf.onState);
    this._pictures = new H5sPictures(this._place.video);
    this._playback = conf.pbconf ? new H5sPlayback(conf.pbconf, this._hasMediaTime) : null;
    this.#presence = new H5sPresence(
      () => this.#suspend("hidden"),
      () => this.#seen(),
    );
  }

  /** @returns {H5sState} */
  get state() {
    return this._status.state;
  }

  get video() {
    return this._place.video;
  }

  /** Of a playback: when the picture that is shown was taken, null while that isn't known. */
  get position() {
    const timeMs = this._playback?.positionMs(this._clock) ?? Number.NaN;
    return Number.isNaN(timeMs) ? null : new Date(timeMs);
  }

  /** Of a playback: whether it was paused, by pause() or by the element's own controls. */
  get isPaused() {
    return this._playback?.isPaused ?? false;
  }

  /** Of a playback: its name on the server, for PbSnapshot; "" until it is known. */
  get pbSession() {
    return this._playback?.session ?? "";
  }

  /** Start playing; a playback then waits for start(). Does nothing while connected. */
  connect() {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#return.reset();
    h5sPrepareVideo(this.video);
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.video.addEventListener("play", () => this.#resumed(), { signal });
    this._listen(signal);
    this.#presence.watch(signal);
    this.#open();
  }

  /** Stop playing and free everything. Safe to call twice; connect() starts again. */
  disconnect() {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#listening?.abort();
    this.#listening = null;
    this.#return.cancel();
    this.#close();
    this._detach();
    this._status.set("stopped");
  }

  /** Play a playback from its begin; nothing is shown before. The commands do nothing when live. */
  start() {
    if (this._playback) this._send(this._playback.start());
  }

  /** Stand still at the picture that is shown. */
  pause() {
    if (!this._playback) return;
    this._send(this._playback.pause());
    this._stand();
  }

  /** pause(), as the manual spells it. */
  pasue() {
    this.pause();
  }

  /** Go on after pause(). */
  resume() {
    if (!this._playback) return;
    if (this._playback.isPaused) this._send(this._playback.resume());
    if (this.video.paused && this.state !== "suspended") this._play();
  }

  /** @param {number} speed 0.5 to 16 times as fast */
  speed(speed) {
    if (this._playback) this._send(this._playback.setSpeed(speed, this._newest));
  }

  /** @param {number} seconds of time after begintime, or after the begin of the file */
  seek(seconds) {
    if (this._playback) this._send(this._playback.seek(seconds));
  }

  /** Ours: go to a moment. @param {Date | number | string} time as the class Date takes it */
  moveTo(time) {
    if (this._playback) this._send(this._playback.moveTo(time));
  }

  /** Times it came back after a loss. @protected */
  get _reconnects() {
    return this.#reconnects;
  }

  /** @protected @param {object} message */
  _send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Hand the server's event to the page, and to the playback. @protected @param {string} text */
  _heard(text) {
    const { callback, userdata, pbconf } = this._conf;
    const landing = this._playback?.hear(h5sParse(text), this._newest) ?? null;
    if (landing !== null) this._landed(landing);
    if (this._playback?.isEnded) this._status.set("ended");
    callback?.(text, userdata);
    pbconf?.callback?.(text, pbconf.userdata);
  }

  /** @protected */
  _play() {
    h5sStart(this.video, this._status, this.#listening?.signal);
  }

  /** Pictures were shown: the proof that it plays. @protected @param {number} now */
  _shown(now) {
    if (this._pictures.isHealthy(now)) this.#return.reset();
    this._status.set(this._playback?.isEnded ? "ended" : "playing");
  }

  /** The element is paused. @protected @param {number} now */
  _paused(now) {
    if (Number.isNaN(this.#pausedSince)) this.#pausedSince = now;
    if (document.hidden) return; // browsers pause what nobody sees
    if (this._playback?.isPaused === false)
      this.pause(); // by a person, who may take long
    else if (!this._playback && now - this.#pausedSince > H5S_PAUSED_S) this.#suspend("paused");
  }

  /** The element is not paused. @protected */
  _unpaused() {
    this.#pausedSince = Number.NaN;
  }

  /** Whatever went wrong: come back later. The last picture stays. @protected @param {string} reason */
  _lost(reason) {
    if (!this.#socket) return; // already waiting, suspended or stopped
    this.#close();
    this.#reconnects += 1;
    this._status.set("waiting", reason);
    this.#return.later();
  }

  #open() {
    this.#return.cancel();
    this.#close();
    this._status.set("connecting");
    this._prepare();
    const { call, parameters } = this._request;
    const all = { ...parameters, ...this._playback?.query, session: this._place.session };
    const socket = new WebSocket(h5sSocketUrl(this._place.ws, call, all));
    socket.binaryType = "arraybuffer"; // Blobs would be read out of order (Firefox)
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this._received(event.data);
    socket.onclose = (event) => this.#gone(event);
    this.#socket = socket;
    this.#ticker = setInterval(() => this.#tick(), H5S_TICK_MS);
  }

  /** A playback that can't be is not asked for again. @param {CloseEvent} event */
  #gone({ code, reason }) {
    if (!this._playback || code !== H5S_REFUSED) return this._lost(reason || "connection closed");
    this.disconnect();
    this._status.set("stopped", reason);
  }

  #opened() {
    this._opened();
    for (const command of this._playback?.commands ?? []) this._send(command);
  }

  #tick() {
    const now = h5sNow();
    if (now - this.#toldAt >= H5S_KEEPALIVE_MS / 1000) {
      this.#toldAt = now;
      this._send(this._keepalive);
    }
    this._tick(now);
  }

  /** The element started, perhaps by a person after a pause. */
  #resumed() {
    if (this.video.paused) return; // paused again before a busy browser said so
    if (this.state === "suspended") {
      this._playback?.resume();
      this._rejoin(); // the old picture stands until the new one comes
      this.#open();
    } else if (this._playback) this.resume();
    else if (!Number.isNaN(this.#pausedSince)) this._rejoin();
  }

  /** The page is visible again. */
  #seen() {
    if (this.state === "suspended") return this.#open();
    if (this._rejoin() && !this.isPaused) this._play();
  }

  /** Give the connection back while nobody looks. @param {string} reason */
  #suspend(reason) {
    if (!this.#isConnected || this.state === "suspended") return;
    this.#return.cancel();
    this.#close();
    this._status.set("suspended", reason);
  }

  /** End the connection; the element keeps its picture. */
  #close() {
    clearInterval(this.#ticker);
    this.#pausedSince = Number.NaN;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) this._playback?.leave(this._clock);
    this._closed();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  // What follows is the players' to say; here stands what most need.

  /** The call that opens the socket, and its parameters. @protected */
  get _request() {
    return { call: "", parameters: /** @type {Record<string, string>} */ ({}) };
  }

  /** What is sent each second. @protected @returns {object} */
  get _keepalive() {
    return {};
  }

  /** Seconds of media on this connection, at the picture that is shown. @protected */
  get _clock() {
    return 0;
  }

  /** Whether that is the time the server gives its media. @protected */
  get _hasMediaTime() {
    return false;
  }

  /** The clock at the newest media. @protected */
  get _newest() {
    return this._clock;
  }

  /** Listen to the element until the signal. @protected @param {AbortSignal} _signal */
  _listen(_signal) {}

  /** A connection is to be opened. @protected */
  _prepare() {}

  /** It stands. @protected */
  _opened() {}

  /** A message came. @protected @param {any} _data */
  _received(_data) {}

  /** A tenth of a second has passed. @protected @param {number} _now */
  _tick(_now) {}

  /** The element plays again after a while, if there is something to play. @protected @returns {boolean} whether there is */
  _rejoin() {
    return true;
  }

  /** A playback stands still. @protected */
  _stand() {}

  /** Where a jump of a playback landed. @protected @param {number} _at on the clock */
  _landed(_at) {}

  /** The connection has ended; the element keeps its picture. @protected */
  _closed() {}

  /** The element is to be given back. @protected */
  _detach() {}
}

/**
 * Plays one source over WebSocket and Media Source Extensions, close to live, or a playback, until
 * disconnect().
 */
class H5sPlayerWS extends H5sSocketPlayer {
  #follower;
  #refusedHevc = false;
  /** @type {H5sBuffer | null} */
  #buffer = null;
  #mime = ""; // as announced on this socket
  #heardAt = 0;
  #end = 0;
  #isJoined = false;
  #readyAt = Number.NaN;
  /** @type {{ at: number, mediaTime: number } | null} */
  #live = null;

  /** @param {H5sConf} conf */
  constructor(conf) {
    super(conf);
    const range = () => this.#buffer?.edge ?? null;
    this.#follower = conf.pbconf
      ? new H5sSteady(this.video, range)
      : new H5sFollower(this.video, range, conf.targetLatency);
  }

  /** Whether this browser can play so at all. */
  static get isSupported() {
    return H5sBuffer.api !== undefined && "WebSocket" in globalThis;
  }

  /** @returns {H5sStats} figures of this moment */
  stats() {
    const now = h5sNow();
    return {
      state: this.state,
      fps: this._pictures.fps(now),
      bitrateKbps: (this._bytes.rate(now) * 8) / 1000,
      lagS: Math.max(0, this._newest - this.video.currentTime),
      behindLiveS: this.#behindLive(now),
      targetS: this.#follower.target,
      droppedFrames: h5sFrames(this.video).dropped,
      reconnects: this._reconnects,
      stalls: this.#follower.stalls,
      mime: this.#buffer?.mime ?? "",
    };
  }

  /** @protected @override */
  get _request() {
    const profile = this._conf.profile ?? "";
    const { token } = this._place;
    return { call: "h5swsapi", parameters: { token, profile, hevc: String(this.#wantsHevc()) } };
  }

  /** @protected @override */
  get _keepalive() {
    return { cmd: "H5_KEEPALIVE" };
  }

  /** @protected @override */
  get _clock() {
    return this.video.currentTime;
  }

  /** @protected @override */
  get _hasMediaTime() {
    return true;
  }

  /** @protected @override */
  get _newest() {
    return this.#buffer?.edge?.end ?? 0;
  }

  /** @protected @override @param {AbortSignal} signal */
  _listen(signal) {
    this.video.addEventListener("waiting", () => this.#ranDry(), { signal });
    this.video.addEventListener("playing", () => this.#follower.flows(), { signal });
    this.video.addEventListener("error", () => this.#elementFailed(), { signal });
  }

  /** @protected @override */
  _prepare() {
    this.#heardAt = h5sNow();
  }

  /** One message; the browser calls this in order. @protected @override @param {ArrayBuffer | string} data */
  _received(data) {
    this.#heardAt = h5sNow();
    if (typeof data === "string") return this._heard(data);
    const mime = h5sMimeOf(data);
    if (mime) return this.#announced(mime);
    this._bytes.add(this.#heardAt, data.byteLength);
    this.#buffer?.push(data);
  }

  /** A text event of the server. @protected @override @param {string} text */
  _heard(text) {
    const event = h5sParse(text);
    if (event?.type === "H5S_EVENT_LIVE_TIME" && Number.isFinite(event.liveTime?.nMediaTime))
      this.#live = { at: h5sNow(), mediaTime: event.liveTime.nMediaTime };
    super._heard(text);
  }

  /** @protected @override @param {number} now */
  _tick(now) {
    const isSilenceFine = this._playback?.isFlowing === false && this.#mime;
    if (isSilenceFine) this.#heardAt = now;
    if (now - this.#heardAt > H5S_SILENCE_S) return this._lost("no media for 10 s");
    if (!this.#mime || !this.#buffer) return; // what is buffered came over a socket that is gone
    if (!this.#isJoined) return this.#awaitStart();
    if (this._pictures.count(now)) this._shown(now);
    if (this.video.paused) return this._paused(now);
    this._unpaused();
    if (!document.hidden && !this.#follower.follow(now, this._pictures.shown))
      return this._lost("the picture stands still");
    this.#buffer?.trim(this.video.currentTime);
  }

  /** @protected @override */
  _rejoin() {
    this.#follower.jump();
    return this.#isJoined;
  }

  /** What is buffered is not to be shown before resume(). @protected @override */
  _stand() {
    this.video.pause();
  }

  /** @protected @override @param {number} at */
  _landed(at) {
    if (this.#follower instanceof H5sSteady) this.#follower.skipTo(at);
  }

  /** @protected @override */
  _closed() {
    this.#live = null;
    this.#mime = "";
    this.#isJoined = false;
    this.#readyAt = Number.NaN;
    this.#follower.forgetDry();
    this._pictures.restart(h5sNow());
  }

  /** @protected @override */
  _detach() {
    this.#closeBuffer();
    this.video.removeAttribute("src");
    this.video.load();
  }

  #wantsHevc() {
    if (this.#refusedHevc) return false;
    const wish = String(this._conf.hevc ?? "auto");
    return wish === "auto"
      ? (H5sBuffer.api?.isTypeSupported(H5S_HEVC_TYPE) ?? false)
      : wish === "true";
  }

  /** The kind of media to come. @param {string} mime */
  #announced(mime) {
    if (this.#mime === mime) return;
    if (this.#mime) return this._lost("the format of the video changed");
    this.#mime = mime;
    this.#closeBuffer();
    const buffer = new H5sBuffer(
      this.video,
      mime,
      () => this.#appended(),
      (reason) => this._lost(reason),
    );
    this.#buffer = buffer;
    try {
      buffer.open();
    } catch (error) {
      this.#refusedHevc = true;
      this._lost(error instanceof Error ? error.message : String(error));
    }
  }

  #appended() {
    const edge = this.#buffer?.edge;
    if (!this.#mime || !edge || edge.end <= this.#end) return;
    this.#end = edge.end;
    this.#follower.grew(h5sNow());
    if (!this.#isJoined) this.#join(edge.end - edge.start);
  }

  /**
   * Start once there is as much as is to be kept, or none more came for a while: the first picture
   * shows before that, and playing does not stumble.
   * @param {number} ready seconds of media
   */
  #join(ready) {
    const now = h5sNow();
    if (Number.isNaN(this.#readyAt)) this.#readyAt = now;
    if (ready < this.#follower.target && now - this.#readyAt < H5S_START_S) return;
    this.#isJoined = true;
    this.#follower.start(now, ready);
    if (!this._playback?.isPaused) this._play();
  }

  /** A source of few pictures a second gets no second one for long. */
  #awaitStart() {
    const edge = this.#buffer?.edge;
    if (edge) this.#join(edge.end - edge.start);
  }

  #ranDry() {
    if (this.#isJoined) this.#follower.ranDry();
  }

  #elementFailed() {
    if (this.#buffer) this._lost(this.video.error?.message || "the browser cannot decode this");
  }

  #closeBuffer() {
    this.#buffer?.close();
    this.#buffer = null;
    this.#end = 0;
    this.#follower.reset();
    this._pictures.clear();
  }

  /** @param {number} now */
  #behindLive(now) {
    if (!this.#live || !this.#isJoined) return null;
    return Math.max(0, this.#live.mediaTime + now - this.#live.at - this.video.currentTime);
  }
}

/**
 * One peer connection to a server that offers. Steps of signalling run one after another, so that no
 * candidate overtakes the description it belongs to. Owned by a player; lives from one connection to
 * the next.
 */
class H5sPeer {
  #send;
  #onConnected;
  #onLost;
  #delayS;
  /** @type {RTCConfiguration} */
  #config = {};
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {RTCIceCandidateInit[]} candidates that came before the offer */
  #early = [];
  #steps = Promise.resolve();
  #isClosed = false;

  /**
   * @param {(message: object) => void} send
   * @param {(stream: MediaStream) => void} onConnected
   * @param {(reason: string) => void} onLost
   * @param {number} delayS how long the browser may hold pictures to smooth their arrival
   */
  constructor(send, onConnected, onLost, delayS) {
    this.#send = send;
    this.#onConnected = onConnected;
    this.#onLost = onLost;
    this.#delayS = delayS;
  }

  /** The servers to find a way with; the offer comes after them. @param {RTCConfiguration} config */
  configure({ iceServers = [], iceTransportPolicy = "all" }) {
    this.#config = { iceServers, iceTransportPolicy };
  }

  /** Answer the server's offer as the browser can. @param {string} sdp */
  answer(sdp) {
    this.#next(async () => {
      const peer = (this.#peer ??= this.#make());
      await peer.setRemoteDescription({ type: "offer", sdp });
      const answer = await peer.createAnswer();
      await peer.setLocalDescription(answer);
      if (/^m=video 0 /m.test(answer.sdp ?? "")) throw new Error("cannot play this over WebRTC");
      for (const receiver of peer.getReceivers()) h5sHasten(receiver, this.#delayS);
      this.#send({ type: "answer", sdp: answer.sdp });
      for (const candidate of this.#early.splice(0)) await h5sAddCandidate(peer, candidate);
    });
  }

  /** A candidate of the server's. @param {RTCIceCandidateInit} candidate */
  add({ candidate, sdpMid, sdpMLineIndex }) {
    const init = { candidate, sdpMid, sdpMLineIndex };
    this.#next(async () => {
      if (this.#peer) await h5sAddCandidate(this.#peer, init);
      else this.#early.push(init);
    });
  }

  /** @returns {Promise<RTCStatsReport> | undefined} */
  getStats() {
    return this.#peer?.getStats();
  }

  /** Let go of everything. Safe to call twice. */
  close() {
    this.#isClosed = true;
    const peer = this.#peer;
    this.#peer = null;
    if (!peer) return;
    peer.onicecandidate = peer.onconnectionstatechange = null;
    peer.close();
  }

  #make() {
    const peer = new RTCPeerConnection(this.#config);
    peer.onicecandidate = ({ candidate }) => {
      if (candidate) this.#next(() => this.#tell(candidate));
    };
    peer.onconnectionstatechange = () => this.#changed(peer);
    return peer;
  }

  /** @param {RTCIceCandidate} candidate */
  async #tell({ candidate, sdpMid, sdpMLineIndex }) {
    this.#send({ type: "remoteice", candidate, sdpMid, sdpMLineIndex });
  }

  /** @param {RTCPeerConnection} peer */
  #changed(peer) {
    if (peer.connectionState === "failed") this.#onLost("no way to the server for media");
    if (peer.connectionState === "connected")
      this.#onConnected(new MediaStream(peer.getReceivers().map(({ track }) => track)));
  }

  /** Do a step after those before it. @param {() => Promise<void>} step */
  #next(step) {
    this.#steps = this.#steps
      .then(() => (this.#isClosed ? undefined : step()))
      .catch((error) => {
        if (!this.#isClosed) this.#onLost(error instanceof Error ? error.message : String(error));
      });
  }
}

/**
 * Hold pictures no longer than asked, where the browser can be told.
 * @param {RTCRtpReceiver} receiver
 * @param {number} seconds
 */
function h5sHasten(receiver, seconds) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = seconds * 1000;
  else if ("playoutDelayHint" in receiver) Reflect.set(receiver, "playoutDelayHint", seconds);
}

/**
 * @param {RTCPeerConnection} peer
 * @param {RTCIceCandidateInit} candidate
 */
async function h5sAddCandidate(peer, candidate) {
  await peer.addIceCandidate(candidate).catch(() => undefined); // a kind unknown here is no loss
}

/** What getStats() tells of the video received, sample by sample. */
class H5sRtcFigures {
  lagS = 0;
  dropped = 0;
  lost = 0;
  freezes = 0;
  mime = "";
  /** @type {number | null} */
  roundTripMs = null;
  #last = { bytes: 0, held: 0, emitted: 0, decoding: 0, decoded: 0 };

  /** @param {RTCStatsReport} report @returns {number} bytes received since the sample before */
  take(report) {
    const entries = [...report.values()];
    const pair = entries.find((entry) => entry.type === "candidate-pair" && entry.nominated);
    const trip = pair?.currentRoundTripTime;
    this.roundTripMs = Number.isFinite(trip) ? trip * 1000 : null;
    const video = entries.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    if (!video) return 0;
    this.dropped = video.framesDropped ?? 0;
    this.lost = Math.max(0, video.packetsLost ?? 0);
    this.freezes = video.freezeCount ?? 0;
    this.mime = report.get(video.codecId)?.mimeType ?? "";
    return this.#advance(video);
  }

  /** @param {any} video sums since the connection began @returns {number} new bytes */
  #advance(video) {
    const last = this.#last;
    const now = {
      bytes: video.bytesReceived ?? 0,
      held: video.jitterBufferDelay ?? 0,
      emitted: video.jitterBufferEmittedCount ?? 0,
      decoding: video.totalDecodeTime ?? 0,
      decoded: video.framesDecoded ?? 0,
    };
    this.#last = now;
    const [emitted, decoded] = [now.emitted - last.emitted, now.decoded - last.decoded];
    if (emitted > 0 && decoded > 0)
      this.lagS = (now.held - last.held) / emitted + (now.decoding - last.decoding) / decoded;
    return now.bytes - last.bytes;
  }
}

/**
 * Plays one source over WebRTC, as close to live as the network is, or a playback, until disconnect().
 */
class H5sPlayerRTC extends H5sSocketPlayer {
  #figures = new H5sRtcFigures();
  #delayS;
  /** @type {H5sPeer | null} */
  #peer = null;
  #isAttached = false; // the element has the media of this connection
  #played = 0; // seconds; a stream's own time tells nothing
  #tickedAt = 0;
  #sampledAt = 0;

  /** @param {H5sConf} conf */
  constructor(conf) {
    super(conf);
    this.#delayS = h5sClamp(conf.targetLatency ?? 0, 0, 4); // browsers take no more
  }

  /** Whether this browser can play so at all. */
  static get isSupported() {
    return "RTCPeerConnection" in globalThis && "WebSocket" in globalThis;
  }

  /** @returns {H5sStats} figures of this moment */
  stats() {
    const now = h5sNow();
    const { lagS, dropped, lost, freezes, mime, roundTripMs } = this.#figures;
    return {
      state: this.state,
      fps: this._pictures.fps(now),
      bitrateKbps: (this._bytes.rate(now) * 8) / 1000,
      lagS,
      behindLiveS: this._playback || roundTripMs === null ? null : lagS + roundTripMs / 2000,
      targetS: this.#delayS,
      droppedFrames: dropped,
      reconnects: this._reconnects,
      stalls: freezes,
      mime,
      packetsLost: lost,
      roundTripMs,
    };
  }

  /** @protected @override */
  get _request() {
    const { profile = "", audio } = this._conf;
    const parameters = {
      token: this._place.token,
      profile,
      audio: audio === false ? "false" : "",
    };
    return { call: "h5srtcapi", parameters };
  }

  /** @protected @override */
  get _keepalive() {
    return { type: "keepalive" };
  }

  /** @protected @override */
  get _clock() {
    return this.#played;
  }

  /** @protected @override */
  _prepare() {
    this._pictures.clear();
    this._bytes.clear();
    this.#figures = new H5sRtcFigures();
    this.#played = 0;
    this.#tickedAt = h5sNow();
    this.#peer = new H5sPeer(
      (message) => this._send(message),
      (stream) => this.#attach(stream),
      (reason) => this._lost(reason),
      this.#delayS,
    );
  }

  /** @protected @override */
  _opened() {
    this._send({ type: "open" });
  }

  /** @protected @override @param {string} text */
  _received(text) {
    if (!this.#signalled(h5sParse(text))) this._heard(text);
  }

  /** @protected @override @param {number} now */
  _tick(now) {
    if (now - this.#sampledAt >= 1) void this.#sample(now);
    const isStanding = this._playback?.isFlowing === false;
    if (!isStanding) this.#played += now - this.#tickedAt;
    this.#tickedAt = now;
    if (this._pictures.count(now)) return this.#moved(now);
    if (!this.#isAttached || !this.video.paused) this._unpaused();
    else if (this.video.ended) return this._lost("the server ended the media");
    else {
      this._pictures.rest(now);
      return this._paused(now);
    }
    if (document.hidden || (isStanding && this.#isAttached)) this._pictures.rest(now);
    if (now - this._pictures.movedAt > H5S_SILENCE_S) this._lost("no picture for 10 s");
  }

  /** @protected @override */
  _rejoin() {
    return this.#isAttached;
  }

  /** @protected @override */
  _closed() {
    this.#isAttached = false;
    this.#peer?.close();
    this.#peer = null;
    this._pictures.restart(h5sNow());
  }

  /** @protected @override */
  _detach() {
    this.video.srcObject = null;
  }

  /** @param {any} message @returns {boolean} whether it was signalling */
  #signalled(message) {
    switch (message?.type) {
      case "iceserver":
        this.#peer?.configure(message);
        return true;
      case "offer":
        this.#peer?.answer(message.sdp);
        return true;
      case "remoteice":
        this.#peer?.add(message);
        return true;
      case "error": // of a playback the close that follows tells whether to try again
        if (!this._playback) this._lost(String(message.reason));
        return true;
      default:
        return false;
    }
  }

  /** The media can flow: only now does the last picture go. @param {MediaStream} stream */
  #attach(stream) {
    this.video.srcObject = stream;
    this.#isAttached = true;
    this._play();
  }

  /** @param {number} now */
  async #sample(now) {
    this.#sampledAt = now;
    const figures = this.#figures;
    const report = await this.#peer?.getStats()?.catch(() => null); // it may have just ended
    if (report && figures === this.#figures) this._bytes.add(h5sNow(), figures.take(report));
  }

  /** @param {number} now */
  #moved(now) {
    if (this.#isAttached) this._shown(now);
  }
}

/** A WebSocket held open by a message each second: it tells the server that HLS is being watched. */
class H5sKeepSocket {
  #url;
  #message;
  #backoff = new H5sBackoff();
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} url
   * @param {string} message
   */
  constructor(url, message) {
    this.#url = url;
    this.#message = message;
  }

  open() {
    this.close();
    const socket = new WebSocket(this.#url);
    socket.onopen = () => this.#tell();
    socket.onclose = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.open(), this.#backoff.nextMs());
    };
    this.#socket = socket;
  }

  /** Safe to call twice. */
  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onclose = null;
    socket.close();
  }

  #tell() {
    this.#backoff.reset();
    this.#socket?.send(this.#message);
    this.#timer = setTimeout(() => this.#tell(), H5S_KEEPALIVE_MS);
  }
}

/**
 * The newest stretch of an element's media.
 * @param {TimeRanges} ranges
 */
function h5sNewestRange(ranges) {
  const count = ranges.length;
  if (!count) return null;
  return { start: ranges.start(count - 1), end: ranges.end(count - 1), isAll: count === 1 };
}

/** @returns {typeof import("hls.js").default | undefined} hls.js, when the page loaded it */
function h5sHlsJs() {
  return /** @type {{ Hls?: typeof import("hls.js").default }} */ (globalThis).Hls;
}

/**
 * Plays one source over HLS, by hls.js where the page loaded it, else by the browser itself, until
 * disconnect(). It comes back by itself after any loss.
 */
class H5sPlayerHls {
  static #EDGE = {
    v1: {
      liveSyncDurationCount: 2,
      liveMaxLatencyDurationCount: 5,
      maxLiveSyncPlaybackRate: 1.1,
    },
    // hls.js stays 1.2 s behind: it speeds up only while more than a second is buffered
    v2: { lowLatencyMode: true, maxLiveSyncPlaybackRate: 1 },
  };
  static #STILL_S = 12; // longer than a playlist that the server holds
  static #MEDIA_RETRY_S = 5;

  #place;
  /** @type {"v1" | "v2"} */
  #version;
  #status;
  #presence;
  #keep;
  #backoff = new H5sBackoff();
  #pictures = new H5sMeter();
  #bytes = new H5sMeter();
  #isConnected = false;
  /** @type {AbortController | null} listeners of one connect() */
  #listening = null;
  /** @type {import("hls.js").default | null} */
  #hls = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #follower;
  #shown = 0;
  #movedAt = 0;
  #mendedAt = -Infinity;
  #reconnects = 0;
  #stalls = 0;

  /** @param {H5sConf} conf */
  constructor(conf) {
    this.#place = h5sResolve(conf);
    this.#version = conf.hlsver === "v2" ? "v2" : "v1";
    this.#status = new H5sStatus(conf.onState);
    const { token, session, ws, video } = this.#place;
    const range = () => h5sNewestRange(video.buffered);
    this.#follower = new H5sFollower(video, range, conf.targetLatency);
    this.#keep = new H5sKeepSocket(
      h5sSocketUrl(ws, "h5swscmnapi", { token, session }),
      '{"type":"keepalive"}',
    );
    this.#presence = new H5sPresence(
      () => this.#suspend(),
      () => this.#seen(),
    );
  }

  /** Whether this browser can play so at all. */
  static get isSupported() {
    const native = document.createElement("video").canPlayType("application/vnd.apple.mpegurl");
    return (h5sHlsJs()?.isSupported() ?? false) || native !== "";
  }

  /** @returns {H5sState} */
  get state() {
    return this.#status.state;
  }

  get video() {
    return this.#place.video;
  }

  /** Start playing. Does nothing while connected. */
  connect() {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#backoff.reset();
    h5sPrepareVideo(this.video);
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.video.addEventListener("error", () => this.#elementFailed(), { signal });
    this.video.addEventListener("waiting", () => this.#follower.ranDry(), { signal });
    this.video.addEventListener("playing", () => this.#follower.flows(), { signal });
    this.#presence.watch(signal);
    this.#ticker = setInterval(() => this.#tick(), H5S_TICK_MS);
    this.#open();
  }

  /** Stop playing and free everything. Safe to call twice; connect() starts again. */
  disconnect() {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#listening?.abort();
    this.#listening = null;
    clearInterval(this.#ticker);
    this.#keep.close();
    this.#detach();
    this.#status.set("stopped");
  }

  /** @returns {H5sStats} figures of this moment */
  stats() {
    const now = h5sNow();
    const live = this.#hls?.latency ?? 0;
    return {
      state: this.state,
      fps: this.#pictures.rate(now),
      bitrateKbps: (this.#bytes.rate(now) * 8) / 1000,
      lagS: this.#bufferedAhead(),
      behindLiveS: live > 0 ? live : null,
      targetS: this.#isAtEdge ? this.#follower.target : (this.#hls?.targetLatency ?? 0),
      droppedFrames: h5sFrames(this.video).dropped,
      reconnects: this.#reconnects,
      stalls: this.#stalls + this.#follower.stalls,
      mime: "",
    };
  }

  /** Whether parts come: then this player holds the edge itself, closer than hls.js would. */
  get #isAtEdge() {
    return this.#version === "v2" && this.#hls !== null;
  }

  get #url() {
    const token = encodeURIComponent(this.#place.token);
    return `${this.#place.http}/hls/${this.#version}/${token}/hls.m3u8`;
  }

  #open() {
    this.#detach();
    this.#status.set("connecting");
    this.#keep.open();
    this.#movedAt = h5sNow();
    const Hls = h5sHlsJs();
    if (Hls?.isSupported()) this.#attach(Hls);
    else this.video.src = this.#url;
    this.#play();
  }

  /** @param {typeof import("hls.js").default} Hls */
  #attach(Hls) {
    const hls = new Hls(this.#config());
    hls.on(Hls.Events.ERROR, (_event, data) => this.#failed(Hls, data));
    hls.on(Hls.Events.FRAG_LOADED, (_event, data) =>
      this.#bytes.add(h5sNow(), data.frag.stats.total),
    );
    hls.on(Hls.Events.BUFFER_APPENDED, () => this.#follower.grew(h5sNow()));
    hls.loadSource(this.#url);
    hls.attachMedia(this.video);
    this.#hls = hls;
  }

  /** @returns {Partial<import("hls.js").HlsConfig>} near the live edge, little kept behind */
  #config() {
    const { session, http } = this.#place;
    const isOwn = http === location.origin;
    return {
      ...H5sPlayerHls.#EDGE[this.#version],
      backBufferLength: 10,
      maxBufferLength: 15,
      enableWorker: isOwn,
      // a file of our own, so that the page's policy need not allow workers made of blobs
      workerPath: isOwn ? `${http}/vendor/hls.js/hls.worker.js` : null,
      xhrSetup: (request) => {
        if (session) request.setRequestHeader("Authorization", `token ${session}`);
      },
    };
  }

  /**
   * @param {typeof import("hls.js").default} Hls
   * @param {import("hls.js").ErrorData} data
   */
  #failed(Hls, data) {
    if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR) this.#stalls += 1;
    if (!data.fatal || !this.#hls) return;
    const now = h5sNow();
    const isFresh = now - this.#mendedAt > H5sPlayerHls.#MEDIA_RETRY_S;
    this.#mendedAt = now;
    if (isFresh && data.type === Hls.ErrorTypes.MEDIA_ERROR) this.#hls.recoverMediaError();
    else if (isFresh && data.type === Hls.ErrorTypes.NETWORK_ERROR && this.#hls.latestLevelDetails)
      this.#hls.startLoad();
    else this.#lost(data.error.message);
  }

  /** Without hls.js the element itself says what failed. */
  #elementFailed() {
    if (!this.#hls) this.#lost(this.video.error?.message || "the browser cannot play this");
  }

  #play() {
    h5sStart(this.video, this.#status, this.#listening?.signal);
  }

  #tick() {
    const now = h5sNow();
    const { shown } = h5sFrames(this.video);
    const more = shown - this.#shown;
    this.#shown = shown;
    const isIdle = this.state === "waiting" || this.state === "suspended";
    if (more > 0 && !isIdle) this.#moved(now, more);
    else if (isIdle || this.video.paused || document.hidden) this.#movedAt = now;
    if (this.#isAtEdge && this.state === "playing" && !this.video.paused && !document.hidden)
      this.#follow(now);
    if (now - this.#movedAt > H5sPlayerHls.#STILL_S) this.#lost("the picture stands still");
  }

  /**
   * @param {number} now
   * @param {number} more
   */
  #moved(now, more) {
    this.#movedAt = now;
    this.#pictures.add(now, more);
    if (this.state === "playing") this.#backoff.reset();
    else this.#follower.start(now, this.#isAtEdge ? this.#bufferedAhead() : 0);
    this.#status.set("playing");
  }

  /** Hold the edge of what is buffered, and have that follow the edge of the playlist. @param {number} now */
  #follow(now) {
    if (this.#catchUp()) return;
    if (!this.#follower.follow(now, this.#shown)) this.#lost("the picture stands still");
  }

  /** Go to where the playlist ends when that is far. @returns {boolean} whether it was */
  #catchUp() {
    const edge = this.#hls?.liveSyncPosition ?? 0;
    const isFar = edge - this.video.currentTime > 3;
    if (isFar) this.video.currentTime = edge;
    return isFar;
  }

  #seen() {
    if (this.state === "suspended") return this.#open();
    if (!this.#catchUp() && this.#isAtEdge) this.#follower.jump();
    this.#play();
  }

  /** Give the connection back while nobody looks. */
  #suspend() {
    if (!this.#isConnected) return;
    this.#keep.close();
    this.#detach();
    this.#status.set("suspended", "hidden");
  }

  /** Whatever went wrong: build all anew, later. @param {string} reason */
  #lost(reason) {
    if (!this.#isConnected || this.state === "waiting" || this.state === "suspended") return;
    this.#reconnects += 1;
    this.#hls?.stopLoad();
    this.#status.set("waiting", reason);
    this.#retry = setTimeout(() => this.#open(), this.#backoff.nextMs());
  }

  #detach() {
    clearTimeout(this.#retry);
    const hls = this.#hls;
    this.#hls = null;
    hls?.destroy();
    this.#pictures.clear();
    this.#bytes.clear();
    this.#follower.reset();
    this.video.removeAttribute("src");
    this.video.load();
  }

  #bufferedAhead() {
    const { buffered, currentTime } = this.video;
    return buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
  }
}

/**
 * The player that suits this browser: WebSocket where it has Media Source Extensions, else WebRTC,
 * else HLS.
 * @param {H5sConf} conf
 */
function H5sPlayerCreate(conf) {
  if (H5sPlayerWS.isSupported) return new H5sPlayerWS(conf);
  return H5sPlayerRTC.isSupported ? new H5sPlayerRTC(conf) : new H5sPlayerHls(conf);
}

// One file serves `<script src>` and `import "./h5splayer.js"` alike.
Object.assign(globalThis, { H5sPlayerWS, H5sPlayerRTC, H5sPlayerHls, H5sPlayerCreate });
