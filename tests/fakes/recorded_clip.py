"""A clip as if it had come from a camera and been recorded: a file, and its row in the index."""

from __future__ import annotations

import asyncio
from pathlib import Path

from h5sup.base.clock import from_us
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.names import build_path
from h5sup.store.media_index import MediaIndex, StoredFile
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, close

FPS = 25
PICTURE_US = 1_000_000 // FPS


def record_clip(clip: Path, ffmpeg: str, mediastore: Path, token: str) -> StoredFile:
    """Write a clip of 25 pictures a second as a closed recording from BEGIN_US on. Blocks."""
    init, fragments = fragments_of(clip, ffmpeg)
    writer = MovieWriter(init, {"token": token})
    data = bytearray(writer.head)
    pictures = 0
    for gop in gops_of(fragments):
        data += b"".join(writer.add_gop(gop, BEGIN_US + pictures * PICTURE_US))
        pictures += sum(one.video.samples for one in gop if one.video is not None)
    whole = close(bytes(data), writer.close())
    path = build_path("record", token, from_us(BEGIN_US), f"{token}-1.mp4")
    (mediastore / path).parent.mkdir(parents=True)
    (mediastore / path).write_bytes(whole)
    return StoredFile(
        kind="record",
        token=token,
        path=path,
        filename=f"{token}-1.mp4",
        recording=f"{token}-1.mp4",
        trigger="manual",
        start_us=BEGIN_US,
        end_us=BEGIN_US + pictures * PICTURE_US,
        size_bytes=len(whole),
        codecs=init.codecs,
    )


async def put_recording(clip: Path, ffmpeg: str, home: Path, token: str) -> StoredFile:
    """Have a server whose folder is `home` find a clip recorded when it starts."""
    file = await asyncio.to_thread(record_clip, clip, ffmpeg, home / "mediastore", token)
    (home / "data").mkdir(exist_ok=True)
    index = MediaIndex(home / "data")
    await index.open()
    try:
        await index.add(file)
    finally:
        await index.close()
    return file
