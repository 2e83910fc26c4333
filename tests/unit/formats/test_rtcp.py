from __future__ import annotations

from typing import Any

import pytest
from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.rtcp import (
    RTCP_BYE,
    RTCP_PAYLOAD_FEEDBACK,
    RTCP_RECEIVER_REPORT,
    RTCP_SENDER_REPORT,
    RTCP_TRANSPORT_FEEDBACK,
    Feedback,
    Nack,
    ReportBlock,
    SenderReport,
    build_bye,
    build_description,
    build_fir,
    build_nack,
    build_pli,
    build_receiver_report,
    build_rtcp,
    build_sender_report,
    is_rtcp,
    ntp_from_unix,
    parse_feedback,
    parse_sender_reports,
    round_trip_s,
    split_rtcp,
)
from tests.fakes.steps import count_calls

ME, THEM, OTHER = 0x11111111, 0x22222222, 0x33333333
BLOCK = ReportBlock(
    ssrc=THEM,
    fraction_lost=26,
    cumulative_lost=-3,
    highest_sequence=0x0001FFFE,
    jitter=123,
    last_report=0x12345678,
    report_delay=65536,
)
REPORT = build_sender_report(SenderReport(ssrc=1, ntp=2, timestamp=3))
FEEDBACK = [
    build_receiver_report(ME, [BLOCK]),
    build_nack(ME, THEM, [1, 2, 40]),
    build_pli(ME, THEM),
    build_fir(ME, THEM, 7),
    build_bye(ME),
]

uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
reports = st.builds(
    SenderReport,
    ssrc=uint32,
    ntp=st.integers(0, 2**64 - 1),
    timestamp=uint32,
    packets=uint32,
    octets=uint32,
)
blocks = st.builds(
    ReportBlock,
    ssrc=uint32,
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=uint32,
    jitter=uint32,
    last_report=uint32,
    report_delay=uint32,
)


def read_by_reference(compound: bytes) -> list[Any]:
    return list(reference.RtcpPacket.parse(compound))


@given(st.lists(reports, max_size=3))
def test_sender_reports_come_back_from_a_compound_packet(sent: list[SenderReport]) -> None:
    description = build_description(7, "h5sup")
    compound = b"".join(build_sender_report(report) + description for report in sent)
    assert parse_sender_reports(compound) == sent


def test_other_rtcp_packets_are_told_apart() -> None:
    compound = build_rtcp(RTCP_BYE, 1, b"\x00\x00\x00\x07") + build_rtcp(201, 0, b"")
    assert list(split_rtcp(compound)) == [(RTCP_BYE, 1, b"\x00\x00\x00\x07"), (201, 0, b"")]
    assert parse_sender_reports(compound) == []


@pytest.mark.parametrize("length", range(1, len(REPORT)))
def test_every_truncation_of_a_report_is_refused(length: int) -> None:
    with pytest.raises(MediaFormatError, match="RTCP"):
        parse_sender_reports(REPORT[:length])


def test_a_report_without_room_for_its_fields_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="sender report is too short"):
        parse_sender_reports(build_rtcp(RTCP_SENDER_REPORT, 0, bytes(20)))


def test_another_rtcp_version_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="RTCP version 1 is not 2"):
        parse_sender_reports(b"\x40" + REPORT[1:])


def test_all_kinds_of_feedback_are_read_from_one_compound_packet() -> None:
    assert parse_feedback(b"".join(FEEDBACK)) == Feedback(
        blocks=[BLOCK],
        nacks=[Nack(THEM, [1, 2, 40])],
        picture_losses=[THEM],
        key_requests=[(THEM, 7)],
        byes=[ME],
    )


def test_no_feedback_is_none() -> None:
    assert parse_feedback(b"") == Feedback([], [], [], [], [])
    assert parse_feedback(REPORT) == Feedback()


@given(uint32, st.lists(blocks, max_size=31))
def test_receiver_reports_come_back(ssrc: int, sent: list[ReportBlock]) -> None:
    data = build_receiver_report(ssrc, sent)
    assert parse_feedback(data).blocks == sent
    assert [vars(block) for block in read_by_reference(data)[0].reports] == [
        {
            "ssrc": block.ssrc,
            "fraction_lost": block.fraction_lost,
            "packets_lost": block.cumulative_lost,
            "highest_sequence": block.highest_sequence,
            "jitter": block.jitter,
            "lsr": block.last_report,
            "dlsr": block.report_delay,
        }
        for block in sent
    ]


def test_blocks_in_a_sender_report_are_read_too() -> None:
    data = bytes(
        reference.RtcpSrPacket(
            ssrc=ME,
            sender_info=reference.RtcpSenderInfo(1, 2, 3, 4),
            reports=[reference.RtcpReceiverInfo(THEM, 26, -3, 0x0001FFFE, 123, 0x12345678, 65536)],
        )
    )
    assert parse_feedback(data).blocks == [BLOCK]
    assert parse_sender_reports(data) == [
        SenderReport(ssrc=ME, ntp=1, timestamp=2, packets=3, octets=4)
    ]


@given(st.lists(uint16, max_size=60, unique=True))
def test_nacks_come_back(numbers: list[int]) -> None:
    data = build_nack(ME, THEM, sorted(numbers))
    assert parse_feedback(data).nacks == [Nack(THEM, sorted(numbers))]
    theirs = read_by_reference(data)[0]
    assert (theirs.ssrc, theirs.media_ssrc) == (ME, THEM)
    assert theirs.lost == sorted(numbers)
    assert parse_feedback(bytes(theirs)).nacks == [Nack(THEM, sorted(numbers))]


def test_a_nack_crosses_the_wrap_in_one_entry() -> None:
    numbers = [65530, 65531, 65535, 0, 9, 10]
    data = build_nack(ME, THEM, numbers)
    assert data[12:].hex() == "fffac031"
    assert parse_feedback(data).nacks[0].sequences == numbers


def test_an_entry_reaches_sixteen_packets_ahead() -> None:
    assert len(build_nack(ME, THEM, [100, 116])) == 16
    assert len(build_nack(ME, THEM, [100, 117])) == 20
    assert len(build_nack(ME, THEM, [100, 100])) == 20


def test_several_senders_are_complained_of_in_one_packet() -> None:
    compound = build_nack(ME, THEM, [5]) + build_nack(ME, OTHER, [6]) + build_pli(ME, OTHER)
    found = parse_feedback(compound)
    assert found.nacks == [Nack(THEM, [5]), Nack(OTHER, [6])]
    assert found.picture_losses == [OTHER]


def test_a_reference_reads_what_is_built() -> None:
    pli, bye, description = read_by_reference(
        build_pli(ME, THEM) + build_bye(ME) + build_description(ME, "h5sup")
    )
    assert (pli.fmt, pli.ssrc, pli.media_ssrc) == (reference.RTCP_PSFB_PLI, ME, THEM)
    assert bye.sources == [ME]
    assert description.chunks[0].ssrc == ME
    assert description.chunks[0].items == [(1, b"h5sup")]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 6, 255])
def test_names_of_all_lengths_are_read_by_a_reference(length: int) -> None:
    data = build_description(ME, "x" * length) + build_bye(ME)
    description, bye = read_by_reference(data)
    assert description.chunks[0].items == [(1, b"x" * length)]
    assert bye.sources == [ME]


def test_a_list_of_names_ends_with_a_zero() -> None:
    """RFC 3550 §6.5: also where its length is a multiple of four without."""
    assert build_description(ME, "ab").hex() == "81ca0003111111110102616200000000"
    assert build_description(ME, "abc").hex() == "81ca0003111111110103616263000000"


def test_a_longer_name_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="CNAME has 256 bytes"):
        build_description(ME, "ü" * 128)


def test_a_request_for_several_key_frames_is_read() -> None:
    entries = bytes.fromhex("2222222205000000 3333333306000000")
    body = ME.to_bytes(4) + bytes(4) + entries
    found = parse_feedback(build_rtcp(RTCP_PAYLOAD_FEEDBACK, 4, body))
    assert found.key_requests == [(THEM, 5), (OTHER, 6)]


def test_congestion_feedback_and_other_packets_are_passed_over() -> None:
    remb = reference.pack_remb_fci(5_000_000, [THEM])
    others = [
        bytes(reference.RtcpPsfbPacket(fmt=15, ssrc=ME, media_ssrc=0, fci=remb)),
        # of draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1
        build_rtcp(RTCP_TRANSPORT_FEEDBACK, 15, bytes(20)),
        build_rtcp(RTCP_PAYLOAD_FEEDBACK, 2, bytes(12)),  # SLI
        build_rtcp(207, 0, bytes(12)),  # XR: RFC 3611
        build_rtcp(204, 0, bytes(8)),  # APP
        build_description(ME, "viewer"),
    ]
    assert parse_feedback(b"".join(others)) == Feedback()


def test_padding_is_no_part_of_a_packet() -> None:
    nack = bytearray(build_nack(ME, THEM, [9]) + b"\x00\x00\x00\x04")
    nack[0] |= 0x20
    nack[3] += 1
    assert parse_feedback(bytes(nack)).nacks == [Nack(THEM, [9])]


@pytest.mark.parametrize("size", [0, 1, 3, 5, 8, 255])
def test_impossible_padding_is_refused(size: int) -> None:
    data = b"\xa0\xcd\x00\x01\x00\x00\x00" + bytes([size])
    with pytest.raises(MediaFormatError, match=f"padding of {size} bytes"):
        parse_feedback(data)


def test_padding_of_an_empty_packet_is_refused() -> None:
    with pytest.raises(MediaFormatError, match="padding of 0 bytes"):
        parse_feedback(b"\xa0\xcd\x00\x00")


def test_every_truncation_of_feedback_is_refused() -> None:
    for packet in FEEDBACK:
        for length in range(1, len(packet)):
            with pytest.raises(MediaFormatError, match="RTCP"):
                parse_feedback(packet[:length])


@pytest.mark.parametrize(
    ("packet", "least"), list(zip(FEEDBACK, [28, 8, 8, 8, 4], strict=True)), ids=str
)
def test_bodies_cut_by_their_own_length_are_refused(packet: bytes, least: int) -> None:
    """The header tells of the cut, as an attacker would write it."""
    for size in range(0, least, 4):
        with pytest.raises(MediaFormatError, match="RTCP"):
            parse_feedback(packet[:2] + (size // 4).to_bytes(2) + packet[4 : 4 + size])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (build_rtcp(RTCP_RECEIVER_REPORT, 2, bytes(28)), "too short for its 2 blocks"),
        (build_rtcp(RTCP_SENDER_REPORT, 1, bytes(24)), "too short for its 1 blocks"),
        (build_rtcp(RTCP_BYE, 2, bytes(4)), "too short for its 2 senders"),
        (build_rtcp(RTCP_TRANSPORT_FEEDBACK, 1, bytes(4)), "too short to say"),
        (build_rtcp(RTCP_PAYLOAD_FEEDBACK, 1, bytes(4)), "too short to say"),
        (build_rtcp(RTCP_PAYLOAD_FEEDBACK, 4, bytes(0)), "too short to say"),
        (build_rtcp(RTCP_PAYLOAD_FEEDBACK, 4, bytes(12)), "ends inside an entry"),
    ],
)
def test_damaged_feedback_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_feedback(data)


@pytest.mark.parametrize("packet_type", range(192, 224))
def test_rtcp_is_told_from_rtp(packet_type: int) -> None:
    assert is_rtcp(build_rtcp(packet_type, 1, bytes(8)))
    assert is_rtcp(memoryview(build_rtcp(packet_type, 1, bytes(8))))
    assert not is_rtcp(b"\x16" + build_rtcp(packet_type, 1, bytes(8))[1:])  # DTLS


@pytest.mark.parametrize("data", [b"", b"\x80\xc8", b"\x80\x60" + bytes(20), b"\x80\xe0" * 9])
def test_rtp_and_scraps_are_no_rtcp(data: bytes) -> None:
    assert not is_rtcp(data)


def test_the_round_trip_of_rfc_3550_comes_out() -> None:
    """§6.4.1, figure 2: 6.125 s."""
    block = ReportBlock(ssrc=1, last_report=0xB7052000, report_delay=0x00054000)
    assert round_trip_s(block, 0xB710_8000_0000) == pytest.approx(6.125)


def test_the_round_trip_crosses_the_wrap_of_its_clock() -> None:
    block = ReportBlock(ssrc=1, last_report=0xFFFF_F000, report_delay=0x0800)
    assert round_trip_s(block, 0x1000 << 16) == pytest.approx(0x1800 / 65536)


def test_a_round_trip_is_never_negative() -> None:
    block = ReportBlock(ssrc=1, last_report=0x1000, report_delay=0x0100)
    assert round_trip_s(block, 0x10FF << 16) == 0


def test_without_a_report_there_is_no_round_trip() -> None:
    assert round_trip_s(ReportBlock(ssrc=1), 1 << 40) is None


def test_times_of_unix_are_told_in_ntp() -> None:
    assert ntp_from_unix(0) == 2_208_988_800 << 32
    assert ntp_from_unix(1.5) == 2_208_988_801 << 32 | 1 << 31
    assert ntp_from_unix(2**32 - 2_208_988_800) == 0  # the era ends in 2036


@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    is_rtcp(data)
    for parse in (parse_sender_reports, parse_feedback):
        try:
            parse(data)
        except MediaFormatError as error:
            assert str(error)  # noqa: PT017 (most inputs raise nothing)


@given(
    st.lists(
        st.tuples(
            st.integers(192, 223), st.integers(0, 31), st.lists(uint32, max_size=9), st.booleans()
        ),
        max_size=4,
    )
)
def test_random_packets_raise_nothing_else(
    packets: list[tuple[int, int, list[int], bool]],
) -> None:
    compound = b""
    for packet_type, count, words, is_padded in packets:
        packet = build_rtcp(packet_type, count, b"".join(word.to_bytes(4) for word in words))
        compound += bytes([packet[0] | 0x20 * is_padded]) + packet[1:]
    try:
        found = parse_feedback(compound)
    except MediaFormatError:
        return
    assert all(0 <= number <= 0xFFFF for nack in found.nacks for number in nack.sequences)


@pytest.mark.parametrize("packet", [build_rtcp(204, 0, b""), *FEEDBACK])
def test_the_work_grows_with_the_packets_and_no_faster(packet: bytes) -> None:
    work = [count_calls(lambda n=count: parse_feedback(packet * n)) for count in (50, 800)]  # type: ignore[misc]  # binds now
    assert work[1] < 16.5 * work[0]
