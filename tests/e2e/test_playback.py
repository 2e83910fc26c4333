"""What was recorded, played in a real browser: by our players and by the rules of the original."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.screen import READ, look, watch, watch_each
from tests.e2e.server import Server, free_port
from tests.fakes.clips import CLIPS, Clips
from tests.fakes.mediastore import Mediastore

# One server and one browser for all: each test has a page of its own.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

CLIP = "h264_aac"
FPS, FRAMES = CLIPS[CLIP].fps, CLIPS[CLIP].frames
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
BEGIN = DAY.replace(hour=10)
GAP_BEGIN, GAP_END = BEGIN + timedelta(seconds=80), BEGIN + timedelta(minutes=10)
END = GAP_END + timedelta(seconds=40)
SEEK_MS = 2000  # on a busy machine; docs/performance.md has the figure

# An element and a player of the past, as a page of H5Stream's makes them.
PLAY = """([kind, pbconf]) => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  document.body.append(video);
  globalThis.events = [];
  const callback = (text) => events.push(JSON.parse(text));
  const Player = kind === 'rtc' ? H5sPlayerRTC : H5sPlayerWS;
  globalThis.player = new Player({videodom: video, token: 'front',
    pbconf: {serverpb: 'true', callback, ...pbconf}});
  player.connect();
  player.start();
}"""

KEEP_SOCKETS = """() => {
  globalThis.sockets = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) { super(url); sockets.push(this); }
  };
}"""

# How long it takes until the picture of a moment is shown, give or take 100 ms.
SEEK = f"""([command, value, expected]) => new Promise((resolve) => {{
  const read = {READ};
  const began = performance.now();
  player[command](value);
  const look = () => {{
    const ms = performance.now() - began;
    const shown = read().index;
    const off = (shown - expected + {FRAMES} * 1.5) % {FRAMES} - {FRAMES} / 2;
    if (Math.abs(off) * 1000 / {FPS} <= 100 || ms > 3000) resolve({{ms, shown, expected}});
    else setTimeout(look, 5);
  }};
  look();
}})"""


def number_at(at: datetime) -> int:
    """Return the number of the picture that was taken at a moment."""
    begin = BEGIN if at < GAP_END else GAP_END
    return round((at - begin).total_seconds() * FPS) % FRAMES


async def seek(page: Page, at: datetime, command: str = "moveTo") -> dict[str, Any]:
    """Go to a moment and return how that went."""
    value: object = at.isoformat()
    if command == "seek":
        value = (at - BEGIN).total_seconds()
    found: dict[str, Any] = await page.evaluate(SEEK, [command, value, number_at(at)])
    return found


async def position(page: Page) -> datetime:
    """Return the moment that the player says it shows."""
    text: str = await page.evaluate("player.position.toISOString()")
    return datetime.fromisoformat(text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Return a server with 80 s of recordings in two files, a gap, and 40 s."""
    folder = tmp_path_factory.mktemp("playback")
    mediastore = Mediastore(folder)
    mediastore.record(clips[CLIP], BEGIN, 5)
    mediastore.record(clips[CLIP], BEGIN + timedelta(seconds=40), 5)
    mediastore.record(clips[CLIP], GAP_END, 5)
    mediastore.lack(GAP_BEGIN, GAP_END, "offline", "no answer from the camera")
    await mediastore.close()
    source = {"token": "front", "name": "Front door", "type": "file", "url": "clip.mp4"}
    server = Server(
        folder,
        sources=[source | {"connect": "ondemand"}],
        auth={"enabled": False},
        rtc={"port": free_port()},
    )
    server.add_media(clips[CLIP], "clip.mp4")
    async with server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """Return a Chromium for all tests."""
    async with open_browser(tmp_path_factory.mktemp("browser") / "profile") as context:
        yield context


@pytest_asyncio.fixture(loop_scope="module")
async def page(server: Server, browser: BrowserContext) -> AsyncIterator[Page]:
    """Return a page with the players that complains about nothing."""
    page = await browser.new_page()
    await page.goto(f"{server.base}/ws.html")
    await page.wait_for_selector("[role=alert]")  # the page's own part is over
    complaints = complaints_of(page)
    yield page
    await page.close()
    assert complaints == []


RANGE = {"begintime": BEGIN.isoformat(), "endtime": END.isoformat()}


async def test_a_seek_shows_the_asked_picture_at_once(page: Page) -> None:
    await page.evaluate(PLAY, ["ws", RANGE])
    seen = await watch(page, 0.5)
    assert seen[0]["index"] < FPS
    # over files, over the gap and back; by seconds and by time of day; standing still
    for seconds, command in ((66.4, "moveTo"), (13, "seek"), (622.8, "moveTo"), (3.3, "moveTo")):
        await check_seek(page, seconds, command)
    assert {one["ranges"] for one in await watch(page, 0.4)} == {1}
    await page.evaluate("player.pause()")
    for seconds in (71.5, 34.48):
        await check_seek(page, seconds, "seek")
        stands = await watch(page, 0.3)
        assert len({one["index"] for one in stands}) == 1
    await page.evaluate("player.resume()")
    goes_on = await watch(page, 0.6)
    first = number_at(BEGIN + timedelta(seconds=34.48))
    assert first < goes_on[-1]["index"] < first + FPS


async def check_seek(page: Page, seconds: float, command: str) -> None:
    at = BEGIN + timedelta(seconds=seconds)
    found = await seek(page, at, command)
    assert found["ms"] < SEEK_MS, found
    assert abs((await position(page) - at).total_seconds()) < 0.6


async def measure_pace(page: Page) -> float:
    """Go to the begin and return how much of the recording passes in a second from then on."""
    await page.evaluate("player.seek(0)")
    await asyncio.sleep(0.4)
    before, then = await position(page), asyncio.get_running_loop().time()
    await asyncio.sleep(0.8)
    went = (await position(page) - before).total_seconds()
    return went / (asyncio.get_running_loop().time() - then)


async def test_speeds_and_a_gap(page: Page) -> None:
    await page.evaluate(PLAY, ["ws", RANGE])
    await watch(page, 0.3)
    for speed in (2, 0.5, 8, 16):
        await page.evaluate("(speed) => player.speed(speed)", speed)
        pace = 0.0
        for _ in range(5):  # a busy machine lets the picture stand now and then
            pace = await measure_pace(page)
            if pace == pytest.approx(speed, rel=0.2):
                break
        assert pace == pytest.approx(speed, rel=0.2)
        shown, at = await page.evaluate(f"[({READ})(), player.position.toISOString()]")
        off = shown["index"] - number_at(datetime.fromisoformat(at))
        off = (off + FRAMES * 1.5) % FRAMES - FRAMES / 2
        assert abs(off) <= FPS * max(1, speed) * 0.15, (speed, off)
    await page.evaluate("player.speed(1)")
    await seek(page, GAP_BEGIN - timedelta(seconds=1))
    seen = await watch_each(page, 2.5)
    indexes = [one["index"] for one in seen]
    assert indexes[0] >= FRAMES - FPS - 3
    assert 0 in indexes or 1 in indexes  # of what comes after the gap, at once
    assert GAP_END < await position(page) < GAP_END + timedelta(seconds=2)
    gaps = [then["time"] - before["time"] for before, then in pairwise(seen)]
    assert max(gaps) < 0.2


async def test_a_lost_connection_goes_on_where_it_was(page: Page) -> None:
    await page.evaluate(KEEP_SOCKETS)
    await page.evaluate(PLAY, ["ws", RANGE])
    await watch(page, 0.3)
    await seek(page, BEGIN + timedelta(seconds=30))
    await page.evaluate("player.speed(2)")
    await watch(page, 0.6)
    before = await position(page)
    await page.evaluate("sockets.at(-1).close()")
    await page.wait_for_function("() => player.state === 'waiting'")
    await page.wait_for_function("() => player.state === 'playing'")
    assert await page.evaluate("sockets.length") == 2
    assert timedelta(0) <= await position(page) - before < timedelta(seconds=3)


async def test_a_file_by_its_name_to_its_end(page: Page) -> None:
    await page.evaluate(PLAY, ["ws", {"begintime": "0", "endtime": "0", "filename": "front-2"}])
    await watch(page, 0.3)
    assert await position(page) > BEGIN + timedelta(seconds=40)
    await seek(page, BEGIN + timedelta(seconds=79))
    await page.wait_for_function("() => player.state === 'ended'", timeout=5000)
    last = await look(page)
    assert last is not None
    assert last["index"] >= FRAMES - 2
    await seek(page, BEGIN + timedelta(seconds=41))
    await page.wait_for_function("() => player.state === 'playing'", timeout=5000)


async def test_what_there_is_not_is_said_and_not_asked_for_again(page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    early = (DAY + timedelta(hours=1)).isoformat(), (DAY + timedelta(hours=2)).isoformat()
    await page.evaluate(PLAY, ["ws", {"begintime": early[0], "endtime": early[1]}])
    await page.wait_for_function("() => player.state === 'stopped'")
    await asyncio.sleep(1.2)
    assert len(sockets) == 1


async def test_seeks_over_files_and_gaps_over_webrtc(page: Page) -> None:
    await page.evaluate(PLAY, ["rtc", RANGE])
    await watch(page, 0.5)
    for seconds, command in ((66.4, "moveTo"), (13, "seek"), (622.8, "moveTo")):
        await check_seek(page, seconds, command)


# Append everything, never seek, as the players of H5Stream's releases do.
ORIGINAL = """(query) => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  video.muted = true; video.autoplay = true;
  document.body.append(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  source.addEventListener('sourceopen', () => {
    const socket = new WebSocket(`ws://${location.host}/api/v1/h5swsapi?${query}`);
    socket.binaryType = 'arraybuffer';
    globalThis.command = (cmd, more) => socket.send(JSON.stringify({cmd, ...more}));
    socket.onopen = () => command('H5_START');
    const queue = []; let buffer = null;
    const next = () => { if (buffer && !buffer.updating && queue.length)
      buffer.appendBuffer(queue.shift()); };
    socket.onmessage = ({data}) => {
      if (typeof data === 'string') return;
      if (!buffer) {
        buffer = source.addSourceBuffer(new TextDecoder().decode(data));
        buffer.addEventListener('updateend', next);
        return;
      }
      queue.push(data); next();
    };
  }, {once: true});
}"""


async def test_an_original_player_that_never_seeks_keeps_one_range(page: Page) -> None:
    times = f"begintime={RANGE['begintime']}&endtime={RANGE['endtime']}".replace("+", "%2B")
    await page.evaluate(ORIGINAL, f"token=front&playback=true&serverpb=true&{times}")
    steps: list[tuple[str, dict[str, object]]] = [
        ("H5_SEEK", {"nTime": 70}),
        ("H5_SPEED", {"nSpeed": "2.0"}),
        ("H5_SEEK", {"nSeekTime": 79}),  # and over the gap
        ("H5_SPEED", {"nSpeed": "1.0"}),
        ("H5_PAUSE", {}),
        ("H5_RESUME", {}),
        ("H5_SPEED", {"nSpeed": "16"}),
        ("H5_MOVETO", {"strMovetoTime": BEGIN.isoformat()}),
    ]
    end = 0.0
    await watch(page, 0.5)
    for name, more in steps:
        await page.evaluate("([name, more]) => command(name, more)", [name, more])
        seen = await watch(page, 0.8)
        assert {one["ranges"] for one in seen} == {1}, name
        if name != "H5_PAUSE":
            assert seen[-1]["time"] > end, name
            assert len({one["index"] for one in seen}) > 2, name
        end = seen[-1]["time"]
