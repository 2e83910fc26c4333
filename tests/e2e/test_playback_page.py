"""The page of a source's recordings in a real browser: by keyboard, mouse and finger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, FloatRect, Page, Route, expect

from tests.e2e.browser import complaints_of, open_browser
from tests.e2e.screen import look
from tests.e2e.server import Server
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes
from tests.fakes.mediastore import Mediastore

# One server and one browser for all: each test has a page of its own.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

CLIP = "h264_mute"
FRAMES = CLIPS[CLIP].frames
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
BEGIN = DAY.replace(hour=10)
GAP_BEGIN, GAP_END = BEGIN + timedelta(seconds=160), BEGIN + timedelta(minutes=30)
REASON = "no answer from the camera"
SHOWS_PICTURES = (
    "() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 3"
)
IS_PAUSED = "() => document.querySelector('video').paused"
HAS_FOCUS = "(selector) => document.activeElement.matches(selector)"
MOST_TABS = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Return a server with two stretches of recordings of yesterday, and why there are two."""
    folder = tmp_path_factory.mktemp("page")
    mediastore = Mediastore(folder)
    mediastore.record(clips[CLIP], BEGIN, 20)
    mediastore.record(clips[CLIP], GAP_END, 5)
    mediastore.lack(GAP_BEGIN, GAP_END, "offline", REASON)
    await mediastore.close()
    source = {"token": "front", "name": "Front door", "type": "file", "url": "clip.mp4"}
    server = Server(folder, sources=[source], auth={"enabled": False})
    server.add_media(clips[CLIP], "clip.mp4")
    async with server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """Return a Chromium for all tests."""
    async with open_browser(tmp_path_factory.mktemp("browser") / "profile") as context:
        yield context


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: BrowserContext) -> AsyncIterator[Page]:
    """Return an empty page; what is opened in it must not complain."""
    page = await browser.new_page()
    await page.set_viewport_size({"width": 1280, "height": 860})
    complaints = complaints_of(page)
    yield page
    await page.close()
    assert [one for one in complaints if "Failed to load resource" not in one] == []


async def open_at(page: Page, server: Server, at: datetime) -> None:
    """Open the page at a moment and wait for pictures."""
    await page.goto(f"{server.base}/playback.html?token=front&at={quote(at.isoformat())}")
    await page.wait_for_function(SHOWS_PICTURES)


async def shown(page: Page) -> datetime:
    """Return the moment that the page says it shows."""
    text = await page.inner_text(".deck-time")
    return datetime.combine(DAY.date(), datetime.strptime(text, "%H:%M:%S").time(), UTC)  # noqa: DTZ007


async def until_shown(page: Page, low: datetime, high: datetime) -> None:
    """Wait until a moment between two is shown, by its words and by its picture."""
    times = [f"{one:%H:%M:%S}" for one in (low, high)]
    is_there = """([low, high]) => {
      const text = document.querySelector('.deck-time').textContent;
      return low <= text && text <= high;
    }"""
    await page.wait_for_function(is_there, arg=times)
    async with asyncio.timeout(5):
        while not await is_picture_of_words(page):
            await asyncio.sleep(0.05)


async def is_picture_of_words(page: Page) -> bool:
    """Return whether the picture is one of the second that the page names."""
    before, picture, after = await shown(page), await look(page), await shown(page)
    assert picture is not None
    begin = BEGIN if after < GAP_END else GAP_END
    first = round((before - begin).total_seconds() * 25)
    last = round((after - begin).total_seconds() * 25) + 25
    return bool((picture["index"] - first + 10) % FRAMES <= last - first + 20)


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, which shows."""
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await page.evaluate(HAS_FOCUS, selector):
            ring = "() => getComputedStyle(document.activeElement).outlineStyle"
            assert await page.evaluate(ring) != "none"
            return
    raise AssertionError(f"not reached by Tab: {selector}")


async def test_everything_by_keyboard(server: Server, page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.emulate_media(color_scheme="dark")
    at = BEGIN + timedelta(seconds=20)
    await open_at(page, server, at)
    await until_shown(page, at, at + timedelta(seconds=5))
    await tab_to(page, ".timeline-track")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    at = BEGIN + timedelta(seconds=40)
    await until_shown(page, at, at + timedelta(seconds=5))
    await page.keyboard.press(" ")
    await page.wait_for_function(IS_PAUSED)
    before = await look(page)
    await page.keyboard.press("Home")  # a paused one shows where it goes, and stays paused
    await until_shown(page, BEGIN, BEGIN)
    assert await look(page) != before
    await page.keyboard.press("k")
    await page.keyboard.press("n")
    await until_shown(page, GAP_END, GAP_END + timedelta(seconds=5))
    await tab_to(page, ".timeline-gap")
    note = page.locator(".playback-note")
    await expect(note).to_have_text(
        "10:02:40 \u2013 10:30:00 (27 min 20 s): The camera was offline. No answer from the camera"
    )
    await tab_to(page, "[title=Speed]")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".screen .chip")).to_have_text("Playing · 2\u00d7")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_scrubbing_by_mouse_and_finger(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN + timedelta(seconds=20))
    for _ in range(5):
        await page.get_by_label("Show less time").click()
    await page.wait_for_timeout(300)
    box = await page.locator(".timeline-track").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2

    async def place(at: datetime) -> float:
        """Return where a moment lies, by the ruler."""
        find = """() => [...document.querySelectorAll('.timeline-tick')].slice(0, 2).map((tick) =>
          [tick.textContent, tick.getBoundingClientRect().left])"""
        (first, left), (second, right) = await page.evaluate(find)
        begin, end = (
            datetime.combine(DAY.date(), datetime.strptime(text, "%H:%M").time(), UTC)  # noqa: DTZ007
            for text in (first, second)
        )
        share = (at - begin) / (end - begin)
        return float(left + share * (right - left))

    await page.mouse.move(box["x"] + box["width"] / 2, y)
    await page.mouse.wheel(box["width"] * 3, 0)  # who looks elsewhere is left there
    await page.wait_for_timeout(450)
    await expect(page.locator(".timeline-head")).to_be_hidden()
    await page.mouse.wheel(-box["width"] * 3, 0)
    await expect(page.locator(".timeline-head")).to_be_visible()
    at = BEGIN + timedelta(seconds=100)
    await page.mouse.move(await place(BEGIN + timedelta(seconds=60)), y)
    bubble = page.locator(".timeline-bubble")
    assert (await bubble.inner_text())[:7] in ("10:00:5", "10:01:0")
    await page.mouse.down()
    await page.mouse.move(await place(at), y)
    await until_shown(page, at - timedelta(seconds=2), at + timedelta(seconds=4))  # held, too
    await page.mouse.up()
    at = BEGIN + timedelta(seconds=40)
    cdp = await page.context.new_cdp_session(page)
    points = [{"x": await place(BEGIN + timedelta(seconds=70)), "y": y}]
    await cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points})
    points = [{"x": await place(at), "y": y}]
    await cdp.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points})
    await cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await until_shown(page, at - timedelta(seconds=2), at + timedelta(seconds=4))
    await expect(bubble).to_be_hidden()
    await page.wait_for_function("() => /T10%3A00%3A(39|4)/.test(location.search)")


async def test_days_by_the_calendar(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN)
    await page.get_by_title("Choose a day").click()
    chosen = page.locator("[aria-current=date]")
    await expect(chosen).to_be_focused()
    await expect(chosen).to_have_class("calendar-day has-recording")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog")).to_have_count(0)
    await expect(page.locator(".screen-reason")).to_have_text("Nothing was recorded on this day.")
    await expect(page.get_by_label("Play", exact=True)).to_be_disabled()
    await page.get_by_title("Day after").click()
    await page.wait_for_function(SHOWS_PICTURES)
    await until_shown(page, BEGIN, BEGIN + timedelta(seconds=4))

    # days are steps, and a reload stays where it was
    await page.go_back()
    await expect(page.locator(".screen-reason")).to_have_text("Nothing was recorded on this day.")
    await page.reload()
    await expect(page.locator(".screen-reason")).to_have_text("Nothing was recorded on this day.")
    await page.go_back()
    await page.wait_for_function(SHOWS_PICTURES)
    await page.wait_for_function("() => /T10%3A00%3A(0[1-9]|1)/.test(location.search)")
    await page.reload()
    await page.wait_for_function(SHOWS_PICTURES)
    await until_shown(page, BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=20))


async def test_today_grows_while_it_is_recorded_by_hand(server: Server, page: Page) -> None:
    await page.goto(f"{server.base}/playback.html?token=front")
    await page.get_by_title("Record now").click()
    await expect(page.get_by_title("Stop recording")).to_be_visible(timeout=15_000)
    await page.wait_for_function(SHOWS_PICTURES)
    await expect(page.locator(".timeline-bar.is-manual")).to_have_count(1)
    await expect(page.locator(".playback-recorded")).to_be_visible()
    await page.get_by_title("Stop recording").click()
    await expect(page.get_by_title("Record now")).to_be_visible()
    await expect(page.locator(".timeline-bar.is-manual")).to_have_count(1)


async def test_who_may_only_look_is_offered_nothing_else(server: Server, page: Page) -> None:
    async def demote(route: Route) -> None:
        await route.fulfill(json={"strUser": "v", "strUserType": "Viewer", "strRole": "Viewer"})

    await page.route("**/GetUserInfo?**", demote)
    await open_at(page, server, BEGIN)
    await expect(page.get_by_title("Download the file that is shown")).to_be_visible()
    for title in ("Record now", "Export", "Keep this picture"):
        await expect(page.get_by_title(title)).to_be_hidden()


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2025-10-26", 25)])
async def test_a_day_on_which_clocks_change(
    server: Server, page: Page, date: str, hours: int
) -> None:
    cdp = await page.context.new_cdp_session(page)
    await cdp.send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    await page.goto(f"{server.base}/playback.html?token=front&at={date}T12:00:00Z")
    track = page.locator(".timeline-track")
    await expect(track).to_have_attribute("aria-valuemax", str(hours * 3600))


async def test_the_file_that_is_shown_can_be_had(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN)
    link = page.get_by_title("Download the file that is shown")
    await expect(link).to_be_visible()
    async with page.expect_download() as download:
        await link.click()
    data = await (await download.value).path()
    assert data.read_bytes()[4:8] == b"ftyp"


async def box_of(page: Page, name: str) -> FloatRect:
    """Return where a handle of the marked range is."""
    box = await page.get_by_label(f"{name} the marked range").bounding_box()
    assert box is not None
    return box


async def test_a_marked_range_is_exported(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN + timedelta(seconds=8))
    await page.get_by_title("Export").click()
    first, last = page.get_by_label("From"), page.get_by_label("To", exact=True)
    await expect(first).to_be_focused()
    for shown in (page.locator(".timeline-bar"), page.get_by_role("button", name="Export").last):
        await expect(shown).to_be_in_viewport()
    assert (await box_of(page, "End of"))["x"] - (await box_of(page, "Begin of"))["x"] > 60
    await first.fill("10:00:03")
    await last.fill("10:00:07")
    await last.press("Tab")
    handle = page.get_by_label("End of the marked range")
    await handle.focus()
    await handle.press("ArrowRight")
    await handle.press("ArrowRight")
    await handle.press("ArrowLeft")
    await expect(last).to_have_value("10:00:08")
    await expect(page.locator(".export-length")).to_have_text("5 s")
    await last.press("Enter")
    link = page.get_by_role("link", name="Download", exact=True)
    async with page.expect_download() as download:
        await link.click()
    path = await (await download.value).path()
    numbers = await asyncio.to_thread(decode_frame_indexes, path)
    assert numbers == list(range(3 * 25, 8 * 25))
    await first.fill("11:30:00")  # nothing there
    await last.fill("11:31:00")
    await last.press("Enter")
    await expect(page.locator(".export .form-error")).to_contain_text("recorded")


async def test_the_picture_that_is_shown_is_kept(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN + timedelta(seconds=11))
    await page.keyboard.press("k")
    await page.wait_for_function(IS_PAUSED)
    await page.get_by_title("Keep this picture").click()
    link = page.get_by_role("link", name="Open it")
    href = await link.get_attribute("href")
    kept = await (await page.request.get(f"{server.base}/{href}")).body()
    picture = await look(page)
    assert picture is not None
    assert await asyncio.to_thread(decode_frame_indexes, kept) == [picture["index"]]


async def test_the_first_page_leads_there(server: Server, page: Page) -> None:
    await page.goto(server.base)
    await page.locator("h5s-tile").hover()
    await page.get_by_title("Recordings of Front door").click()
    await page.wait_for_url("**/playback.html?token=front")
    await expect(page.get_by_role("heading", name="Front door")).to_be_visible()


async def test_who_has_no_session_signs_in_first(server: Server, page: Page) -> None:
    refusal = {"bStatus": False, "strCode": "there is no session: sign in"}
    await page.route("**/GetSrc?**", lambda route: route.fulfill(status=401, json=refusal))
    await page.goto(f"{server.base}/playback.html?token=front&at={quote(BEGIN.isoformat())}")
    await page.fill("input[name=user]", "admin")
    await page.unroute("**/GetSrc?**")
    await page.fill("input[type=password]", "12345")
    await page.keyboard.press("Enter")
    await page.wait_for_function(SHOWS_PICTURES)


async def test_a_source_that_there_is_not_is_named(server: Server, page: Page) -> None:
    await page.goto(f"{server.base}/playback.html?token=gone")
    reason = page.locator(".screen-reason")
    await expect(reason).to_have_text("There is no source with this token")


async def test_a_lost_server_is_said_in_plain_words(server: Server, page: Page) -> None:
    await open_at(page, server, BEGIN)
    await page.route("**/Search?**", lambda route: route.fulfill(status=502, body="{}"))
    await page.get_by_title("Day before").click()
    reason = page.locator(".screen-reason")
    await expect(reason).to_have_text("The server does not answer. Trying again…")
    await page.unroute("**/Search?**")
    await expect(reason).to_have_text("Nothing was recorded on this day.")
