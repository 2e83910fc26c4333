// What the dialog of ONVIF cameras says.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.localStorage = {
  getItem: (name) => (name === "h5s_language" ? "en" : null),
};
Object.defineProperty(globalThis, "navigator", {
  value: { language: "en-GB" },
  configurable: true,
});

const { newCameras, tellCamera, tellFailure, tellProfile } = await import(
  new URL("../../../www/js/app/lib/onvif.js", import.meta.url)
);

const camera = {
  strIp: "192.0.2.7",
  strPort: "80",
  strOnvifAddr: "/x",
  strModel: "IPC-1",
  bHttps: false,
};

test("a camera is told by its model and where it is", () => {
  assert.deepEqual(tellCamera(camera), { name: "IPC-1", where: "192.0.2.7" });
  const other = { ...camera, strIp: "fe80::1", strPort: "8000", strModel: "" };
  assert.deepEqual(tellCamera(other), {
    name: "[fe80::1]",
    where: "[fe80::1]:8000",
  });
});

test("a camera that answers again is not new", () => {
  const second = { ...camera, strPort: "8000" };
  assert.deepEqual(newCameras([camera], [camera, second]), [second]);
});

test("a profile leaves out what the camera does not say", () => {
  const profile = {
    strToken: "P1",
    strCodecName: "H264",
    nWidth: 1920,
    nHeight: 1080,
    nFps: 25,
    nBandwidth: 2048,
    bGotUrl: true,
  };
  assert.equal(tellProfile(profile), "H264 · 1920 × 1080 · 25 fps · 2048 kbit/s (P1)");
  assert.equal(tellProfile({ ...profile, nFps: 0, nBandwidth: 0 }), "H264 · 1920 × 1080 (P1)");
});

test("every failure has a sentence, and what is unknown has none", () => {
  const kinds = [
    "unreachable",
    "no_answer",
    "wrong_password",
    "locked_out",
    "clock",
    "certificate",
  ];
  for (const strFailure of [...kinds, "unsupported", "not_understood"])
    assert.match(tellFailure({ strFailure }), /^[A-Z].+[.?]$/);
  assert.equal(tellFailure({ strFailure: "else" }), "");
  assert.equal(tellFailure({}), "");
});
