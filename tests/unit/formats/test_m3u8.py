from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from h5sup.base.errors import MediaFormatError
from h5sup.formats.m3u8 import (
    VERSION_LOW_LATENCY,
    VERSION_TS,
    LowLatency,
    Report,
    Segment,
    Variant,
    round_half_up,
    session_query,
    write_media_playlist,
    write_multivariant,
    write_part,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, 40_000, tzinfo=UTC)


def segments(count: int, map_uri: str = "init.mp4") -> list[Segment]:
    starts = [NOON + timedelta(seconds=2 * number) for number in range(count)]
    return [
        Segment(uri=f"s{n}.m4s", duration_s=2.0, map_uri=map_uri, begins_at=start)
        for n, start in enumerate(starts)
    ]


def test_a_multivariant_playlist_names_what_players_choose_by() -> None:
    variants = [
        Variant(
            uri="main.m3u8?session=1",
            bandwidth_bps=2_200_000,
            codecs="avc1.4D002A, mp4a.40.2",
            width=1280,
            height=720,
            fps=25,
        ),
        Variant(uri="sub.m3u8", bandwidth_bps=300_000),
    ]
    assert write_multivariant(variants) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=2200000,CODECS="avc1.4D002A, mp4a.40.2",'
        "RESOLUTION=1280x720,FRAME-RATE=25.000\n"
        "main.m3u8?session=1\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=300000\n"
        "sub.m3u8\n"
    )


def test_a_live_playlist_carries_its_window() -> None:
    text = write_media_playlist(segments(2), media_sequence=41, target_duration_s=2)
    assert text == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-MEDIA-SEQUENCE:41\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:00.040Z\n"
        "#EXTINF:2.00000,\n"
        "s0.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:02.040Z\n"
        "#EXTINF:2.00000,\n"
        "s1.m4s\n"
    )


def test_a_new_init_segment_comes_with_its_discontinuity() -> None:
    before, after = segments(2), segments(1, map_uri="init2.mp4")
    after = [Segment(uri="s2.m4s", duration_s=1, map_uri="init2.mp4", is_discontinuous=True)]
    lines = write_media_playlist(
        before + after, media_sequence=0, target_duration_s=2, discontinuity_sequence=3
    ).splitlines()
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:3" in lines[:5]
    assert lines[-4:] == [
        "#EXT-X-DISCONTINUITY",
        '#EXT-X-MAP:URI="init2.mp4"',
        "#EXTINF:1.00000,",
        "s2.m4s",
    ]


def test_a_discontinuity_repeats_the_init_segment() -> None:
    both = [
        Segment(uri="a", duration_s=1, map_uri="init.mp4"),
        Segment(uri="b", duration_s=1, map_uri="init.mp4", is_discontinuous=True),
    ]
    text = write_media_playlist(both, media_sequence=0, target_duration_s=1)
    assert text.count("#EXT-X-MAP") == 2


def test_transport_streams_need_no_init_segment() -> None:
    text = write_media_playlist(
        [Segment(uri="s0.ts", duration_s=1.9)],
        media_sequence=0,
        target_duration_s=2,
        version=VERSION_TS,
        is_ended=True,
    )
    assert "#EXT-X-MAP" not in text
    assert "#EXT-X-VERSION:3\n" in text
    assert text.endswith("s0.ts\n#EXT-X-ENDLIST\n")


def test_a_playlist_of_stored_media_never_changes() -> None:
    text = write_media_playlist(
        [Segment(uri="a.mp4", duration_s=6.04, map_uri="init1.mp4")],
        media_sequence=0,
        target_duration_s=6,
        is_ended=True,
    )
    assert text == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init1.mp4"\n'
        "#EXTINF:6.04000,\n"
        "a.mp4\n"
        "#EXT-X-ENDLIST\n"
    )


@pytest.mark.parametrize(
    ("durations", "target"), [([2.4], 2), ([2.5], 3), ([2.0, 9.6], 10), ([], 2)]
)
def test_no_segment_is_longer_than_the_target(durations: list[float], target: int) -> None:
    listed = [Segment(uri="s", duration_s=duration) for duration in durations]
    text = write_media_playlist(listed, media_sequence=0, target_duration_s=2)
    assert f"#EXT-X-TARGETDURATION:{target}\n" in text


def test_the_target_is_at_least_a_second() -> None:
    text = write_media_playlist([], media_sequence=0, target_duration_s=0)
    assert "#EXT-X-TARGETDURATION:1\n" in text


def test_half_seconds_round_up() -> None:
    assert [round_half_up(s) for s in (0.5, 1.49, 1.5, 2.5)] == [1, 1, 2, 3]


@pytest.mark.parametrize("uri", ["", "#EXT-X-ENDLIST", "a\nb", "a\rb"])
def test_what_would_break_a_line_is_refused(uri: str) -> None:
    with pytest.raises(MediaFormatError, match="can't be a line of a playlist"):
        write_multivariant([Variant(uri=uri, bandwidth_bps=1)])
    with pytest.raises(MediaFormatError, match="can't be a line of a playlist"):
        write_media_playlist(
            [Segment(uri=uri, duration_s=1)], media_sequence=0, target_duration_s=1
        )


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\rb"])
def test_what_would_break_a_quoted_string_is_refused(text: str) -> None:
    with pytest.raises(MediaFormatError, match="can't stand in a playlist"):
        write_multivariant([Variant(uri="a", bandwidth_bps=1, codecs=text)])


def test_a_multivariant_playlist_of_nothing_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="needs a variant"):
        write_multivariant([])


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="can't last -1 s"):
        write_media_playlist(
            [Segment(uri="a", duration_s=-1)], media_sequence=0, target_duration_s=1
        )


def low_latency(**more: object) -> LowLatency:
    given = {
        "part_target_s": 0.217,
        "part_hold_back_s": 0.651,
        "skip_until_s": 12.0,
        "hint_uri": "p9.m4s",
    }
    return LowLatency(**(given | more))  # type: ignore[arg-type]  # a test's own words


def test_a_low_latency_playlist_shows_parts_and_what_comes_next() -> None:
    parts = [
        write_part("p6.m4s", 0.2, is_independent=True),
        write_part("p7.m4s", 0.16, is_independent=False),
    ]
    whole = Segment(uri="s3.m4s", duration_s=0.36, map_uri="init.mp4", parts=parts)
    begun = Segment(
        uri="", duration_s=0, map_uri="init.mp4", begins_at=NOON,
        parts=[write_part("p8.m4s", 0.2, is_independent=True)],
    )  # fmt: skip
    report = Report(uri="hevc.m3u8?session=1", last_sequence=17, last_part=2)
    text = write_media_playlist(
        [whole],
        media_sequence=3,
        target_duration_s=2,
        version=VERSION_LOW_LATENCY,
        low_latency=low_latency(open_segment=begun, reports=[report]),
    )
    assert text == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.651,CAN-SKIP-UNTIL=12.0\n"
        "#EXT-X-PART-INF:PART-TARGET=0.217\n"
        "#EXT-X-MEDIA-SEQUENCE:3\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        '#EXT-X-PART:DURATION=0.20000,URI="p6.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.16000,URI="p7.m4s"\n'
        "#EXTINF:0.36000,\n"
        "s3.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:00.040Z\n"
        '#EXT-X-PART:DURATION=0.20000,URI="p8.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p9.m4s"\n'
        '#EXT-X-RENDITION-REPORT:URI="hevc.m3u8?session=1",LAST-MSN=17,LAST-PART=2\n'
    )


def test_a_delta_update_says_how_many_segments_it_leaves_out() -> None:
    text = write_media_playlist(
        segments(1),
        media_sequence=40,
        target_duration_s=2,
        is_independent=False,
        version=VERSION_LOW_LATENCY,
        low_latency=low_latency(skipped=7),
    )
    lines = text.splitlines()
    assert lines[5:8] == [
        "#EXT-X-MEDIA-SEQUENCE:40",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=7",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    assert lines[-1].startswith("#EXT-X-PRELOAD-HINT:")


def test_a_begun_segment_with_another_init_segment_names_it() -> None:
    begun = Segment(uri="", duration_s=0, map_uri="init2.mp4", is_discontinuous=True)
    text = write_media_playlist(
        segments(1),
        media_sequence=0,
        target_duration_s=2,
        low_latency=low_latency(open_segment=begun),
    )
    assert text.endswith(
        "s0.m4s\n#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="init2.mp4"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p9.m4s"\n'
    )


def test_a_session_is_carried_on_escaped() -> None:
    assert session_query("") == ""
    assert session_query("1-a") == "?session=1-a"
    assert session_query('"\n/&é') == "?session=%22%0A%2F%26%C3%A9"
