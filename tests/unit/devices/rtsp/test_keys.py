from __future__ import annotations

import pytest

from h5sup.devices.rtsp.keys import choose_key_finder
from h5sup.formats.presentation import parse_presentation

HEAD = b"\x80\x60\x00\x01" + bytes(8)


@pytest.mark.parametrize(
    ("codec", "payload", "is_key"),
    [
        ("H264", b"\x65abc", True),
        ("h264", b"\x41abc", False),
        ("H264", b"\x7c\x85abc", True),
        ("H264", b"", False),
        ("H265", b"\x26\x01abc", True),
        ("H265", b"\x02\x01abc", False),
        ("JPEG", b"any", True),
    ],
)
def test_a_key_picture_is_known_in_each_codec(codec: str, payload: bytes, is_key: bool) -> None:
    sdp = f"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 {codec}/90000\n".encode()
    find = choose_key_finder(parse_presentation(sdp).tracks[0])
    assert find(HEAD + payload) is is_key


def test_what_is_no_packet_is_no_key_picture() -> None:
    sdp = b"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    assert not choose_key_finder(parse_presentation(sdp).tracks[0])(b"\x00" * 20)
