import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { FakeHls, FakeSource, box, bytes, fragment, initSegment, loadPlayer } from "./browser.js";

const MIME = 'video/mp4; codecs="avc1.4D002A, mp4a.40.2"';

/** @type {ReturnType<typeof loadPlayer>} */
let page;
beforeEach(() => {
  page = loadPlayer();
});

const make = (name, ...args) => new (page.get(name))(...args);
const newest = () => page.sockets.at(-1);

/** A player that got its first media, with `end` seconds buffered. */
function playing(end = 0.5, conf = {}) {
  const player = make("H5sPlayerWS", { videoid: "v", token: "demo", ...conf });
  player.connect();
  newest().say(bytes(MIME));
  newest().say(initSegment());
  FakeSource.last.buffer.finish(0);
  newest().say(fragment(true));
  FakeSource.last.buffer.finish(end);
  return { player, buffer: FakeSource.last.buffer };
}

/** A second of media arrives and is played, frame by frame. */
function run(buffer, seconds, { isShown = true, isMoving = true } = {}) {
  for (let i = 0; i < seconds * 25; i += 1) {
    newest().say(fragment(i % 25 === 0));
    if (buffer.updating) buffer.finish(buffer.end + 0.04);
    if (isShown) page.video.frames += 1;
    if (isMoving) page.video.currentTime += 0.04;
    page.clock.pass(40);
  }
}

describe("back-off", () => {
  test("grows from 0.8 s to at most 10 s and starts over after a reset", () => {
    const backoff = make("H5sBackoff");
    assert.equal(backoff.nextMs(0), 800);
    const waits = Array.from({ length: 30 }, () => backoff.nextMs(1));
    assert.ok(waits.every((wait, i) => i === 0 || wait >= waits[i - 1]));
    assert.equal(waits.at(-1), 10_000);
    backoff.reset();
    assert.equal(backoff.nextMs(0), 800);
  });
});

describe("meter", () => {
  test("tells a steady rate and forgets it", () => {
    const meter = make("H5sMeter");
    for (let i = 0; i <= 50; i += 1) meter.add(i / 25, 1);
    assert.ok(Math.abs(meter.rate(2) - 25) < 0.5);
    assert.equal(meter.rate(10), 0);
  });
});

describe("live edge", () => {
  /** Let the edge decide each 0.1 s for a while with one lag. */
  const settle = (edge, lag, from = 10, seconds = 3) => {
    let last;
    for (let i = 0; i <= seconds * 10; i += 1) last = edge.decide(from + i / 10, lag);
    return last;
  };

  test("plays at normal speed at its target", () => {
    assert.deepEqual({ ...settle(make("H5sEdge"), 0.2) }, { rate: 1, jump: false });
  });
  test("catches up gently, and fast when more than a second behind", () => {
    assert.equal(settle(make("H5sEdge"), 0.6).rate, 1.1);
    assert.equal(settle(make("H5sEdge"), 1.1).rate, 1.25);
    const fast = settle(make("H5sEdge"), 2).rate;
    assert.ok(fast > 1.1 && fast <= 1.5, `rate ${fast}`);
  });
  test("jumps when more than three seconds behind", () => {
    assert.equal(make("H5sEdge").decide(1, 4).jump, true);
  });
  test("keeps more distance after running dry, and less again later", () => {
    const edge = make("H5sEdge");
    settle(edge, 0.2);
    edge.underrun(13, 0.1);
    const raised = edge.target;
    assert.ok(raised >= 0.25 && raised <= 0.35, `target ${raised}`);
    settle(edge, 0.3, 13, 5);
    assert.equal(edge.target, raised);
    settle(edge, 0.3, 20, 90);
    assert.ok(edge.target < 0.22, `target ${edge.target}`);
  });
  test("does not keep more distance for an outage that none would have bridged", () => {
    const edge = make("H5sEdge");
    edge.underrun(1, 3);
    assert.equal(edge.target, 0.2);
  });
  test("falls back when it stands too near the edge", () => {
    const { rate } = settle(make("H5sEdge"), 0.03);
    assert.ok(rate >= 0.5 && rate < 0.9, `rate ${rate}`);
  });
  test("never asks for more than about a second, however often it runs dry", () => {
    const edge = make("H5sEdge");
    for (let i = 0; i < 100; i += 1) edge.underrun(i, 0.5);
    assert.ok(edge.target <= 0.75);
  });
  test("keeps a picture's distance from a slow source", () => {
    const edge = make("H5sEdge");
    for (let i = 0; i < 50; i += 1) edge.grew(i / 5);
    settle(edge, 0.3);
    assert.ok(edge.target > 0.3, `target ${edge.target}`);
  });
  test("is not misled by one late arrival", () => {
    const edge = make("H5sEdge");
    for (let i = 0; i < 50; i += 1) edge.grew(i / 25);
    edge.grew(3);
    for (let i = 1; i < 75; i += 1) edge.grew(3 + i / 25);
    settle(edge, 0.2);
    assert.ok(edge.target < 0.35, `target ${edge.target}`);
  });
});

describe("watchdog", () => {
  /** Media grows by 0.1 s each 0.1 s; returns the first verdict that is not ok, and when. */
  const watch = (dog, { pictures, from = 0, seconds = 5, gap = 0.04, grows = true }) => {
    for (let i = 0; i <= seconds * 10; i += 1) {
      const now = from + i / 10;
      const verdict = dog.check(now, pictures(now), grows ? now : from, gap);
      if (verdict !== "ok") return { verdict, after: now - from };
    }
    return null;
  };

  test("jumps within a second when the picture stands and media arrives", () => {
    const found = watch(make("H5sWatchdog"), { pictures: () => 7 });
    assert.equal(found.verdict, "jump");
    assert.ok(found.after <= 1);
  });
  test("is content while pictures change", () => {
    assert.equal(watch(make("H5sWatchdog"), { pictures: (now) => now }), null);
  });
  test("waits when nothing arrives", () => {
    assert.equal(watch(make("H5sWatchdog"), { pictures: () => 7, grows: false }), null);
  });
  test("is patient with a source of one picture a second", () => {
    const pictures = (now) => Math.floor(now);
    assert.equal(watch(make("H5sWatchdog"), { pictures, gap: 1, seconds: 20 }), null);
  });
  test("gives up on the connection when jumps don't help", () => {
    const dog = make("H5sWatchdog");
    const verdicts = [];
    for (let i = 0; i <= 60 && !verdicts.includes("reconnect"); i += 1)
      verdicts.push(dog.check(i / 10, 7, i / 10, 0.04));
    assert.equal(verdicts.filter((verdict) => verdict === "jump").length, 3);
    assert.equal(verdicts.at(-1), "reconnect");
  });
});

describe("boxes", () => {
  test("the video track is found behind an audio track", () => {
    assert.equal(page.get("h5sVideoTrackId")(initSegment()), 2);
    assert.equal(page.get("h5sVideoTrackId")(fragment(true)), 0);
  });
  for (const how of ["first", "sample", "default"]) {
    test(`a key frame is told by the ${how} sample flags`, () => {
      assert.equal(page.get("h5sStartsWithKey")(fragment(true, how), 2), true);
      assert.equal(page.get("h5sStartsWithKey")(fragment(false, how), 2), false);
    });
  }
  test("no length of broken data raises", () => {
    const [find, key, attempt] = ["h5sVideoTrackId", "h5sStartsWithKey", "h5sTry"].map(page.get);
    for (const whole of [initSegment(), fragment(true, "sample"), fragment(true, "default")]) {
      for (let size = 0; size <= whole.byteLength; size += 1) {
        attempt(() => find(whole.slice(0, size)), 0);
        attempt(() => key(whole.slice(0, size), 2), false);
      }
    }
    const hollow = box("moof", box("traf", box("tfhd"), box("trun")));
    assert.equal(
      attempt(() => key(hollow, 2), false),
      false,
    );
  });
  test("a MIME message is told from media", () => {
    assert.equal(page.get("h5sMimeOf")(bytes(MIME)), MIME);
    assert.equal(page.get("h5sMimeOf")(initSegment()), "");
    assert.equal(page.get("h5sMimeOf")(new ArrayBuffer(0)), "");
  });
});

describe("WebSocket player", () => {
  test("asks for its source as the API wants it", () => {
    const conf = { videoid: "v", token: "a b", session: "s1", profile: "sub", hevc: "auto" };
    make("H5sPlayerWS", conf).connect();
    const url = new URL(newest().url);
    assert.equal(url.origin + url.pathname, "ws://cameras.test:8080/api/v1/h5swsapi");
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      token: "a b",
      profile: "sub",
      hevc: "false",
      session: "s1",
    });
    assert.equal(newest().binaryType, "arraybuffer");
  });
  test("asks for H.265 where the browser plays it", () => {
    FakeSource.supported = /avc1|hvc1/;
    make("H5sPlayerWS", { videoid: "v", token: "t" }).connect();
    assert.equal(new URL(newest().url).searchParams.get("hevc"), "true");
  });
  test("takes protocol and host from its options, the element without an id", () => {
    const conf = { videodom: page.video, token: "t", protocol: "https:", host: "other:1" };
    make("H5sPlayerWS", conf).connect();
    assert.ok(newest().url.startsWith("wss://other:1/api/v1/h5swsapi?token=t&"));
  });
  test("says so when there is no such element", () => {
    assert.throws(() => make("H5sPlayerWS", { videoid: "nothing", token: "t" }), /video/);
  });
  test("joins what queued up while an append ran, in order", () => {
    const { buffer } = playing();
    newest().say(fragment(false));
    newest().say(fragment(false));
    newest().say(fragment(false));
    const before = buffer.appended.length;
    buffer.finish(0.54);
    assert.equal(buffer.appended.length, before + 1);
    assert.equal(buffer.appended.at(-1).length, 2 * fragment(false).byteLength);
  });
  test("sends a keepalive each second", () => {
    playing();
    page.clock.pass(3050);
    const pings = newest().sent.filter((text) => text === '{"cmd":"H5_KEEPALIVE"}');
    assert.ok(pings.length >= 3 && pings.length <= 4, `${pings.length}`);
  });
  test("is silent, inline and starts by itself", () => {
    playing();
    assert.equal(page.video.muted, true);
    assert.equal(page.video.playsInline, true);
    assert.equal(page.video.paused, false);
  });
  test("starts only when it has as much as it keeps", () => {
    const { buffer } = playing(0.02);
    assert.equal(page.video.paused, true);
    newest().say(fragment(false));
    buffer.finish(0.22);
    assert.equal(page.video.paused, false);
  });
  test("starts with a source of few pictures, too", () => {
    playing(0.02);
    page.clock.pass(1000);
    assert.equal(page.video.paused, false);
  });
  test("starts at the edge when the server sends seconds at once", () => {
    playing(6);
    assert.ok(page.video.currentTime > 5.5);
  });
  test("comes back after a closed socket, and again, with a new MediaSource", () => {
    const { player } = playing();
    for (let i = 1; i <= 3; i += 1) {
      newest().drop("source lost");
      assert.equal(player.state, "waiting");
      page.clock.pass(4000);
      assert.equal(page.sockets.length, i + 1);
      newest().say(bytes(MIME));
    }
    assert.equal(page.urls.size, 1);
    assert.ok(page.sockets.slice(0, -1).every((socket) => socket.isClosed));
  });
  test("does not take the old picture's media for the new connection's", () => {
    const { player, buffer } = playing();
    run(buffer, 2);
    newest().say(fragment(false));
    newest().drop("source lost");
    const there = page.video.currentTime;
    buffer.finish(9);
    page.clock.pass(3000);
    assert.equal(page.video.currentTime, there);
    assert.equal(player.state, "connecting");
  });
  test("comes back after 10 s of silence", () => {
    playing();
    page.clock.pass(13_000);
    assert.equal(page.sockets.length, 2);
  });
  test("does not take the server's events for silence", () => {
    playing();
    for (let i = 0; i < 15; i += 1) {
      newest().say("{}");
      page.clock.pass(1000);
    }
    assert.equal(page.sockets.length, 1);
  });
  test("comes back when the announced format changes", () => {
    const { player } = playing();
    newest().say(bytes(MIME));
    assert.equal(player.state, "connecting");
    newest().say(bytes('video/mp4; codecs="avc1.640028"'));
    assert.equal(player.state, "waiting");
  });
  test("comes back after an append that failed, and after a broken element", () => {
    const { buffer } = playing();
    buffer.failure = new Error("broken");
    newest().say(fragment(false));
    page.clock.pass(2000);
    assert.equal(page.sockets.length, 2);
    newest().say(bytes(MIME));
    page.video.error = { message: "decode" };
    page.video.dispatchEvent(new Event("error"));
    page.clock.pass(4000);
    assert.equal(page.sockets.length, 3);
  });
  test("asks for H.264 after H.265 turned out not to play", () => {
    FakeSource.supported = /hvc1.1.6/;
    make("H5sPlayerWS", { videoid: "v", token: "t" }).connect();
    newest().say(bytes('video/mp4; codecs="hvc1.2.4.L120"'));
    page.clock.pass(2000);
    assert.equal(new URL(newest().url).searchParams.get("hevc"), "false");
  });
  test("plays, with figures", () => {
    const { player, buffer } = playing();
    newest().say('{"type":"H5S_EVENT_LIVE_TIME","liveTime":{"strTime":"","nMediaTime":0.6}}');
    run(buffer, 3);
    const stats = player.stats();
    assert.equal(stats.state, "playing");
    assert.ok(Math.abs(stats.fps - 25) < 2, `${stats.fps} fps`);
    assert.ok(Math.abs(stats.behindLiveS - 0.6) < 0.1, `${stats.behindLiveS} s`);
    assert.ok(stats.bitrateKbps > 10);
  });
  test("hands the server's texts to the page, also those it can't read", () => {
    const heard = [];
    playing(0.5, { callback: (text, data) => heard.push([text, data]), userdata: 7 });
    newest().say("not json");
    newest().say("null");
    assert.deepEqual(heard, [
      ["not json", 7],
      ["null", 7],
    ]);
  });
  test("sets a standing picture going within a second although its clock runs", () => {
    const { player, buffer } = playing();
    run(buffer, 2);
    const before = page.video.currentTime;
    run(buffer, 1, { isShown: false });
    assert.equal(player.stats().stalls, 1);
    assert.notEqual(page.video.currentTime, before + 1);
    assert.ok(buffer.end - page.video.currentTime < 0.6);
  });
  test("leaves what is behind only up to a key frame, and not before 15 s", () => {
    const { buffer } = playing();
    run(buffer, 14);
    assert.deepEqual(buffer.removed, []);
    run(buffer, 4);
    const [start, end] = buffer.removed[0];
    assert.equal(start, 0);
    assert.ok(end > 9 && end <= page.video.currentTime - 5, `${end}`);
  });
  test("makes room when the browser's buffer is full, and appends again", () => {
    const { player, buffer } = playing();
    run(buffer, 5);
    buffer.failure = new DOMException("full", "QuotaExceededError");
    const before = buffer.appended.length;
    newest().say(fragment(false));
    assert.equal(buffer.removed.length, 1);
    buffer.finish();
    assert.equal(buffer.appended.length, before + 1);
    assert.equal(player.state, "playing");
  });
  test("disconnect frees everything, twice; connect starts again", () => {
    const { player } = playing();
    player.disconnect();
    player.disconnect();
    assert.equal(player.state, "stopped");
    assert.equal(page.clock.pending, 0);
    assert.equal(page.urls.size, 0);
    assert.equal(newest().isClosed, true);
    assert.equal(FakeSource.last.isEmptied, true);
    page.video.dispatchEvent(new Event("error"));
    page.page.dispatchEvent(new Event("visibilitychange"));
    assert.equal(page.sockets.length, 1);
    player.connect();
    player.connect();
    assert.equal(page.sockets.length, 2);
  });
  test("disconnect while waiting to come back stays stopped", () => {
    const { player } = playing();
    newest().drop();
    player.disconnect();
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
    assert.equal(page.clock.pending, 0);
  });
  test("lets go when hidden for a minute, and comes back at once when seen", () => {
    const { player, buffer } = playing();
    page.page.hidden = true;
    page.page.dispatchEvent(new Event("visibilitychange"));
    run(buffer, 50);
    assert.equal(page.sockets.length, 1);
    run(buffer, 11);
    assert.equal(player.state, "suspended");
    assert.equal(newest().isClosed, true);
    page.page.hidden = false;
    page.page.dispatchEvent(new Event("visibilitychange"));
    assert.equal(page.sockets.length, 2);
  });
  test("goes to live when seen again after a while", () => {
    const { buffer } = playing();
    page.page.hidden = true;
    page.page.dispatchEvent(new Event("visibilitychange"));
    run(buffer, 8, { isMoving: false });
    page.page.hidden = false;
    page.page.dispatchEvent(new Event("visibilitychange"));
    assert.ok(buffer.end - page.video.currentTime < 0.6);
  });
  test("does not fight a person's pause, lets go after it lasted, returns on play", () => {
    const { player, buffer } = playing();
    run(buffer, 1);
    page.video.paused = true;
    const there = page.video.currentTime;
    run(buffer, 10, { isMoving: false, isShown: false });
    assert.equal(page.video.currentTime, there);
    run(buffer, 6, { isMoving: false, isShown: false });
    assert.equal(player.state, "suspended");
    page.video.paused = false;
    page.video.dispatchEvent(new Event("play"));
    assert.equal(page.sockets.length, 2);
  });
  test("a browser that wants a click gets one", async () => {
    page.video.play = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    const { player } = playing();
    await new Promise(setImmediate);
    assert.equal(player.state, "blocked");
    page.video.play = () => Promise.resolve((page.video.paused = false));
    page.page.dispatchEvent(new Event("pointerdown"));
    assert.equal(page.video.paused, false);
  });
});

describe("WebRTC player", () => {
  const peer = () => page.peers.at(-1);
  const told = () => newest().sent.map((text) => JSON.parse(text));
  const say = (message) => newest().say(JSON.stringify(message));
  /** Signalling is a chain of promises: let it run. */
  const settle = () => new Promise(setImmediate);
  const candidate = (text) => ({ candidate: text, sdpMid: "0", sdpMLineIndex: 0 });

  /** A player whose connection stands. */
  async function connected(conf = {}) {
    const player = make("H5sPlayerRTC", { videoid: "v", token: "demo", ...conf });
    player.connect();
    newest().onopen();
    await answered();
    return player;
  }
  async function answered() {
    say({ type: "offer", sdp: "v=0" });
    await settle();
    peer().become("connected");
  }
  /** Pictures come for a while. */
  function show(seconds) {
    for (let i = 0; i < seconds * 25; i += 1) {
      page.video.frames += 1;
      page.clock.pass(40);
    }
  }

  test("asks for its source as the API wants it, and says that it is there", () => {
    const conf = { videoid: "v", token: "a b", session: "s1", profile: "sub", rootpath: "/x/" };
    make("H5sPlayerRTC", conf).connect();
    const url = new URL(newest().url);
    assert.equal(url.origin + url.pathname, "ws://cameras.test:8080/api/v1/h5srtcapi");
    const asked = Object.fromEntries(url.searchParams);
    assert.deepEqual(asked, { token: "a b", profile: "sub", session: "s1" });
    newest().onopen();
    assert.deepEqual(told(), [{ type: "open" }]);
  });
  test("answers an offer first and tells its candidates after", async () => {
    await connected();
    assert.deepEqual(peer().calls, [
      ["offer", "v=0"],
      ["local", "answer"],
    ]);
    assert.deepEqual(told().slice(1), [
      { type: "answer", sdp: peer().answerSdp },
      { type: "remoteice", ...candidate("candidate:early") },
    ]);
    peer().find("candidate:late");
    peer().onicecandidate({ candidate: null });
    await settle();
    assert.deepEqual(told().at(-1), { type: "remoteice", ...candidate("candidate:late") });
  });
  test("uses the ICE servers that come before the offer", async () => {
    make("H5sPlayerRTC", { videoid: "v", token: "t" }).connect();
    const servers = [{ urls: "turn:turn.test", username: "u", credential: "c" }];
    say({ type: "iceserver", iceServers: servers, iceTransportPolicy: "relay" });
    say({ type: "offer", sdp: "v=0" });
    await settle();
    const { iceServers, iceTransportPolicy } = peer().config;
    assert.deepEqual(JSON.parse(JSON.stringify(iceServers)), servers);
    assert.equal(iceTransportPolicy, "relay");
  });
  test("keeps candidates that come before the offer, and takes later ones at once", async () => {
    const player = make("H5sPlayerRTC", { videoid: "v", token: "t" });
    player.connect();
    say({ type: "remoteice", ...candidate("candidate:1") });
    await settle();
    assert.equal(page.peers.length, 0);
    say({ type: "offer", sdp: "v=0" });
    say({ type: "remoteice", ...candidate("candidate:unknown") });
    say({ type: "remoteice", ...candidate("candidate:3") });
    await settle();
    assert.deepEqual(
      peer().calls.map(([name, what]) => [name, what]),
      [
        ["offer", "v=0"],
        ["local", "answer"],
        ["candidate", "candidate:1"],
        ["candidate", "candidate:unknown"],
        ["candidate", "candidate:3"],
      ],
    );
    assert.equal(player.state, "connecting");
  });
  test("asks for the least delay, or the one its page wants", async () => {
    await connected();
    assert.equal(peer().receivers[0].jitterBufferTarget, 0);
    await connected({ targetLatency: 0.3 });
    assert.equal(peer().receivers[0].jitterBufferTarget, 300);
  });
  test("gives its element the media once it flows, silent and by itself", async () => {
    make("H5sPlayerRTC", { videoid: "v", token: "t" }).connect();
    say({ type: "offer", sdp: "v=0" });
    await settle();
    assert.equal(page.video.srcObject, null);
    peer().become("connected");
    assert.deepEqual([...page.video.srcObject.tracks], [peer().receivers[0].track]);
    assert.equal(page.video.muted, true);
    assert.equal(page.video.paused, false);
  });
  test("says what keeps it from playing, and comes back", async () => {
    const states = [];
    const onState = (state, reason) => states.push([state, reason]);
    const player = make("H5sPlayerRTC", { videoid: "v", token: "t", onState });
    player.connect();
    say({ type: "error", reason: "no H.264 to send" });
    newest().drop("gone");
    assert.deepEqual(states.at(-1), ["waiting", "no H.264 to send"]);
    assert.equal(newest().isClosed, true);
    page.clock.pass(1100);
    assert.equal(page.sockets.length, 2);
    say({ type: "offer", sdp: "broken" });
    await settle();
    assert.equal(states.at(-1)[0], "waiting");
    assert.match(states.at(-1)[1], /Invalid SDP line/);
    assert.equal(peer().isClosed, true);
    page.clock.pass(1700);
    assert.equal(page.sockets.length, 3);
    assert.equal(player.stats().reconnects, 2);
  });
  test("does not answer for a video that the browser can't play", async () => {
    const player = make("H5sPlayerRTC", { videoid: "v", token: "t" });
    const refuse = page.get("RTCPeerConnection").prototype;
    const { createAnswer } = refuse;
    refuse.createAnswer = async () => ({ type: "answer", sdp: "v=0\r\nm=video 0 RTP 98\r\n" });
    player.connect();
    say({ type: "offer", sdp: "v=0" });
    await settle();
    refuse.createAnswer = createAnswer;
    assert.equal(player.state, "waiting");
    assert.deepEqual(told(), []);
  });
  test("comes back when no way for media is found, and after a closed socket", async () => {
    const player = await connected();
    peer().become("failed");
    assert.equal(player.state, "waiting");
    page.clock.pass(1100);
    await answered();
    newest().drop("source lost");
    assert.equal(player.state, "waiting");
    assert.ok(page.peers.every((one) => one.isClosed));
    page.clock.pass(1700);
    assert.equal(page.sockets.length, 3);
    assert.ok(page.sockets.slice(0, -1).every((socket) => socket.isClosed));
  });
  test("keeps the last picture until the next connection stands", async () => {
    await connected();
    const old = page.video.srcObject;
    newest().drop();
    page.clock.pass(1100);
    say({ type: "offer", sdp: "v=0" });
    await settle();
    assert.equal(page.video.srcObject, old);
    peer().become("connected");
    assert.notEqual(page.video.srcObject, old);
  });
  test("comes back after 10 s without an offer, and without a picture", async () => {
    const player = make("H5sPlayerRTC", { videoid: "v", token: "t" });
    player.connect();
    page.clock.pass(9900);
    assert.equal(page.sockets.length, 1);
    page.clock.pass(1300);
    assert.equal(page.sockets.length, 2);
    await answered();
    show(3);
    assert.equal(player.state, "playing");
    page.clock.pass(9800);
    assert.equal(player.state, "playing");
    page.clock.pass(500);
    assert.equal(player.state, "waiting");
  });
  test("comes back when the server ends the media", async () => {
    const player = await connected();
    show(1);
    page.video.paused = page.video.ended = true;
    page.clock.pass(200);
    assert.equal(player.state, "waiting");
  });
  test("waits longer each time, and shortly again after it has played well", async () => {
    const player = await connected();
    for (const waitMs of [1000, 1600]) {
      newest().drop();
      const before = page.sockets.length;
      page.clock.pass(waitMs * 0.79);
      assert.equal(page.sockets.length, before);
      page.clock.pass(waitMs * 0.25);
      assert.equal(page.sockets.length, before + 1);
    }
    await answered();
    show(6);
    assert.equal(player.state, "playing");
    newest().drop();
    page.clock.pass(1010);
    assert.equal(player.state, "connecting");
  });
  test("sends a keepalive each second", async () => {
    await connected();
    show(3);
    const pings = told().filter(({ type }) => type === "keepalive");
    assert.ok(pings.length >= 3 && pings.length <= 4, `${pings.length}`);
  });
  test("plays, with figures", async () => {
    const player = await connected();
    const video = { id: "v", type: "inbound-rtp", kind: "video", codecId: "c", packetsLost: 3 };
    const sums = (bytesReceived, framesDecoded) => ({
      ...{ bytesReceived, framesDecoded, jitterBufferEmittedCount: framesDecoded },
      ...{ jitterBufferDelay: framesDecoded * 0.04, totalDecodeTime: framesDecoded * 0.01 },
      ...{ framesDropped: 2, freezeCount: 1 },
    });
    const others = [
      { id: "c", type: "codec", mimeType: "video/H264" },
      { id: "unused", type: "candidate-pair", nominated: false, currentRoundTripTime: 9 },
      { id: "p", type: "candidate-pair", nominated: true, currentRoundTripTime: 0.02 },
    ];
    for (let second = 1; second <= 4; second += 1) {
      peer().stats = [{ ...video, ...sums(second * 250_000, second * 25) }, ...others];
      show(1);
      await settle();
    }
    const stats = player.stats();
    assert.equal(stats.state, "playing");
    assert.ok(Math.abs(stats.fps - 25) < 2, `${stats.fps} fps`);
    assert.ok(Math.abs(stats.bitrateKbps - 2000) < 200, `${stats.bitrateKbps} kbit/s`);
    assert.ok(Math.abs(stats.lagS - 0.05) < 0.001, `${stats.lagS} s`);
    assert.ok(Math.abs(stats.behindLiveS - 0.06) < 0.001, `${stats.behindLiveS} s`);
    const { packetsLost, roundTripMs, droppedFrames, stalls, mime } = stats;
    assert.deepEqual([packetsLost, roundTripMs, droppedFrames, stalls], [3, 20, 2, 1]);
    assert.equal(mime, "video/H264");
  });
  test("hands the server's events to the page, and keeps signalling to itself", async () => {
    const heard = [];
    await connected({ callback: (text, data) => heard.push([text, data]), userdata: 7 });
    const event = '{"type":"H5S_EVENT_OFFLINE","strToken":"demo"}';
    newest().say(event);
    newest().say("not json");
    assert.deepEqual(heard, [
      [event, 7],
      ["not json", 7],
    ]);
  });
  test("disconnect frees everything, twice; connect starts again", async () => {
    const player = await connected();
    show(1);
    const before = newest().sent.length;
    player.disconnect();
    player.disconnect();
    assert.equal(player.state, "stopped");
    assert.equal(page.clock.pending, 0);
    assert.equal(newest().isClosed, true);
    assert.equal(peer().isClosed, true);
    assert.equal(page.video.srcObject, null);
    for (const handler of ["onopen", "onmessage", "onclose"])
      assert.equal(newest()[handler], null, handler);
    assert.equal(peer().onicecandidate, null);
    assert.equal(peer().onconnectionstatechange, null);
    page.video.dispatchEvent(new Event("play"));
    page.page.dispatchEvent(new Event("visibilitychange"));
    await settle();
    assert.equal(newest().sent.length, before);
    assert.equal(page.sockets.length, 1);
    player.connect();
    player.connect();
    assert.equal(page.sockets.length, 2);
  });
  test("disconnect amid signalling leaves no peer behind", async () => {
    const player = make("H5sPlayerRTC", { videoid: "v", token: "t" });
    player.connect();
    say({ type: "offer", sdp: "v=0" });
    player.disconnect();
    await settle();
    assert.ok(page.peers.every((one) => one.isClosed));
    assert.equal(player.state, "stopped");
    assert.equal(page.clock.pending, 0);
  });
  test("disconnect while waiting to come back stays stopped", async () => {
    const player = await connected();
    newest().drop();
    player.disconnect();
    page.clock.pass(60_000);
    assert.equal(page.sockets.length, 1);
    assert.equal(page.clock.pending, 0);
  });
  test("lets go when hidden for a minute, and comes back at once when seen", async () => {
    const player = await connected();
    show(1);
    page.page.hidden = true;
    page.page.dispatchEvent(new Event("visibilitychange"));
    page.clock.pass(59_000); // hidden, browsers show no pictures
    assert.equal(player.state, "playing");
    page.clock.pass(2000);
    assert.equal(player.state, "suspended");
    assert.equal(newest().isClosed, true);
    assert.equal(peer().isClosed, true);
    page.page.hidden = false;
    page.page.dispatchEvent(new Event("visibilitychange"));
    assert.equal(page.sockets.length, 2);
  });
  test("does not fight a person's pause, lets go after it lasted, returns on play", async () => {
    const player = await connected();
    show(1);
    page.video.paused = true;
    page.clock.pass(14_000);
    assert.equal(player.state, "playing");
    assert.equal(page.video.paused, true);
    page.clock.pass(2000);
    assert.equal(player.state, "suspended");
    page.video.paused = false;
    page.video.dispatchEvent(new Event("play"));
    assert.equal(page.sockets.length, 2);
  });
  test("a browser that wants a click gets one", async () => {
    page.video.play = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    const player = await connected();
    await settle();
    assert.equal(player.state, "blocked");
    page.video.play = () => Promise.resolve((page.video.paused = false));
    page.page.dispatchEvent(new Event("pointerdown"));
    assert.equal(page.video.paused, false);
  });
});

describe("the player that suits", () => {
  const pick = () => page.get("H5sPlayerCreate")({ videoid: "v", token: "t" }).constructor.name;

  test("is WebSocket, else WebRTC, else HLS", () => {
    assert.equal(pick(), "H5sPlayerWS");
    page.context.MediaSource = undefined;
    assert.equal(pick(), "H5sPlayerRTC");
    delete page.context.RTCPeerConnection;
    assert.equal(pick(), "H5sPlayerHls");
  });
});

describe("HLS player", () => {
  test("holds the keep-alive socket open and plays the playlist of its version", () => {
    page.video.canPlayType = () => "maybe";
    const player = make("H5sPlayerHls", {
      videoid: "v",
      token: "a b",
      session: "s",
      hlsver: "v2",
    });
    player.connect();
    assert.equal(page.video.url, "http://cameras.test:8080/hls/v2/a%20b/hls.m3u8");
    assert.equal(newest().url, "ws://cameras.test:8080/api/v1/h5swscmnapi?token=a+b&session=s");
    newest().onopen();
    page.clock.pass(2000);
    assert.ok(newest().sent.filter((text) => text === '{"type":"keepalive"}').length >= 2);
    player.disconnect();
    player.disconnect();
    assert.equal(newest().isClosed, true);
    assert.equal(page.clock.pending, 0);
    assert.equal(page.video.url, "");
  });
  test("comes back when the element fails and when the picture stands", () => {
    const player = make("H5sPlayerHls", { videoid: "v", token: "t" });
    player.connect();
    assert.ok(page.video.url.includes("/hls/v1/t/"));
    page.video.error = { message: "404" };
    page.video.dispatchEvent(new Event("error"));
    assert.equal(player.state, "waiting");
    page.clock.pass(1500);
    assert.equal(player.state, "connecting");
    page.clock.pass(13_000);
    assert.equal(player.stats().reconnects, 2);
  });
});

describe("HLS player with hls.js", () => {
  /** A player whose media ends `ahead` seconds before it; parts of 0.2 s come and are played. */
  function watching(hlsver, ahead) {
    page.give("Hls", FakeHls);
    const player = make("H5sPlayerHls", { videoid: "v", token: "t", hlsver, session: "s" });
    player.connect();
    const hls = FakeHls.last;
    const media = { end: 10 };
    page.video.buffered = { length: 1, start: () => 0, end: () => media.end };
    page.video.currentTime = media.end - ahead;
    return { player, hls, media };
  }

  function play(hls, media, seconds, { isShown = true } = {}) {
    for (let i = 1; i <= seconds * 10; i += 1) {
      page.clock.pass(100);
      page.video.currentTime += 0.1 * page.video.playbackRate;
      if (isShown) page.video.frames += 3;
      if (i % 2) continue;
      media.end += 0.2;
      hls.liveSyncPosition = media.end - 0.6;
      hls.listeners.appended?.();
    }
  }

  test("v2 takes parts and leaves the edge to this player, v1 to hls.js", () => {
    const v2 = watching("v2", 0.6).hls.config;
    assert.equal(v2.lowLatencyMode, true);
    assert.equal(v2.maxLiveSyncPlaybackRate, 1);
    assert.equal(v2.liveSyncDurationCount, undefined); // the server's PART-HOLD-BACK counts
    const v1 = watching("v1", 4).hls.config;
    assert.equal(v1.lowLatencyMode, undefined);
    assert.equal(v1.liveSyncDurationCount, 2);
  });
  test("v2 finds its distance from the edge and stays there", () => {
    const { player, hls, media } = watching("v2", 1.2);
    play(hls, media, 1);
    assert.ok(page.video.playbackRate > 1.1, `rate ${page.video.playbackRate}`);
    play(hls, media, 20);
    const lag = media.end - page.video.currentTime;
    assert.ok(lag > 0.25 && lag < 0.6, `lag ${lag}`);
    assert.ok(Math.abs(page.video.playbackRate - 1) < 0.11);
    assert.ok(Math.abs(player.stats().targetS - 0.36) < 0.05, `${player.stats().targetS}`);
  });
  test("v1 plays on at its own pace", () => {
    const { player, hls, media } = watching("v1", 4);
    play(hls, media, 5);
    assert.equal(page.video.playbackRate, 1);
    assert.equal(player.stats().targetS, 4);
  });
  test("v2 goes to where the playlist ends when that is far", () => {
    const { hls, media } = watching("v2", 0.6);
    play(hls, media, 2);
    hls.liveSyncPosition = page.video.currentTime + 8;
    const wanted = hls.liveSyncPosition;
    page.clock.pass(100);
    page.video.frames += 3;
    assert.ok(Math.abs(page.video.currentTime - wanted) < 0.2);
  });
  test("v2 sets a standing picture going, and comes back when that does not help", () => {
    const { player, hls, media } = watching("v2", 0.6);
    play(hls, media, 2);
    play(hls, media, 1.2, { isShown: false });
    assert.equal(player.stats().stalls, 1);
    play(hls, media, 4, { isShown: false });
    assert.equal(player.stats().reconnects, 1);
    assert.notEqual(FakeHls.last, hls);
    assert.equal(hls.isDestroyed, true);
  });
  test("a player that was let go is at normal speed again and holds nothing", () => {
    const { player, hls, media } = watching("v2", 1.2);
    play(hls, media, 1);
    player.disconnect();
    assert.equal(page.video.playbackRate, 1);
    assert.equal(hls.isDestroyed, true);
    assert.equal(page.clock.pending, 0);
  });
});
