import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const APP = new URL("../../../www/js/app/", import.meta.url);
const chosen = new Map([["h5s_language", "en"]]);
globalThis.localStorage = { getItem: (name) => chosen.get(name) ?? null };

const { md5 } = await import(new URL("lib/md5.js", APP));
const { bitrate, delay, elapsed, rate, suggestToken } = await import(
  new URL("lib/figures.js", APP)
);
const { describe, isWorthPlaying } = await import(new URL("lib/state.js", APP));
const { whoRests } = await import(new URL("lib/places.js", APP));
const { t } = await import(new URL("lib/i18n.js", APP));
const { WORDS } = await import(new URL("lib/words.js", APP));

test("md5 agrees with another implementation at every length and in UTF-8", () => {
  const texts = Array.from({ length: 200 }, (_, size) => "x".repeat(size));
  for (const text of [...texts, "12345", "密码🔑", "ü".repeat(70)])
    assert.equal(md5(text), createHash("md5").update(text).digest("hex"), text);
});

test("figures are short and leave out what is not known", () => {
  assert.equal(bitrate(2043), "2.0 Mbit/s");
  assert.equal(bitrate(640), "640 kbit/s");
  assert.equal(bitrate(0), "");
  assert.equal(rate(24.9), "25 fps");
  assert.equal(rate(4.96), "5 fps");
  assert.equal(rate(0), "");
  assert.equal(delay(0.21), "0.2 s behind");
  assert.equal(delay(0.01), "<0.1 s behind");
  assert.equal(delay(null), "");
});

test("elapsed time comes in the largest unit that fits", () => {
  const now = Date.parse("2026-05-02T12:00:00Z");
  assert.equal(elapsed("2026-05-02T11:59:13Z", now), "47 s");
  assert.equal(elapsed("2026-05-02T11:00:01Z", now), "59 min");
  assert.equal(elapsed("2026-05-01T13:00:00Z", now), "23 h");
  assert.equal(elapsed("2026-04-02T12:00:00Z", now), "30 d");
  assert.equal(elapsed("", now), "");
  assert.equal(elapsed("2027-01-01T00:00:00Z", now), "");
});

test("a suggested token is a valid one", () => {
  assert.equal(suggestToken("Front door (left)"), "front-door-left");
  assert.equal(suggestToken("Küche"), "kuche");
  assert.match(suggestToken("花园门"), /^camera-[0-9a-f]{4}$/);
  assert.notEqual(suggestToken("花园门"), suggestToken("仓库"));
  assert.equal(suggestToken("  "), "");
  assert.ok(!suggestToken("a--b -- c").includes("--"));
  assert.equal(suggestToken("x".repeat(80)).length, 64);
});

const source = { strToken: "gate", strName: "Gate", nType: "", bOnline: false };

test("an offline source says why and for how long", () => {
  const since = "2026-05-02T11:58:00Z";
  const item = { ...source, strState: "BACKOFF", strReason: "no answer", strSince: since };
  const shown = describe(item, "stopped", Date.parse("2026-05-02T12:00:00Z"));
  assert.deepEqual(shown, { tone: "bad", word: "Offline for 2 min", detail: "No answer" });
  assert.equal(isWorthPlaying(item), false);
});

test("what this page plays counts more than what the server last said", () => {
  const item = { ...source, strState: "BACKOFF" };
  assert.equal(describe(item, "playing", 0).tone, "live");
  assert.equal(describe({ ...source, strState: "RUNNING" }, "waiting", 0).tone, "busy");
});

test("an idle source is worth asking for: that is what starts it", () => {
  assert.equal(isWorthPlaying({ ...source, strState: "STOPPED" }), true);
});

test("a source that has to rest says why, unless it is offline anyway", () => {
  const item = { ...source, bOnline: true, strState: "RUNNING" };
  const shown = describe(item, "stopped", 0, { isResting: true });
  assert.equal(shown.word, "Resting");
  assert.match(shown.detail, /four cameras at once/);
  assert.equal(
    describe({ ...source, strState: "BACKOFF" }, "stopped", 0, { isResting: true }).tone,
    "bad",
  );
});

test("HLS plays four at once, for browsers open six connections to a host", () => {
  const tile = { isWanted: true, overHls: true, isWorthPlaying: true };
  const six = Array.from({ length: 6 }, () => ({ ...tile }));
  assert.deepEqual(whoRests(six), [false, false, false, false, true, true]);
  six[0].isWanted = false; // out of view
  six[1].isWorthPlaying = false; // offline
  assert.deepEqual(whoRests(six), [false, false, false, false, false, false]);
  const others = six.map((one) => ({ ...one, overHls: false }));
  assert.ok(whoRests([...six, ...others, tile]).at(-1));
  assert.ok(
    !whoRests([...six, ...others])
      .slice(6)
      .includes(true),
  );
});

test("every sentence stands in both languages with the same values", () => {
  const names = (sentence) => [...sentence.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();
  for (const [key, [en, zh]] of Object.entries(WORDS)) {
    assert.ok(en && zh, key);
    assert.deepEqual(names(en), names(zh), key);
  }
  assert.throws(() => t("no such key"));
});

test("no sentence is missing and none is unused", () => {
  const files = readdirSync(APP, { recursive: true }).filter((name) => name.endsWith(".js"));
  const text = files
    .filter((name) => !name.endsWith("words.js"))
    .map((name) => readFileSync(new URL(name, APP), "utf8"))
    .join("\n");
  for (const key of Object.keys(WORDS)) assert.ok(text.includes(`"${key}"`), `${key} is unused`);
  for (const [, key] of text.matchAll(/\bt\("(\w+)"/g)) assert.ok(WORDS[key], `${key} is missing`);
});
