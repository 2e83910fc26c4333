// What the pages say of recorders.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.localStorage = { getItem: (name) => (name === "h5s_language" ? "en" : null) };
Object.defineProperty(globalThis, "navigator", {
  value: { language: "en-GB" },
  configurable: true,
});

const { learnNames, nameOf, recorderOf, restOf, tellAdded, tellPlace, tellRecorder } =
  await import(new URL("../../../www/js/app/lib/recorder.js", import.meta.url));

test("a channel goes by its recorder and its name, a source by its name", () => {
  assert.equal(nameOf({ strName: "Camera 01", strToken: "nvr--1" }), "nvr · Camera 01");
  assert.equal(nameOf({ strName: "", strToken: "nvr--1" }), "nvr · nvr--1");
  assert.equal(nameOf({ strName: "Door", strToken: "door" }), "Door");
  assert.equal(nameOf({ strName: "", strToken: "door" }), "door");
  learnNames([
    { strToken: "nvr", strName: "Shop" },
    { strToken: "old", strName: "" },
  ]);
  assert.equal(nameOf({ strName: "Camera 01", strToken: "nvr--1" }), "Shop · Camera 01");
  assert.equal(nameOf({ strName: "Camera 01", strToken: "old--1" }), "old · Camera 01");
  learnNames([]);
  assert.equal(recorderOf("nvr--33"), "nvr");
  assert.equal(recorderOf("a-b"), "");
});

test("a recorder that was added and is offline is told of, one that is online is not", () => {
  assert.equal(tellAdded("Add successfully"), "");
  const said = "The recorder was added. It is offline: can't connect";
  assert.equal(tellAdded("Add successfully, but it is offline: can't connect"), said);
  const silent = "The recorder was added. It has not answered yet";
  assert.equal(tellAdded("Add successfully; it has not answered yet"), silent);
  assert.equal(restOf("Set successfully, but it is offline: refused"), "It is offline: refused");
});

test("a recorder's state is its channels, or why there are none", () => {
  const four = { strReason: "", nChannels: 4, nChannelsOnline: 4 };
  assert.equal(tellRecorder({ ...four, bOnline: true }), "Online, 4 channels");
  const partly = { ...four, bOnline: true, nChannelsOnline: 3 };
  assert.equal(tellRecorder(partly), "Online, 3 of 4 channels have a picture");
  const offline = { ...four, bOnline: false, strReason: "no answer" };
  assert.equal(tellRecorder(offline), "Offline: No answer");
});

test("a recorder is told by its maker and where it is", () => {
  const hik = { nType: "H5_DEV_HIK", strDevIpAddress: "192.0.2.7" };
  assert.equal(tellPlace(hik), "Hikvision · 192.0.2.7");
  assert.equal(tellPlace({ ...hik, nType: "H5_DEV_ELSE" }), "192.0.2.7");
});
