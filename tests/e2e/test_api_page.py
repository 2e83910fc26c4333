"""The page that shows every call, in a real browser and under our own policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from h5sup.api.table import CALLS
from tests.e2e.browser import complaints_of
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SOURCE = {"token": "yard", "name": "Yard", "type": "file", "url": "missing.mp4"}


@pytest.mark.parametrize("width", [360, 1280])
async def test_api_page_shows_and_tries_every_call(
    browser: BrowserContext, tmp_path: Path, width: int
) -> None:
    async with Server(tmp_path, sources=[SOURCE]) as server:
        page = await browser.new_page()
        await page.set_viewport_size({"width": width, "height": 740})
        hosts: set[str] = set()
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        await page.goto(f"{server.base}/api/docs")
        await page.locator("input[name=user]").fill("admin")
        await page.locator("input[name=password]").fill("12345")
        complaints = complaints_of(page)
        await page.keyboard.press("Enter")
        names = page.locator("details summary code")
        await expect(names).to_have_count(len(CALLS))
        assert sorted(await names.all_inner_texts()) == sorted(call.name for call in CALLS)

        await page.get_by_label("Search").fill("getsrc state")
        await expect(page.locator("details:visible")).to_have_count(1)
        call = page.locator("#GetSrc")
        await call.locator("summary").click()
        await call.get_by_label("type").fill("H5_FILE")
        await call.get_by_role("button").click()
        await expect(call.locator("pre")).to_contain_text("strToken")
        head, _, body = (await call.locator("pre").inner_text()).partition("\n")
        assert head == "HTTP 200 application/json"
        assert [one["strToken"] for one in json.loads(body)["src"]] == ["yard"]

        await page.get_by_label("Search").fill("restart")
        restart = page.locator("#Restart")
        await restart.locator("summary").click()
        assert await restart.get_by_role("button").count() == 0  # what changes is not tried here
        assert hosts == {server.base.removeprefix("http://")}
        assert complaints == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
