"""Fragmented MP4 made by hand: as little of it as players and h5sup read."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init

VIDEO_SCALE = 12_800
AUDIO_SCALE = 48_000
AAC_FRAME = 1024
PICTURE = 512  # ticks: 25 pictures a second


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return pack(">I4s", 8 + len(body), kind) + body


def build_init(*, video: bool = True, audio: bool = True, channels: int = 1) -> bytes:
    traks = []
    if video:
        avcc = box(b"avcC", bytes.fromhex("014d002affe10000"))
        entry = box(b"avc1", bytes(24), pack(">HH", 640, 360), bytes(50), avcc)
        traks.append(_trak(1, VIDEO_SCALE, b"vide", entry))
    if audio:
        config = (2 << 11 | 3 << 7 | channels << 3).to_bytes(2, "big")
        specific = b"\x05" + bytes((len(config),)) + config
        decoder = b"\x04" + bytes((13 + len(specific),)) + b"\x40" + bytes(12) + specific
        descriptor = b"\x03" + bytes((3 + len(decoder),)) + bytes(3) + decoder
        sound = bytes(16) + pack(">HHI", channels, 16, 0) + pack(">I", AUDIO_SCALE << 16)
        entry = box(b"mp4a", sound, box(b"esds", bytes(4), descriptor))
        traks.append(_trak(2, AUDIO_SCALE, b"soun", entry))
    ids = [1] * video + [2] * audio
    mvex = box(b"mvex", *(box(b"trex", pack(">6I", 0, one, 1, 0, 0, 0)) for one in ids))
    moov = box(b"moov", box(b"mvhd", bytes(100)), *traks, mvex)
    return box(b"ftyp", b"isom", bytes(4)) + moov


def _trak(track: int, scale: int, handler: bytes, entry: bytes) -> bytes:
    mdhd = box(b"mdhd", bytes(12), pack(">II", scale, 0), bytes(4))
    hdlr = box(b"hdlr", bytes(8), handler, bytes(13))
    stsd = box(b"stsd", bytes(4), pack(">I", 1), entry)
    minf = box(b"minf", box(b"stbl", stsd))
    tkhd = box(b"tkhd", bytes(12), pack(">I", track), bytes(68))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))


class Camera:
    """Writes fragments as ffmpeg does, with times that start where it likes."""

    def __init__(self, *, video_dts: int = 0, audio_dts: int = 0, audio: bool = True) -> None:
        self.data = build_init(audio=audio)
        self.init: InitSegment = parse_init(self.data)
        self.video_dts = video_dts
        self.audio_dts = audio_dts

    def fragment(
        self,
        *,
        key: bool = False,
        pictures: Sequence[int] = (PICTURE,),
        sounds: Sequence[int] = (),
        picture_bytes: int = 100,
    ) -> bytes:
        """Return a fragment with pictures and sounds of the given durations in ticks."""
        runs = []
        if pictures:
            assert self.init.video is not None
            samples = [
                Sample(0, picture_bytes, duration, NON_SYNC_FLAGS, 0) for duration in pictures
            ]
            if key:
                samples[0] = samples[0]._replace(flags=SYNC_FLAGS)
            payload = bytes(picture_bytes * len(samples))
            runs.append(NewRun(self.init.video, self.video_dts, samples, payload))
            self.video_dts += sum(pictures)
        if sounds:
            assert self.init.audio is not None
            samples = [Sample(0, 10, duration, SYNC_FLAGS, 0) for duration in sounds]
            runs.append(NewRun(self.init.audio, self.audio_dts, samples, b"s" * 10 * len(samples)))
            self.audio_dts += sum(sounds)
        return build_fragment(1, *runs)

    def gop(self, count: int = 25) -> list[bytes]:
        """Return a second of pictures with their sound."""
        found = []
        for index in range(count):
            due = (self.video_dts + PICTURE) / VIDEO_SCALE * AUDIO_SCALE
            frames = max(0, int((due - self.audio_dts) // AAC_FRAME)) if self.init.audio else 0
            found.append(self.fragment(key=index == 0, sounds=[AAC_FRAME] * frames))
        return found
