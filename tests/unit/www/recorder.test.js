// What the pages say of recorders.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.localStorage = { getItem: (name) => (name === "h5s_language" ? "en" : null) };
Object.defineProperty(globalThis, "navigator", {
  value: { language: "en-GB" },
  configurable: true,
});

const { nameOf, recorderOf, tellAdded, tellRecorder } = await import(
  new URL("../../../www/js/app/lib/recorder.js", import.meta.url)
);

test("a channel goes by its recorder and its name, a source by its name", () => {
  assert.equal(nameOf({ strName: "Camera 01", strToken: "nvr--1" }), "nvr · Camera 01");
  assert.equal(nameOf({ strName: "", strToken: "nvr--1" }), "nvr · nvr--1");
  assert.equal(nameOf({ strName: "Door", strToken: "door" }), "Door");
  assert.equal(nameOf({ strName: "", strToken: "door" }), "door");
  assert.equal(recorderOf("nvr--33"), "nvr");
  assert.equal(recorderOf("a-b"), "");
});

test("a recorder that was added and is offline is told of, one that is online is not", () => {
  assert.equal(tellAdded("Add successfully"), "");
  const said = "The recorder was added. It is offline: can't connect";
  assert.equal(tellAdded("Add successfully, but it is offline: can't connect"), said);
  const silent = "The recorder was added. It has not answered yet";
  assert.equal(tellAdded("Add successfully; it has not answered yet"), silent);
});

test("a recorder's state is its channels, or why there are none", () => {
  const recorder = { strToken: "n", strName: "", bFixed: false, nChannels: 4, strReason: "" };
  assert.equal(tellRecorder({ ...recorder, bOnline: true }), "online, 4 channels");
  const offline = { ...recorder, bOnline: false, strReason: "no answer" };
  assert.equal(tellRecorder(offline), "offline: no answer");
});
