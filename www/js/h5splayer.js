// @ts-check
"use strict";

/**
 * The players of h5sup: live video over WebSocket (H5sPlayerWS), WebRTC (H5sPlayerRTC) and HLS
 * (H5sPlayerHls).
 * Constructor options and methods are those of H5Stream's players (manual, chapter 6) plus a few of
 * ours; docs/players.md explains them.
 */

/**
 * @typedef {"stopped" | "connecting" | "playing" | "waiting" | "blocked" | "suspended"} H5sState
 * stopped: not connected. connecting: no picture yet. playing. waiting: lost, will try again.
 * blocked: the browser wants a click before it plays. suspended: hidden or paused for long.
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
 * @property {unknown} [pbconf] playback; not used by the live players
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
 * Plays one source over WebSocket and Media Source Extensions, close to live, until disconnect().
 * It comes back by itself after any loss.
 */
class H5sPlayerWS {
  #conf;
  #place;
  #status;
  #presence;
  #pictures;
  #return = new H5sReturn(() => this.#open());
  #bytes = new H5sMeter();
  #follower;
  #isConnected = false;
  #refusedHevc = false;
  /** @type {AbortController | null} listeners of one connect() */
  #listening = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {H5sBuffer | null} */
  #buffer = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker;
  #mime = ""; // as announced on this socket
  #heardAt = 0;
  #toldAt = 0;
  #end = 0;
  #isJoined = false;
  #readyAt = Number.NaN;
  #pausedSince = Number.NaN;
  #reconnects = 0;
  /** @type {{ at: number, mediaTime: number } | null} */
  #live = null;

  /** @param {H5sConf} conf */
  constructor(conf) {
    this.#conf = conf;
    this.#place = h5sResolve(conf);
    this.#status = new H5sStatus(conf.onState);
    this.#pictures = new H5sPictures(this.#place.video);
    const range = () => this.#buffer?.edge ?? null;
    this.#follower = new H5sFollower(this.#place.video, range, conf.targetLatency);
    this.#presence = new H5sPresence(
      () => this.#suspend("hidden"),
      () => this.#seen(),
    );
  }

  /** Whether this browser can play so at all. */
  static get isSupported() {
    return H5sBuffer.api !== undefined && "WebSocket" in globalThis;
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
    this.#return.reset();
    h5sPrepareVideo(this.video);
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.video.addEventListener("waiting", () => this.#ranDry(), { signal });
    this.video.addEventListener("playing", () => this.#follower.flows(), { signal });
    this.video.addEventListener("play", () => this.#resumed(), { signal });
    this.video.addEventListener("error", () => this.#elementFailed(), { signal });
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
    this.#closeSocket();
    this.#closeBuffer();
    this.video.removeAttribute("src");
    this.video.load();
    this.#status.set("stopped");
  }

  /** @returns {H5sStats} figures of this moment */
  stats() {
    const now = h5sNow();
    const end = this.#buffer?.edge?.end ?? 0;
    return {
      state: this.state,
      fps: this.#pictures.fps(now),
      bitrateKbps: (this.#bytes.rate(now) * 8) / 1000,
      lagS: Math.max(0, end - this.video.currentTime),
      behindLiveS: this.#behindLive(now),
      targetS: this.#follower.target,
      droppedFrames: h5sFrames(this.video).dropped,
      reconnects: this.#reconnects,
      stalls: this.#follower.stalls,
      mime: this.#buffer?.mime ?? "",
    };
  }

  #open() {
    this.#return.cancel();
    this.#closeSocket();
    this.#status.set("connecting");
    const socket = new WebSocket(this.#url());
    socket.binaryType = "arraybuffer"; // Blobs would be read out of order (Firefox)
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#lost(event.reason || "connection closed");
    this.#socket = socket;
    this.#heardAt = h5sNow();
    this.#ticker = setInterval(() => this.#tick(), H5S_TICK_MS);
  }

  #url() {
    return h5sSocketUrl(this.#place.ws, "h5swsapi", {
      token: this.#place.token,
      profile: this.#conf.profile ?? "",
      hevc: String(this.#wantsHevc()),
      session: this.#place.session,
    });
  }

  #wantsHevc() {
    if (this.#refusedHevc) return false;
    const wish = String(this.#conf.hevc ?? "auto");
    return wish === "auto"
      ? (H5sBuffer.api?.isTypeSupported(H5S_HEVC_TYPE) ?? false)
      : wish === "true";
  }

  /** One message; the browser calls this in order. @param {ArrayBuffer | string} data */
  #received(data) {
    this.#heardAt = h5sNow();
    if (typeof data === "string") return this.#heard(data);
    const mime = h5sMimeOf(data);
    if (mime) return this.#announced(mime);
    this.#bytes.add(this.#heardAt, data.byteLength);
    this.#buffer?.push(data);
  }

  /** A text event of the server. @param {string} text */
  #heard(text) {
    const event = h5sParse(text);
    if (event?.type === "H5S_EVENT_LIVE_TIME" && Number.isFinite(event.liveTime?.nMediaTime))
      this.#live = { at: h5sNow(), mediaTime: event.liveTime.nMediaTime };
    this.#conf.callback?.(text, this.#conf.userdata);
  }

  /** The kind of media to come. @param {string} mime */
  #announced(mime) {
    if (this.#mime === mime) return;
    if (this.#mime) return this.#lost("the format of the video changed");
    this.#mime = mime;
    this.#closeBuffer();
    const buffer = new H5sBuffer(
      this.video,
      mime,
      () => this.#appended(),
      (reason) => this.#lost(reason),
    );
    this.#buffer = buffer;
    try {
      buffer.open();
    } catch (error) {
      this.#refusedHevc = true;
      this.#lost(error instanceof Error ? error.message : String(error));
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
    this.#play();
  }

  #play() {
    h5sStart(this.video, this.#status, this.#listening?.signal);
  }

  #tick() {
    const now = h5sNow();
    if (now - this.#toldAt >= H5S_KEEPALIVE_MS / 1000) this.#keepAlive(now);
    if (now - this.#heardAt > H5S_SILENCE_S) return this.#lost("no media for 10 s");
    if (!this.#mime || !this.#buffer) return; // what is buffered came over a socket that is gone
    if (!this.#isJoined) return this.#awaitStart();
    this.#count(now);
    if (this.video.paused) return this.#paused(now);
    this.#pausedSince = Number.NaN;
    if (!document.hidden && !this.#follower.follow(now, this.#pictures.shown))
      return this.#lost("the picture stands still");
    this.#buffer?.trim(this.video.currentTime);
  }

  /** A source of few pictures a second gets no second one for long. */
  #awaitStart() {
    const edge = this.#buffer?.edge;
    if (edge) this.#join(edge.end - edge.start);
  }

  /** @param {number} now */
  #keepAlive(now) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#toldAt = now;
    this.#socket.send('{"cmd":"H5_KEEPALIVE"}');
  }

  /** Pictures shown: the proof that it plays. @param {number} now */
  #count(now) {
    if (!this.#pictures.count(now)) return;
    if (this.#pictures.isHealthy(now)) this.#return.reset();
    this.#status.set("playing");
  }

  /** @param {number} now */
  #paused(now) {
    if (Number.isNaN(this.#pausedSince)) this.#pausedSince = now;
    if (now - this.#pausedSince > H5S_PAUSED_S && !document.hidden) this.#suspend("paused");
  }

  #ranDry() {
    if (this.#isJoined) this.#follower.ranDry();
  }

  /** The element started, perhaps by a person after a pause. */
  #resumed() {
    if (this.state === "suspended") {
      this.#follower.jump(); // the old picture stands until the new one comes
      this.#open();
    } else if (!Number.isNaN(this.#pausedSince)) this.#follower.jump();
  }

  /** The page is visible again. */
  #seen() {
    if (this.state === "suspended") return this.#open();
    if (!this.#isJoined) return;
    this.#follower.jump();
    this.#play();
  }

  /** Give the connection back while nobody looks. @param {string} reason */
  #suspend(reason) {
    if (!this.#isConnected || this.state === "suspended") return;
    this.#return.cancel();
    this.#closeSocket();
    this.#status.set("suspended", reason);
  }

  #elementFailed() {
    if (this.#buffer) this.#lost(this.video.error?.message || "the browser cannot decode this");
  }

  /** Whatever went wrong: come back later. The last picture stays. @param {string} reason */
  #lost(reason) {
    if (!this.#socket) return; // already waiting, suspended or stopped
    this.#closeSocket();
    this.#reconnects += 1;
    this.#status.set("waiting", reason);
    this.#return.later();
  }

  #closeSocket() {
    clearInterval(this.#ticker);
    const socket = this.#socket;
    this.#socket = null;
    this.#live = null;
    this.#mime = "";
    this.#isJoined = false;
    this.#pausedSince = this.#readyAt = Number.NaN;
    this.#follower.forgetDry();
    this.#pictures.restart(h5sNow());
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #closeBuffer() {
    this.#buffer?.close();
    this.#buffer = null;
    this.#end = 0;
    this.#follower.reset();
    this.#pictures.clear();
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
 * Plays one source over WebRTC, as close to live as the network is, until disconnect(). It comes back
 * by itself after any loss.
 */
class H5sPlayerRTC {
  #conf;
  #place;
  #status;
  #presence;
  #pictures;
  #return = new H5sReturn(() => this.#open());
  #bytes = new H5sMeter();
  #figures = new H5sRtcFigures();
  #delayS;
  #isConnected = false;
  /** @type {AbortController | null} listeners of one connect() */
  #listening = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {H5sPeer | null} */
  #peer = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker;
  #isAttached = false; // the element has the media of this connection
  #toldAt = 0;
  #pausedSince = Number.NaN;
  #reconnects = 0;

  /** @param {H5sConf} conf */
  constructor(conf) {
    this.#conf = conf;
    this.#place = h5sResolve(conf);
    this.#status = new H5sStatus(conf.onState);
    this.#pictures = new H5sPictures(this.#place.video);
    this.#delayS = h5sClamp(conf.targetLatency ?? 0, 0, 4); // browsers take no more
    this.#presence = new H5sPresence(
      () => this.#suspend("hidden"),
      () => this.#seen(),
    );
  }

  /** Whether this browser can play so at all. */
  static get isSupported() {
    return "RTCPeerConnection" in globalThis && "WebSocket" in globalThis;
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
    this.#return.reset();
    h5sPrepareVideo(this.video);
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.video.addEventListener("play", () => this.#resumed(), { signal });
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
    this.video.srcObject = null;
    this.#status.set("stopped");
  }

  /** @returns {H5sStats} figures of this moment */
  stats() {
    const now = h5sNow();
    const { lagS, dropped, lost, freezes, mime, roundTripMs } = this.#figures;
    return {
      state: this.state,
      fps: this.#pictures.fps(now),
      bitrateKbps: (this.#bytes.rate(now) * 8) / 1000,
      lagS,
      behindLiveS: roundTripMs === null ? null : lagS + roundTripMs / 2000,
      targetS: this.#delayS,
      droppedFrames: dropped,
      reconnects: this.#reconnects,
      stalls: freezes,
      mime,
      packetsLost: lost,
      roundTripMs,
    };
  }

  #open() {
    this.#return.cancel();
    this.#close();
    this.#status.set("connecting");
    this.#pictures.clear();
    this.#pictures.restart(h5sNow());
    this.#bytes.clear();
    this.#figures = new H5sRtcFigures();
    this.#peer = new H5sPeer(
      (message) => this.#send(message),
      (stream) => this.#attach(stream),
      (reason) => this.#lost(reason),
      this.#delayS,
    );
    const socket = new WebSocket(this.#url());
    socket.onopen = () => this.#send({ type: "open" });
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#lost(event.reason || "connection closed");
    this.#socket = socket;
    this.#ticker = setInterval(() => this.#tick(), H5S_TICK_MS);
  }

  #url() {
    return h5sSocketUrl(this.#place.ws, "h5srtcapi", {
      token: this.#place.token,
      profile: this.#conf.profile ?? "",
      audio: this.#conf.audio === false ? "false" : "",
      session: this.#place.session,
    });
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {string} text */
  #received(text) {
    if (!this.#signalled(h5sParse(text))) this.#conf.callback?.(text, this.#conf.userdata);
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
      case "error":
        this.#lost(String(message.reason));
        return true;
      default:
        return false;
    }
  }

  /** The media can flow: only now does the last picture go. @param {MediaStream} stream */
  #attach(stream) {
    this.video.srcObject = stream;
    this.#isAttached = true;
    this.#play();
  }

  #play() {
    h5sStart(this.video, this.#status, this.#listening?.signal);
  }

  #tick() {
    const now = h5sNow();
    if (now - this.#toldAt >= H5S_KEEPALIVE_MS / 1000) this.#keepAlive(now);
    if (this.#pictures.count(now)) return this.#moved(now);
    if (!this.#isAttached || !this.video.paused) this.#pausedSince = Number.NaN;
    else if (this.video.ended) return this.#lost("the server ended the media");
    else return this.#paused(now);
    if (document.hidden) this.#pictures.rest(now);
    if (now - this.#pictures.movedAt > H5S_SILENCE_S) this.#lost("no picture for 10 s");
  }

  /** @param {number} now */
  #keepAlive(now) {
    this.#toldAt = now;
    this.#send({ type: "keepalive" });
    void this.#sample();
  }

  async #sample() {
    const figures = this.#figures;
    const report = await this.#peer?.getStats()?.catch(() => null); // it may have just ended
    if (report && figures === this.#figures) this.#bytes.add(h5sNow(), figures.take(report));
  }

  /** New pictures: the proof that it plays. @param {number} now */
  #moved(now) {
    if (!this.#isAttached) return;
    if (this.#pictures.isHealthy(now)) this.#return.reset();
    this.#status.set("playing");
  }

  /** @param {number} now */
  #paused(now) {
    this.#pictures.rest(now);
    if (Number.isNaN(this.#pausedSince)) this.#pausedSince = now;
    if (now - this.#pausedSince > H5S_PAUSED_S && !document.hidden) this.#suspend("paused");
  }

  /** The element started, perhaps by a person after a pause. */
  #resumed() {
    if (this.state === "suspended") this.#open();
  }

  /** The page is visible again. */
  #seen() {
    if (this.state === "suspended") this.#open();
    else if (this.#isAttached) this.#play();
  }

  /** Give the connection back while nobody looks. @param {string} reason */
  #suspend(reason) {
    if (!this.#isConnected || this.state === "suspended") return;
    this.#return.cancel();
    this.#close();
    this.#status.set("suspended", reason);
  }

  /** Whatever went wrong: come back later. The last picture stays. @param {string} reason */
  #lost(reason) {
    if (!this.#socket) return; // already waiting, suspended or stopped
    this.#close();
    this.#reconnects += 1;
    this.#status.set("waiting", reason);
    this.#return.later();
  }

  /** End the connection; the element keeps its picture. */
  #close() {
    clearInterval(this.#ticker);
    this.#isAttached = false;
    this.#pausedSince = Number.NaN;
    this.#peer?.close();
    this.#peer = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
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
