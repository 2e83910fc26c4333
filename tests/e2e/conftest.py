"""The whole server, a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser import open_browser


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """Return a Chromium with a fresh profile."""
    async with open_browser(tmp_path / "profile") as context:
        yield context
