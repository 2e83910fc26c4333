import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { FakeSource, bytes, fragment, initSegment, loadPlayer } from "./browser.js";

const MIME = 'video/mp4; codecs="avc1.4D002A"';
const BEGIN = "2026-05-02T10:00:00Z";
const RANGE = { begintime: BEGIN, endtime: "2026-05-02T11:00:00Z", serverpb: "true" };
const at = (seconds) => new Date(Date.parse(BEGIN) + seconds * 1000).toISOString();

/** @type {ReturnType<typeof loadPlayer>} */
let page;
beforeEach(() => {
  page = loadPlayer();
});

const make = (name, pbconf = RANGE, conf = {}) =>
  new (page.get(name))({ videoid: "v", token: "demo", pbconf, ...conf });
const newest = () => page.sockets.at(-1);
const told = (socket = newest()) => socket.sent.map((text) => JSON.parse(text));
const commands = (socket) => told(socket).filter(({ cmd }) => cmd && cmd !== "H5_KEEPALIVE");
const shownAt = (player) => player.position?.toISOString();
function isAbout(player, seconds, withinS = 0.01) {
  const off = (player.position - Date.parse(at(seconds))) / 1000;
  assert.ok(Math.abs(off) <= withinS, `${off} s off`);
}

/** The server says where the playback stands. */
function say(seconds, more = {}) {
  const pbTime = { strTime: at(seconds), ...more };
  newest().say(JSON.stringify({ type: "H5S_EVENT_PB_TIME", pbTime }));
}

/** The socket stands. */
function greet() {
  newest().readyState = 1;
  newest().onopen();
}

/** It does, and the first media has come. */
function open(end = 0.3) {
  greet();
  newest().say(bytes(MIME));
  newest().say(initSegment());
  FakeSource.last.buffer.finish(0);
  newest().say(fragment(true));
  FakeSource.last.buffer.finish(end);
}

/** A playback over WebSocket that has begun. */
function playing(pbconf = RANGE, conf = {}) {
  const player = make("H5sPlayerWS", pbconf, conf);
  player.connect();
  newest().readyState = 0;
  player.start();
  open();
  say(0, { nMediaTime: 0 });
  return player;
}

/** Media comes as the server paces it, and is played. */
function run(seconds, { buffer = FakeSource.last.buffer, isShown = true } = {}) {
  for (let i = 0; i < seconds * 25; i += 1) {
    newest().say(fragment(i % 25 === 0));
    if (buffer.updating) buffer.finish(buffer.end + 0.04);
    if (isShown) page.video.frames += 1;
    page.video.currentTime += 0.04;
    page.clock.pass(40);
  }
}

describe("playback over WebSocket", () => {
  test("asks for a range of time as the manual says", () => {
    make("H5sPlayerWS", RANGE, { session: "s1" }).connect();
    const url = new URL(newest().url);
    assert.equal(url.pathname, "/api/v1/h5swsapi");
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      ...{ token: "demo", hevc: "false", session: "s1" },
      ...{ playback: "true", serverpb: "true", begintime: BEGIN, endtime: RANGE.endtime },
    });
  });
  test("asks for a file by its name, of a device unless it is said", () => {
    make("H5sPlayerWS", { begintime: "0", endtime: "0", filename: "demo-1.mp4" }).connect();
    const asked = new URL(newest().url).searchParams;
    assert.deepEqual(
      ["begintime", "endtime", "filename", "serverpb"].map((name) => asked.get(name)),
      ["0", "0", "demo-1.mp4", "false"],
    );
  });
  test("commands are those of the manual, and of the old players", () => {
    const player = playing();
    player.pasue();
    player.resume();
    player.speed(2);
    player.seek(30);
    player.moveTo(at(40));
    assert.deepEqual(commands(), [
      { cmd: "H5_START" },
      { cmd: "H5_PAUSE" },
      { cmd: "H5_RESUME" },
      { cmd: "H5_SPEED", nSpeed: "2" },
      { cmd: "H5_SEEK", nSeekTime: 30 },
      { cmd: "H5_MOVETO", strMovetoTime: at(40) },
    ]);
  });
  test("what is commanded before the socket stands is not lost", () => {
    const player = make("H5sPlayerWS");
    player.start();
    player.speed(4);
    player.connect();
    newest().readyState = 0;
    player.seek(12);
    greet();
    assert.deepEqual(commands(), [
      { cmd: "H5_SPEED", nSpeed: "4" },
      { cmd: "H5_SEEK", nSeekTime: 12 },
      { cmd: "H5_START" },
    ]);
  });
  test("nothing plays before start(), however long that takes", () => {
    const player = make("H5sPlayerWS");
    player.connect();
    newest().onopen();
    newest().say(bytes(MIME));
    newest().say(initSegment());
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
    assert.deepEqual(commands(), []);
    player.start();
    page.clock.pass(10_200);
    assert.equal(player.state, "waiting");
  });
  test("gives the server's events to both callbacks", () => {
    const heard = [];
    const callback = (text, userdata) => heard.push([JSON.parse(text).type, userdata]);
    const pbconf = { ...RANGE, callback, userdata: 1 };
    const player = playing(pbconf, { callback, userdata: 2 });
    newest().say('{"type":"H5S_EVENT_PB_SESSION","strPbSession":"abc"}');
    assert.deepEqual(heard, [
      ["H5S_EVENT_PB_TIME", 2],
      ["H5S_EVENT_PB_TIME", 1],
      ["H5S_EVENT_PB_SESSION", 2],
      ["H5S_EVENT_PB_SESSION", 1],
    ]);
    assert.equal(player.pbSession, "abc");
  });
  test("knows when the picture that is shown was taken, at any speed and over a gap", () => {
    const player = playing();
    run(2);
    isAbout(player, 2);
    player.speed(4); // from the newest media on, 0.3 s ahead
    run(1.32);
    isAbout(player, 2.3 + 4 * 1.02);
    say(100, { nMediaTime: 3.6 });
    isAbout(player, 2.3 + 4 * 1.02);
    run(0.4);
    isAbout(player, 100 + 4 * 0.12);
  });
  test("takes the exact time where the server tells one", () => {
    const player = playing();
    say(5, { strExactTime: at(5.25), nMediaTime: 0 });
    assert.equal(shownAt(player), at(5.25));
  });
  test("never chases the newest media and never goes back", () => {
    const player = playing();
    run(2);
    FakeSource.last.buffer.end += 9;
    const before = page.video.currentTime;
    run(3);
    assert.equal(page.video.playbackRate, 1);
    assert.ok(Math.abs(page.video.currentTime - before - 3) < 0.001);
    assert.equal(player.stats().behindLiveS, null);
  });
  test("a jump skips what is buffered, and shows where it goes before it is there", () => {
    const player = playing();
    run(2);
    player.seek(600);
    assert.equal(shownAt(player), at(600));
    say(600, { nMediaTime: 2.3 });
    assert.ok(page.video.currentTime < 2.1);
    newest().say(fragment(true));
    FakeSource.last.buffer.finish(2.34);
    assert.ok(Math.abs(page.video.currentTime - 2.3) < 0.001);
    run(1);
    isAbout(player, 601);
  });
  test("a jump works with a server that only tells the second", () => {
    const player = playing();
    run(2);
    player.moveTo(Date.parse(at(600)));
    say(600);
    run(0.5);
    isAbout(player, 600.52);
  });
  test("comes back after a loss at the position it was at, at its speed", () => {
    const player = playing();
    player.speed(2);
    run(5);
    const before = shownAt(player);
    newest().drop("source lost");
    assert.equal(player.state, "waiting");
    assert.equal(shownAt(player), before);
    page.clock.pass(1100);
    open();
    assert.deepEqual(commands(), [
      { cmd: "H5_SPEED", nSpeed: "2" },
      { cmd: "H5_MOVETO", strMovetoTime: before },
      { cmd: "H5_START" },
    ]);
    say(77, { nMediaTime: 0 });
    run(1);
    assert.equal(player.state, "playing");
    newest().drop();
    page.clock.pass(1700);
    greet();
    assert.match(commands()[1].strMovetoTime, /10:01:(18.99|19.0)/);
  });
  test("a jump that the loss swallowed is made again", () => {
    const player = playing();
    run(1);
    player.seek(900);
    newest().drop();
    page.clock.pass(1100);
    greet();
    assert.deepEqual(commands()[0], { cmd: "H5_SEEK", nSeekTime: 900 });
  });
  test("a paused one stays paused, for as long as it takes and over a loss", () => {
    const player = playing();
    run(2);
    player.pause();
    assert.equal(page.video.paused, true);
    page.clock.pass(120_000);
    assert.equal(page.sockets.length, 1);
    assert.equal(player.isPaused, true);
    newest().drop();
    page.clock.pass(1100);
    open();
    assert.deepEqual(
      commands().map(({ cmd }) => cmd),
      ["H5_MOVETO", "H5_START", "H5_PAUSE"],
    );
    page.clock.pass(60_000);
    assert.equal(page.video.paused, true);
    player.resume();
    assert.equal(page.video.paused, false);
    assert.equal(commands().at(-1).cmd, "H5_RESUME");
    page.clock.pass(5000); // the silence of the pause does not count
    assert.equal(page.sockets.length, 2);
    page.clock.pass(5500);
    assert.equal(player.state, "waiting");
  });
  test("the element's own controls pause and go on", () => {
    const player = playing();
    run(1);
    page.video.pause();
    page.clock.pass(200);
    assert.equal(player.isPaused, true);
    page.video.play();
    page.video.dispatchEvent(new Event("play"));
    assert.equal(player.isPaused, false);
    assert.deepEqual(
      commands().map(({ cmd }) => cmd),
      ["H5_START", "H5_PAUSE", "H5_RESUME"],
    );
  });
  test("the late word of a start that was taken back changes nothing", () => {
    const player = playing();
    run(1);
    player.pause();
    page.video.dispatchEvent(new Event("play")); // of the start before, from a busy browser
    assert.equal(player.isPaused, true);
    assert.equal(page.video.paused, true);
    assert.equal(commands().at(-1).cmd, "H5_PAUSE");
  });
  test("a hidden page gives the connection back and goes on where it was when seen", () => {
    const player = playing();
    run(2);
    const before = shownAt(player);
    page.page.hidden = true;
    page.page.dispatchEvent(new Event("visibilitychange"));
    page.video.paused = true; // as browsers do with what nobody sees
    page.clock.pass(61_000);
    assert.equal(player.state, "suspended");
    assert.equal(player.isPaused, false);
    page.page.hidden = false;
    page.page.dispatchEvent(new Event("visibilitychange"));
    open();
    assert.deepEqual(commands()[0], { cmd: "H5_MOVETO", strMovetoTime: before });
    assert.equal(page.video.paused, false);
  });
  test("says that it has ended, and plays again after a jump back", () => {
    const player = playing();
    run(2);
    say(3600, { bEnd: true });
    assert.equal(player.state, "ended");
    run(0.3);
    assert.equal(player.state, "ended");
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
    player.seek(0);
    say(0, { nMediaTime: 2.6 });
    run(1);
    assert.equal(player.state, "playing");
  });
  test("sets a standing picture going, and waits for rare key frames", () => {
    const player = playing();
    run(2);
    run(1.2, { isShown: false });
    assert.equal(player.stats().stalls, 1);
    run(1);
    for (let i = 0; i < 5; i += 1) {
      newest().say(fragment(true));
      FakeSource.last.buffer.finish(FakeSource.last.buffer.end + 2.5);
      page.video.frames += 1;
      page.clock.pass(2500);
    }
    assert.equal(player.stats().stalls, 1);
    assert.equal(page.sockets.length, 1);
  });
  test("is not asked for again where the server says that it can't be", () => {
    const states = [];
    const onState = (state, reason) => states.push([state, reason]);
    const player = playing(RANGE, { onState });
    newest().drop("nothing was recorded in this time", 1008);
    assert.deepEqual(states.at(-1), ["stopped", "nothing was recorded in this time"]);
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
    player.connect();
    assert.equal(page.sockets.length, 2);
  });
  test("disconnect frees everything", () => {
    const player = playing();
    run(1);
    player.disconnect();
    assert.equal(page.clock.pending, 0);
    assert.equal(page.urls.size, 0);
    assert.equal(newest().isClosed, true);
  });
});

describe("playback over WebRTC", () => {
  const settle = () => new Promise(setImmediate);

  /** A playback whose connection stands. */
  async function connected() {
    const player = make("H5sPlayerRTC");
    player.connect();
    newest().readyState = 0;
    player.start();
    await answered();
    return player;
  }
  async function answered() {
    greet();
    newest().say('{"type":"offer","sdp":"v=0"}');
    await settle();
    page.peers.at(-1).become("connected");
  }
  function show(seconds) {
    for (let i = 0; i < seconds * 25; i += 1) {
      page.video.frames += 1;
      page.clock.pass(40);
    }
  }

  test("asks and commands as over WebSocket, once it has said that it is there", async () => {
    const player = await connected();
    const asked = new URL(newest().url).searchParams;
    assert.equal(asked.get("playback"), "true");
    assert.equal(asked.get("begintime"), BEGIN);
    player.speed(0.5);
    const said = told().filter(({ type }) => !["answer", "remoteice", "keepalive"].includes(type));
    assert.deepEqual(said, [
      { type: "open" },
      { cmd: "H5_START" },
      { cmd: "H5_SPEED", nSpeed: "0.5" },
    ]);
  });
  test("knows where it stands, also in a pause, and stays in it", async () => {
    const player = await connected();
    say(10, { nMediaTime: 50 }); // of the server's media, which a stream doesn't tell
    show(2);
    isAbout(player, 12, 0.2);
    player.pause();
    assert.equal(page.video.paused, false); // pictures on their way still come
    const before = shownAt(player);
    page.clock.pass(120_000);
    assert.equal(shownAt(player), before);
    assert.equal(page.sockets.length, 1);
    player.resume();
    page.clock.pass(9000);
    assert.equal(page.sockets.length, 1);
    page.clock.pass(1500);
    assert.equal(player.state, "waiting");
  });
  test("is not asked for again where the server says that it can't be", () => {
    const states = [];
    const player = make("H5sPlayerRTC", RANGE, { onState: (...all) => states.push(all) });
    player.connect();
    greet();
    newest().say('{"type":"error","reason":"nothing was recorded in this time"}');
    newest().drop("nothing was recorded in this time", 1008);
    assert.deepEqual(states.at(-1), ["stopped", "nothing was recorded in this time"]);
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
  });
  test("comes back where it was", async () => {
    const player = await connected();
    say(10);
    show(3);
    const before = shownAt(player);
    newest().drop();
    page.clock.pass(1100);
    await answered();
    assert.deepEqual(commands()[0], { cmd: "H5_MOVETO", strMovetoTime: before });
    assert.equal(commands()[1].cmd, "H5_START");
  });
});

describe("speeds", () => {
  for (const [asked, sent] of [
    [0.1, "0.5"],
    [16, "16"],
    [100, "16"],
    ["8", "8"],
    ["fast", "1"],
  ])
    test(`${asked} is sent as ${sent}`, () => {
      const player = playing();
      player.speed(asked);
      assert.equal(commands().at(-1).nSpeed, sent);
    });
});

test("a live player has nothing to command", () => {
  const player = make("H5sPlayerWS", null);
  player.connect();
  greet();
  for (const name of ["start", "pause", "pasue", "resume"]) player[name]();
  player.seek(1);
  player.speed(2);
  player.moveTo(0);
  assert.deepEqual(commands(), []);
  assert.equal(player.position, null);
  assert.equal(player.pbSession, "");
});
