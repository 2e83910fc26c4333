"""What the index of recordings costs when it holds a million files."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from h5sup.events.hub import Hub
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.healing import heal
from h5sup.recording.mounts import MountGuard
from h5sup.recording.volume import Volume
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import StoredFile
from h5sup.store.media_schema import DAY_US, SECOND_US
from tests.bench.measure import row
from tests.fakes.clips import Clips
from tests.fakes.mp4 import Camera
from tests.fakes.recorded import close, write

SOURCES = 50
LENGTH_US = 300 * SECOND_US
DAYS = 68
A_DAY = DAY_US // LENGTH_US
BEGIN_US = 20_000 * DAY_US
LONG_EACH = 100  # recordings by hand of a day: they reach far
LOOK_UPS = 200
FILES = 10_000


async def index(clips: Clips) -> None:
    """Fill it, look days up as Search does, and compare an index with many files."""
    del clips
    await compare()
    with TemporaryDirectory() as folder:
        media = MediaIndex(Path(folder))
        await media.open()
        began = perf_counter()
        rows = 0
        for token in range(SOURCES):
            files = build_files(f"cam{token}")
            rows += len(files)
            await media.add_all(files)
        row(f"index of {rows} files, filled", f"{perf_counter() - began:.0f} s")
        size_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())  # noqa: ASYNC240 (nothing else runs)
        row("bytes of each row", f"{size_bytes / rows:.0f}")
        took_ms: list[float] = []
        for turn in range(LOOK_UPS):
            begin_us = BEGIN_US + turn * 7919 % (DAYS - 1) * DAY_US + turn * SECOND_US
            began = perf_counter()
            found = await media.find_files(
                "record", f"cam{turn % SOURCES}", begin_us, begin_us + DAY_US
            )
            took_ms.append((perf_counter() - began) * 1000)
            assert len(found) >= A_DAY
        took_ms.sort()
        p99 = took_ms[int(LOOK_UPS * 0.99)]
        row("one day of one source, median / p99", f"{median(took_ms):.1f} / {p99:.1f} ms", "20")
        for name, limit in (("add", 200), ("by name", 200), ("oldest 100", 50)):
            began = perf_counter()
            for turn in range(limit):
                new = build_file("cam0", BEGIN_US + DAYS * DAY_US + turn, 1)
                if name == "add":
                    await media.add(new)
                elif name == "by name":
                    assert await media.find_recording("record", "cam0", new.filename)
                else:
                    await media.find_oldest("record")
            row(name, f"{(perf_counter() - began) * 1000 / limit:.2f} ms")
        began = perf_counter()
        totals = await media.find_totals()
        row(f"all {len(totals)} sums", f"{(perf_counter() - began) * 1000:.1f} ms")
        await media.close()


async def compare() -> None:
    """List files from an empty index, as after its loss, and again as at each start."""
    camera = Camera()
    writer = MovieWriter(camera.init, {"token": "front", "recording": "", "trigger": "always"})
    data = write(writer, camera.gop(25), camera.gop(25))
    data = close(data, writer.close())
    with TemporaryDirectory() as folder:
        root = Path(folder) / "mediastore"
        for n in range(FILES):
            path = root / f"record/front/2026-11-{n // A_DAY % 28 + 1:02}TZ00"
            path = path / f"{n // 3600:02}-{n // 60 % 60:02}-{n % 60:02}" / f"{n}.mp4"
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        media = MediaIndex(Path(folder))
        volume = Volume(MountGuard(root, Path(folder)), Hub(), keep_free_bytes=0)
        await media.open()
        await volume.check()
        for name in ("listed from an empty index", "compared with their index"):
            began, cpu = perf_counter(), process_time()
            await heal(media, volume)
            took = f"{perf_counter() - began:.1f} s, {process_time() - cpu:.1f} CPU-s"
            row(f"{FILES} files, {name}", took)
        await volume.close()
        await media.close()


def build_files(token: str) -> list[StoredFile]:
    """Return a source's files of all days, and long ones among them."""
    count = 1_000_000 // SOURCES - LONG_EACH
    files = [build_file(token, BEGIN_US + n * LENGTH_US, LENGTH_US) for n in range(count)]
    step_us = count * LENGTH_US // LONG_EACH
    files += [build_file(token, BEGIN_US + n * step_us + 1, DAY_US) for n in range(LONG_EACH)]
    return files


def build_file(token: str, start_us: int, length_us: int) -> StoredFile:
    """Return a file as the recorder would have it."""
    name = f"{token}-984bebd4-c9a5-49f1-aa09-{start_us:020}.mp4"
    return StoredFile(
        kind="record",
        token=token,
        path=f"record/{token}/2026-11-24TZ08/{start_us // SECOND_US}/{name}",
        filename=name,
        recording=name,
        trigger="always",
        start_us=start_us,
        end_us=start_us + length_us,
        size_bytes=150_000_000,
        codecs="avc1.4D002A,mp4a.40.2",
        width=1920,
        height=1080,
    )
