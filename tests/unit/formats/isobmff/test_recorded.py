"""Recorded files: what they hold while they grow, and what a player finds once they are closed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from struct import pack

import pytest

from h5sup.base.errors import MediaFormatError
from h5sup.formats.isobmff.boxes import boxes
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import (
    NON_SYNC_FLAGS,
    SYNC_FLAGS,
    Sample,
    TrackRun,
    parse_fragment,
)
from h5sup.formats.isobmff.init_segment import InitSegment, parse_init, track_box
from h5sup.formats.isobmff.reader import SegmentReader, is_init
from h5sup.formats.isobmff.recorded import MAX_NOTE_BYTES, MovieWriter
from h5sup.formats.isobmff.sample_tables import MAX_HOLE, SampleTable
from tests.fakes.mp4 import AAC_FRAME, PICTURE, Camera, box, build_init
from tests.fakes.recorded import (
    BEGIN_US,
    SECOND_US,
    Piece,
    close,
    movie_header,
    read_tracks,
    write,
)

NOTE = {"token": "cam", "recording": "cam-1.mp4", "trigger": "manual"}


def runs_of(data: bytes, init: InitSegment) -> dict[str, list[tuple[bytes, int, int, bool]]]:
    """Return all samples of a growing file by kind: bytes, decoding time, offset, sync."""
    found: dict[str, list[tuple[bytes, int, int, bool]]] = {"video": [], "audio": []}
    for segment in SegmentReader().feed(data):
        if is_init(segment):
            continue
        parsed = parse_fragment(segment, init)
        for run in (parsed.video, parsed.audio):
            dts = run.dts if run else 0
            for one in run.samples if run else ():
                media = segment[one.start : one.start + one.size]
                assert run is not None
                found[run.track.kind].append((media, dts, one.cts_offset, not one.flags & 0x10000))
                dts += one.duration
    return found


def check_same(growing: bytes, closed: bytes, init: InitSegment) -> None:
    """The tables tell of every sample what the fragments tell."""
    before, after = runs_of(growing, init), read_tracks(closed)
    for track in (init.video, init.audio):
        if track is None or not before[track.kind]:
            continue
        late = before[track.kind][0][1]
        expected = [(data, dts - late, *rest) for data, dts, *rest in before[track.kind]]
        assert [tuple(one) for one in after[track.id].samples] == expected


def kinds_of(data: bytes) -> list[bytes]:
    return [kind for kind, _, _ in boxes(data, 0, len(data))]


def test_a_growing_file_is_a_fragmented_mp4() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    data = write(writer, camera.gop(2), camera.gop(1))
    gop = [b"prft", b"moof", b"mdat"]
    assert kinds_of(data) == [
        b"ftyp", b"free", b"free", b"moov", *gop, b"moof", b"mdat", *gop,
    ]  # fmt: skip
    assert writer.size_bytes == len(data)
    assert SegmentReader().feed(data)[0] == camera.data


def test_a_closed_file_is_an_ordinary_mp4_and_nothing_was_rewritten() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, camera.gop(), camera.gop())
    closing = writer.close()
    closed = close(growing, closing)
    assert kinds_of(closed) == [b"ftyp", b"free", b"mdat", b"uuid", b"moov"]
    assert closing.patch_at % 16 == 0  # so that it lies in one sector
    assert len(closing.patch) == 16
    assert closed[: closing.patch_at] == growing[: closing.patch_at]
    assert closed[closing.patch_at + 16 : len(growing)] == growing[closing.patch_at + 16 :]


def test_the_tables_tell_of_every_sample_what_the_fragments_told() -> None:
    camera = Camera(video_dts=128_000, audio_dts=480_000)
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, camera.gop(), camera.gop(), camera.gop(7))
    closed = close(growing, writer.close())
    check_same(growing, closed, camera.init)
    tracks = read_tracks(closed)
    assert len(tracks[1].samples) == 57
    assert [number for number, one in enumerate(tracks[1].samples) if one.is_sync] == [0, 25, 50]
    assert tracks[1].duration == 57 * PICTURE
    assert tracks[1].edits == tracks[2].edits == []
    assert movie_header(closed) == (12_800, 57 * PICTURE)


def test_fragments_are_shared_and_stay_as_they_are() -> None:
    camera = Camera(video_dts=128_000)
    data = camera.fragment(key=True)
    before = bytes(bytearray(data))
    buffers = MovieWriter(camera.init, NOTE).add_gop([Piece(data)], BEGIN_US)
    assert data == before
    shared = buffers[-1]
    assert isinstance(shared, memoryview)
    assert shared.obj is data
    assert len(shared) == 100


def test_the_timeline_begins_at_0_with_whatever_comes_first() -> None:
    leading = Camera(video_dts=128_000, audio_dts=478_000)  # 41.7 ms before the picture
    writer = MovieWriter(leading.init, NOTE)
    first = leading.fragment(pictures=[], sounds=[AAC_FRAME])
    growing = write(writer, [first, *leading.gop(5)])
    assert runs_of(growing, leading.init)["audio"][0][1] == 0
    assert runs_of(growing, leading.init)["video"][0][1] == 534  # 41.7 ms, rounded up
    assert writer.gops[0].dts == 534
    tracks = read_tracks(close(growing, writer.close()))
    assert tracks[1].edits == [(534, -1), (5 * PICTURE, 0)]
    assert movie_header(growing + writer.close().tail)[1] == 534 + 5 * PICTURE
    assert tracks[2].edits == []

    trailing = Camera(video_dts=128_000, audio_dts=490_000)
    writer = MovieWriter(trailing.init, NOTE)
    growing = write(writer, [trailing.fragment(key=True), trailing.fragment(sounds=[AAC_FRAME])])
    assert runs_of(growing, trailing.init)["video"][0][1] == 0
    assert runs_of(growing, trailing.init)["audio"][0][1] == 10_000
    tracks = read_tracks(close(growing, writer.close()))
    assert tracks[1].edits == []
    assert tracks[2].edits == [(2666, -1), (274, 0)]


def test_every_gop_tells_where_it_lies_and_when_it_was_taken() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    assert writer.end_us == 0
    data = write(writer, camera.gop(25), camera.gop(10))
    first, second = writer.gops
    assert data[first.offset + 4 : first.offset + 8] == b"prft"
    assert first.offset == len(writer.head)
    assert (first.dts, first.duration, first.wall_us) == (0, 12_800, BEGIN_US)
    assert second.offset == first.offset + first.size
    assert (second.dts, second.duration) == (12_800, 10 * PICTURE)
    assert second.offset + second.size == len(data)
    assert writer.end_us == BEGIN_US + SECOND_US + 400_000
    assert list(writer.gops[1:]) == [second]
    assert writer.gops[-1] == second


def test_a_file_goes_on_without_a_hole_where_the_times_of_the_channel_jump() -> None:
    before = Camera(video_dts=640_000, audio_dts=2_400_000)
    after = Camera(video_dts=128_000, audio_dts=480_000 - AAC_FRAME)  # sound leads, as at a start
    writer = MovieWriter(before.init, NOTE)
    hour_us = 3600 * SECOND_US
    growing = write(writer, before.gop())
    growing += b"".join(writer.add_gop([Piece(one) for one in after.gop()], BEGIN_US + hour_us))
    pictures = [dts for _, dts, *_ in runs_of(growing, before.init)["video"]]
    assert pictures == [number * PICTURE for number in range(50)]
    assert writer.gops[1].wall_us - writer.gops[0].wall_us == hour_us
    sounds = [dts for _, dts, *_ in runs_of(growing, before.init)["audio"]]
    steps = {later - earlier for earlier, later in pairwise(sounds)}
    assert min(steps) == AAC_FRAME
    assert max(steps) < 2 * AAC_FRAME
    check_same(growing, close(growing, writer.close()), before.init)


def test_sound_that_belongs_where_sound_is_already_is_left_out() -> None:
    before, after = Camera(), Camera(video_dts=128_000, audio_dts=480_000)
    writer = MovieWriter(before.init, NOTE)
    sounds = [AAC_FRAME] * 30  # well beyond the picture
    growing = write(writer, [before.fragment(key=True, sounds=sounds)])
    alone = after.fragment(pictures=[], sounds=[AAC_FRAME])
    gop = [after.fragment(key=True), alone, after.fragment(sounds=sounds)]
    growing += b"".join(writer.add_gop([Piece(one) for one in gop], BEGIN_US))
    found = runs_of(growing, before.init)["audio"]
    assert [dts for _, dts, *_ in found[:31]] == [*range(0, 30 * AAC_FRAME, AAC_FRAME), 31_616]
    assert len(found) == 60 - 29 + 1
    assert kinds_of(growing).count(b"moof") == 3
    closed = close(growing, writer.close())
    assert [one.data for one in read_tracks(closed)[2].samples] == [one for one, *_ in found]


@pytest.mark.parametrize("before", [1, 2])
def test_a_hole_of_sound_is_as_long_in_the_tables(before: int) -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    first = [camera.fragment(key=True, sounds=[AAC_FRAME] * before), camera.fragment()]
    camera.audio_dts += 10_000
    growing = write(writer, first, [camera.fragment(key=True, sounds=[AAC_FRAME])])
    times = [one.dts for one in read_tracks(close(growing, writer.close()))[2].samples]
    assert times == [*range(0, before * AAC_FRAME, AAC_FRAME), before * AAC_FRAME + 10_000]


@pytest.mark.parametrize("offsets", [(1024, 2048, 512), (0, 512, -512)])
def test_pictures_shown_out_of_order_keep_their_order(offsets: tuple[int, ...]) -> None:
    camera = Camera(audio=False)
    assert camera.init.video is not None
    samples = [
        Sample(0, 10, PICTURE, NON_SYNC_FLAGS if index else SYNC_FLAGS, offset)
        for index, offset in enumerate(offsets)
    ]
    plain = [one._replace(cts_offset=0) for one in samples]
    first = build_fragment(1, NewRun(camera.init.video, 0, plain, bytes(30)))
    second = build_fragment(2, NewRun(camera.init.video, 3 * PICTURE, samples, b"x" * 30))
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, [first], [second])
    closed = close(growing, writer.close())
    check_same(growing, closed, camera.init)
    ends = [dts + offset + PICTURE for _, dts, offset, _ in runs_of(growing, camera.init)["video"]]
    assert movie_header(closed)[1] == max(ends)


def test_a_file_of_key_pictures_alone_needs_no_list_of_them() -> None:
    camera = Camera(audio=False)
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, camera.gop(1), camera.gop(1))
    track = read_tracks(close(growing, writer.close()))[1]
    assert b"stss" not in track.boxes
    assert [one.is_sync for one in track.samples] == [True, True]


def test_a_track_that_never_came_is_not_announced() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, [camera.fragment(key=True)])
    assert read_tracks(close(growing, writer.close())).keys() == {1}


def test_a_gop_that_could_not_be_written_is_taken_back() -> None:
    camera, other = Camera(), Camera()
    writer, expected = MovieWriter(camera.init, NOTE), MovieWriter(camera.init, NOTE)
    growing = write(writer, camera.gop())
    size = writer.size_bytes
    writer.add_gop([Piece(one) for one in camera.gop()], BEGIN_US)
    writer.take_back()
    assert (writer.size_bytes, len(writer.gops)) == (size, 1)
    assert writer.close() == (write(expected, other.gop()) and expected.close())
    # what comes after it closes up
    growing += b"".join(writer.add_gop([Piece(one) for one in camera.gop()], BEGIN_US))
    pictures = [dts for _, dts, *_ in runs_of(growing, camera.init)["video"]]
    assert pictures == [number * PICTURE for number in range(50)]


def test_a_refused_gop_changes_nothing() -> None:
    camera, other = Camera(), Camera()
    writer, expected = MovieWriter(camera.init, NOTE), MovieWriter(camera.init, NOTE)
    write(writer, camera.gop())
    write(expected, other.gop())
    camera.video_dts += PICTURE
    twice = camera.fragment(key=True)
    with pytest.raises(MediaFormatError, match="video can't go on -512 ticks off its end"):
        writer.add_gop([Piece(twice), Piece(twice)], BEGIN_US)
    with pytest.raises(MediaFormatError, match="must begin with a key picture"):
        writer.add_gop([Piece(camera.fragment(sounds=[AAC_FRAME]))], BEGIN_US)
    with pytest.raises(MediaFormatError, match="must begin with a key picture"):
        writer.add_gop([Piece(camera.fragment(pictures=[], sounds=[AAC_FRAME]))], BEGIN_US)
    assert (writer.size_bytes, writer.close()) == (expected.size_bytes, expected.close())


def test_a_fragment_of_other_tracks_alone_is_left_out() -> None:
    camera = Camera()
    assert camera.init.video is not None
    stranger = replace(camera.init.video, id=9)
    foreign = build_fragment(1, NewRun(stranger, 0, [Sample(0, 4, 1, 0, 0)], b"abcd"))
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, [foreign, camera.fragment(key=True)])
    assert kinds_of(growing).count(b"moof") == 1


def test_a_file_beyond_4_gib_has_64_bit_offsets() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    growing = write(writer, camera.gop(2))
    writer.size_bytes = 5 << 30  # as if there were that much between
    far = b"".join(writer.add_gop([Piece(one) for one in camera.gop(2)], BEGIN_US))
    closing = writer.close()
    assert closing.patch == pack(">I4sQ", 1, b"mdat", (5 << 30) + len(far) - closing.patch_at)
    tail = closing.tail

    class Sparse(bytes):
        """Bytes that lie where the far GOP would."""

        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            if isinstance(index, slice) and (index.start or 0) >= 5 << 30:
                return far[index.start - (5 << 30) : index.stop - (5 << 30)]
            return super().__getitem__(index)

    tracks = read_tracks(Sparse(growing[: len(writer.head)] + tail))
    assert b"co64" in tracks[1].boxes
    assert [one.data for one in tracks[1].samples[2:]] == [bytes(100)] * 2


def test_a_recording_of_days_has_64_bit_times() -> None:
    camera = Camera(video_dts=1 << 34, audio_dts=0)
    writer = MovieWriter(camera.init, NOTE)
    sounds = [AAC_FRAME]
    growing = write(writer, [camera.fragment(key=True, pictures=[1 << 31] * 3, sounds=sounds)])
    closed = close(growing, writer.close())
    check_same(growing, closed, camera.init)
    tracks = read_tracks(closed)
    assert tracks[1].duration == 3 << 31
    assert tracks[1].edits == [(1 << 34, -1), (3 << 31, 0)]
    assert movie_header(closed)[1] == (1 << 34) + (3 << 31)


def test_what_no_file_can_hold_is_refused() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    write(writer, [camera.fragment(key=True, sounds=[AAC_FRAME])])
    camera.audio_dts += MAX_HOLE + 1
    with pytest.raises(MediaFormatError, match="audio can't go on"):
        write(writer, [camera.fragment(key=True, sounds=[AAC_FRAME])])
    with pytest.raises(MediaFormatError, match="longer than a file can be"):
        write(writer, [camera.fragment(key=True, pictures=[0xFFFFFFFF] * 6600)])


def test_a_gop_of_gigabytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("h5sup.formats.isobmff.recorded.MAX_GOP_BYTES", 500)
    camera = Camera(audio=False)
    with pytest.raises(MediaFormatError, match=r"a GOP of .* bytes can't be recorded"):
        write(MovieWriter(camera.init, NOTE), camera.gop(3))


def test_the_memory_of_a_growing_file_is_bounded() -> None:
    camera = Camera()
    writer = MovieWriter(camera.init, NOTE)
    write(writer, *[camera.gop() for _ in range(20)])
    writer.close()
    kept = 40 * len(writer.gops)
    for table in (writer._contents.video, writer._contents.sound):
        assert table is not None
        arrays = [table._sizes, table._sync, table._gop_offsets, table._gop_chunks]
        arrays += [table._chunk_offsets, table._chunk_samples, table._cts_offsets]
        arrays += [table._durations._counts, table._durations._values]
        kept += sum(len(one) * one.itemsize for one in arrays)
    assert kept / 20 < 680


def test_sound_alone_is_no_recording() -> None:
    init = parse_init(build_init(video=False))
    with pytest.raises(MediaFormatError, match="needs a video track"):
        MovieWriter(init, NOTE)


def test_a_recording_without_pictures_is_not_closed() -> None:
    with pytest.raises(MediaFormatError, match="without a picture"):
        MovieWriter(Camera().init, NOTE).close()


def test_a_note_beyond_bounds_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="too long"):
        MovieWriter(Camera().init, {"token": "x" * MAX_NOTE_BYTES})


def test_an_init_segment_that_could_not_be_closed_is_refused_at_once() -> None:
    init = Camera().init
    stray = replace(init, data=init.data + box(b"free"))
    with pytest.raises(MediaFormatError, match="must be ftyp and moov"):
        MovieWriter(stray, NOTE)
    for header in (box(b"mvhd", bytes(9)), box(b"mvhd")):
        short = replace(init, data=init.data.replace(box(b"mvhd", bytes(100)), header))
        with pytest.raises(MediaFormatError, match="cut off"):
            MovieWriter(shrunk(short), NOTE)


def shrunk(init: InitSegment) -> InitSegment:
    """Return an init segment whose `moov` says again how long it is."""
    at = init.data.index(b"moov") - 4
    size = pack(">I", len(init.data) - at)
    return replace(init, data=init.data[:at] + size + init.data[at + 4 :])


def test_headers_of_64_bits_and_boxes_unknown_to_us_are_kept() -> None:
    """Other muxers write them."""
    avcc = box(b"avcC", bytes.fromhex("014d002affe10000"))
    entry = box(b"avc1", bytes(24), pack(">HH", 640, 360), bytes(50), avcc)
    stbl = box(b"stbl", box(b"stts", bytes(8)), box(b"stsd", bytes(4), pack(">I", 1), entry))
    mdhd = box(b"mdhd", b"\1", bytes(19), pack(">IQ", 12_800, 0), bytes(4))
    hdlr = box(b"hdlr", bytes(8), b"vide", bytes(13))
    minf = box(b"minf", box(b"vmhd", bytes(12)), stbl)
    tkhd = box(b"tkhd", b"\1", bytes(19), pack(">IIQ", 1, 0, 0), bytes(60))
    kept = box(b"meta", b"of the track")
    trak = box(b"trak", tkhd, box(b"edts"), kept, box(b"mdia", mdhd, hdlr, minf))
    mvhd = box(b"mvhd", b"\1", bytes(111))
    moov = box(b"moov", mvhd, trak, box(b"mvex"), box(b"udta", b"of the file"))
    init = parse_init(box(b"ftyp", b"isom", bytes(4)) + moov)
    writer = MovieWriter(init, NOTE)
    growing = write(writer, Camera(audio=False).gop(2))
    closed = close(growing, writer.close())
    check_same(growing, closed, init)
    assert movie_header(closed) == (12_800, 2 * PICTURE)
    tail = closed[len(growing) :]
    assert kept in tail
    assert box(b"udta", b"of the file") in tail
    assert box(b"vmhd", bytes(12)) in tail
    assert b"mvex" not in tail
    assert b"edts" not in tail


def test_a_table_counts_samples_that_do_not_lie_side_by_side_as_chunks() -> None:
    init = Camera().init
    assert init.video is not None
    table = SampleTable(init.video)
    samples = (Sample(100, 10, 1, 0, 0), Sample(110, 10, 1, 0, 0), Sample(200, 0, 1, 0, 0))
    many = samples + samples[2:] * 0xFFFF  # one more than a chunk can count
    table.add(1000, 32, TrackRun(init.video, 0, 0, many, ()))
    assert list(table._absolute_offsets()) == [1132, 1232, 1232]


def test_a_track_is_told_from_another_by_its_box() -> None:
    both, alone = Camera().init, Camera(audio=False).init
    assert track_box(both, "video") == track_box(alone, "video") != b""
    assert track_box(both, "audio") not in (b"", track_box(both, "video"))
    assert track_box(alone, "audio") == b""
    assert both.video is not None
    assert track_box(replace(both, video=replace(both.video, id=9)), "video") == b""
