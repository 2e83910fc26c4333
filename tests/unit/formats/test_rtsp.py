from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtsp import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    PlayRange,
    Request,
    Response,
    RtspReader,
    build_clock_range,
    build_npt_range,
    build_request,
    build_response,
    list_frames,
    parse_interleaved,
    parse_range,
    parse_rtp_info,
    parse_scale,
    parse_session,
)

Found = bytes | Response | Request


def frame(channel: int, payload: bytes) -> bytes:
    return b"$" + channel.to_bytes() + len(payload).to_bytes(2) + payload


ANSWER = build_response(200, "OK", {"CSeq": "7", "X": "$\x00"}, b"$a body with a dollar")
ASKED = build_request("PLAY", "rtsp://10.0.0.1/a?b=c", {"CSeq": "8"})
MEDIA = frame(0, b"R" * 300) + frame(1, b"") + frame(0, b"$" * 9)


def read(data: bytes, step: int = 0) -> list[Found]:
    """Return what is found when it comes in pieces; runs that follow each other are joined."""
    reader = RtspReader()
    found: list[Found] = []
    for at in range(0, len(data), step or len(data) or 1):
        for one in reader.feed(data[at : at + step] if step else data):
            if found and isinstance(one, bytes) and isinstance(found[-1], bytes):
                found[-1] += one
            else:
                found.append(one)
    return found


def test_messages_and_media_are_told_apart_however_they_are_cut() -> None:
    data = MEDIA + ANSWER + b"\r\n" + MEDIA + ASKED + MEDIA
    whole = read(data)
    assert [type(one) for one in whole] == [bytes, Response, bytes, Request, bytes]
    first, answer, _, asked, _ = whole
    assert first == MEDIA
    assert isinstance(answer, Response)
    assert (answer.status, answer.is_ok, answer.sequence) == (200, True, 7)
    assert answer.body == b"$a body with a dollar"
    assert isinstance(asked, Request)
    assert (asked.method, asked.url, asked.sequence) == ("PLAY", "rtsp://10.0.0.1/a?b=c", 8)
    for step in range(1, 40):
        assert read(data, step) == whole


def test_a_run_that_came_alone_is_not_copied() -> None:
    (run,) = RtspReader().feed(MEDIA)
    assert run is MEDIA


def test_the_frames_of_a_run_are_listed() -> None:
    assert list(list_frames(MEDIA)) == [(0, 4, 304), (1, 308, 308), (0, 312, 321)]


def test_nothing_is_found_in_what_is_cut_off() -> None:
    for data in (ANSWER, ASKED, frame(0, b"x" * 20)):
        for end in range(len(data)):
            assert read(data[:end]) == []


def test_headers_are_found_by_any_spelling_and_folded_ones_joined() -> None:
    (answer,) = read(
        b"RTSP/1.0 401 No\r\ncseq:  3\r\nWWW-Authenticate: Basic\r\nno header\r\n: x\r\n"
        b"www-authenticate: Digest a=b,\r\n\tc=d\r\n\r\n"
    )
    assert isinstance(answer, Response)
    assert not answer.is_ok
    assert answer.find_all("www-authenticate") == ["Basic", "Digest a=b, c=d"]
    assert answer.find("session") is None
    assert answer.sequence == 3


@pytest.mark.parametrize("told", [b"", b"CSeq: x\r\n", b"CSeq: 12345678901\r\n", b"CSeq: -1\r\n"])
def test_an_answer_without_a_number_has_none(told: bytes) -> None:
    (answer,) = read(b"RTSP/1.0 200 OK\r\n" + told + b"\r\n")
    assert isinstance(answer, Response)
    assert answer.sequence is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x00\x01", "no RTSP"),
        (b"hello", "no RTSP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no RTSP"),
        (b"RTSP/1.0 2000 OK\r\n\r\n", "no RTSP"),
        (b"A" * MAX_HEAD_BYTES, "bytes of head"),
        (b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 65 + b"\r\n", "more than 64 headers"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n", "length is '-5'"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 1e3\r\n\r\n", "length is '1e3'"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "length is"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), "more than"),
    ],
)
def test_what_is_hostile_is_refused_in_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(MediaFormatError, match=says):
        read(data)


@given(st.lists(st.binary(max_size=200) | st.sampled_from([MEDIA, ANSWER, ASKED, b"\r\n"])))
def test_nothing_but_a_format_error_comes_of_garbage(pieces: list[bytes]) -> None:
    reader = RtspReader()
    with suppress(MediaFormatError):
        for piece in pieces:
            list(reader.feed(piece))


def test_what_is_built_ends_no_line_by_what_it_was_given() -> None:
    data = build_request("PLAY", "rtsp://h/\r\nX: y", {"A": "b\r\nC: d"})
    assert data == b"PLAY rtsp://h/X: y RTSP/1.0\r\nA: bC: d\r\n\r\n"


def test_a_session_has_a_name_and_perhaps_an_end() -> None:
    assert parse_session("47112344;timeout=90") == ("47112344", 90)
    assert parse_session(" a.b-c ; timeout = 5 ") == ("a.b-c", 5)
    assert parse_session("x;other") == ("x", None)
    for bad in ("", ";timeout=3"):
        with pytest.raises(MediaFormatError, match="without a name"):
            parse_session(bad)


def test_channels_are_read_from_a_transport() -> None:
    assert parse_interleaved("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1") == (2, 3)
    assert parse_interleaved("RTP/AVP/TCP;Interleaved=4") == (4, 5)
    assert parse_interleaved("RTP/AVP/TCP;interleaved=0-999") == (0, 255)
    assert parse_interleaved("RTP/AVP;client_port=1-2") is None
    assert parse_interleaved("interleaved=255-256") is None


def test_a_scale_that_means_nothing_is_one() -> None:
    assert parse_scale("4.000") == 4.0
    for value in (None, "", "fast", "nan", "inf", "0", "-2"):
        assert parse_scale(value) == 1.0


def test_a_range_is_read_in_either_unit() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert parse_range("clock=20261124T120000Z-") == PlayRange(clock=noon)
    assert parse_range("clock:20261124T120000Z-20261124T130000Z") == PlayRange(clock=noon)
    half = parse_range("clock=20261124T120000.500Z-20261124T130000Z;time=x")
    assert half == PlayRange(clock=noon.replace(microsecond=500_000))
    assert parse_range(" NPT=12.5-") == PlayRange(npt_s=12.5)
    assert parse_range("npt=1:00:02.5-2:0:0") == PlayRange(npt_s=3602.5)
    for value in (
        None, "", "npt=now-", "npt=-5", "npt=1:2:3:4-", "smpte=0:10:20-", "clock=now-",
        "clock=20261399T120000Z-",
    ):  # fmt: skip
        assert parse_range(value) is None
    assert build_clock_range(noon) == "clock=20261124T120000Z-"
    assert parse_range(build_clock_range(noon.replace(microsecond=250_000))) == PlayRange(
        clock=noon.replace(microsecond=250_000)
    )
    assert build_npt_range(3.25) == "npt=3.250-"


def test_timestamps_are_read_from_rtp_info() -> None:
    told = 'url=rtsp://h/a;seq=1;rtptime=7, url="rtsp://h/b,c";rtptime=4294967296, url=x;seq=3'
    assert parse_rtp_info(told) == [("rtsp://h/a", 7), ("rtsp://h/b,c", 0)]
    assert parse_rtp_info("rtptime=5") == [("", 5)]
    assert parse_rtp_info("rtptime=99999999999") == []
    assert parse_rtp_info(None) == []


@given(st.text(max_size=200))
def test_no_header_is_too_strange(value: str) -> None:
    parse_range(value)
    parse_range(f"npt={value}")
    parse_range(f"clock={value}")
    parse_rtp_info(value)
    parse_scale(value)
    parse_interleaved(value)
