"""Recordings of real media that a server finds in its mediastore when it starts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from h5sup.base.clock import from_us, to_us
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.names import build_path
from h5sup.store.media_index import MediaIndex
from h5sup.store.media_records import Gap, StoredFile, Trigger
from tests.fakes.fragments import fragments_of, gops_of
from tests.fakes.recorded import BEGIN_US, close

PICTURE = timedelta(seconds=1) / 25  # of the clips that are used so


class Mediastore:
    """Of the server whose folder is `home`; `close()` writes the index."""

    def __init__(self, home: Path, ffmpeg: str = "ffmpeg") -> None:
        self._home = home
        self._ffmpeg = ffmpeg
        self._files: list[StoredFile] = []
        self._gaps: list[Gap] = []

    def record(
        self,
        clip: Path,
        begin: datetime,
        times: int = 1,
        *,
        token: str = "front",
        trigger: Trigger = "always",
    ) -> StoredFile:
        """Write a closed file that holds a clip so many times in a row. Blocks."""
        name = f"{token}-{len(self._files) + 1}.mp4"
        note = {"token": token, "recording": name, "trigger": trigger}
        init, fragments = fragments_of(clip, self._ffmpeg)
        writer = MovieWriter(init, note)
        data, end = bytearray(writer.head), begin
        for gop in gops_of(fragments) * times:
            data += b"".join(writer.add_gop(gop, to_us(end)))
            end += PICTURE * sum(one.video.samples for one in gop if one.video is not None)
        path = build_path("record", token, begin, name)
        place = self._home / "mediastore" / path
        place.parent.mkdir(parents=True)
        place.write_bytes(close(bytes(data), writer.close()))
        file = StoredFile(
            kind="record",
            token=token,
            path=path,
            filename=name,
            recording=name,
            trigger=trigger,
            start_us=to_us(begin),
            end_us=to_us(end),
            size_bytes=place.stat().st_size,
            codecs=init.codecs,
        )
        self._files.append(file)
        return file

    def lack(
        self, begin: datetime, end: datetime, cause: str, reason: str, *, token: str = "front"
    ) -> None:
        """Note that nothing was recorded for a while."""
        times = {"start_us": to_us(begin), "end_us": to_us(end)}
        self._gaps.append(Gap(token=token, cause=cause, reason=reason, **times))

    async def close(self) -> None:
        """Write the index."""
        (self._home / "data").mkdir(exist_ok=True)
        index = MediaIndex(self._home / "data")
        await index.open()
        try:
            await index.add_all(self._files)
            for gap in self._gaps:
                await index.gaps.add(gap)
        finally:
            await index.close()


async def put_recording(clip: Path, ffmpeg: str, home: Path, token: str) -> StoredFile:
    """Have a server whose folder is `home` find a clip recorded by hand when it starts."""
    mediastore = Mediastore(home, ffmpeg)
    file = await asyncio.to_thread(
        mediastore.record, clip, from_us(BEGIN_US), token=token, trigger="manual"
    )
    await mediastore.close()
    return file
