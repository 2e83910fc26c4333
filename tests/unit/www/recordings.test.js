import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";

process.env.TZ = "Europe/Berlin"; // clocks change there on 2026-03-29 and 2026-10-25
const APP = new URL("../../../www/js/app/", import.meta.url);
const stored = new Map([["h5s_language", "en"]]);
globalThis.localStorage = { getItem: (name) => stored.get(name) ?? null };
globalThis.sessionStorage = { getItem: () => "s1" };
Object.defineProperty(globalThis, "navigator", {
  value: { language: "en-GB" },
  configurable: true,
});
globalThis.location = { href: "http://cameras.test/" };

const day = await import(new URL("lib/day.js", APP));
const span = await import(new URL("lib/span.js", APP));
const { TimeWindow } = await import(new URL("lib/window.js", APP));
const { DayBook } = await import(new URL("lib/daybook.js", APP));
const { DayPlayer } = await import(new URL("lib/dayplayer.js", APP));
const { Playback } = await import(new URL("lib/playback.js", APP));
const { describeGap } = await import(new URL("views/note.js", APP));
const { describePlayback } = await import(new URL("views/screen.js", APP));
const { describeRoom } = await import(new URL("views/disk.js", APP));
const recordings = await import(new URL("recordings.js", APP));
const { Origin } = await import(new URL("origin.js", APP));
const { Address, readPlace } = await import(new URL("lib/address.js", APP));

const HOUR = 3_600_000;
const on = (text) => Date.parse(text);

describe("day", () => {
  test("lasts from midnight to midnight of the clocks here: 23, 24 or 25 hours", () => {
    for (const [text, hours] of [
      ["2026-03-29T12:00:00+02:00", 23],
      ["2026-05-02T23:59:59+02:00", 24],
      ["2026-10-25T00:00:00+02:00", 25],
    ]) {
      const found = day.dayOf(on(text));
      assert.equal((found.end - found.start) / HOUR, hours, text);
      assert.ok(found.start <= on(text) && on(text) < found.end);
    }
  });
  test("days beside it are whole days, whatever clocks do", () => {
    let one = day.dayOf(on("2026-03-28T12:00:00+01:00"));
    for (let i = 0; i < 3; i += 1) {
      const next = day.dayBeside(one, 1);
      assert.equal(next.start, one.end);
      assert.deepEqual(day.dayBeside(next, -1), one);
      one = next;
    }
  });
  test("a time of the clock is found on it; one shown twice is the first", () => {
    const autumn = day.dayOf(on("2026-10-25T12:00:00+01:00"));
    assert.equal(day.atClock(autumn, "02:30:05"), on("2026-10-25T02:30:05+02:00"));
    assert.equal(day.atClock(autumn, "03:00"), on("2026-10-25T03:00:00+01:00"));
    assert.ok(Number.isNaN(day.atClock(autumn, "soon")));
  });
  test("the ruler has round hours, each once, also when clocks change", () => {
    const hours = (text) =>
      day.ticks(day.dayOf(on(text)), 30).map(({ label }) => label.slice(0, 2));
    const spring = hours("2026-03-29T12:00:00+02:00");
    assert.equal(spring.length, 24); // 23 and midnight at the end
    assert.ok(!spring.includes("02"));
    const autumn = hours("2026-10-25T12:00:00+01:00");
    assert.equal(autumn.filter((label) => label === "02").length, 2);
  });
  test("the ruler writes no more than there is room for, at round times", () => {
    const whole = day.dayOf(on("2026-05-02T12:00:00+02:00"));
    const few = day.ticks(whole, 5).map(({ label }) => label);
    assert.deepEqual(few, ["00:00", "06:00", "12:00", "18:00", "00:00"]);
    const start = on("2026-05-02T10:00:07+02:00");
    const close = day.ticks({ start, end: start + 60_000 }, 7).map(({ label }) => label);
    assert.deepEqual(close[0], "10:00:10");
    assert.equal(close.length, 6);
  });
});

describe("timeline window", () => {
  const whole = day.dayOf(on("2026-05-02T12:00:00+02:00"));
  const noon = whole.start + 12 * HOUR;

  test("shows the whole day and turns places into moments and back", () => {
    const shown = new TimeWindow(whole);
    assert.equal(shown.place(noon), 0.5);
    assert.equal(shown.at(0.5), noon);
    assert.equal(shown.at(7), whole.end);
    assert.deepEqual(
      [whole.start - 1, noon, whole.end + 1, Number.NaN].map((ms) => shown.holds(ms)),
      [false, true, false, false],
    );
    assert.equal(shown.isWhole, true);
  });
  test("what is pointed at stays where it is, within the day", () => {
    const shown = new TimeWindow(whole);
    const at = whole.start + 18 * HOUR;
    shown.zoom(0.25, at);
    assert.equal(shown.span, 6 * HOUR);
    assert.ok(Math.abs(shown.place(at) - 0.75) < 1e-9);
    shown.pan(30 * HOUR);
    assert.equal(shown.end, whole.end);
    shown.pan(-90 * HOUR);
    assert.equal(shown.start, whole.start);
    for (let i = 0; i < 20; i += 1) shown.zoom(0.4, at);
    assert.equal(shown.isClosest, true);
    for (let i = 0; i < 20; i += 1) shown.zoom(2.5, at);
    assert.equal(shown.isWhole, true);
    assert.equal(shown.start, whole.start);
  });
  test("turns over when what is played leaves it, and not before", () => {
    const shown = new TimeWindow(whole);
    assert.equal(shown.follow(noon), false);
    shown.zoom(1 / 24, noon);
    assert.equal(shown.follow(noon + 0.4 * HOUR), false);
    assert.equal(shown.follow(noon + HOUR), true);
    assert.ok(shown.place(noon + HOUR) > 0.1 && shown.place(noon + HOUR) < 0.3);
    assert.equal(shown.follow(Number.NaN), false);
  });
});

const item = (start, seconds, more = {}) => ({
  strStartTime: `2026-05-02T${start}+02:00`,
  strDuration: String(seconds),
  strPath: `/mediastore/record/gate/2026-05-02TZ02/${start.replaceAll(":", "-")}/gate.mp4`,
  ...more,
});
const clocks = (stretches) =>
  stretches.map(({ start, end }) => [day.clock(start), day.clock(end)]);

describe("recordings", () => {
  test("files that follow each other are one stretch, in whatever order they come", () => {
    const found = span.readRecordings([
      item("10:05:00", 300),
      item("10:00:00", 299),
      item("10:12:00", 60),
    ]);
    assert.deepEqual(clocks(span.join(found)), [
      ["10:00:00", "10:10:00"],
      ["10:12:00", "10:13:00"],
    ]);
  });
  test("one that grows ends with its newest picture", () => {
    const [one] = span.readRecordings([
      item("10:00:00", 0, { strEndTime: "2026-05-02T10:00:42+02:00", nType: "H5_REC_MANUAL" }),
    ]);
    assert.equal(one.isGrowing, true);
    assert.equal(one.kind, "manual");
    assert.equal(one.end - one.start, 42_000);
  });
  test("what is broken is left out, and kinds that are not known count as usual", () => {
    const found = span.readRecordings([
      item("xx", 3),
      item("10:00:00", 5, { nType: "H5_REC_NEW" }),
    ]);
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ["schedule"],
    );
  });
  test("of too many the longest are kept, in their order", () => {
    const many = [5, 1, 9, 2, 7].map((size, index) => ({
      start: index * 10,
      end: index * 10 + size,
    }));
    const kept = span.longest(many, 3);
    assert.deepEqual(
      kept.map(({ start }) => start),
      [0, 20, 40],
    );
    assert.equal(span.longest(many, 5), many);
  });
  test("lengths and sizes are short", () => {
    assert.equal(span.length(40_400), "40 s");
    assert.equal(span.length(0), "0 s");
    assert.equal(span.length(60_000), "1 min");
    assert.equal(span.length(2 * HOUR + 5 * 60_000 + 9000), "2 h 5 min");
    assert.equal(span.size(999), "999 B");
    assert.equal(span.size(12_345_678_900), "12.3 GB");
    assert.equal(span.size(456_700_000), "457 MB");
    assert.equal(span.size(-1), "");
  });
});

describe("day book", () => {
  const whole = day.dayOf(on("2026-05-02T12:00:00+02:00"));
  const later = on("2026-05-04T00:00:00Z");
  let book;
  beforeEach(() => {
    book = new DayBook(whole);
    book.fill([item("10:00:00", 300), item("10:05:00", 300), item("14:00:00", 60)], []);
  });
  const at = (text) => on(`2026-05-02T${text}+02:00`);

  test("a day that is over begins with its first picture, today near its newest", () => {
    assert.equal(book.beginning(later), at("10:00:00"));
    assert.equal(book.beginning(at("14:01:05")), at("14:00:00"));
    book.fill([item("10:00:00", 300)], []);
    assert.equal(book.beginning(at("10:05:05")), at("10:04:00"));
    assert.equal(new DayBook(whole).beginning(later), whole.start);
  });
  test("a recording from the day before begins with the day", () => {
    const early = { ...item("00:00:00", 900), strStartTime: "2026-05-01T23:55:00+02:00" };
    book.fill([early], []);
    assert.equal(book.beginning(later), whole.start);
  });
  test("the next and the one before are stretches, not files", () => {
    assert.equal(book.beside(at("10:01:00"), 1), at("14:00:00"));
    assert.equal(book.beside(at("14:00:20"), 1), undefined);
    assert.equal(book.beside(at("14:00:20"), -1), at("14:00:00"));
    assert.equal(book.beside(at("14:00:02"), -1), at("10:00:00"));
    assert.equal(book.beside(at("10:00:02"), -1), undefined);
  });
  test("nothing later than the newest picture can be gone to", () => {
    assert.equal(book.nearest(at("23:00:00")), at("14:00:59"));
    assert.equal(book.nearest(0), whole.start);
    assert.equal(book.nearest(at("12:00:00")), at("12:00:00"));
  });
  test("tells the file that covers a moment, and what is recorded by hand", () => {
    assert.match(book.at(at("10:06:00")).path, /10-05-00/);
    assert.equal(book.at(at("12:00:00")), undefined);
    assert.equal(book.isRecordedByHand, false);
    book.fill([item("14:00:00", 0, { nType: "H5_REC_MANUAL" })], []);
    assert.equal(book.isRecordedByHand, true);
  });
});

describe("day player", () => {
  const whole = day.dayOf(on("2026-05-02T12:00:00+02:00"));
  const at = (text) => on(`2026-05-02T${text}+02:00`);
  let did, answers, player;
  const playback = {
    position: Number.NaN,
    state: "playing",
    isPaused: false,
    close: () => did.push(["close"]),
    open: (_day, ms) => did.push(["open", day.clock(ms)]),
    goTo: (ms) => did.push(["goTo", day.clock(ms)]),
    pause: (isPaused) => did.push(["pause", isPaused]),
  };
  beforeEach(() => {
    did = [];
    answers = { found: [item("10:00:00", 300)], gaps: [], isAll: true };
    playback.state = "playing";
    player = new DayPlayer(playback, async () => answers, whole);
  });

  test("begins to play once there is something, where it was asked to", async () => {
    answers = { found: [], gaps: [], isAll: true };
    player.turnTo(whole, at("10:01:00"));
    await player.load();
    assert.deepEqual(did, [["close"]]);
    assert.equal(player.goal, at("10:01:00")); // which another may have
    answers = { found: [item("10:00:00", 300)], gaps: [], isAll: true };
    await player.load();
    await player.load();
    assert.deepEqual(did.slice(1), [["open", "10:01:00"]]);
  });
  test("an answer about a day that was left is not taken", async () => {
    player.turnTo(whole, Number.NaN);
    const late = player.load();
    player.turnTo(day.dayBeside(whole, 1), Number.NaN);
    assert.equal(await late, false);
    assert.equal(player.book.isLoaded, false);
    assert.deepEqual(did, [["close"], ["close"]]);
  });
  test("goes nowhere while there is nothing", async () => {
    assert.ok(Number.isNaN(player.goTo(at("10:00:00"))));
    await player.load();
    assert.ok(Number.isNaN(player.goTo(Number.NaN)));
    assert.equal(player.goTo(at("23:00:00")), at("10:04:59"));
    assert.deepEqual(did.at(-1), ["goTo", "10:04:59"]);
  });
  test("what has ended is played again from the beginning", async () => {
    await player.load();
    player.toggle();
    assert.deepEqual(did.at(-1), ["pause", true]);
    playback.state = "ended";
    player.toggle();
    assert.deepEqual(did.slice(-2), [
      ["goTo", "10:00:00"],
      ["pause", false],
    ]);
  });
  test("a day that is over is asked for until it has answered", async () => {
    assert.equal(player.isGrowing, true);
    await player.load();
    assert.equal(player.isGrowing, false);
    assert.equal(player.place, at("10:00:00"));
  });
});

describe("words", () => {
  const [gap] = span.readGaps([
    {
      strStartTime: "2026-05-02T10:00:00+02:00",
      strEndTime: "2026-05-02T11:15:00+02:00",
      strCause: "offline",
      strReason: "no answer from the camera",
    },
  ]);

  test("a gap says from when to when, and why", () => {
    assert.equal(
      describeGap(gap),
      "10:00:00 – 11:15:00 (1 h 15 min): The camera was offline. No answer from the camera",
    );
    assert.match(describeGap({ ...gap, isLasting: true }), /^10:00:00 – now \(/);
    assert.match(describeGap({ ...gap, cause: "new", reason: "" }), /: Not recorded$/);
    const disk = { ...gap, cause: "disk", reason: "the disk was full" };
    assert.match(describeGap(disk), /\): The disk was full$/);
    assert.match(describeGap({ ...disk, reason: "" }), /: The disk could not take it$/);
  });
  test("a playback says what it does, and why not", () => {
    const book = { isLoaded: true, isEmpty: false, failure: "" };
    const playing = { state: "playing", reason: "", isPaused: false, speed: 4 };
    assert.equal(describePlayback(playing, book).word, "Playing · 4×");
    assert.equal(describePlayback({ ...playing, isPaused: true }, book).word, "Paused");
    const refused = { ...playing, state: "stopped", reason: "no such file" };
    assert.deepEqual(describePlayback(refused, book), {
      tone: "bad",
      word: "Failed",
      detail: "No such file",
    });
    assert.equal(
      describePlayback({ ...playing, state: "ended" }, book).word,
      "End of the recordings",
    );
    assert.match(describePlayback(playing, { ...book, isEmpty: true }).detail, /Nothing was/);
    assert.equal(describePlayback(playing, { ...book, isLoaded: false }).word, "Loading");
    const unknown = { isLoaded: false, isEmpty: true, failure: "There is no source x" };
    assert.equal(describePlayback(playing, unknown).detail, "There is no source x");
  });
});

describe("playback", () => {
  /** @type {FakePlayer[]} */
  let players = [];
  class FakePlayer {
    static isSupported = true;
    state = "stopped";
    position = null;
    isPaused = false;
    pbSession = "";
    did = [];

    constructor(conf) {
      this.conf = conf;
      players.push(this);
      for (const name of ["connect", "start", "speed", "moveTo", "disconnect"])
        this[name] = (...args) => this.did.push([name, ...args]);
    }

    pause() {
      this.isPaused = true;
    }

    resume() {
      this.isPaused = false;
    }
  }
  globalThis.H5sPlayerWS = class WS extends FakePlayer {};
  globalThis.H5sPlayerRTC = class RTC extends FakePlayer {};
  const whole = day.dayOf(on("2026-10-25T12:00:00+01:00"));
  const noon = on("2026-10-25T12:00:00+01:00");
  const open = () => {
    players = [];
    const playback = new Playback({}, "gate", () => {});
    playback.open(whole, noon);
    return playback;
  };

  test("plays the whole day from a moment on, over WebSocket", () => {
    open();
    const [player] = players;
    assert.equal(player.constructor.name, "WS");
    const { begintime, endtime, serverpb } = player.conf.pbconf;
    assert.deepEqual(
      [begintime, endtime, serverpb],
      ["2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z", "true"],
    );
    assert.deepEqual(player.did, [["moveTo", noon], ["start"], ["connect"]]);
  });
  test("what the recorder has is asked for as such, over each transport", () => {
    players = [];
    const playback = new Playback({}, "nvr--1", () => {});
    playback.isFromDevice = true;
    playback.open(whole, noon);
    playback.choose("rtc");
    assert.deepEqual(
      players.map(({ conf }) => conf.pbconf.serverpb),
      ["false", "false"],
    );
    playback.choose("ws");
    players[2].position = new Date(noon);
    players[2].did = [];
    playback.pause(true);
    assert.deepEqual(players[2].did, []); // a pause does not seek: that is dear to a recorder
  });
  test("goes on over WebRTC at the same picture, speed and pause", () => {
    const playback = open();
    playback.setSpeed(4);
    playback.pause(true);
    players[0].position = new Date(noon + 5000);
    playback.choose("rtc");
    assert.equal(players[0].did.at(-1)[0], "disconnect");
    assert.equal(players[1].constructor.name, "RTC");
    assert.equal(playback.isPaused, true);
    assert.deepEqual(players[1].did, [
      ["speed", 4],
      ["moveTo", noon + 5000],
      ["start"],
      ["connect"],
    ]);
  });
  test("a pause has the server stand at the picture that is shown", () => {
    const playback = open();
    const [player] = players;
    player.position = new Date(noon + 7000);
    playback.pause(true);
    assert.equal(player.isPaused, true);
    assert.deepEqual(player.did.at(-1), ["moveTo", new Date(noon + 7000)]);
    playback.pause(false);
    assert.equal(player.isPaused, false);
  });
  test("of many places in a row it goes to the first at once and to the last", async () => {
    const playback = open();
    const [player] = players;
    player.did = [];
    for (let i = 1; i <= 20; i += 1) playback.goTo(noon + i);
    assert.deepEqual(player.did, [["moveTo", noon + 1]]);
    await new Promise((done) => setTimeout(done, 400));
    assert.deepEqual(player.did.slice(1), [["moveTo", noon + 20]]);
  });
  test("says why it does not play, and forgets it when closed", () => {
    const playback = open();
    players[0].state = "waiting";
    players[0].conf.onState("waiting", "the disk is gone");
    assert.equal(playback.reason, "the disk is gone");
    playback.close();
    assert.equal(playback.reason, "");
    assert.equal(playback.state, "stopped");
    assert.ok(Number.isNaN(playback.position));
  });
});

describe("room", () => {
  const full = {
    ...{ reason: "", bytesPerDay: 43e9, freeBytes: 512e9, daysLeft: 11.9 },
    ...{ fullAt: on("2026-05-14T12:00:00+02:00"), own: { bytes: 120e9, bytesPerDay: 10e9 } },
  };

  test("says what is kept, what a day adds and when the disk is full", () => {
    assert.deepEqual(describeRoom(full), [
      "This camera: 120 GB, 10 GB a day.",
      "All cameras: 43 GB a day, 512 GB free.",
      "Room for 12 days, until Thu, 14 May 2026; then the oldest recordings go.",
    ]);
  });
  test("leaves out what is not to come, and says first why nothing is recorded", () => {
    const none = { bytesPerDay: 0, daysLeft: null, fullAt: Number.NaN, own: null };
    const told = describeRoom({ ...full, ...none, reason: "the disk is read-only" });
    assert.deepEqual(told, ["The disk is read-only", "Disk: 512 GB free."]);
    assert.match(describeRoom({ ...full, daysLeft: 1.25 })[2], /for 1.3 days/);
  });
});

describe("calls", () => {
  /** @type {URL[]} */
  let asked = [];
  /** @type {unknown[]} */
  let answers = [];
  beforeEach(() => {
    asked = [];
    globalThis.fetch = async (path) => {
      asked.push(new URL(path, "http://cameras.test/"));
      return { status: 200, ok: true, json: async () => answers.shift() ?? {} };
    };
  });

  test("a range is exported in UTC and whole seconds", async () => {
    answers = [{ bStatus: true, strFileName: "a.mp4", strUrl: "/mediastore/archive/a.mp4" }];
    const start = on("2026-05-02T00:30:05+02:00");
    const made = await recordings.archive("gate", { start, end: start + 61_000 });
    assert.deepEqual(made, { name: "a.mp4", path: "/mediastore/archive/a.mp4" });
    const { start1, start2, duration, tz } = Object.fromEntries(asked[0].searchParams);
    assert.deepEqual([start1, start2, duration, tz], ["2026-05-01", "22-30-05", "61", "0"]);
  });
  test("a day of more recordings than one answer holds is asked for in parts", async () => {
    const full = Array.from({ length: 10_000 }, () => item("10:00:00", 1));
    answers = [{ record: full }, { record: [item("11:00:00", 1)] }];
    const found = await recordings.search("gate", { start: 0, end: 5 });
    assert.equal(found.length, 10_001);
    assert.equal(asked[1].searchParams.get("start"), "2026-05-02T08:00:01.000Z");
  });
  test("the room of all sources and of one is read", async () => {
    answers = [
      {
        ...{ nRecordBytesPerDay: 5, nRecordFreeBytes: 7, fRecordDaysLeft: 1.5 },
        ...{ strRecordFullTime: "2026-05-02T10:00:00Z", strRecordReason: "" },
        record: [{ strToken: "gate", nBytes: 3, nBytesPerDay: 1 }],
      },
    ];
    assert.deepEqual(await recordings.room("gate"), {
      ...{ reason: "", bytesPerDay: 5, freeBytes: 7, daysLeft: 1.5 },
      ...{ fullAt: on("2026-05-02T10:00:00Z"), own: { bytes: 3, bytesPerDay: 1 } },
    });
    const { daysLeft, own, fullAt } = await recordings.room("other");
    assert.deepEqual([daysLeft, own, Number.isNaN(fullAt)], [null, null, true]);
  });
  test("days with recordings are told from those without", async () => {
    const days = [1, 2, 3].map((nDay) => ({
      ...{ nDay, bHasRec: nDay > 1, bHasAlarmRec: nDay === 3 },
    }));
    answers = [{ record: days }];
    const found = await recordings.recordedDays("gate", 2026, 5);
    assert.deepEqual(
      [...found],
      [
        [2, { hasAlarm: false }],
        [3, { hasAlarm: true }],
      ],
    );
  });
});

describe("recordings of a recorder", () => {
  const whole = day.dayOf(on("2026-05-02T12:00:00+02:00"));
  const at = (time) => `2026-05-02T${time}+02:00`;
  const told = (start, end, nType = "H5_REC_SCHEDULE") => ({
    ...{ strStartTime: at(start), strEndTime: at(end), nType },
  });
  /** @type {URL[]} */
  let asked = [];
  /** @type {Record<string, unknown>[]} */
  let answers = [];
  beforeEach(() => {
    asked = [];
    globalThis.fetch = async (path) => {
      asked.push(new URL(path, "http://cameras.test/"));
      return { status: 200, ok: true, json: async () => answers.shift() ?? {} };
    };
  });
  const names = () => asked.map(({ pathname }) => pathname.split("/").at(-1));
  const starts = () => asked.map(({ searchParams }) => searchParams.get("start"));
  const load = async (origin) => {
    const book = new DayBook(whole);
    const { found, gaps, isAll } = await origin.ask(whole);
    book.fill(found, gaps, isAll);
    return book;
  };

  test("are read with their kinds, without files and gaps, and are never growing", async () => {
    answers = [
      {
        bFinished: true,
        record: [told("10:00:00", "11:00:00"), told("12:00:00", "12:00:00", "H5_REC_ALARM")],
      },
    ];
    const book = await load(new Origin("nvr--1", true, true));
    assert.deepEqual(names(), ["SearchDeviceRecordByTime"]);
    assert.deepEqual(
      book.recordings.map(({ start, end, kind, path, isGrowing }) => [
        ...[day.clock(start), (end - start) / 1000, kind, path, isGrowing],
      ]),
      [
        ["10:00:00", 3600, "schedule", "", false],
        ["12:00:00", 0, "alarm", "", false],
      ],
    );
    assert.deepEqual([book.gaps, book.isAll], [[], true]);
  });
  test("that it has not told are asked for from the last end, and none is there twice", async () => {
    const long = told("10:00:00", "11:00:00");
    answers = [
      { bFinished: false, record: [told("09:00:00", "10:00:00"), long] },
      { bFinished: true, record: [long, told("11:00:00", "12:00:00")] },
    ];
    const { found, isAll } = await recordings.searchDevice("nvr--1", whole);
    assert.deepEqual(starts(), ["2026-05-01T22:00:00.000Z", "2026-05-02T09:00:00.000Z"]);
    assert.deepEqual(
      found.map(({ strStartTime }) => strStartTime),
      [at("09:00:00"), at("10:00:00"), at("11:00:00")],
    );
    assert.equal(isAll, true);
  });
  test("of a recorder that never ends are not asked for without end, and that is known", async () => {
    answers = Array.from({ length: 50 }, (_, i) => ({
      bFinished: false,
      record: [told("10:00:00", `10:${String(i + 10)}:00`)],
    }));
    const book = await load(new Origin("nvr--1", true, true));
    assert.deepEqual([asked.length, book.isAll], [5, false]);
    asked = [];
    answers = [{ bFinished: false, record: [] }]; // and one that does not get on
    const { isAll } = await recordings.searchDevice("nvr--1", whole);
    assert.deepEqual([asked.length, isAll], [1, false]);
  });
  test("are not meant unless they are chosen, nor of a source that is no channel", async () => {
    for (const origin of [new Origin("nvr--1", true, false), new Origin("gate", false, true)]) {
      asked = [];
      answers = [{ record: [item("10:00:00", 300)] }, { gap: [] }];
      const book = await load(origin);
      assert.deepEqual(names().sort(), ["GetRecordGaps", "Search"]);
      assert.equal(book.recordings.length, 1);
      assert.equal(origin.isDue, true);
    }
  });
  test("are offered for a day of which this server has none, and the recorder some", async () => {
    const origin = new Origin("nvr--1", true, false);
    const book = new DayBook(whole);
    assert.equal(await origin.isBetter(book), false); // it is not known yet what there is
    book.fill([], []);
    answers = [{ bFinished: false, record: [told("10:00:00", "11:00:00")] }];
    assert.equal(await origin.isBetter(book), true);
    assert.equal(asked.length, 1);
    answers = [{ bFinished: true, record: [] }];
    assert.equal(await origin.isBetter(book), false);
    answers = [{ bStatus: false, strCode: "192.0.2.7 refuses the password" }];
    assert.equal(await origin.isBetter(book), false);
    asked = [];
    book.fill([item("10:00:00", 300)], []);
    assert.equal(await origin.isBetter(book), false);
    assert.equal(await new Origin("gate", false, false).isBetter(new DayBook(whole)), false);
    assert.equal(asked.length, 0);
  });
  test("that can't be told are refused in the server's words", async () => {
    answers = [{ bStatus: false, strCode: "192.0.2.7 does not answer" }];
    await assert.rejects(new Origin("nvr--1", true, true).ask(whole), {
      message: "192.0.2.7 does not answer",
    });
  });
  test("have a calendar of their own, and are not asked for again at once", async () => {
    const origin = new Origin("nvr--1", true, true);
    answers = [{ record: [{ nDay: 2, bHasRec: true, bHasAlarmRec: true }] }];
    assert.deepEqual([...(await origin.days(2026, 5))], [[2, { hasAlarm: true }]]);
    origin.isDevice = false;
    await origin.days(2026, 5);
    assert.deepEqual(names(), ["SearchDeviceRecordCalendar", "GetRecordCalendar"]);
    origin.isDevice = true;
    assert.equal(origin.isDue, true);
    answers = [{ bFinished: true, record: [] }];
    await origin.ask(whole);
    assert.equal(origin.isDue, false);
  });
  test("an empty day is said to be the recorder's", () => {
    const book = { isLoaded: true, isEmpty: true, failure: "" };
    const { detail } = describePlayback({ isFromDevice: true }, book);
    assert.equal(detail, "The recorder has nothing of this day.");
  });
  test("that they are chosen stands in the address", () => {
    const before = globalThis.location;
    globalThis.location = { href: "http://cameras.test/playback.html?token=nvr--1&at=x" };
    globalThis.history = {
      pushState: (_state, _title, url) => (globalThis.location.href = String(url)),
    };
    new Address().choose(true);
    assert.match(globalThis.location.href, /token=nvr--1&at=x&from=device$/);
    new Address().choose(false);
    assert.match(globalThis.location.href, /token=nvr--1&at=x$/);
    globalThis.location = before;
  });
});

test("a place of a playback goes through its address and back", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const before = globalThis.location;
  globalThis.location = { href: "http://cameras.test/playback.html?token=gate" };
  const steps = [];
  const write = (_state, _title, url) => (globalThis.location.href = String(url));
  globalThis.history = {
    replaceState: write,
    pushState: (...all) => {
      steps.push(globalThis.location.href);
      write(...all);
    },
  };
  const place = () => readPlace(new URL(globalThis.location.href).search);
  assert.deepEqual(place(), { at: Number.NaN, day: Number.NaN, isDevice: false, way: "" });
  const address = new Address();
  const at = new Date(2026, 4, 2, 10, 12, 5).getTime();
  address.follow(Number.NaN);
  assert.deepEqual(place().at, Number.NaN);
  address.follow(at + 300);
  assert.deepEqual([place().at, place().day], [at, at]);
  address.follow(at + 1000); // not each second
  assert.equal(place().at, at);
  address.turnTo(new Date(2026, 2, 29).getTime());
  assert.ok(Number.isNaN(place().at));
  assert.equal(place().day, new Date(2026, 2, 29).getTime());
  assert.match(steps[0], /at=/); // the way back leads to it
  address.chooseWay("rtc");
  address.remember(at);
  mock.timers.tick(1000);
  assert.deepEqual(place(), { at, day: at, isDevice: false, way: "rtc" });
  for (const wrong of ["?at=x&day=y&way=z", "?day=", "?day=1-2-3-4"])
    assert.ok(Number.isNaN(readPlace(wrong).at), wrong);
  assert.equal(readPlace("?way=z").way, "");
  mock.timers.reset();
  globalThis.location = before;
});
