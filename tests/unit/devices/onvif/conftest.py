"""What asks cameras, with WSDL files that are read once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.soap import Book

TIMEOUT_S = 5.0
SOON_S = 0.2
BRISK_S = 0.6  # for cameras that answer to all but one question


@pytest.fixture(scope="session")
def book() -> Book:
    """Return the WSDL files."""
    return Book()


@pytest.fixture
async def onvif(book: Book) -> AsyncIterator[Onvif]:
    """Return one with the patience it has in earnest."""
    found = Onvif(timeout_s=TIMEOUT_S, book=book)
    yield found
    await found.close()


@pytest.fixture
async def hasty(book: Book) -> AsyncIterator[Onvif]:
    """Return one that waits for nobody."""
    found = Onvif(timeout_s=SOON_S, book=book)
    yield found
    await found.close()


@pytest.fixture
async def brisk(book: Book) -> AsyncIterator[Onvif]:
    """Return one that does not wait long."""
    found = Onvif(timeout_s=BRISK_S, book=book)
    yield found
    await found.close()
