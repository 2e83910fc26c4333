// What a pad sends while something is held, and after.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const { AGAIN_MS, Mover, REPEAT_MS, actionOf, freeToken, isSteering } = await import(
  new URL("../../../www/js/app/lib/mover.js", import.meta.url)
);

/** A server that answers when it is told to. */
class Server {
  sent = [];
  outcomes = [];
  #answers = [];
  mover = new Mover(
    (action) => {
      this.sent.push(action);
      return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
    },
    (error) => this.outcomes.push(error),
    (error) => error.message === "lost",
  );

  /** Answer the oldest question. @param {Error} [error] */
  async answer(error) {
    const { resolve, reject } = this.#answers.shift();
    if (error) reject(error);
    else resolve(undefined);
    await new Promise((done) => setImmediate(done));
  }
}

/** @type {Server} */
let server;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  server = new Server();
});

test("what is held is asked for again, and let go it stops", async () => {
  const { mover } = server;
  mover.hold("left");
  mover.hold("left");
  await server.answer();
  for (let times = 0; times < 2; times += 1) {
    mock.timers.tick(REPEAT_MS - 1);
    assert.equal(server.sent.length, times + 1);
    mock.timers.tick(1);
    await server.answer();
  }
  mover.release();
  await server.answer();
  assert.ok(mover.isAtRest);
  mock.timers.tick(60_000);
  mover.release();
  assert.deepEqual(server.sent, ["left", "left", "left", "stop"]);
  assert.deepEqual(server.outcomes, [null, null, null, null]);
});

test("a stop waits for the motion it ends, and of what waits the newest is sent", async () => {
  const { mover } = server;
  mover.hold("left");
  mover.release();
  mover.hold("up");
  mover.release();
  assert.deepEqual(server.sent, ["left"]);
  assert.ok(!mover.isAtRest);
  await server.answer();
  await server.answer();
  assert.deepEqual(server.sent, ["left", "stop"]);
  assert.ok(mover.isAtRest);
});

test("what fails is told once, stopped and not repeated", async () => {
  const { mover } = server;
  mover.hold("irisin");
  await server.answer(new Error("no iris"));
  assert.equal(mover.held, "");
  await server.answer(new Error("no stop either"));
  mover.release();
  mock.timers.tick(60_000);
  assert.deepEqual(server.sent, ["irisin", "stop"]);
  assert.deepEqual(
    server.outcomes.map((error) => error?.message),
    ["no iris"],
  );
});

test("a stop that fails is told", async () => {
  server.mover.stop();
  await server.answer(new Error("gone"));
  assert.deepEqual(server.sent, ["stop"]);
  assert.equal(server.outcomes[0].message, "gone");
  assert.ok(server.mover.isAtRest);
});

test("a stop that was lost is sent until it arrives, and told once", async () => {
  const { mover } = server;
  mover.hold("left");
  await server.answer();
  mover.release();
  await server.answer(new Error("lost"));
  assert.ok(!mover.isAtRest);
  mock.timers.tick(AGAIN_MS);
  await server.answer(new Error("lost"));
  mock.timers.tick(AGAIN_MS);
  await server.answer();
  assert.deepEqual(server.sent, ["left", "stop", "stop", "stop"]);
  assert.deepEqual(
    server.outcomes.map((error) => error?.message),
    [undefined, "lost", undefined],
  );
  assert.ok(mover.isAtRest);
});

test("a stop that never arrives is given up, and gives way to a new motion", async () => {
  const { mover } = server;
  mover.stop();
  for (let times = 0; times < 20 && !mover.isAtRest; times += 1) {
    await server.answer(new Error("lost"));
    mock.timers.tick(AGAIN_MS);
  }
  assert.equal(server.sent.length, 11);
  mover.stop();
  await server.answer(new Error("lost"));
  mover.hold("up");
  mock.timers.tick(AGAIN_MS);
  assert.deepEqual(server.sent.slice(11), ["stop", "up"]);
});

test("a new motion after one that failed is not stopped", async () => {
  const { mover } = server;
  mover.hold("irisin");
  mover.hold("left");
  await server.answer(new Error("no iris"));
  await server.answer();
  assert.deepEqual(server.sent, ["irisin", "left"]);
  assert.equal(mover.held, "left");
});

test("what is abandoned is neither repeated nor stopped", async () => {
  server.mover.hold("left");
  await server.answer();
  server.mover.abandon();
  mock.timers.tick(60_000);
  assert.deepEqual(server.sent, ["left"]);
});

test("two arrows make a diagonal, opposite ones nothing", () => {
  assert.equal(actionOf(["ArrowUp"]), "up");
  assert.equal(actionOf(["ArrowLeft", "ArrowDown"]), "downleft");
  assert.equal(actionOf(["ArrowUp", "ArrowRight"]), "upright");
  assert.equal(actionOf(["ArrowUp", "ArrowDown"]), "");
  assert.equal(actionOf(["ArrowUp", "+"]), "zoomin");
  assert.equal(actionOf(["-"]), "zoomout");
  assert.equal(actionOf([]), "");
  assert.ok(isSteering("="));
  assert.ok(!isSteering("a"));
});

test("a new preset gets the lowest number that is free", () => {
  const presets = ["1", "Gate", "3"].map((strToken) => ({ strToken }));
  assert.equal(freeToken(presets), "2");
  assert.equal(freeToken([]), "1");
});
