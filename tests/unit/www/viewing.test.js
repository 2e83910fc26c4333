import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const APP = new URL("../../../www/js/app/", import.meta.url);

/** Storage, clock and players as a page has them. */
const stored = new Map([["h5s_language", "en"]]);
globalThis.localStorage = {
  getItem: (name) => stored.get(name) ?? null,
  setItem: (name, value) => stored.set(name, value),
};
globalThis.sessionStorage = { getItem: () => "s1" };
globalThis.document = { hidden: false };
let now = 0;
performance.now = () => now * 1000;

/** @type {FakePlayer[]} */
let players = [];

class FakePlayer {
  static isSupported = true;
  state = "stopped";

  constructor(conf) {
    this.conf = conf;
    players.push(this);
  }

  connect() {
    this.state = "connecting";
  }

  disconnect() {
    this.state = "stopped";
  }

  stats() {
    return { fps: 25, bitrateKbps: 2000, lagS: 0.1, behindLiveS: null };
  }
}
globalThis.H5sPlayerWS = class WS extends FakePlayer {};
globalThis.H5sPlayerRTC = class RTC extends FakePlayer {};
globalThis.H5sPlayerHls = class HLS extends FakePlayer {};

const { Viewing, fallbackFor, fixedTransport } = await import(new URL("lib/playing.js", APP));
const { chooseTransport } = await import(new URL("lib/prefs.js", APP));

const video = {};
const names = () => players.map((player) => player.constructor.name);

/** Let seconds pass with the page's check each second. */
function pass(viewing, seconds, isOnline = true) {
  for (let i = 0; i < seconds; i += 1) {
    now += 1;
    viewing.check(isOnline);
  }
}

let token = 0;
/** A source of its own for each test: what is found out about one stays. */
function open(options = {}) {
  token += 1;
  const viewing = new Viewing(video, `cam${token}`, { onState: () => {}, ...options });
  return { viewing, token: `cam${token}` };
}

beforeEach(() => {
  players = [];
  chooseTransport("ws");
  globalThis.document.hidden = false;
  globalThis.H5sPlayerWS.isSupported = true;
});

test("plays over the wished transport, with what it needs", () => {
  chooseTransport("rtc");
  const { viewing, token } = open();
  viewing.start(fallbackFor(token), "sub");
  viewing.start(fallbackFor(token), "sub");
  assert.deepEqual(names(), ["RTC"]);
  const { videodom, session, profile, hlsver } = players[0].conf;
  assert.equal(videodom, video);
  assert.deepEqual([session, profile, hlsver], ["s1", "sub", "v2"]);
  assert.equal(viewing.way, "WebRTC");
});

test("changes over in the same element, ends the player that shows nothing, and says so", () => {
  const { viewing, token } = open();
  viewing.start(fallbackFor(token), "sub");
  pass(viewing, 10);
  assert.deepEqual(names(), ["WS", "RTC"]);
  assert.equal(players[0].state, "stopped");
  assert.equal(players[1].conf.videodom, video);
  assert.equal(players[1].conf.profile, "sub");
  assert.equal(viewing.way, "WebRTC instead of WebSocket");
  players[1].state = "playing";
  pass(viewing, 60);
  players[1].state = "waiting";
  pass(viewing, 10);
  assert.deepEqual(names(), ["WS", "RTC", "HLS"]);
});

test("what a tile found out holds for the large picture, until the viewer wishes else", () => {
  const { viewing, token } = open();
  viewing.start(fallbackFor(token));
  pass(viewing, 10);
  viewing.stop();
  const large = new Viewing(video, token, { onState: () => {} });
  large.start(fallbackFor(token));
  assert.equal(names().at(-1), "RTC");
  large.stop();
  chooseTransport("hls");
  large.start(fallbackFor(token));
  assert.equal(names().at(-1), "HLS");
});

test("an offline source, a hidden page and a player that waits for a click are no failures", () => {
  const { viewing, token } = open();
  viewing.start(fallbackFor(token));
  pass(viewing, 30, false);
  globalThis.document.hidden = true;
  pass(viewing, 30);
  globalThis.document.hidden = false;
  for (const state of ["blocked", "suspended"]) {
    players[0].state = state;
    pass(viewing, 30);
  }
  assert.deepEqual(names(), ["WS"]);
});

test("a viewing that has ended starts nothing any more", () => {
  const { viewing, token } = open();
  viewing.start(fallbackFor(token));
  pass(viewing, 5);
  viewing.stop();
  pass(viewing, 60);
  assert.deepEqual(names(), ["WS"]);
  assert.equal(viewing.state, "stopped");
  assert.deepEqual(viewing.figures(), []);
});

test("a page named after its transport keeps it, unless the browser lacks it", () => {
  const { viewing } = open();
  viewing.start(fixedTransport("rtc"));
  pass(viewing, 60);
  assert.deepEqual(names(), ["RTC"]);
  globalThis.H5sPlayerWS.isSupported = false;
  const other = open().viewing;
  other.start(fixedTransport("ws"));
  assert.equal(names().at(-1), "RTC");
  assert.equal(other.way, "WebRTC instead of WebSocket");
});

test("shows pictures a second, bit rate and distance to live", () => {
  const { viewing, token } = open();
  viewing.start(fallbackFor(token));
  assert.deepEqual(viewing.figures(), ["25 fps", "2.0 Mbit/s", "0.1 s behind"]);
});
