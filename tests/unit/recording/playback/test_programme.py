"""Which files are played, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from h5sup.recording.playback.programme import LOOK_BACK_US, Programme, choose
from h5sup.store.media_records import Kind, StoredFile

SECOND = 1_000_000


def file(number: int, start_s: float, end_s: float, *, is_growing: bool = False) -> StoredFile:
    return StoredFile(
        id=number,
        kind="record",
        token="front",
        path=f"{number}.mp4",
        filename=f"{number}.mp4",
        recording=f"{number}.mp4",
        trigger="always",
        start_us=round(start_s * SECOND),
        end_us=round(end_s * SECOND),
        is_growing=is_growing,
    )


@pytest.mark.parametrize(
    ("files", "at_s", "played", "expected"),
    [
        ([], 0, (), None),
        ([file(1, 0, 10), file(2, 10, 20)], 0, (), 1),
        ([file(1, 0, 10), file(2, 10, 20)], 10, {1}, 2),
        ([file(1, 0, 10), file(2, 10.1, 20)], 9.98, (), 2),  # what is left of 1 is not worth it
        ([file(1, 0, 10), file(2, 30, 40), file(3, 20, 25)], 10, {1}, 3),
        ([file(1, 0, 10), file(2, 0, 60), file(3, 0, 5)], 0, (), 2),
        ([file(1, 0, 10), file(2, 0, 8, is_growing=True)], 0, (), 2),
        ([file(1, 0, 10)], 20, (), None),
        ([file(1, 0, 10, is_growing=True)], 20, (), 1),
        ([file(1, 30, 40), file(2, 30, 50)], 0, (), 2),
    ],
)
def test_the_next_file(
    files: list[StoredFile], at_s: float, played: Collection[int], expected: int | None
) -> None:
    found = choose(files, round(at_s * SECOND), played)
    assert (None if found is None else found.id) == expected


class Index:
    """Notes how far it is asked to look."""

    def __init__(self, *files: StoredFile) -> None:
        self.files = files
        self.asked: list[int] = []

    async def find_files(
        self, kind: Kind, token: str, begin_us: int, end_us: int, *, limit: int
    ) -> list[StoredFile]:
        assert (kind, token) == ("record", "front")
        self.asked.append(end_us - begin_us)
        found = [one for one in self.files if one.start_us < end_us and one.end_us > begin_us]
        return found[:limit]

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        return list(self.files)


def test_a_month_is_looked_through_from_its_near_end() -> None:
    month_us = 30 * 86_400 * SECOND
    index = Index(file(1, 0, 10), file(2, 20 * 86_400, 20 * 86_400 + 10))
    programme = Programme(index, "front", begin_us=0, end_us=month_us)

    async def look() -> None:
        assert await programme.files(SECOND) == [index.files[0]]
        assert await programme.files(20 * SECOND) == [index.files[1]]
        assert await programme.last(month_us * 2) == index.files[1]
        assert await programme.last(86_400 * SECOND) == index.files[0]

    asyncio.run(look())
    assert len(index.asked) < 20
    assert index.asked[3] == LOOK_BACK_US


def test_nothing_is_the_last_of_nothing() -> None:
    by_time = Programme(Index(), "front", begin_us=0, end_us=SECOND)
    by_name = Programme(Index(), "front", name="1.mp4")
    assert asyncio.run(by_time.last(5)) is None
    assert asyncio.run(by_name.last(5)) is None
