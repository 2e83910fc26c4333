"""Recordings of real media that lie in a server's mediastore before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from h5sup.base.clock import to_us
from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.recording.names import build_path
from h5sup.store.media_index import Gap, MediaIndex, StoredFile, Trigger
from tests.fakes.fragments import fragments_of, gops_of

GOP = timedelta(seconds=1)  # of the clips used here


class Shelf:
    """What a server finds in `folder` when it starts; `close()` writes the index."""

    def __init__(self, folder: Path, ffmpeg: str = "ffmpeg") -> None:
        self.files: list[StoredFile] = []
        self._gaps: list[Gap] = []
        self._data = folder / "data"
        self._mediastore = folder / "mediastore"
        self._ffmpeg = ffmpeg

    def record(
        self,
        clip: Path,
        begin: datetime,
        times: int,
        *,
        token: str = "front",
        trigger: Trigger = "always",
        gop: timedelta = GOP,
    ) -> StoredFile:
        """Write a finished file that holds the clip, of GOPs so long, so many times in a row."""
        init, fragments = fragments_of(clip, self._ffmpeg)
        writer = MovieWriter(init, {"token": token})
        gops = gops_of(fragments) * times
        name = f"{token}-{len(self.files):03}.mp4"
        path = build_path("record", token, begin, name)
        self._write(path, writer, gops, [begin + number * gop for number in range(len(gops))])
        file = StoredFile(
            kind="record",
            token=token,
            path=path,
            filename=name,
            recording=name,
            trigger=trigger,
            start_us=to_us(begin),
            end_us=to_us(begin + len(gops) * gop),
            size_bytes=writer.size_bytes,
            codecs=init.codecs,
            width=384,
            height=216,
        )
        self.files.append(file)
        return file

    def lack(self, begin: datetime, end: datetime, cause: str, reason: str) -> None:
        """Note that nothing was recorded for a while."""
        gap = Gap(
            token="front", start_us=to_us(begin), end_us=to_us(end), cause=cause, reason=reason
        )
        self._gaps.append(gap)

    async def close(self) -> None:
        """Write the index."""
        self._data.mkdir(exist_ok=True)
        index = MediaIndex(self._data)
        await index.open()
        await index.add_all(self.files)
        for gap in self._gaps:
            await index.add_gap(gap)
        await index.close()

    def _write(
        self,
        path: str,
        writer: MovieWriter,
        gops: Sequence[Sequence[Fragment]],
        begins: Sequence[datetime],
    ) -> None:
        whole = bytearray(writer.head)
        for gop, begin in zip(gops, begins, strict=True):
            whole += b"".join(writer.add_gop(gop, to_us(begin)))
        closing = writer.close()
        whole += closing.tail
        whole[closing.patch_at : closing.patch_at + len(closing.patch)] = closing.patch
        place = self._mediastore / path
        place.parent.mkdir(parents=True)
        place.write_bytes(whole)
