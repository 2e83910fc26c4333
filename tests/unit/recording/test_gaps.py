"""The ledger of gaps: in order, one at a time per source, and over a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.recording import gaps
from h5sup.recording.gaps import DISK, LOST, OFFLINE, Ledger
from h5sup.store.media_index import MediaIndex

Rows = list[tuple[str, int, int | None]]


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[MediaIndex]:
    index = MediaIndex(tmp_path)
    await index.open()
    yield index
    await index.close()


async def rows(index: MediaIndex, token: str = "cam") -> Rows:
    found = await index.gaps.find(token, 0, 2**62)
    return [(one.cause, one.start_us, one.end_us) for one in found]


async def test_gaps_are_written_in_their_order_and_end_once(index: MediaIndex) -> None:
    ledger = Ledger(index)
    await ledger.start()
    ledger.begin("cam", 100, OFFLINE, "no answer from rtsp://admin:secret@cam/")
    ledger.begin("cam", 150, OFFLINE, "the same goes on")
    ledger.begin("yard", 120, DISK, "full")
    assert (ledger.cause("cam"), ledger.cause("door")) == (OFFLINE, "")
    ledger.begin("cam", 200, DISK, "full")
    ledger.end("cam", 300)
    ledger.end("cam", 400)
    ledger.add("cam", 500, 600, LOST, "lost")
    await ledger.close()
    assert await rows(index) == [("offline", 100, 200), ("disk", 200, 300), ("lost", 500, 600)]
    assert await rows(index, "yard") == [("disk", 120, None)]
    (first, *_) = await index.gaps.find("cam", 0, 2**62)
    assert "secret" not in first.reason


async def test_what_lasted_at_a_restart_is_taken_up(index: MediaIndex) -> None:
    for start_us in (100, 200):
        await index.gaps.open("cam", start_us, cause=OFFLINE, reason="no answer")
    ledger = Ledger(index)
    await ledger.start()
    assert ledger.tokens() == ["cam"]
    ledger.end("cam", 300)
    await ledger.close()
    assert await rows(index) == [("offline", 100, 200), ("offline", 200, 300)]


async def test_an_index_that_refuses_costs_the_note_and_no_more(
    index: MediaIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: Any, **__: Any) -> int:
        raise UnavailableError("the disk below data is full")

    ledger = Ledger(index)
    await ledger.start()
    with monkeypatch.context() as patch:
        patch.setattr(index.gaps, "open", refuse)
        ledger.begin("cam", 100, OFFLINE, "no answer")
        ledger.end("cam", 200)
        ledger.add("cam", 300, 400, LOST, "lost")
        await ledger.close()
    assert await rows(index) == [("lost", 300, 400)]
    assert "a gap is not noted: the disk below data is full" in caplog.text


async def test_what_waits_is_bounded(index: MediaIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MAX_WAITING", 2)
    ledger = Ledger(index)
    for start_us in (100, 200, 300):
        ledger.add("cam", start_us, start_us + 50, LOST, "lost")
    await ledger.start()
    await ledger.close()
    assert await rows(index) == [("lost", 200, 250), ("lost", 300, 350)]
