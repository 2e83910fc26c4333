"""Offers and answers of real browsers, and of nobody."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import InvalidError
from h5sup.bus.packet_ring import Codec
from h5sup.formats.h264 import Profile
from h5sup.formats.sdp.candidate import Candidate
from h5sup.formats.sdp.model import Direction, Fingerprint, Setup
from h5sup.formats.sdp.parse import parse_description
from h5sup.outputs.rtc.negotiation import (
    AgreedTrack,
    Choices,
    CodecError,
    Transport,
    answer_offer,
    build_offer,
    read_answer,
)

SAMPLES = Path(__file__).parents[3] / "data" / "sdp"
CHOICES = Choices(
    video=("h264",),
    sound=("opus",),
    profile=Profile.HIGH,
    video_ssrc=100,
    rtx_ssrc=101,
    sound_ssrc=102,
)
FINGERPRINT = Fingerprint("sha-256", ":".join(["AB"] * 32))
TRANSPORT = Transport(
    ufrag="ours",
    pwd="p" * 32,
    fingerprint=FINGERPRINT,
    candidates=[Candidate(priority=5, address="192.0.2.1", port=50_000)],
)
H265 = """a=rtpmap:125 H265/90000\r
a=fmtp:125 profile-id=1\r
a=rtpmap:126 rtx/90000\r
a=fmtp:126 apt=125\r
"""


def sample(name: str) -> str:
    text = (SAMPLES / f"{name}.sdp").read_text(encoding="ascii")
    return "".join(f"{line}\r\n" for line in text.splitlines())


CHROMIUM_OFFER, CHROMIUM_ANSWER = sample("chromium_offer"), sample("chromium_answer")
AIORTC_OFFER = sample("aiortc_offer")
AIORTC_ANSWER = sample("aiortc_answer").replace("a=inactive", "a=recvonly")


def with_h265(text: str) -> str:
    """Return a description that takes H.265 as well, and prefers it."""
    text = re.sub(r"(m=video \S+ \S+ )", r"\g<1>125 126 ", text)
    return text.replace("a=rtpmap:", H265 + "a=rtpmap:", 1)


def refuse(text: str, kind: str) -> str:
    """Return a description whose section of a kind is rejected."""
    return re.sub(rf"m={kind} \d+", f"m={kind} 0", text)


@pytest.mark.parametrize(
    ("profile", "payload_type"),
    [
        (Profile.HIGH, 108),  # under Constrained Baseline's name
        (Profile.CONSTRAINED_HIGH, 108),
        (Profile.MAIN, 116),
        (Profile.BASELINE, 102),
        (Profile.CONSTRAINED_BASELINE, 108),
        (None, 108),
    ],
)
def test_chromium_gets_each_profile_under_a_type_that_plays_it(
    profile: Profile | None, payload_type: int
) -> None:
    choices = replace(CHOICES, profile=profile)
    text, agreed = answer_offer(CHROMIUM_OFFER, choices, TRANSPORT)
    assert agreed.video == AgreedTrack("h264", payload_type, payload_type + 1)
    answer = parse_description(text)
    video = answer.media[0]
    offered = {one.payload_type: one for one in parse_description(CHROMIUM_OFFER).media[0].codecs}
    assert [one.payload_type for one in video.codecs] == [payload_type, payload_type + 1]
    assert video.codecs[0].parameters == offered[payload_type].parameters
    assert video.codecs[1].parameters == {"apt": str(payload_type)}


def test_the_answer_to_chromium_says_who_we_are() -> None:
    text, agreed = answer_offer(CHROMIUM_OFFER, CHOICES, TRANSPORT)
    answer, offer = parse_description(text), parse_description(CHROMIUM_OFFER)
    assert answer.is_ice_lite
    assert answer.bundle == ("0", "1")
    assert [one.mid for one in answer.media] == [one.mid for one in offer.media]
    for section in answer.media:
        assert section.direction is Direction.SENDONLY
        assert (section.ufrag, section.pwd) == (TRANSPORT.ufrag, TRANSPORT.pwd)
        assert section.fingerprints == (FINGERPRINT,)
        assert section.setup is Setup.PASSIVE
        assert section.candidates == tuple(TRANSPORT.candidates)
        assert section.ends_candidates
        assert section.has_rtcp_mux
    video, sound = answer.media
    assert list(video.cnames) == [100, 101]
    assert [one.ssrcs for one in video.ssrc_groups] == [(100, 101)]
    assert video.codecs[0].feedback == ("nack", "nack pli", "ccm fir")
    assert list(sound.cnames) == [102]
    assert len({*video.cnames.values(), *sound.cnames.values()}) == 1  # they belong together
    assert agreed.role == "server"
    assert agreed.fingerprints == offer.media[0].fingerprints


@pytest.mark.parametrize("name", ["chromium_offer", "aiortc_offer", "firefox_offer"])
async def test_a_reference_takes_our_answers(name: str) -> None:
    """Aiortc offers, and reads what we answer."""
    text, agreed = answer_offer(sample(name), CHOICES, TRANSPORT)
    assert agreed.video.codec == "h264"
    assert agreed.sound is not None
    assert agreed.sound.codec == "opus"
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        ours, _ = answer_offer(peer.localDescription.sdp, CHOICES, TRANSPORT)
        await peer.setRemoteDescription(RTCSessionDescription(ours, "answer"))
        assert [one.currentDirection for one in peer.getTransceivers()] == ["recvonly"] * 2
    finally:
        await peer.close()
    assert parse_description(text).media


async def test_a_reference_takes_our_offer_and_we_its_answer() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        offer = build_offer(CHOICES, TRANSPORT)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        agreed = read_answer(peer.localDescription.sdp, CHOICES)
    finally:
        await peer.close()
    assert agreed.video == AgreedTrack("h264", 102, 103)
    assert agreed.sound == AgreedTrack("opus", 111)
    assert agreed.role == "server"


@pytest.mark.parametrize(
    ("text", "video", "sound"),
    [
        (CHROMIUM_ANSWER, AgreedTrack("h264", 96, 97), AgreedTrack("opus", 111)),
        (AIORTC_ANSWER, AgreedTrack("h264", 101, 102), AgreedTrack("opus", 96)),
        (sample("pion_answer"), None, None),
    ],
)
def test_answers_are_read(text: str, video: AgreedTrack | None, sound: AgreedTrack | None) -> None:
    agreed = read_answer(text, replace(CHOICES, profile=Profile.CONSTRAINED_BASELINE))
    assert agreed.video.codec == "h264"
    if video is not None:
        assert (agreed.video, agreed.sound) == (video, sound)
    assert agreed.role == "server"
    assert {one.algorithm for one in agreed.fingerprints} >= {"sha-256"}


def test_our_offer_says_all_that_can_be_sent() -> None:
    choices = replace(CHOICES, video=("hevc", "h264"), sound=("pcma", "opus"))
    offer = parse_description(build_offer(choices, TRANSPORT))
    assert offer.bundle == ("0", "1")
    video, sound = offer.media
    assert [one.name for one in video.codecs] == ["H265", "rtx", "H264", "rtx"]
    assert [(one.name, one.clock_hz, one.channels) for one in sound.codecs] == [
        ("PCMA", 8000, 1),
        ("opus", 48_000, 2),
    ]
    assert video.find_rtx(video.codecs[0].payload_type) == video.codecs[1].payload_type
    assert video.find_rtx(video.codecs[2].payload_type) == video.codecs[3].payload_type
    assert {video.setup, sound.setup} == {Setup.ACTPASS}
    assert offer.is_ice_lite


def test_a_source_without_sound_offers_none() -> None:
    offer = parse_description(build_offer(replace(CHOICES, sound=()), TRANSPORT))
    assert [one.kind for one in offer.media] == ["video"]


def test_h265_is_sent_to_those_who_take_it() -> None:
    choices = replace(CHOICES, video=("hevc", "h264"))
    text, agreed = answer_offer(with_h265(CHROMIUM_OFFER), choices, TRANSPORT)
    assert agreed.video == AgreedTrack("hevc", 125, 126)
    assert [one.name for one in parse_description(text).media[0].codecs] == ["H265", "rtx"]
    assert read_answer(with_h265(CHROMIUM_ANSWER), choices).video == agreed.video


def test_those_who_take_no_h265_get_h264() -> None:
    choices = replace(CHOICES, video=("hevc", "h264"))
    text, agreed = answer_offer(CHROMIUM_OFFER, choices, TRANSPORT)
    assert agreed.video.codec == read_answer(CHROMIUM_ANSWER, choices).video.codec == "h264"
    assert "H265" not in text


def test_what_the_source_can_not_send_is_not_taken() -> None:
    text, agreed = answer_offer(with_h265(CHROMIUM_OFFER), CHOICES, TRANSPORT)
    assert agreed.video.codec == "h264"
    assert "H265" not in text


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (("opus",), AgreedTrack("opus", 111)),
        (("pcma", "opus"), AgreedTrack("pcma", 8)),
        (("pcmu", "opus"), AgreedTrack("pcmu", 0)),
        (("pcmu",), AgreedTrack("pcmu", 0)),
        ((), None),
    ],
)
def test_sound_goes_as_the_source_has_it_where_the_browser_takes_that(
    sound: tuple[Codec, ...], expected: AgreedTrack | None
) -> None:
    text, agreed = answer_offer(CHROMIUM_OFFER, replace(CHOICES, sound=sound), TRANSPORT)
    assert agreed.sound == expected
    section = parse_description(text).media[1]
    assert section.is_rejected == (expected is None)
    if expected is not None:
        assert [one.payload_type for one in section.codecs] == [expected.payload_type]


def test_sound_of_another_clock_is_another_codec() -> None:
    odd = CHROMIUM_OFFER.replace("opus/48000/2", "opus/16000/2").replace("PCMA/8000", "PCMA/16000")
    choices = replace(CHOICES, sound=("pcma", "opus"))
    assert answer_offer(odd, choices, TRANSPORT)[1].sound is None


@pytest.mark.parametrize("how", ["rejected", "missing", "inactive", "sendonly"])
def test_a_browser_without_sound_gets_the_picture(how: str) -> None:
    def change(text: str) -> str:
        head, _, rest = text.partition("m=audio")
        if how == "rejected":
            return refuse(text, "audio")
        if how == "missing":
            return head
        return f"{head}m=audio{rest.replace('a=recvonly', f'a={how}')}"

    text, agreed = answer_offer(change(CHROMIUM_OFFER), CHOICES, TRANSPORT)
    assert (agreed.video.codec, agreed.sound) == ("h264", None)
    answer = parse_description(text)
    assert answer.bundle == ("0",)
    assert [one.is_rejected for one in answer.media[1:]] == [True] * (how != "missing")
    assert read_answer(change(CHROMIUM_ANSWER), CHOICES).sound is None


@pytest.mark.parametrize("change", ["rejected", "no codec of ours", "inactive", "no video"])
def test_without_a_picture_there_is_nothing_to_send(change: str) -> None:
    def changed(text: str) -> str:
        if change == "rejected":
            return refuse(text, "video")
        if change == "no codec of ours":
            return text.replace("H264/90000", "AV1/90000")
        if change == "no video":
            return text.replace("m=video", "m=other")
        return text.replace("a=recvonly", "a=inactive")

    with pytest.raises(CodecError, match=r"^the offer takes no H264$"):
        answer_offer(changed(CHROMIUM_OFFER), CHOICES, TRANSPORT)
    with pytest.raises(CodecError, match=r"^the browser takes no H265 or H264$"):
        read_answer(changed(CHROMIUM_ANSWER), replace(CHOICES, video=("hevc", "h264")))


def test_aiortcs_own_refusal_is_one() -> None:
    with pytest.raises(CodecError):
        read_answer(sample("aiortc_answer"), CHOICES)


def test_what_else_is_offered_is_rejected_in_its_place() -> None:
    video, _, sound = CHROMIUM_OFFER.partition("m=audio")
    second = video.partition("m=video")[2].replace("a=mid:0", "a=mid:2")
    data = (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:3\r\n"
        "a=sctp-port:5000\r\n"
    )
    offer = f"{data}{video}m=audio{sound}m=video{second}"
    offer = offer[len(data) :].replace("m=video", f"{data}m=video", 1)
    text, agreed = answer_offer(offer, CHOICES, TRANSPORT)
    answer = parse_description(text)
    assert [(one.kind, one.mid, one.is_rejected) for one in answer.media] == [
        ("application", "3", True),
        ("video", "0", False),
        ("audio", "1", False),
        ("video", "2", True),
    ]
    assert answer.bundle == ("0", "1")
    assert answer.media[0].formats == ("webrtc-datachannel",)
    assert answer.media[0].protocol == "UDP/DTLS/SCTP"
    assert [one.setup for one in answer.media if one.is_rejected] == [None, None]
    assert agreed.sound is not None


@pytest.mark.parametrize(
    ("setup", "ours", "role"),
    [
        ("actpass", Setup.PASSIVE, "server"),
        ("active", Setup.PASSIVE, "server"),
        ("passive", Setup.ACTIVE, "client"),
    ],
)
def test_both_sides_agree_who_begins(setup: str, ours: Setup, role: str) -> None:
    offer = CHROMIUM_OFFER.replace("a=setup:actpass", f"a=setup:{setup}")
    text, agreed = answer_offer(offer, CHOICES, TRANSPORT)
    assert agreed.role == role
    assert {one.setup for one in parse_description(text).media} == {ours}
    answer = CHROMIUM_ANSWER.replace("a=setup:active", f"a=setup:{setup}")
    assert read_answer(answer, CHOICES).role == role


def test_ice_and_dtls_may_be_told_for_the_whole_session() -> None:
    """As Firefox has its fingerprint, and aiortc its setup."""
    wanted = re.compile(r"a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n")
    told = "".join(dict.fromkeys(wanted.findall(CHROMIUM_OFFER)))
    offer = wanted.sub("", CHROMIUM_OFFER).replace("m=video", f"{told}m=video", 1)
    _, agreed = answer_offer(offer, CHOICES, TRANSPORT)
    assert agreed == answer_offer(CHROMIUM_OFFER, CHOICES, TRANSPORT)[1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ice-ufrag", "has no ICE user name and password"),
        ("ice-pwd", "has no ICE user name and password"),
        ("fingerprint", "has no certificate fingerprint"),
        ("setup", "does not say who begins with DTLS"),
    ],
)
def test_what_is_missing_is_named(line: str, sentence: str) -> None:
    def without(text: str) -> str:
        return re.sub(rf"a={line}:.*\r\n", "", text)

    with pytest.raises(InvalidError, match=f"^offer: {sentence}"):
        answer_offer(without(CHROMIUM_OFFER), CHOICES, TRANSPORT)
    with pytest.raises(InvalidError, match=f"^answer: {sentence}"):
        read_answer(without(CHROMIUM_ANSWER), CHOICES)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("fingerprint:sha-256", "fingerprint:md5"), "has no SHA-256 fingerprint"),
        (("setup:actpass", "setup:holdconn"), "does not say who begins"),
        (("setup:actpass", "setup:both"), "has setup:both"),
        (("v=0", "v=1"), "begins with 'v=1'"),
        (("a=mid:0", "a=mid:" + "x" * 70_000), "is too long"),
        (("a=mid:0", "a=mid:x\ry"), "can't be a line"),
        (("m=", "x="), "has no media section"),
        (("m=video 9", "m=video 0"), None),
    ],
)
def test_what_is_wrong_is_said(change: tuple[str, str], sentence: str | None) -> None:
    offer = CHROMIUM_OFFER.replace(*change)
    if sentence is None:
        with pytest.raises(CodecError):
            answer_offer(offer, CHOICES, TRANSPORT)
        return
    with pytest.raises(InvalidError, match=sentence):
        answer_offer(offer, CHOICES, TRANSPORT)


def test_every_truncation_is_answered_or_refused() -> None:
    whole = answer_offer(CHROMIUM_OFFER, CHOICES, TRANSPORT)[1]
    refused = 0
    for length in range(0, len(CHROMIUM_OFFER), 7):
        try:
            _, agreed = answer_offer(CHROMIUM_OFFER[:length], CHOICES, TRANSPORT)
        except (InvalidError, CodecError) as error:
            assert str(error)  # noqa: PT017 (what is cut behind its codecs still plays)
            refused += 1
        else:
            assert agreed.fingerprints == whole.fingerprints
    assert refused > 100


LINES = CHROMIUM_OFFER.splitlines()
NAMES = sorted({line.partition(":")[0] for line in LINES})
odd_lines = st.tuples(st.sampled_from(NAMES), st.text(max_size=20)).map(":".join) | st.text(
    max_size=40
)


@given(st.lists(st.tuples(st.integers(0, len(LINES)), odd_lines), max_size=8), st.data())
def test_whatever_stands_in_it_only_our_errors_come_out(
    added: list[tuple[int, str]], data: st.DataObject
) -> None:
    lines = list(LINES)
    for at, line in added:
        lines.insert(at, line)
    for _ in range(data.draw(st.integers(0, 3))):
        lines.pop(data.draw(st.integers(0, len(lines) - 1)))
    text = "\n".join(lines)
    for judge in (
        lambda: parse_description(answer_offer(text, CHOICES, TRANSPORT)[0]),
        lambda: read_answer(text, CHOICES),
    ):
        try:
            judge()
        except (InvalidError, CodecError) as error:
            assert str(error)  # noqa: PT017 (much of it is an offer still)


@given(st.text(max_size=300))
def test_random_text_is_refused(text: str) -> None:
    with pytest.raises((InvalidError, CodecError)):
        answer_offer(text, CHOICES, TRANSPORT)
    with pytest.raises((InvalidError, CodecError)):
        read_answer(f"v=0\n{text}", CHOICES)
