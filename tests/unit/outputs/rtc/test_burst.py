from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.formats.rtp import RtpHeader, build_header
from h5sup.outputs.rtc import burst as burst_module
from h5sup.outputs.rtc.burst import (
    MOST_PACKET_BYTES,
    MOST_PACKETS,
    SEGMENTS_PER_RUN,
    Burst,
    Run,
    send_runs,
)
from tests.fakes.rtc_parts import AES_128_SHA1_80, AES_256_GCM, PROFILES, Browser

SSRC = b"\x11\x22\x33\x44"
LARGEST_DATAGRAM = 65_507  # of UDP over IPv4


def packet(size: int, *, sequence: int = 5, marked: bool = False) -> bytes:
    header = RtpHeader(payload_type=96, sequence=sequence, timestamp=77, ssrc=9, is_marked=marked)
    return build_header(header) + bytes(index & 0xFF for index in range(size - 12))


def packets_of(sizes: list[int], *, first: int = 65_534) -> list[bytes]:
    last = len(sizes) - 1
    return [
        packet(size, sequence=first + index & 0xFFFF, marked=index == last)
        for index, size in enumerate(sizes)
    ]


def expected(clear: bytes, *, payload_type: int, ahead: int) -> bytes:
    """Return a packet as a viewer must get it."""
    number = (int.from_bytes(clear[2:4]) + ahead & 0xFFFF).to_bytes(2)
    kind = bytes([clear[1] & 0x80 | payload_type])
    return clear[:1] + kind + number + clear[4:8] + SSRC + clear[12:]


def segments(runs: list[Run]) -> list[bytes]:
    """Return what the kernel would make of the runs."""
    found = []
    for view, cut in runs:
        size = int.from_bytes(cut[0][2], "little") if cut else len(view)
        found += [bytes(view[at : at + size]) for at in range(0, len(view), size)]
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("ahead", [0, 1, 40_000])
def test_a_browser_decrypts_every_byte(profile: str, ahead: int) -> None:
    sent = packets_of([1200, 1200, 700, 13, 1200, 1200])
    browser = Browser(profile)
    burst = Burst(sent, 102, SSRC, browser.keys.tag_bytes)
    assert burst.encrypt_for(browser.keys.context, ahead)
    encrypted = [bytes(piece) for piece in burst.pieces]
    assert segments(burst.runs) == encrypted
    assert [len(one) for one in encrypted] == [len(one) + browser.keys.tag_bytes for one in sent]
    found = [browser.decrypt(one) for one in encrypted]
    assert found == [expected(one, payload_type=102, ahead=ahead) for one in sent]


def test_tags_are_as_long_as_the_profile_says() -> None:
    assert Browser(AES_256_GCM).keys.tag_bytes == 16
    assert Browser(AES_128_SHA1_80).keys.tag_bytes == 10


def test_one_burst_serves_viewers_with_numbers_of_their_own() -> None:
    sent = packets_of([300, 300])
    one, other = Browser(), Browser()
    burst = Burst(sent, 102, SSRC, one.keys.tag_bytes)
    for browser, ahead in ((one, 7), (other, 0), (one, 9)):
        assert burst.encrypt_for(browser.keys.context, ahead)
        found = [browser.decrypt(bytes(piece)) for piece in burst.pieces]
        assert found == [expected(packet, payload_type=102, ahead=ahead) for packet in sent]


def test_the_markers_stay_and_the_given_packets_too() -> None:
    sent = packets_of([50, 50])
    before = list(sent)
    burst = Burst(sent, 127, SSRC, 16)
    assert burst.encrypt_for(Browser().keys.context, 3)
    assert [piece[1] for piece in burst.pieces] == [127, 0x80 | 127]
    assert sent == before


def test_the_largest_burst_stays_inside_the_buffer() -> None:
    browser = Browser()
    sent = packets_of([MOST_PACKET_BYTES] * MOST_PACKETS, first=1)
    burst = Burst(sent, 102, SSRC, browser.keys.tag_bytes)
    assert burst.encrypt_for(browser.keys.context, 0)
    found = [browser.decrypt(bytes(piece)) for piece in burst.pieces]
    assert found == [expected(one, payload_type=102, ahead=0) for one in sent]
    assert sum(len(piece) for piece in burst.pieces) == len(burst_module._VIEW)


@given(st.lists(st.sampled_from([13, 500, 1199, 1200, 2048]), min_size=1, max_size=MOST_PACKETS))
def test_runs_can_be_cut_evenly_and_lose_nothing(sizes: list[int]) -> None:
    assert_even(sizes)


@pytest.mark.parametrize("size", [1200, 1300, MOST_PACKET_BYTES])
def test_runs_stay_below_what_the_kernel_takes(size: int) -> None:
    assert_even([size] * MOST_PACKETS)


def assert_even(sizes: list[int]) -> None:
    burst = Burst(packets_of(sizes), 102, SSRC, 16)
    lengths = [[len(one) for one in segments([run])] for run in burst.runs]
    assert [length for run in lengths for length in run] == [size + 16 for size in sizes]
    for (view, cut), run in zip(burst.runs, lengths, strict=True):
        assert len(run) <= SEGMENTS_PER_RUN
        assert len(view) <= LARGEST_DATAGRAM
        assert set(run[:-1]) <= {run[0]}
        assert run[-1] <= run[0]
        assert (cut is None) == (len(run) == 1)


def test_equal_packets_make_one_run() -> None:
    burst = Burst(packets_of([1200] * 20 + [300] + [1200] * 3), 102, SSRC, 16)
    assert [len(segments([run])) for run in burst.runs] == [21, 3]


def test_a_kernel_cuts_what_is_sent() -> None:
    browser = Browser()
    sent = packets_of([1200] * 60, first=1) + packets_of([700, 1200], first=61)
    burst = Burst(sent, 102, SSRC, browser.keys.tag_bytes)
    assert burst.encrypt_for(browser.keys.context, 0)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        send_runs(sender, burst.runs, receiver.getsockname())
        found = [browser.decrypt(receiver.recv(4096)) for _ in sent]
    assert found == [expected(one, payload_type=102, ahead=0) for one in sent]


def test_a_packet_too_old_for_libsrtp_is_refused() -> None:
    browser = Browser()
    context = browser.keys.context
    assert Burst(packets_of([50], first=1000), 102, SSRC, 16).encrypt_for(context, 0)
    assert not Burst(packets_of([50], first=500), 102, SSRC, 16).encrypt_for(context, 0)
