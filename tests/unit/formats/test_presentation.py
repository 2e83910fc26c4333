from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.presentation import (
    build_presentation,
    join_control,
    parse_presentation,
)

CAMERA = b"""v=0\r
o=- 1109162014219182 1109162014219192 IN IP4 10.0.0.9\r
s=Media Presentation\r
b=AS:5100\r
a=control:rtsp://10.0.0.9:554/Streaming/tracks/101/\r
a=range:clock=20261124T120000Z-20261124T130000Z\r
m=video 0 RTP/AVP 96\r
c=IN IP4 10.0.0.9\r
b=AS:5000\r
a=recvonly\r
a=control:trackID=1\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKp2o,aO48gA==\r
m=audio 0 RTP/AVP 8\r
a=control:trackID=2\r
m=application 0 RTP/AVP 107\r
a=control:trackID=3\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
m=audio 0 RTP/AVP 97\r
a=control:trackID=4\r
a=rtpmap:97 MPEG4-GENERIC/48000/2\r
"""


def test_tracks_and_what_concerns_all_are_read() -> None:
    found = parse_presentation(CAMERA)
    assert found.control == "rtsp://10.0.0.9:554/Streaming/tracks/101/"
    assert found.range == "clock=20261124T120000Z-20261124T130000Z"
    told = [(one.kind, one.payload_type, one.clock_hz, one.control) for one in found.tracks]
    assert told == [
        ("video", 96, 90_000, "trackID=1"),
        ("audio", 8, 8_000, "trackID=2"),
        ("audio", 97, 48_000, "trackID=4"),
    ]
    sound = found.find("audio")
    assert sound is found.tracks[1]
    assert found.find("application") is None


def test_what_is_passed_on_tells_how_media_is_coded_and_nothing_of_the_server() -> None:
    built = build_presentation(parse_presentation(CAMERA).tracks[:2])
    assert b"10.0.0.9" not in built
    assert b"trackID" not in built
    again = parse_presentation(built)
    assert [one.control for one in again.tracks] == ["track0", "track1"]
    assert [one.clock_hz for one in again.tracks] == [90_000, 8_000]
    assert "sprop-parameter-sets=Z00AKp2o" in again.tracks[0].lines[-1]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no SDP"),
        (b"<html>", "no SDP"),
        (b"v=0\n" * 2001, "no SDP"),
        (b"v=0\n" + b"m=video 0 RTP/AVP 96\n" * 17, "more than 16 tracks"),
    ],
)
def test_what_is_no_description_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(MediaFormatError, match=says):
        parse_presentation(data)


@pytest.mark.parametrize(
    "section",
    [
        "m=video",
        "m=video 0 RTP/AVP x",
        "m=video 0 RTP/AVP 128",
        "m=video 0 RTP/AVP 1234",
        "m=text 0 RTP/AVP 96",
        "m=video 0 RTP/AVP 96\na=control:a b",
    ],
)
def test_a_track_that_can_not_be_meant_is_left_out(section: str) -> None:
    assert parse_presentation(f"v=0\n{section}\n".encode()).tracks == ()


def test_lines_with_what_is_not_printed_are_left_out() -> None:
    (track,) = parse_presentation(
        "v=0\nm=video 0 RTP/AVP 96\na=fmtp:96 é\na=rtpmap:97 X/1\n".encode()
    ).tracks
    assert track.lines == ("a=rtpmap:97 X/1",)
    assert track.clock_hz == 0


def test_an_address_is_joined_as_devices_know_it_from_ffmpeg() -> None:
    assert join_control("rtsp://h/a?b=c", "trackID=1") == "rtsp://h/a?b=c/trackID=1"
    assert join_control("rtsp://h/a/", "trackID=1") == "rtsp://h/a/trackID=1"
    assert join_control("rtsp://h/a", "*") == "rtsp://h/a"
    assert join_control("rtsp://h/a", "") == "rtsp://h/a"
    assert join_control("rtsp://h/a", "RTSP://h/b") == "RTSP://h/b"


@given(st.binary(max_size=400))
def test_nothing_but_a_format_error_comes_of_garbage(data: bytes) -> None:
    for given_data in (data, b"v=0\n" + data, b"v=0\nm=video 0 RTP/AVP 96\n" + data):
        with suppress(MediaFormatError):
            build_presentation(parse_presentation(given_data).tracks)
