from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiortc import sdp as reference
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.sdp.build import build_description
from h5sup.formats.sdp.candidate import Candidate, host_priority
from h5sup.formats.sdp.model import (
    Codec,
    Direction,
    Fingerprint,
    IceFragment,
    MediaSection,
    SessionDescription,
    Setup,
    SsrcGroup,
)
from h5sup.formats.sdp.parse import parse_description, parse_fragment
from tests.fakes.steps import count_calls

SAMPLES = Path(__file__).parents[2] / "data/sdp"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.sdp"))
BROWSERS = [name for name in NAMES if name != "camera_describe"]
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
H264 = {
    "level-asymmetry-allowed": "1",
    "packetization-mode": "1",
    "profile-level-id": "42e01f",
}
VIDEO = MediaSection(
    kind="video",
    mid="0",
    direction=Direction.SENDONLY,
    codecs=(
        Codec(
            payload_type=96,
            name="H264",
            clock_hz=90000,
            parameters=H264,
            feedback=("nack", "nack pli", "ccm fir"),
        ),
        Codec(payload_type=97, name="rtx", clock_hz=90000, parameters={"apt": "96"}),
    ),
    has_rtcp_mux=True,
    has_rtcp_rsize=True,
    ufrag="h5sA",
    pwd="a" * 24,
    candidates=(
        Candidate(priority=host_priority(), address="192.0.2.1", port=50000),
        Candidate(
            foundation="2",
            transport="tcp",
            priority=host_priority(100),
            address="2001:db8::1",
            port=50000,
            tcp_type="passive",
        ),
    ),
    ends_candidates=True,
    fingerprints=(Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    setup=Setup.ACTPASS,
    msid="h5sup video",
    cnames={1: "h5sup", 2: "h5sup"},
    ssrc_groups=(SsrcGroup("FID", (1, 2)),),
    extensions={1: MID},
)
AUDIO = MediaSection(
    kind="audio",
    port=0,
    mid="1",
    direction=Direction.INACTIVE,
    codecs=(Codec(payload_type=8, name="PCMA", clock_hz=8000),),
)
OFFER = SessionDescription(
    media=(VIDEO, AUDIO), bundle=("0", "1"), is_ice_lite=True, session_id=7, version=2
)
# What Chromium 156 answers to, see tests/data/README.md.
OFFER_TEXT = """v=0
o=- 7 2 IN IP4 127.0.0.1
s=-
t=0 0
a=ice-lite
a=group:BUNDLE 0 1
a=msid-semantic: WMS *
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:h5sA
a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host
a=candidate:2 1 tcp 2113955071 2001:db8::1 50000 typ host tcptype passive
a=end-of-candidates
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=msid:h5sup video
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 ccm fir
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 1 2
a=ssrc:1 cname:h5sup
a=ssrc:2 cname:h5sup
m=audio 0 UDP/TLS/RTP/SAVPF 8
c=IN IP4 0.0.0.0
a=mid:1
a=inactive
a=rtpmap:8 PCMA/8000
""".format(fingerprint=":".join(["AB"] * 32))


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.sdp").read_bytes().decode()


def section(*lines: str, media: str = "video 9 RTP/AVP 96") -> MediaSection:
    """Return the one media section of a description with these lines in it."""
    return parse_description("\n".join(["v=0", f"m={media}", *lines])).media[0]


def test_an_offer_is_written_as_chromium_takes_it() -> None:
    assert build_description(OFFER) == OFFER_TEXT.replace("\n", "\r\n")


def test_an_offer_comes_back() -> None:
    assert parse_description(OFFER_TEXT) == OFFER
    assert parse_description(OFFER_TEXT.replace("\n", "\r\n")) == OFFER
    assert parse_description(OFFER_TEXT.rstrip("\n")) == OFFER


@pytest.mark.parametrize("name", NAMES)
def test_captured_descriptions_come_back(name: str) -> None:
    found = parse_description(sample(name))
    assert parse_description(build_description(found)) == found


@pytest.mark.parametrize("name", BROWSERS)
def test_captured_descriptions_say_what_a_reference_reads(name: str) -> None:
    found, theirs = parse_description(sample(name)), reference.SessionDescription.parse
    for ours, their in zip(found.media, theirs(sample(name)).media, strict=True):
        assert (ours.kind, ours.port, ours.protocol) == (their.kind, their.port, their.profile)
        assert (ours.mid, ours.direction.value) == (their.rtp.muxId, their.direction)
        assert their.ice is not None
        assert their.dtls is not None
        assert (ours.ufrag, ours.pwd) == (their.ice.usernameFragment, their.ice.password)
        assert {(one.algorithm, one.value) for one in ours.fingerprints} == {
            (one.algorithm, one.value) for one in their.dtls.fingerprints
        }
        assert [(c.payload_type, c.name, c.clock_hz, c.channels) for c in ours.codecs] == [
            (c.payloadType, c.name, c.clockRate, c.channels or 1) for c in their.rtp.codecs
        ]
        assert [(c.address, c.port, c.priority) for c in ours.candidates] == [
            (c.ip, c.port, c.priority) for c in their.ice_candidates
        ]


def test_an_offer_of_chromium_is_read() -> None:
    found = parse_description(sample("chromium_offer"))
    assert found.bundle == ("0", "1")
    assert not found.is_ice_lite
    video, audio = found.media
    assert video.direction is audio.direction is Direction.RECVONLY
    assert video.setup is Setup.ACTPASS
    assert video.has_rtcp_mux
    assert video.has_rtcp_rsize
    assert video.ice_options == ("trickle",)
    assert not video.ends_candidates
    assert len(video.candidates) == 2
    assert video.candidates[0].is_mdns
    assert video.extensions[9] == MID
    h264 = video.find_codecs("h264")[2]
    assert (h264.payload_type, h264.clock_hz, h264.parameters) == (108, 90000, H264)
    assert h264.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert video.find_rtx(108) == 109
    assert video.find_rtx(110) is None
    assert [codec.name for codec in audio.codecs[:2]] == ["opus", "red"]
    assert (audio.codecs[0].channels, audio.codecs[1].parameters) == (2, {"111/111": ""})


def test_an_answer_of_chromium_is_read() -> None:
    found = parse_description(sample("chromium_answer"))
    assert [one.setup for one in found.media] == [Setup.ACTIVE, Setup.ACTIVE]
    assert [one.direction for one in found.media] == [Direction.RECVONLY, Direction.RECVONLY]
    assert found.find_transport() == found.media[0]
    assert found.media[1].ufrag == found.media[0].ufrag
    assert found.media[1].candidates == ()


def test_an_offer_in_the_way_of_firefox_is_read() -> None:
    """The fingerprint stands in the session, and a second direction that doesn't count."""
    found = parse_description(sample("firefox_offer"))
    video, audio = found.media
    assert video.direction is audio.direction is Direction.RECVONLY
    assert video.fingerprints == audio.fingerprints != ()
    assert audio.ice_options == ("trickle",)
    assert audio.port == 0
    assert audio.is_bundle_only
    assert not audio.is_rejected
    assert (video.find_rtx(126), video.extensions[6][-13:]) == (127, "playout-delay")
    assert [(one.transport, one.tcp_type) for one in video.candidates] == [
        ("udp", None),
        ("tcp", "active"),
        ("udp", None),
    ]
    assert audio.codecs[-1].parameters == {"0-15": ""}
    assert video.ends_candidates


def test_an_answer_in_the_way_of_pion_is_read() -> None:
    video = parse_description(sample("pion_answer")).media[0]
    assert video.codecs[0].feedback == ("goog-remb", "ccm fir", "nack", "nack pli")
    assert video.candidates[0].ufrag == video.ufrag
    assert video.candidates[1].component == 2
    assert video.candidates[3].related == ("0.0.0.0", 51234)


def test_a_reference_offers_a_track_with_retransmission() -> None:
    video = parse_description(sample("aiortc_offer")).media[0]
    group = video.ssrc_groups[0]
    assert group.semantics == "FID"
    assert [*video.cnames] == list(group.ssrcs)
    assert len(set(video.cnames.values())) == 1
    assert [one.algorithm for one in video.fingerprints] == ["sha-256", "sha-384", "sha-512"]


def test_a_camera_is_read() -> None:
    video, audio, metadata = parse_description(sample("camera_describe")).media
    assert video.codecs[0].parameters["sprop-parameter-sets"] == "Z00AH5WoFAFuQA==,aO48gA=="
    assert audio.codecs == (Codec(payload_type=8, name="PCMA", clock_hz=8000),)
    assert metadata.codecs[0].name == "vnd.onvif.metadata"
    assert (video.ufrag, video.setup, video.fingerprints) == ("", None, ())


def test_a_data_channel_has_formats_in_place_of_codecs() -> None:
    media = "application 9 UDP/DTLS/SCTP webrtc-datachannel"
    found = section("a=mid:2", "a=sctp-port:5000", media=media)
    assert (found.formats, found.codecs) == (("webrtc-datachannel",), ())
    text = build_description(SessionDescription(media=(found,)))
    assert f"m={media}\r\n" in text
    assert parse_description(text).media == (found,)


def test_what_the_session_says_counts_where_a_section_says_nothing() -> None:
    text = "\n".join(
        [
            "v=0",
            "c=IN IP6 2001:db8::9",
            "a=ice-ufrag:sess",
            f"a=ice-pwd:{'s' * 22}",
            "a=ice-options:trickle ice2",
            "a=fingerprint:SHA-1 ab:cd",
            "a=setup:passive",
            "a=sendonly",
            "a=end-of-candidates",
            "m=video 9 RTP/AVP 96",
            "m=audio 9 RTP/AVP 0",
            "c=IN IP4 224.2.1.1/127",
            "a=ice-ufrag:mine",
            f"a=ice-pwd:{'m' * 22}",
            "a=ice-options:x",
            "a=fingerprint:sha-256 EF",
            "a=setup:active",
            "a=recvonly",
        ]
    )
    first, second = parse_description(text).media
    assert (first.address, second.address) == ("2001:db8::9", "224.2.1.1")
    assert (first.ufrag, first.pwd, second.ufrag) == ("sess", "s" * 22, "mine")
    assert (first.ice_options, second.ice_options) == (("trickle", "ice2"), ("x",))
    assert first.fingerprints == (Fingerprint("sha-1", "AB:CD"),)
    assert second.fingerprints == (Fingerprint("sha-256", "EF"),)
    assert (first.setup, second.setup) == (Setup.PASSIVE, Setup.ACTIVE)
    assert (first.direction, second.direction) == (Direction.SENDONLY, Direction.RECVONLY)
    assert first.ends_candidates
    assert second.ends_candidates
    assert "c=IN IP6 2001:db8::9" in build_description(parse_description(text))


def test_nothing_said_means_both_directions() -> None:
    assert section().direction is Direction.SENDRECV


def test_the_first_bundled_section_describes_the_transport() -> None:
    audio, video = MediaSection(kind="audio", mid="a"), MediaSection(kind="video", mid="v")
    both = SessionDescription(media=(audio, video), bundle=("v", "a"))
    assert both.find_transport() == video
    assert SessionDescription(media=(audio, video)).find_transport() == audio
    rejected = MediaSection(kind="video", mid="v", port=0)
    assert SessionDescription(media=(rejected, audio)).find_transport() == audio
    assert SessionDescription(media=(rejected,), bundle=("v",)).find_transport() is None
    assert SessionDescription().find_transport() is None


def test_only_the_bundle_group_bundles() -> None:
    text = "v=0\na=group:\na=group:LS a b\na=group:BUNDLE b\na=group:BUNDLE c\n"
    assert parse_description(text).bundle == ("b",)
    assert parse_description("v=0\na=group:LS a\n").bundle == ()


@pytest.mark.parametrize("origin", ["o=-", "o=", "o=- x 1 IN IP4 a", "o=- 1 -1", "o=- ٣ ٣ x y z"])
def test_an_origin_that_is_odd_harms_nobody(origin: str) -> None:
    found = parse_description(f"v=0\n{origin}\n")
    assert (found.session_id, found.version) == (0, 0)


def test_payload_types_that_nothing_explains_stay_in_order() -> None:
    found = section("a=rtpmap:97 H265/90000", media="video 9 RTP/AVP 98 97 0 97")
    assert [(codec.payload_type, codec.name) for codec in found.codecs] == [
        (98, ""),
        (97, "H265"),
        (0, "PCMU"),
    ]
    text = build_description(SessionDescription(media=(found,)))
    assert "m=video 9 RTP/AVP 98 97 0\r\n" in text
    assert "rtpmap:98" not in text
    assert parse_description(text).media == (found,)


def test_feedback_for_all_counts_for_each() -> None:
    lines = ("a=rtcp-fb:* nack", "a=rtcp-fb:97 nack pli", "a=rtcp-fb:99 ccm fir")
    found = section(*lines, media="video 9 RTP/AVP 96 97")
    assert [codec.feedback for codec in found.codecs] == [("nack",), ("nack", "nack pli")]


def test_parameters_are_read_as_cameras_write_them() -> None:
    found = section("a=fmtp:96 Packetization-Mode = 1; ;sprop=a=b==;flag;")
    assert found.codecs[0].parameters == {"packetization-mode": "1", "sprop": "a=b==", "flag": ""}


def test_a_parameter_without_a_value_is_written_without() -> None:
    codec = Codec(payload_type=101, name="telephone-event", clock_hz=8000, parameters={"0-15": ""})
    text = build_description(SessionDescription(media=(MediaSection(kind="a", codecs=(codec,)),)))
    assert "a=fmtp:101 0-15\r\n" in text


def test_of_an_ssrc_the_name_counts() -> None:
    found = section("a=ssrc:5 msid:a b", "a=ssrc:5 cname:x:y", "a=ssrc:5 label:b", "a=ssrc:6")
    assert found.cnames == {5: "x:y", 6: ""}


def test_a_port_may_have_a_count() -> None:
    assert section(media="video 49170/2 RTP/AVP 31").port == 49170


def test_signs_that_only_python_takes_for_line_ends_are_none() -> None:
    found = section("a=mid:a\x0bb\x85c\u2028d")
    assert found.mid == "a\x0bb\x85c\u2028d"


def test_unknown_lines_are_passed_over() -> None:
    found = section("b=AS:5", "y=0100000001", "", "nonsense", "a", "=", "a=", "a=x-new:1")
    assert found == section()


def test_trickled_candidates_are_read() -> None:
    """The example of RFC 8840 §9, in short."""
    text = "\r\n".join(
        [
            "a=ice-ufrag:EsAw",
            "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
            "a=group:BUNDLE foo bar",
            "m=audio 9 RTP/AVP 0",
            "a=mid:foo",
            "a=candidate:1 1 UDP 2130706431 198.51.100.1 49170 typ host",
            "m=video 9 RTP/AVP 96",
            "a=mid:bar",
            "a=candidate:1 1 UDP 1694498815 203.0.113.1 49172 typ srflx raddr 198.51.100.1 "
            "rport 49170",
            "a=end-of-candidates",
            "",
        ]
    )
    found = parse_fragment(text)
    assert (found.ufrag, found.pwd) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [one.address for one in found.candidates] == ["198.51.100.1", "203.0.113.1"]
    assert found.ends_candidates


def test_a_fragment_names_its_session_in_a_section_too() -> None:
    text = f"m=video 9 RTP/AVP 0\na=mid:0\na=ice-ufrag:abcd\na=ice-pwd:{'p' * 22}\n"
    assert parse_fragment(text) == IceFragment(ufrag="abcd", pwd="p" * 22)
    assert parse_fragment("") == IceFragment()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "begins with '', not v=0"),
        ("{}", "begins with '{}'"),
        ("v=1\n", "begins with 'v=1'"),
        ("v=0\nm=video\n", "media line 'video' is too short"),
        ("v=0\nm=\n", "media line '' is too short"),
        ("v=0\nm=video 9 RTP/AVP\n", "is too short"),
        ("v=0\nm=video 65536 RTP/AVP 96\n", "has the port '65536'"),
        ("v=0\nm=video x RTP/AVP 96\n", "has the port 'x'"),
        ("v=0\nm=video 9 RTP/AVP 128\n", "has the payload type '128'"),
        ("v=0\nm=video 9 RTP/AVP x\n", "has the payload type 'x'"),
        ("v=0\nm=video 9 RTP/AVP ²\n", "has the payload type '²'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264\n", "has the clock rate ''"),
        ("v=0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/9e4\n", "has the clock rate '9e4'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=rtpmap:96 L16/8000/999\n", "channels '999'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=rtpmap:999 H264/90000\n", "has the payload type '999'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=fmtp:\n", "has the payload type ''"),
        ("v=0\nm=video 9 RTP/AVP 96\na=ssrc:-5 cname:x\n", "has the SSRC '-5'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=ssrc-group:FID 1 x\n", "has the SSRC 'x'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=extmap:x urn:y\n", "has the extension number 'x'"),
        ("v=0\nm=video 9 RTP/AVP 96\na=setup:maybe\n", "has setup:maybe"),
        ("v=0\na=setup:no\nm=video 9 RTP/AVP 96\n", "has setup:no"),
        ("v=0\nm=video 9 RTP/AVP 96\na=fingerprint:sha-256 XY\n", "has the fingerprint"),
        ("v=0\nm=video 9 RTP/AVP 96\na=fingerprint:sha-256\n", "has the fingerprint"),
        ("v=0\nm=video 9 RTP/AVP 96\na=ice-ufrag:a b c d\n", "an impossible ice-ufrag"),
        ("v=0\nm=video 9 RTP/AVP 96\na=ice-ufrag:abc\n", "an impossible ice-ufrag"),
        ("v=0\nm=video 9 RTP/AVP 96\na=ice-pwd:short\n", "an impossible ice-pwd"),
        ("v=0\nm=video 9 RTP/AVP 96\na=candidate:1\n", "is not an ICE candidate"),
        ("v=0\n" + "a=fingerprint:x AB\n" * 17 + "m=video 9 RTP/AVP 96\n", "has 17 fingerprints"),
        ("v=0\n" + "m=video 9 RTP/AVP 96\n" * 17, "has 17 media"),
        ("v=0\n" + "\n" * 5000, "begins"),
        ("v=0\n" + "a=\n" * 5000, "has 5001 lines"),
        ("v=0\na=" + "x" * 65536, "of 65542 characters is too long"),
    ],
)
def test_damaged_descriptions_are_refused(text: str, sentence: str) -> None:
    if sentence == "begins":  # empty lines at the end are none
        assert parse_description(text) == SessionDescription()
        return
    with pytest.raises(MediaFormatError, match=re.escape(sentence)):
        parse_description(text)


def test_sixteen_media_are_read() -> None:
    assert len(parse_description("v=0\n" + "m=video 9 RTP/AVP 96\n" * 16).media) == 16


@pytest.mark.parametrize("name", ["msid", "mid", "kind", "ufrag"])
def test_no_value_can_smuggle_in_a_line(name: str) -> None:
    values = {"kind": "video", "ufrag": "abcd", "pwd": "p" * 22, name: "x\r\na=evil:1"}
    forged = MediaSection(**values)  # type: ignore[arg-type]  # all of these are texts
    with pytest.raises(MediaFormatError, match="can't be a line"):
        build_description(SessionDescription(media=(forged,)))
    lone = MediaSection(**{**values, name: "x\ra=evil:1"})  # type: ignore[arg-type]  # as above
    with pytest.raises(MediaFormatError, match="can't be a line"):
        build_description(SessionDescription(media=(lone,)))


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_is_read_or_refused(name: str) -> None:
    text = sample(name)
    whole = parse_description(text)
    for length in range(len(text)):
        try:
            found = parse_description(text[:length])
        except MediaFormatError as error:
            assert str(error)  # noqa: PT017 (a cut between lines leaves a description)
        else:
            assert length >= len("v=0")
            assert len(found.media) <= len(whole.media)


tokens = st.text("abcXYZ019-_", min_size=1, max_size=12)
uint32 = st.integers(0, 2**32 - 1)
ice_texts = st.text("abcXYZ019+/", min_size=22, max_size=30)
codecs = st.builds(
    Codec,
    payload_type=st.integers(0, 127),
    name=tokens,
    clock_hz=uint32,
    channels=st.integers(1, 255),
    parameters=st.dictionaries(tokens.map(str.lower), tokens | st.just(""), max_size=3),
    feedback=st.lists(tokens, max_size=3).map(tuple),
)
codec_lists = st.lists(codecs, min_size=1, max_size=5, unique_by=lambda codec: codec.payload_type)
sections = st.builds(
    MediaSection,
    kind=st.sampled_from(["audio", "video"]),
    port=st.integers(0, 65535),
    codecs=codec_lists.map(tuple),
    address=st.ip_addresses().map(str),
    mid=tokens,
    direction=st.sampled_from(Direction),
    is_bundle_only=st.booleans(),
    has_rtcp_mux=st.booleans(),
    has_rtcp_rsize=st.booleans(),
    ufrag=ice_texts,
    pwd=ice_texts,
    ice_options=st.lists(tokens, max_size=2).map(tuple),
    ends_candidates=st.booleans(),
    setup=st.none() | st.sampled_from(Setup),
    msid=st.just("") | tokens,
    cnames=st.dictionaries(uint32, tokens, max_size=3),
    ssrc_groups=st.lists(
        st.builds(SsrcGroup, tokens, st.lists(uint32, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    extensions=st.dictionaries(st.integers(1, 14), tokens, max_size=3),
)
descriptions = st.builds(
    SessionDescription,
    media=st.lists(sections, max_size=3).map(tuple),
    bundle=st.lists(tokens, max_size=3).map(tuple),
    is_ice_lite=st.booleans(),
    session_id=st.integers(0, 2**63),
    version=st.integers(0, 2**63),
)


@given(descriptions)
def test_descriptions_come_back(description: SessionDescription) -> None:
    assert parse_description(build_description(description)) == description


ATTRIBUTES = sorted({line.partition(":")[0] for line in OFFER_TEXT.splitlines()})
random_lines = st.lists(
    st.tuples(st.sampled_from(ATTRIBUTES), st.text(max_size=30)).map(":".join)
    | st.sampled_from(OFFER_TEXT.splitlines())
    | st.text(max_size=60),
    max_size=30,
).map("\n".join)


@given(random_lines)
def test_random_lines_raise_nothing_else(lines: str) -> None:
    for parse, text in (
        (parse_description, lines),
        (parse_description, f"v=0\n{lines}"),
        (parse_description, f"v=0\nm=video 9 RTP/AVP 96\n{lines}"),
        (parse_fragment, lines),
    ):
        try:
            parse(text)
        except MediaFormatError as error:
            assert str(error)  # noqa: PT017 (some of it is a description)


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 a=b;c",
        "a=fmtp:96 " + ";" * 60,
        "a=rtcp-fb:96 nack",
        "a=candidate:1 1 udp 1 192.0.2.1 1 typ host",
        "a=ssrc:1 cname:x",
        "a=extmap:1 urn:x",
        "a=group:BUNDLE",
        "a=mid:0",
        "",
        "c=IN IP4 192.0.2.1",
    ],
)
def test_the_work_grows_with_the_lines_and_no_faster(line: str) -> None:
    few, many = (
        "\n".join(["v=0", "m=video 9 RTP/AVP 96", *[line] * count, "a=x"]) for count in (40, 640)
    )
    work = [count_calls(lambda text=text: parse_description(text)) for text in (few, many)]  # type: ignore[misc]  # binds now
    assert work[1] < 16.5 * work[0]


def test_the_largest_text_is_read() -> None:
    """What takes more than linear time inside of a regular expression would not end here."""
    for sign in ("AB:", "a", ";", " ", "=", "/"):
        for name in ("fingerprint:x ", "fmtp:96 ", "ice-pwd:", "candidate:", "rtpmap:96 "):
            text = f"v=0\nm=video 9 RTP/AVP 96\na={name}".ljust(64000, sign[0])
            with_end = text + sign * 300 + "\x00"
            try:
                parse_description(with_end)
            except MediaFormatError as error:
                assert str(error)  # noqa: PT017 (fmtp takes what comes)
