"""Every form of a box that other muxers than ffmpeg's may write, and those that are not legal."""

from __future__ import annotations

from struct import pack

import pytest

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import boxes, children
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import (
    NON_SYNC_FLAGS,
    SYNC_FLAGS,
    Sample,
    parse_fragment,
    run_payload,
)
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init, without_audio
from h5sup.formats.isobmff.reader import MAX_BOX_BYTES, SegmentReader, is_init
from tests.fakes.mp4 import Camera, box, build_init

CAMERA = Camera()


def large_box(kind: bytes, content: bytes) -> bytes:
    """Return a box with a 64-bit size (§4.2)."""
    return pack(">I4sQ", 1, kind, 16 + len(content)) + content


def full(kind: bytes, version: int, flags: int, content: bytes) -> bytes:
    return box(kind, bytes((version,)), flags.to_bytes(3, "big"), content)


def fragment_of(*traf: bytes, payload: bytes = b"") -> bytes:
    moof = box(b"moof", full(b"mfhd", 0, 0, pack(">I", 1)), *(box(b"traf", one) for one in traf))
    return moof + box(b"mdat", payload)


def tfhd(flags: int = 0x020000, *values: int, track: int = 1) -> bytes:
    return full(b"tfhd", 0, flags, pack(f">{1 + len(values)}I", track, *values))


TFDT = full(b"tfdt", 1, 0, pack(">Q", 1000))


def trun(flags: int, count: int, *values: int) -> bytes:
    return full(b"trun", 0, flags, pack(f">I{len(values)}I", count, *values))


def trak(handler: bytes, entry: bytes, *, track: int = 1, scale: int = 90_000) -> bytes:
    """Return a track with 64-bit times (version 1 of its headers)."""
    mdhd = full(b"mdhd", 1, 0, bytes(16) + pack(">I", scale) + bytes(12))
    hdlr = full(b"hdlr", 0, 0, bytes(4) + handler + bytes(13))
    stsd = full(b"stsd", 0, 0, pack(">I", 1) + entry)
    minf = box(b"minf", box(b"vmhd", bytes(12)), box(b"stbl", stsd))
    tkhd = full(b"tkhd", 1, 0, bytes(16) + pack(">I", track) + bytes(72))
    return box(b"trak", tkhd, box(b"edts"), box(b"mdia", mdhd, hdlr, minf))


def init_of(*traks: bytes) -> InitSegment:
    return parse_init(box(b"ftyp", b"isom", bytes(4)) + box(b"moov", *traks))


def video_entry(kind: bytes, *inner: bytes) -> bytes:
    return box(kind, bytes(24), pack(">HH", 1920, 1080), bytes(50), *inner)


def audio_entry(kind: bytes, *inner: bytes) -> bytes:
    return box(kind, bytes(16), pack(">HHI", 2, 16, 0), pack(">I", 48_000 << 16), *inner)


# Boxes


def test_a_box_may_have_a_64_bit_size() -> None:
    data = large_box(b"free", b"abc") + box(b"skip", b"de")
    assert list(boxes(data, 0, len(data))) == [(b"free", 16, 19), (b"skip", 27, 29)]


@pytest.mark.parametrize(
    "data",
    [
        bytes(7),
        pack(">I4s", 1, b"free") + bytes(7),
        pack(">I4s", 7, b"free"),
        pack(">I4sQ", 1, b"free", 15),
        pack(">I4s", 9, b"free"),
    ],
)
def test_a_box_that_claims_what_is_not_there_is_refused(data: bytes) -> None:
    with pytest.raises(MediaFormatError, match="box"):
        list(boxes(data, 0, len(data)))


def test_a_missing_box_is_named() -> None:
    with pytest.raises(MediaFormatError, match="no 'moov' box"):
        list(children(box(b"ftyp"), 0, 8, b"moov"))


# The reader


def test_the_reader_takes_64_bit_sizes_in_any_pieces() -> None:
    whole = box(b"moof", b"x") + large_box(b"mdat", b"media")
    for step in (1, 3, len(whole)):
        reader = SegmentReader()
        pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
        assert [one for piece in pieces for one in reader.feed(piece)] == [whole]


def test_the_reader_leaves_out_what_no_viewer_needs() -> None:
    fragment = box(b"moof", b"x") + box(b"mdat", b"media")
    stray = box(b"styp", b"msdh") + box(b"sidx", bytes(20))
    assert SegmentReader().feed(stray + fragment + box(b"mfra")) == [fragment]


@pytest.mark.parametrize("size", [0, 7, MAX_BOX_BYTES + 1])
def test_the_reader_refuses_sizes_that_make_no_sense(size: int) -> None:
    with pytest.raises(MediaFormatError, match=f"claims {size} bytes"):
        SegmentReader().feed(pack(">I4s", size, b"mdat"))


def test_init_segments_are_told_from_fragments() -> None:
    assert is_init(CAMERA.data)
    assert not is_init(CAMERA.fragment())


# Init segments


def test_version_1_headers_are_read() -> None:
    avcc = box(b"avcC", bytes.fromhex("0164001f"))
    init = init_of(trak(b"vide", video_entry(b"avc1", box(b"pasp", bytes(8)), avcc), track=7))
    assert init.video is not None
    assert (init.video.id, init.video.timescale) == (7, 90_000)
    assert (init.video.width, init.video.height) == (1920, 1080)
    assert init.mime == 'video/mp4; codecs="avc1.64001F"'


@pytest.mark.parametrize(
    ("record", "codec"),
    [
        # ISO/IEC 14496-15 annex E.3's own examples, and one with a tier, a space and constraints
        ("01 01 60000000 b00000000000 5d", "hvc1.1.6.L93.B0"),
        ("01 01 60000000 000000000000 78", "hvc1.1.6.L120"),
        ("01 62 20000000 900100000000 99", "hvc1.A2.4.H153.90.1"),
    ],
)
def test_h265_is_named_by_profile_tier_and_level(record: str, codec: str) -> None:
    hvcc = box(b"hvcC", bytes.fromhex(record))
    init = init_of(trak(b"vide", video_entry(b"hvc1", hvcc)))
    assert init.codecs == codec


def test_a_cut_hvcc_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="hvcC"):
        init_of(trak(b"vide", video_entry(b"hvc1", box(b"hvcC", bytes(12)))))


def descriptor(tag: int, content: bytes) -> bytes:
    """Return a descriptor with its size in four bytes, as many muxers write it."""
    return bytes((tag, 0x80, 0x80, 0x80, len(content))) + content


def esds(object_type: int, config: bytes) -> bytes:
    specific = descriptor(5, config)
    decoder = descriptor(4, bytes((object_type,)) + bytes(12) + specific)
    return box(b"esds", bytes(4), descriptor(3, bytes(3) + decoder + descriptor(6, b"\x02")))


@pytest.mark.parametrize(
    ("entry", "codec"),
    [
        (audio_entry(b"mp4a", esds(0x40, bytes.fromhex("1190"))), "mp4a.40.2"),
        (audio_entry(b"mp4a", esds(0x40, bytes.fromhex("f94620"))), "mp4a.40.42"),  # xHE-AAC
        (audio_entry(b"mp4a", esds(0x6B, b"")), "mp4a.6B"),  # MP3
        (audio_entry(b"Opus", box(b"dOps", bytes(11))), "opus"),
    ],
)
def test_sound_is_named_by_its_object_type(entry: bytes, codec: str) -> None:
    init = init_of(trak(b"soun", entry))
    assert init.audio is not None
    assert init.codecs == codec
    assert (init.audio.channels, init.audio.sample_rate) == (2, 48_000)


def test_aac_without_its_configuration_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="AudioSpecificConfig"):
        init_of(trak(b"soun", audio_entry(b"mp4a", esds(0x40, b"\x11"))))


def test_mpeg4_video_is_named_by_its_object_type() -> None:
    assert init_of(trak(b"vide", video_entry(b"mp4v", esds(0x20, b"")))).codecs == "mp4v.20"


def test_tracks_of_other_kinds_are_left_out() -> None:
    subtitles = trak(b"text", box(b"tx3g", bytes(8)), track=2)
    empty = box(b"trak", full(b"tkhd", 0, 0, bytes(80)))
    video = trak(b"vide", video_entry(b"avc1", box(b"avcC", bytes.fromhex("0142c01e"))))
    assert init_of(subtitles, empty, video).codecs == "avc1.42C01E"
    with pytest.raises(MediaFormatError, match="neither video nor audio"):
        init_of(subtitles)


def test_a_track_needs_a_timescale_and_a_sample_description() -> None:
    entry = video_entry(b"avc1", box(b"avcC", bytes.fromhex("0142c01e")))
    with pytest.raises(MediaFormatError, match="timescale"):
        init_of(trak(b"vide", entry, scale=0))
    minf = box(b"minf", box(b"stbl", box(b"stts", bytes(8))))
    with pytest.raises(MediaFormatError, match="sample description"):
        init_of(box(b"trak", box(b"mdia", minf)))


def test_a_header_that_is_too_short_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="cut off"):
        init_of(box(b"trak", box(b"tkhd", bytes(4))))


def test_other_boxes_between_are_no_matter() -> None:
    whole = CAMERA.data.replace(b"trex", b"trep", 1)  # of the video: its defaults are unknown
    video = parse_init(whole).video
    assert video is not None
    assert video.default_duration == 0


def test_sound_is_taken_out_with_all_that_speaks_of_it() -> None:
    alone = without_audio(CAMERA.init)
    assert alone.data.count(b"trak") == alone.data.count(b"trex") == 1
    assert alone.audio is None
    assert parse_init(alone.data).video == CAMERA.init.video
    assert without_audio(alone) is alone
    sound = parse_init(build_init(video=False))
    assert without_audio(sound) is sound


def test_a_track_without_a_header_is_kept() -> None:
    moov_at = CAMERA.data.index(b"moov") - 4
    moov = CAMERA.data[moov_at + 8 :]
    odd = InitSegment(
        CAMERA.data[:moov_at] + box(b"moov", moov, box(b"trak", box(b"mdia"))),
        CAMERA.init.video,
        CAMERA.init.audio,
    )
    assert without_audio(odd).data.count(b"trak") == 2


# Fragments


def test_defaults_come_from_the_track_header() -> None:
    flags = 0x020000 | 0x2 | 0x8 | 0x10 | 0x20
    head = tfhd(flags, 1, 512, 3, NON_SYNC_FLAGS)
    run = trun(0x1 | 0x4, 2, 0, SYNC_FLAGS)
    data = fragment_of(head + TFDT + run, payload=b"abcdef")
    video = parse_fragment(data, CAMERA.init).video
    assert video is not None
    assert video.dts == 1000
    assert [(one.size, one.duration, one.flags) for one in video.samples] == [
        (3, 512, SYNC_FLAGS),
        (3, 512, NON_SYNC_FLAGS),
    ]
    assert int.from_bytes(data[video.durations_at[0] :][:4], "big") == 512
    assert len(video.durations_at) == 1


def test_defaults_of_the_init_segment_have_no_place_in_the_fragment() -> None:
    data = fragment_of(tfhd() + TFDT + trun(0x1 | 0x200, 1, 0, 4), payload=b"four")
    video = parse_fragment(data, CAMERA.init).video
    assert video is not None
    assert video.durations_at == ()


def test_samples_of_several_runs_are_one() -> None:
    one = trun(0x301, 1, 0, 512, 2)
    data = fragment_of(tfhd() + TFDT + one + one, payload=b"ab")
    video = parse_fragment(data, CAMERA.init).video
    assert video is not None
    assert video.duration == 1024
    assert len(video.durations_at) == 2


def test_composition_offsets_may_be_negative() -> None:
    assert CAMERA.init.video is not None
    samples = [Sample(0, 1, 512, SYNC_FLAGS, 1024), Sample(0, 1, 512, NON_SYNC_FLAGS, -512)]
    data = build_fragment(9, NewRun(CAMERA.init.video, 7, samples, b"ab"))
    video = parse_fragment(data, CAMERA.init).video
    assert video is not None
    assert [one.cts_offset for one in video.samples] == [1024, -512]
    assert run_payload(data, video) == b"ab"


def test_unknown_tracks_and_other_boxes_are_left_out() -> None:
    strange = tfhd(track=9) + TFDT + trun(0x301, 1, 0, 512, 1)
    known = tfhd() + box(b"uuid", bytes(16)) + TFDT + trun(0x301, 1, 0, 512, 1)
    parsed = parse_fragment(fragment_of(strange, known, payload=b"x"), CAMERA.init)
    assert parsed.video is not None
    assert parsed.audio is None
    alone = without_audio(CAMERA.init)
    sound = fragment_of(tfhd(track=2) + TFDT + trun(0x301, 1, 0, 1024, 1), payload=b"x")
    assert parse_fragment(sound, alone).audio is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (fragment_of(tfhd(0x1, 0, 0) + TFDT + trun(0x301, 1, 0, 1, 1)), "absolute offsets"),
        (fragment_of(tfhd() + full(b"tfdt", 0, 0, bytes(4))), "32-bit tfdt"),
        (fragment_of(tfhd() + TFDT), "lacks"),
        (fragment_of(tfhd() + trun(0x301, 1, 0, 1, 1), payload=b"x"), "lacks"),
        (fragment_of(TFDT + trun(0x301, 1, 0, 1, 1), payload=b"x"), "lacks"),
        (fragment_of(tfhd() + TFDT + trun(0x1, 100_001, 0)), "claims 100001 samples"),
        (fragment_of(tfhd() + TFDT + trun(0x300, 1, 1, 1)), "where its data lies"),
        (fragment_of(tfhd() + TFDT + trun(0x301, 2, 0, 1, 1)), "longer than its box"),
        (fragment_of(tfhd() + TFDT + trun(0x301, 1, 0, 1, 999)), "outside its fragment"),
        (box(b"mdat", b"x"), "must begin with a whole moof"),
        (pack(">I4s", 99, b"moof"), "must begin with a whole moof"),
    ],
)
def test_what_can_not_be_relayed_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(MediaFormatError, match=words):
        parse_fragment(data, CAMERA.init)
