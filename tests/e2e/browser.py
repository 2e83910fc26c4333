"""Debian's Chromium without a window, as tests and measurements drive it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
# Else it makes up names for its addresses and announces them on the local network.
PREFERENCES = {"webrtc": {"local_ips_allowed_urls": ["*"]}}


@asynccontextmanager
async def open_browser(
    profile: Path, *flags: str, obeys_policy: bool = True
) -> AsyncIterator[BrowserContext]:
    """Start Chromium with a fresh profile; it ends with the block.

    With `obeys_policy=False` pages may run scripts of tests that their CSP would forbid.
    """
    executable = shutil.which("chromium") or pytest.fail("chromium is not installed")
    preferences = profile / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps(PREFERENCES))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            args=[*FLAGS, *flags],
            headless=True,
            bypass_csp=not obeys_policy,
        )
        try:
            yield context
        finally:
            await context.close()


def complaints_of(page: Page) -> list[str]:
    """Collect what the page's console calls an error, from now on."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "console",
        lambda said: found.append(said.text) if said.type == "error" else None,
    )
    return found
