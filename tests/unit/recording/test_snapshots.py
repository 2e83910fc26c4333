"""Snapshots: which picture, under which name, and what refuses them."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from h5sup.base.clock import to_us
from h5sup.base.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from h5sup.bus.channel import Channel
from h5sup.bus.playback import PlaybackRequest
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.gop_table import StoredGop
from h5sup.formats.isobmff.reader import SegmentReader
from h5sup.formats.isobmff.stored import read_movie
from h5sup.recording import snapshots as snapshots_module
from h5sup.recording.playback.stored import Opened
from h5sup.recording.snapshots import Snapshots
from h5sup.store.media_index import MediaIndex
from tests.fakes.recorded import reader_of
from tests.fakes.recordings import PICTURE_US, Scene, Shelf
from tests.unit.outputs.hls_fakes import Feeder

JPEG = b"\xff\xd8 a picture \xff\xd9"
NOW = datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)


class FakeLease:
    """Starts its source when it is taken, if it can be started."""

    def __init__(self, sources: FakeSources) -> None:
        self._sources = sources
        sources.held += 1
        if sources.can_start:
            asyncio.get_running_loop().call_later(0.01, sources.start)

    async def ready(self, timeout_s: float) -> Channel:
        return self._sources.feeder.channel

    def catch_up(self) -> None:
        pass

    def release(self) -> None:
        self._sources.held -= 1


class FakeSources:
    """One source, `cam`, that is off at first."""

    def __init__(self) -> None:
        self.feeder = Feeder()
        self.held = 0
        self.can_start = True

    def start(self) -> None:
        self.feeder.begin()
        self.feeder.seconds(0.1)

    def find_channel(self, token: str) -> Channel:
        if token != "cam":
            raise NotFoundError("there is no source with this token")
        return self.feeder.channel

    def lease(self, token: str, *, hevc: bool, quiet: bool) -> FakeLease:
        assert (token, hevc, quiet) == ("cam", True, False)
        return FakeLease(self)


class FakePictures:
    """The picture of a source that has one."""

    def __init__(self, sources: FakeSources) -> None:
        self._sources = sources
        self.is_broken = False
        self.drawn: list[tuple[str, bytes, int]] = []

    async def jpeg(self, token: str) -> bytes | None:
        has_picture = self._sources.find_channel(token).gop and not self.is_broken
        return JPEG if has_picture else None

    async def draw(self, token: str, media: bytes, number: int) -> bytes | None:
        self.drawn.append((token, media, number))
        return None if self.is_broken else JPEG


class FakeVolume:
    """A disk that may refuse."""

    def __init__(self) -> None:
        self.sentence = ""
        self.failures: list[OSError] = []
        self.fault: OSError | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def refusal(self) -> str:
        return self.sentence

    def note_failure(self, error: OSError) -> None:
        self.failures.append(error)

    def require(self) -> None:
        self.may_go_on.wait(5)
        if self.fault is not None:
            raise self.fault


@dataclass
class FakeSpot:
    """Where a playback stands."""

    at_us: int
    source: Opened
    gop: StoredGop


@dataclass
class FakePlayback:
    """A playback of `token` that stands somewhere, or has not begun."""

    request: PlaybackRequest
    shown: FakeSpot | None = None


class FakePlaybacks:
    """Playbacks by their secret name."""

    def __init__(self) -> None:
        self.by_id: dict[str, FakePlayback] = {}

    def find(self, playback_id: str) -> FakePlayback | None:
        return self.by_id.get(playback_id)


class Rig:
    """Snapshots in a folder, with all around them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mediastore"
        self.root.mkdir()
        self.index = MediaIndex(folder)
        self.sources = FakeSources()
        self.pictures = FakePictures(self.sources)
        self.volume = FakeVolume()
        self.playbacks = FakePlaybacks()
        self.snapshots = Snapshots(
            self.pictures,
            self.sources,
            self.playbacks,
            self.index,
            self.volume,
            self.root,
            clock=lambda: NOW,
        )

    def files(self) -> list[str]:
        """Return what lies below mediastore, without what is being written."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.root)) for path in found)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.index.open()
    yield rig
    rig.volume.may_go_on.set()
    await rig.snapshots.close()
    await rig.index.close()


async def test_a_snapshot_is_written_and_listed(rig: Rig) -> None:
    rig.sources.start()
    kept = await rig.snapshots.take("cam", "door")

    assert kept.filename == "door.jpg"
    assert kept.path.startswith("snapshot/cam/2026-11-24TZ")
    assert (rig.root / kept.path).read_bytes() == JPEG
    assert rig.files() == [kept.path]
    (listed,) = await rig.index.find_recording("snapshot", "cam", "door")
    assert (listed.path, listed.size_bytes) == (kept.path, len(JPEG))
    assert listed.start_us == listed.end_us == to_us(NOW)
    assert not listed.is_growing
    assert rig.sources.held == 0


async def test_a_name_is_made_up(rig: Rig) -> None:
    rig.sources.start()
    first, second = [await rig.snapshots.take("cam") for _ in range(2)]

    assert first.filename != second.filename
    assert first.filename.startswith("cam-")
    assert first.filename.endswith(".jpg")


async def test_a_path_lies_where_the_caller_says(rig: Rig) -> None:
    rig.sources.start()
    zone = timezone(timedelta(hours=8))
    moment = datetime(2019, 5, 10, 15, 59, 42, tzinfo=zone)
    kept = await rig.snapshots.take_to("cam", moment, zone, "xx.jpg")

    assert kept.path == "snapshot/cam/2019-05-10TZ08/15-59-42/xx.jpg"
    assert kept.start_us == to_us(NOW)  # when it was taken
    assert rig.files() == [kept.path]


async def test_a_source_that_is_off_is_started(rig: Rig) -> None:
    kept = await rig.snapshots.take("cam")

    assert rig.files() == [kept.path]
    assert rig.sources.held == 0


async def test_a_source_that_does_not_come_is_refused_with_its_reason(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "START_S", 0.05)
    rig.sources.can_start = False
    rig.sources.feeder.channel.set_state("BACKOFF", "the camera does not answer")

    with pytest.raises(UnavailableError, match="the camera does not answer"):
        await rig.snapshots.take("cam")
    rig.sources.feeder.begin()  # connected, and without a picture
    with pytest.raises(UnavailableError, match="the camera does not answer"):
        await rig.snapshots.take("cam")
    assert rig.sources.held == 0
    assert rig.files() == []


async def test_a_picture_that_cant_be_made_is_refused(rig: Rig) -> None:
    rig.sources.start()
    rig.pictures.is_broken = True

    with pytest.raises(UnavailableError, match="no picture of source 'cam'"):
        await rig.snapshots.take("cam")


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\0", "a b", "x" * 193, "\u00e9", "*"],
)
async def test_no_name_becomes_a_path(rig: Rig, name: str) -> None:
    rig.sources.start()
    with pytest.raises(InvalidError, match="filename"):
        await rig.snapshots.take("cam", name)
    with pytest.raises(InvalidError, match="filename"):
        await rig.snapshots.take_to("cam", NOW, UTC, name)
    assert rig.files() == []


async def test_an_unknown_source_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFoundError):
        await rig.snapshots.take("../../etc")
    assert rig.files() == []


async def test_a_name_that_exists_is_never_overwritten(rig: Rig) -> None:
    rig.sources.start()
    kept = await rig.snapshots.take("cam", "door")
    (rig.root / kept.path).write_bytes(b"the evidence")

    with pytest.raises(ConflictError, match=r"there is a snapshot 'door.jpg' already"):
        await rig.snapshots.take("cam", "door.jpg")
    with pytest.raises(ConflictError, match="already"):
        await rig.snapshots.take_to("cam", NOW + timedelta(days=1), UTC, "door")
    await rig.index.delete([(await rig.index.find_recording("snapshot", "cam", "door"))[0].id])
    with pytest.raises(ConflictError, match="already"):  # not in the index, and there
        await rig.snapshots.take("cam", "door")

    assert (rig.root / kept.path).read_bytes() == b"the evidence"


async def test_of_two_with_one_name_at_once_one_is_kept(rig: Rig) -> None:
    rig.sources.start()
    moments = (NOW, NOW + timedelta(hours=1))
    takes = [rig.snapshots.take_to("cam", moment, UTC, "door") for moment in moments]
    results = await asyncio.gather(*takes, return_exceptions=True)

    assert [type(one) for one in results if isinstance(one, Exception)] == [ConflictError]
    assert len(rig.files()) == 1


async def test_a_disk_that_refuses_is_said_before_anything_is_done(rig: Rig) -> None:
    rig.volume.sentence = "the disk of mediastore is full"

    with pytest.raises(UnavailableError, match="full"):
        await rig.snapshots.take("cam")
    assert rig.sources.held == 0


@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENOSPC, errno.EROFS])
async def test_a_disk_that_fails_while_it_is_written_is_noted(rig: Rig, code: int) -> None:
    rig.sources.start()
    rig.volume.fault = OSError(code, os.strerror(code))

    with pytest.raises(UnavailableError, match="can't be kept"):
        await rig.snapshots.take("cam", "door")
    assert rig.volume.failures == [rig.volume.fault]
    assert rig.files() == []
    rig.volume.fault = None
    assert (await rig.snapshots.take("cam", "door")).filename == "door.jpg"


async def test_half_a_picture_never_lies_under_its_name(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.sources.start()

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "it broke")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnavailableError, match="it broke"):
        await rig.snapshots.take("cam", "door")
    assert rig.files() == []


async def test_a_disk_that_hangs_holds_nobody_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "STORE_S", 0.05)
    monkeypatch.setattr(snapshots_module, "MAX_WAITING", 1)
    rig.sources.start()
    rig.volume.may_go_on.clear()

    first = asyncio.create_task(rig.snapshots.take("cam"))
    await asyncio.sleep(0.02)
    with pytest.raises(UnavailableError, match="too many snapshots"):
        await rig.snapshots.take("cam")
    with pytest.raises(UnavailableError, match="does not answer"):
        await first


def stand(rig: Rig, scene: Scene, pictures: int, *, gops: tuple[int, ...] = (10, 10)) -> FakeSpot:
    """Let a playback stand so many pictures behind the start of a recording's second GOP."""
    file = Shelf(rig.root, "cam").record(scene, gops)
    data = (rig.root / file.path).read_bytes()
    movie = read_movie(reader_of(data), len(data))
    gop = movie.gops[1]
    spot = FakeSpot(gop.wall_us + pictures * PICTURE_US, Opened(file, movie, fd=-1), gop)
    rig.playbacks.by_id["secret"] = FakePlayback(PlaybackRequest(token="cam", owner="ann"), spot)
    return spot


def numbers_of(media: bytes, spot: FakeSpot) -> list[int]:
    """Return the numbers in the pictures that a decoder was given, as they lie there."""
    init, *fragments = SegmentReader().feed(media)
    assert init == spot.source.movie.init.data
    found = []
    for data in fragments:
        run = parse_fragment(data, spot.source.movie.init).video
        assert run is not None
        found += [int.from_bytes(data[one.start : one.start + 8]) for one in run.samples]
    return found


@pytest.mark.parametrize("pictures", [0, 1, 7, 9])
async def test_a_playbacks_picture_is_decoded_from_its_key_frame_on(
    rig: Rig, pictures: int
) -> None:
    spot = stand(rig, Scene(), pictures)
    kept = await rig.snapshots.take_of_playback("cam", "secret", owner="ann")

    ((token, media, number),) = rig.pictures.drawn
    assert (token, number) == ("cam", pictures)
    assert numbers_of(media, spot) == list(range(10, 11 + pictures))
    assert kept.path in rig.files()
    assert kept.start_us == to_us(NOW)  # so that it is kept as long as any other


@pytest.mark.parametrize(
    ("pictures", "fed", "number"), [(0, 1, 0), (2, 1, 0), (3, 3, 1), (4, 2, 1), (5, 4, 3)]
)
async def test_of_reordered_pictures_the_one_on_the_screen_is_taken(
    rig: Rig, pictures: int, fed: int, number: int
) -> None:
    """Shown 2, 4, 3, 5 and 6 pictures after the GOP begins; before that, there is the first."""
    spot = stand(rig, Scene(shown_in=(2, 3, 1, 2, 2)), pictures)
    await rig.snapshots.take_of_playback("cam", "secret", owner="ann")

    ((_, media, drawn),) = rig.pictures.drawn
    assert (len(numbers_of(media, spot)), drawn) == (fed, number)


async def test_a_playback_of_another_source_or_none_is_not_found(rig: Rig) -> None:
    stand(rig, Scene(), 1)
    rig.playbacks.by_id["other"] = FakePlayback(PlaybackRequest(token="back", owner="ann"))

    for secret in ("other", "none", "", "../x"):
        with pytest.raises(NotFoundError, match="there is no such playback"):
            await rig.snapshots.take_of_playback("cam", secret, owner="ann")
    with pytest.raises(NotFoundError, match="there is no such playback"):
        await rig.snapshots.take_of_playback("cam", "secret", owner="bob")
    with pytest.raises(NotFoundError, match="no source"):
        await rig.snapshots.take_of_playback("*", "secret", owner="ann")
    assert rig.pictures.drawn == []


async def test_a_playback_without_a_picture_is_told_so(rig: Rig) -> None:
    spot = stand(rig, Scene(), 1)
    playback = rig.playbacks.by_id["secret"]
    playback.shown = None
    with pytest.raises(UnavailableError, match="start it first"):
        await rig.snapshots.take_of_playback("cam", "secret", owner="ann")

    playback.shown = spot
    rig.pictures.is_broken = True
    with pytest.raises(UnavailableError, match="no picture of the playback"):
        await rig.snapshots.take_of_playback("cam", "secret", owner="ann")

    (rig.root / spot.source.file.path).unlink()
    with pytest.raises(UnavailableError, match="can't be read any more"):
        await rig.snapshots.take_of_playback("cam", "secret", owner="ann")
