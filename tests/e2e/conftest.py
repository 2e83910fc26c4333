"""The whole server, a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser import Browser, open_browser


@pytest.fixture
async def chromium(tmp_path: Path) -> AsyncIterator[Browser]:
    """Return a Chromium with a fresh profile."""
    async with open_browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> BrowserContext:
    """Return the bare context of a Chromium."""
    return chromium.context
