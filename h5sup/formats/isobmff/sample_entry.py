"""Sample entries: which codec a track has, as RFC 6381 writes it (ISO/IEC 14496-12 §8.5.2)."""

from __future__ import annotations

from struct import Struct

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import U16, U32, boxes
from h5sup.formats.isobmff.track import Track

SampleEntry = tuple[bytes, int, int]
"""Its type, and where its content starts and ends in the data."""


def describe_video(data: bytes, entry: SampleEntry) -> Track:
    """Return codec and size, as far as an entry tells (§12.1.3); raises MediaFormatError."""
    kind, start, end = entry
    width, height = Struct(">HH").unpack_from(data, start + 24)
    codec, config = kind.decode("latin-1"), b""
    for part, at, until in boxes(data, start + 78, end):
        if part == b"avcC":  # ISO/IEC 14496-15 §5.3.3.1
            config = data[at:until]
            codec = f"{codec}.{config[1:4].hex().upper()}"
        elif part == b"hvcC":
            config = data[at:until]
            codec = _hevc_codec(codec, config)
        elif part == b"esds":
            codec = f"{codec}.{_parse_esds(data, at, until)[0]:02X}"
    return Track(kind="video", codec=codec, width=width, height=height, video_config=config)


def _hevc_codec(entry: str, record: bytes) -> str:
    """Return the codec of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 annex E.3)."""
    if len(record) < 13:
        raise MediaFormatError("box 'hvcC' is cut off")
    space = ("", "A", "B", "C")[record[1] >> 6]
    compatibility = int(f"{U32.unpack_from(record, 2)[0]:032b}"[::-1], 2)
    tier = "H" if record[1] & 0x20 else "L"
    constraints = record[6:12].rstrip(b"\0")
    parts = [entry, f"{space}{record[1] & 0x1F}", f"{compatibility:X}", f"{tier}{record[12]}"]
    return ".".join(parts + [f"{byte:X}" for byte in constraints])


def describe_audio(data: bytes, entry: SampleEntry) -> Track:
    """Return codec, channels and rate, as far as an entry tells (§12.2.3)."""
    kind, start, end = entry
    channels = U16.unpack_from(data, start + 16)[0]
    sample_rate = U32.unpack_from(data, start + 24)[0] >> 16
    codec, config = kind.decode("latin-1"), b""
    for part, at, until in boxes(data, start + 28, end):
        if part == b"esds":
            object_type, config = _parse_esds(data, at, until)
            codec = f"{codec}.{object_type:02X}"
            if object_type == 0x40:  # MPEG-4 audio: RFC 6381 §3.3 wants its object type too
                codec = f"{codec}.{_audio_object_type(config)}"
    return Track(
        kind="audio",
        codec=codec.replace("Opus", "opus"),
        channels=channels,
        sample_rate=sample_rate,
        audio_config=config,
    )


def _audio_object_type(config: bytes) -> int:
    if len(config) < 2:
        raise MediaFormatError("AAC has no AudioSpecificConfig")
    kind = config[0] >> 3
    if kind == 31:  # escape value, ISO/IEC 14496-3 §1.6.2.1
        kind = 32 + ((config[0] & 7) << 3 | config[1] >> 5)
    return kind


def _parse_esds(data: bytes, start: int, end: int) -> tuple[int, bytes]:
    """Return (objectTypeIndication, DecoderSpecificInfo) (ISO/IEC 14496-1 §7.2.6)."""
    position = start + 4
    object_type, config = 0, b""
    while position < end:
        tag = data[position]
        position += 1
        size = 0
        while True:
            byte = data[position]
            position += 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 3:  # ES_Descriptor: id, flags; the optional fields never occur in MP4
            position += 3
        elif tag == 4:  # DecoderConfigDescriptor
            object_type = data[position]
            position += 13
        else:
            if tag == 5:
                config = data[position : position + size]
            position += size
    return object_type, config
