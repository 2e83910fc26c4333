import assert from "node:assert/strict";
import { test } from "node:test";

import { Fallback, ORDER, waysFor } from "../../../www/js/app/lib/fallback.js";

const all = (wish) => new Fallback(wish, waysFor(wish, ORDER));

/** Tell one state each second, up to a time; returns when the transport changed, to which. */
function pass(fallback, state, from, to) {
  const changes = [];
  for (let now = from; now < to; now += 1)
    if (fallback.observe(now, state)) changes.push([now, fallback.transport]);
  return changes;
}

/** Tell one state each second until the transport changes; returns when. */
function until(fallback, state, from) {
  let now = from;
  while (!fallback.observe(now, state)) now += 1;
  return now;
}

test("the wished transport comes first, the others in order of delay", () => {
  assert.deepEqual(waysFor("ws", ORDER), ["ws", "rtc", "hls"]);
  assert.deepEqual(waysFor("rtc", ORDER), ["rtc", "ws", "hls"]);
  assert.deepEqual(waysFor("hls", ORDER), ["hls", "ws", "rtc"]);
});

test("what the browser can't do is not tried", () => {
  assert.deepEqual(waysFor("ws", ["hls", "rtc"]), ["rtc", "hls"]);
  assert.deepEqual(waysFor("rtc", []), ["rtc"]);
  const fallback = new Fallback("ws", waysFor("ws", ["hls"]));
  assert.equal(fallback.transport, "hls");
  assert.equal(fallback.wish, "ws");
});

test("WebSocket gives way to WebRTC, that to HLS, and all is tried again", () => {
  const changes = pass(all("ws"), "trying", 0, 60);
  assert.deepEqual(
    changes.map(([, transport]) => transport),
    ["rtc", "hls", "ws", "rtc"],
  );
});

test("8 s without a picture are too many, of HLS 20 s", () => {
  const changes = pass(all("ws"), "trying", 0, 60).map(([now]) => now);
  assert.ok(changes[0] >= 8 && changes[0] <= 10, `${changes[0]} s`);
  assert.ok(changes[1] - changes[0] <= 10, `${changes[1]} s`);
  const hls = changes[2] - changes[1];
  assert.ok(hls >= 20 && hls <= 22, `${hls} s`);
});

test("a transport that plays stays, however long", () => {
  const fallback = all("ws");
  assert.deepEqual(pass(fallback, "playing", 0, 10_000), []);
  assert.deepEqual(pass(fallback, "trying", 10_000, 10_007), []);
  assert.deepEqual(pass(fallback, "playing", 10_007, 10_010), []);
  assert.deepEqual(pass(fallback, "trying", 10_010, 10_017), []);
});

test("a source that is offline, and a page that nobody looks at, is no failure", () => {
  const fallback = all("ws");
  assert.deepEqual(pass(fallback, "resting", 0, 100), []);
  assert.deepEqual(pass(fallback, "trying", 100, 107), []);
  assert.deepEqual(pass(fallback, "resting", 107, 108), []);
  assert.deepEqual(pass(fallback, "trying", 108, 115), []);
});

test("a new player gets its full time", () => {
  const fallback = all("ws");
  pass(fallback, "trying", 0, 7);
  fallback.restart();
  assert.deepEqual(pass(fallback, "trying", 50, 57), []);
});

test("the wished transport is tried again after 5 min, later when it failed again", () => {
  const fallback = all("ws");
  const left = until(fallback, "trying", 0);
  const back = until(fallback, "playing", left);
  assert.equal(fallback.transport, "ws");
  assert.ok(Math.abs(back - left - 300) <= 2, `${back - left} s`);
  const leftAgain = until(fallback, "trying", back);
  const backAgain = until(fallback, "playing", leftAgain);
  assert.ok(Math.abs(backAgain - leftAgain - 600) <= 2, `${backAgain - leftAgain} s`);
});

test("the wait to try again has an end, and is short again once the wished one plays", () => {
  const fallback = all("ws");
  let [left, back] = [0, 0];
  for (let turn = 0; turn < 8; turn += 1) {
    left = until(fallback, "trying", back);
    back = until(fallback, "playing", left);
  }
  assert.ok(Math.abs(back - left - 3600) <= 2, `${back - left} s`);
  assert.deepEqual(pass(fallback, "playing", back, back + 90), []);
  left = until(fallback, "trying", back + 90);
  back = until(fallback, "playing", left);
  assert.ok(Math.abs(back - left - 300) <= 2, `${back - left} s`);
});

test("a page with one transport keeps it", () => {
  const fallback = new Fallback("rtc", ["rtc"]);
  assert.deepEqual(pass(fallback, "trying", 0, 100), []);
  assert.equal(fallback.transport, "rtc");
});
