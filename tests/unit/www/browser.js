// As much of a browser as the players touch, with switches for misbehaviour.

import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const PLAYER = new URL("../../../www/js/h5splayer.js", import.meta.url);

export class FakeSocket extends EventTarget {
  static OPEN = 1;
  static made = [];

  constructor(url) {
    super();
    this.url = String(url);
    this.readyState = FakeSocket.OPEN;
    this.sent = [];
    this.isClosed = false;
    this.onopen = null;
    FakeSocket.made.push(this);
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.isClosed = true;
  }

  /** The server says something. */
  say(data) {
    this.onmessage?.({ data });
  }

  /** The server goes away. */
  drop(reason = "", code = 1006) {
    this.onclose?.({ reason, code });
  }
}

export class FakeVideo extends EventTarget {
  currentTime = 0;
  paused = true;
  seeking = false;
  muted = false;
  playbackRate = 1;
  frames = 0;
  error = null;
  ended = false;
  srcObject = null;
  buffered = { length: 0 };

  set src(url) {
    this.url = url;
    this.currentTime = 0;
    FakeSource.last?.attach();
  }

  play() {
    this.paused = false;
    return Promise.resolve();
  }

  pause() {
    this.paused = true;
  }

  load() {}

  removeAttribute(name) {
    if (name === "src") this.url = "";
  }

  getVideoPlaybackQuality() {
    return { totalVideoFrames: this.frames, droppedVideoFrames: 0 };
  }
}

class FakeBuffer extends EventTarget {
  updating = false;
  appended = [];
  removed = [];
  end = 0;
  begin = 0;
  failure = null;

  get buffered() {
    return { length: this.end > 0 ? 1 : 0, start: () => this.begin, end: () => this.end };
  }

  appendBuffer(data) {
    if (this.failure) {
      const failure = this.failure;
      this.failure = null;
      throw failure;
    }
    if (this.updating) throw new Error("appended while updating");
    this.updating = true;
    this.appended.push(new Uint8Array(data));
  }

  remove(start, end) {
    if (this.updating) throw new Error("removed while updating");
    this.updating = true;
    this.removed.push([start, end]);
    this.begin = end;
  }

  /** The append is through; media now ends there. */
  finish(end = this.end) {
    this.end = end;
    this.updating = false;
    this.dispatchEvent(new Event("updateend"));
  }
}

export class FakeSource extends EventTarget {
  static last = null;
  static supported = /avc1|mp4a/;

  static isTypeSupported(type) {
    return FakeSource.supported.test(type);
  }

  constructor() {
    super();
    this.readyState = "closed";
    FakeSource.last = this;
  }

  attach() {
    this.readyState = "open";
    this.dispatchEvent(new Event("sourceopen"));
  }

  addSourceBuffer(mime) {
    this.mime = mime;
    this.buffer = new FakeBuffer();
    return this.buffer;
  }

  removeSourceBuffer() {
    this.isEmptied = true;
  }
}

class FakeStream {
  constructor(tracks) {
    this.tracks = tracks;
  }
}

/** A receiver as Chromium has it. */
class FakeReceiver {
  jitterBufferTarget = null;
  track = { kind: "video" };
}

/** Keeps a protocol of what was asked of it, in order. */
export class FakePeer {
  static made = [];

  constructor(config) {
    this.config = config;
    this.calls = [];
    this.receivers = [new FakeReceiver()];
    this.connectionState = "new";
    this.answerSdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
    this.stats = [];
    FakePeer.made.push(this);
  }

  get isClosed() {
    return this.connectionState === "closed";
  }

  async setRemoteDescription({ type, sdp }) {
    this.calls.push([type, sdp]);
    if (sdp === "broken") throw new Error("Invalid SDP line.");
  }

  async createAnswer() {
    return { type: "answer", sdp: this.answerSdp };
  }

  async setLocalDescription({ type }) {
    this.calls.push(["local", type]);
    this.find("candidate:early"); // gathering starts here, before the answer is out
  }

  async addIceCandidate({ candidate, sdpMid, sdpMLineIndex }) {
    this.calls.push(["candidate", candidate, sdpMid, sdpMLineIndex]);
    if (candidate.includes("unknown")) throw new DOMException("no", "OperationError");
  }

  getReceivers() {
    return this.receivers;
  }

  async getStats() {
    if (this.isClosed) throw new DOMException("closed", "InvalidStateError");
    return new Map(this.stats.map((entry) => [entry.id, entry]));
  }

  close() {
    this.connectionState = "closed";
  }

  /** A candidate of the browser's own. */
  find(candidate) {
    this.onicecandidate?.({ candidate: { candidate, sdpMid: "0", sdpMLineIndex: 0 } });
  }

  /** The connection comes or goes. */
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

/** As much of hls.js as a player touches. */
export class FakeHls {
  static last = null;
  static Events = { ERROR: "error", FRAG_LOADED: "loaded", BUFFER_APPENDED: "appended" };
  static ErrorDetails = { BUFFER_STALLED_ERROR: "stalled" };
  static ErrorTypes = { MEDIA_ERROR: "media", NETWORK_ERROR: "network" };

  static isSupported() {
    return true;
  }

  constructor(config) {
    this.config = config;
    this.latency = 0.5;
    this.targetLatency = 4;
    this.liveSyncPosition = 0;
    this.listeners = {};
    FakeHls.last = this;
  }

  on(event, listener) {
    this.listeners[event] = listener;
  }

  loadSource(url) {
    this.url = url;
  }

  attachMedia(video) {
    this.video = video;
  }

  stopLoad() {}

  destroy() {
    this.isDestroyed = true;
  }
}

/**
 * Load h5splayer.js by itself, as a page does.
 * @param {(name: string) => unknown} [read]
 */
export function loadPlayer() {
  FakeSocket.made = [];
  FakePeer.made = [];
  FakeSource.last = null;
  FakeSource.supported = /avc1|mp4a/;
  const clock = new FakeClock();
  const video = new FakeVideo();
  const page = new EventTarget();
  page.hidden = false;
  page.getElementById = (id) => (id === "v" ? video : null);
  const urls = new Set();
  const context = createContext({
    ...{ document: page, WebSocket: FakeSocket, MediaSource: FakeSource, DOMException },
    ...{ RTCPeerConnection: FakePeer, MediaStream: FakeStream },
    ...{ HTMLVideoElement: FakeVideo, AbortController, URLSearchParams, Event },
    location: { protocol: "http:", host: "cameras.test:8080", origin: "http://cameras.test:8080" },
    URL: {
      createObjectURL: () => {
        const url = `blob:${urls.size}`;
        urls.add(url);
        return url;
      },
      revokeObjectURL: (url) => urls.delete(url),
    },
    performance: { now: () => clock.now },
    setTimeout: (act, ms) => clock.add(act, ms, 0),
    setInterval: (act, ms) => clock.add(act, ms, ms),
    clearTimeout: (id) => clock.delete(id),
    clearInterval: (id) => clock.delete(id),
  });
  runInContext(readFileSync(PLAYER, "utf8"), context);
  const get = (name) => runInContext(name, context);
  const give = (name, value) => (context[name] = value);
  return {
    context,
    get,
    give,
    video,
    page,
    clock,
    urls,
    sockets: FakeSocket.made,
    peers: FakePeer.made,
  };
}

/** Time that passes only when told to. */
class FakeClock {
  now = 1000;
  #timers = new Map();
  #last = 0;

  get pending() {
    return this.#timers.size;
  }

  add(act, ms = 0, every = 0) {
    this.#last += 1;
    this.#timers.set(this.#last, { act, at: this.now + ms, every });
    return this.#last;
  }

  delete(id) {
    this.#timers.delete(id);
  }

  /** Let time pass; timers fire in order. */
  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until);
      if (!due.length) break;
      const [id, timer] = due.reduce((first, next) => (next[1].at < first[1].at ? next : first));
      this.now = timer.at;
      if (timer.every) timer.at += timer.every;
      else this.#timers.delete(id);
      timer.act();
    }
    this.now = until;
  }
}

/** @param {string} text */
export function bytes(text) {
  return new TextEncoder().encode(text).buffer;
}

/** @param {string} type @param {...(ArrayBuffer | number[])} parts */
export function box(type, ...parts) {
  const body = parts.flatMap((part) => [...new Uint8Array(part)]);
  const size = body.length + 8;
  const head = [size >> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255];
  return new Uint8Array([...head, ...new TextEncoder().encode(type), ...body]).buffer;
}

/** Big-endian words. @param {...number} values */
export function words(...values) {
  return values.flatMap((value) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255));
}

/** An init segment with an audio track 1 and a video track 2. */
export function initSegment() {
  const trak = (id, kind) =>
    box(
      "trak",
      box("tkhd", words(0, 0, 0, id)),
      box("mdia", box("hdlr", words(0, 0), bytes(kind))),
    );
  return box("moov", trak(1, "soun"), trak(2, "vide"));
}

/** A fragment of the video track, its flags given the way a muxer may. */
export function fragment(isKey, how = "first") {
  const flags = isKey ? 0x02000000 : 0x01010000;
  const shapes = {
    first: [words(0x020000, 2), words(0x5, 1, 99, flags)],
    sample: [words(0x020000, 2), words(0x701, 1, 99, 3000, 50, flags)],
    default: [words(0x020038, 2, 3000, 50, flags), words(0x1, 1, 99)],
  };
  const [tfhd, trun] = shapes[how];
  const audio = box("traf", box("tfhd", words(0x020000, 1)), box("trun", words(0x1, 1, 9)));
  return box("moof", audio, box("traf", box("tfhd", tfhd), box("trun", trun)));
}
