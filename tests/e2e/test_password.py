"""From the note about the default password to a new one, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser import complaints_of
from tests.e2e.client import Client
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


async def test_the_note_leads_to_a_new_password(tmp_path: Path, browser: BrowserContext) -> None:
    async with Server(tmp_path) as server, Client(server) as other:
        page = await browser.new_page()
        await page.goto(server.base)
        await page.fill("input[name=user]", "admin")
        await page.fill("input[name=password]", "12345")
        await page.keyboard.press("Enter")
        note = page.get_by_role("button", name="Change it")
        await note.wait_for()
        complaints = complaints_of(page)
        await note.click()
        await page.fill("input[name=old-password]", "a guess")
        await page.fill("input[name=new-password]", "correct horse")
        await page.fill("input[name=new-password-again]", "correct house")
        await page.get_by_role("button", name="Change", exact=True).click()
        assert await page.locator("input:invalid").count() == 1  # the two differ: nothing is sent
        await page.fill("input[name=new-password-again]", "correct horse")
        await page.get_by_role("button", name="Change", exact=True).click()
        await page.get_by_text("user or password is wrong").wait_for()
        await page.fill("input[name=old-password]", "12345")
        await page.get_by_role("button", name="Change", exact=True).click()
        await page.wait_for_selector("dialog", state="detached")
        await page.wait_for_selector(".banner.is-nag", state="detached")

        assert (await other.get("/api/v1/Keepalive"))[0] == 401
        assert await page.get_by_role("button", name="Add a camera").is_visible()
        await page.reload()
        await page.get_by_role("button", name="Change your password").wait_for()
        assert await page.locator(".banner.is-nag").count() == 0
        async with Client(server, password="correct horse") as again:
            assert (await again.call("GetSystemInfo"))["bDefaultPassword"] is False
        assert complaints == []
