"""Recorded files whose pictures carry their number, and who takes them as a strict player does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from h5sup.bus.playback import Begun, Item, Played, Position
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init
from h5sup.formats.isobmff.recorded import MovieWriter
from h5sup.store.media_records import Kind, StoredFile
from tests.fakes.mp4 import AAC_FRAME, PICTURE, VIDEO_SCALE, build_init

BEGIN_US = 1_795_600_000_000_000
PICTURE_US = 40_000
SECOND_US = 1_000_000
OPUS_FRAME = 960
SOUND = b"\x21noise"


@dataclass(frozen=True)
class Piece:
    """A fragment as MovieWriter takes it."""

    data: bytes


class Scene:
    """A camera that writes the number of each picture into it; 25 a second."""

    def __init__(
        self,
        *,
        audio: bool = True,
        picture_bytes: int = 100,
        shown_in: Sequence[int] = (0,),
        init: bytes | None = None,
        ticks: int = PICTURE,
    ) -> None:
        """`shown_in` are composition offsets in pictures, taken in turn: B-frames."""
        self.init: InitSegment = parse_init(init or build_init(audio=audio))
        self.number = 0
        self.ticks = ticks
        self._picture_bytes = picture_bytes
        self._shown_in = shown_in
        self._audio_dts = 0

    @classmethod
    def after(cls, other: Scene, **settings: Any) -> Scene:
        """Return another scene that goes on where one is."""
        scene = cls(**settings)
        scene.skip(other.number)
        return scene

    @property
    def picture_us(self) -> int:
        return self.ticks * SECOND_US // VIDEO_SCALE

    def gop(self, count: int = 25) -> list[Piece]:
        return [self._fragment(is_key=index == 0) for index in range(count)]

    def skip(self, count: int) -> None:
        """Lose some pictures and their sound: the clock goes on."""
        self.number += count
        self._audio_dts = self.number * self.ticks * 48_000 // VIDEO_SCALE // AAC_FRAME * AAC_FRAME

    def _fragment(self, *, is_key: bool) -> Piece:
        video = self.init.video
        assert video is not None
        size = self._picture_bytes * (5 if is_key else 1)
        payload = self.number.to_bytes(8).ljust(size, b"p")
        shown = self._shown_in[self.number % len(self._shown_in)] * self.ticks
        flags = SYNC_FLAGS if is_key else NON_SYNC_FLAGS
        sample = Sample(0, size, self.ticks, flags, shown)
        runs = [NewRun(video, self.number * self.ticks, [sample], payload)]
        self.number += 1
        if (track := self.init.audio) is not None:
            due = self.number * self.ticks * track.timescale // VIDEO_SCALE
            count = max(0, (due - self._audio_dts) // AAC_FRAME)
            if count:
                sounds = [Sample(0, len(SOUND), AAC_FRAME, SYNC_FLAGS, 0)] * count
                runs.append(NewRun(track, self._audio_dts, sounds, SOUND * count))
                self._audio_dts += AAC_FRAME * count
        return Piece(build_fragment(1, *runs))


class Shelf:
    """An index in memory, and the files in a folder."""

    def __init__(self, root: Path, token: str = "front") -> None:
        self.root = root
        self.token = token
        self.kept: list[StoredFile] = []
        self.asked = 0

    def record(
        self,
        scene: Scene,
        gops: Sequence[int] = (25,),
        *,
        begin_us: int | None = None,
        recording: str = "",
        breaks: Sequence[int] = (),
    ) -> StoredFile:
        """Write a closed file of GOPs with so many pictures; an outage of 10 s before `breaks`."""
        tape = self.begin(scene, recording=recording, begin_us=begin_us)
        for index, count in enumerate(gops):
            if index in breaks:
                tape.shift_us += 10 * SECOND_US
            tape.add(count)
        return tape.finish()

    def begin(
        self, scene: Scene, *, recording: str = "", begin_us: int | None = None
    ) -> GrowingTape:
        return GrowingTape(self, scene, recording, begin_us)

    def put(self, file: StoredFile) -> None:
        self.kept = sorted(
            [one for one in self.kept if one.id != file.id] + [file], key=lambda one: one.start_us
        )

    async def find_files(
        self, kind: Kind, token: str, begin_us: int, end_us: int, *, limit: int
    ) -> list[StoredFile]:
        assert kind == "record"
        self.asked += 1
        return [
            one
            for one in self.kept
            if one.token == token
            and (begin_us <= one.start_us < end_us or one.start_us < begin_us < one.end_us)
        ][:limit]

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        assert kind == "record"
        return [one for one in self.kept if one.token == token and one.recording == name]


class GrowingTape:
    """A file that is being recorded."""

    def __init__(self, shelf: Shelf, scene: Scene, recording: str, begin_us: int | None) -> None:
        number = len(shelf.kept) + 1
        start_us = BEGIN_US + scene.number * scene.picture_us
        self.shift_us = 0 if begin_us is None else begin_us - start_us
        self._shelf = shelf
        self._scene = scene
        self._writer = MovieWriter(scene.init, {"token": shelf.token})
        name = f"{shelf.token}-{number}.mp4"
        self.file = StoredFile(
            id=number,
            kind="record",
            token=shelf.token,
            path=f"record/{name}",
            filename=name,
            recording=recording or name,
            trigger="manual",
            start_us=start_us + self.shift_us,
            end_us=start_us + self.shift_us,
            size_bytes=len(self._writer.head),
            is_growing=True,
            codecs=scene.init.codecs,
        )
        self.path = shelf.root / self.file.path
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_bytes(self._writer.head)
        shelf.put(self.file)

    def add(self, count: int = 25) -> None:
        """Write one more GOP."""
        start_us = BEGIN_US + self._scene.number * self._scene.picture_us + self.shift_us
        buffers = self._writer.add_gop(self._scene.gop(count), start_us)
        with self.path.open("ab") as file:
            file.write(b"".join(buffers))
        self._note(start_us + count * self._scene.picture_us, is_growing=True)

    def finish(self) -> StoredFile:
        """Close it."""
        closing = self._writer.close()
        with self.path.open("r+b") as file:
            file.seek(0, 2)
            file.write(closing.tail)
            file.seek(closing.patch_at)
            file.write(closing.patch)
        self._note(self.file.end_us, is_growing=False)
        return self.file

    def _note(self, end_us: int, *, is_growing: bool) -> None:
        self.file = replace(
            self.file,
            end_us=end_us,
            size_bytes=self._writer.size_bytes,
            is_growing=is_growing,
        )
        self._shelf.put(self.file)


@dataclass(frozen=True)
class Picture:
    """One that a viewer was sent."""

    number: int
    start_s: float
    duration_s: float
    is_key: bool


@dataclass
class Strict:
    """Takes what a playback hands over as the original players do: no hole, no step back."""

    pictures: list[Picture] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    inits: list[InitSegment] = field(default_factory=list)
    sounds: bytes = b""
    """What its sound consists of: `n` noise, `s` silence, a letter per frame."""
    media: bytearray = field(default_factory=bytearray)
    is_numbered: bool = True
    """The pictures are a Scene's."""
    _video_end: float | None = None
    _audio_end: float | None = None
    _wants_key: bool = True

    def take(self, item: Item) -> None:
        match item:
            case Begun(init=init):
                self.inits.append(init)
                self.media += init.data
                self._wants_key = True
            case Position():
                self.positions.append(item)
            case Played():
                self._take_fragment(item)

    @property
    def numbers(self) -> list[int]:
        return [one.number for one in self.pictures]

    @property
    def end_s(self) -> float:
        return self._video_end or 0.0

    @property
    def audio_end_s(self) -> float:
        return self._audio_end or 0.0

    @property
    def shown(self) -> list[int]:
        """The pictures that last long enough to be seen."""
        return [one.number for one in self.pictures if one.duration_s > 0.002]

    def _take_fragment(self, played: Played) -> None:
        data = played.fragment.data
        init = self.inits[-1]
        self.media += data
        parsed = parse_fragment(data, init)
        if parsed.video is not None:
            assert played.fragment.video is not None
            assert played.fragment.video.tfdt_at == parsed.video.tfdt_at
            first = parsed.video.samples[0]
            number = int.from_bytes(data[first.start : first.start + 8])
            jumps = self.is_numbered and number != (self.numbers or [-1])[-1] + 1
            if self._wants_key or jumps:  # nothing else can be decoded
                assert not first.flags & 0x10000
                assert played.fragment.is_key
                self._wants_key = False
            scale = parsed.video.track.timescale
            at = parsed.video.dts
            self._check(self._video_end, at / scale, 1.01 / scale)
            for one in parsed.video.samples:
                assert one.duration > 0
                number = int.from_bytes(data[one.start : one.start + 8])
                is_key = not one.flags & 0x10000
                self.pictures.append(Picture(number, at / scale, one.duration / scale, is_key))
                at += one.duration
            self._video_end = at / scale
        if parsed.audio is not None:
            scale = parsed.audio.track.timescale
            self._check(self._audio_end, parsed.audio.dts / scale, 1.01 / scale)
            self._audio_end = (parsed.audio.dts + parsed.audio.duration) / scale
            for one in parsed.audio.samples:
                assert one.duration in (AAC_FRAME, OPUS_FRAME)
                sound = data[one.start : one.start + one.size]
                self.sounds += b"n" if sound == SOUND else b"s"

    def _check(self, end_s: float | None, start_s: float, tick_s: float) -> None:
        if end_s is None:
            assert start_s < 0.03
        else:
            assert -1e-9 <= start_s - end_s <= tick_s, (end_s, start_s)
