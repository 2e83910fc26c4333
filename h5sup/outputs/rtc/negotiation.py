"""Offers and answers: what a source sends meets what a browser takes (RFC 8829, RFC 3264)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from h5sup.base.errors import H5supError, InvalidError, MediaFormatError
from h5sup.bus.packet_ring import CLOCKS_HZ, Codec
from h5sup.formats import h264
from h5sup.formats.sdp import model
from h5sup.formats.sdp.build import build_description
from h5sup.formats.sdp.candidate import Candidate
from h5sup.formats.sdp.model import (
    Direction,
    Fingerprint,
    MediaSection,
    SessionDescription,
    Setup,
    SsrcGroup,
)
from h5sup.formats.sdp.parse import parse_description

CNAME = "h5sup"
VIDEO_FEEDBACK = ("nack", "nack pli", "ccm fir")
# Every browser takes Constrained Baseline; streams of Main and High play under that name as well.
H264_PARAMETERS = {
    "level-asymmetry-allowed": "1",
    "packetization-mode": "1",
    "profile-level-id": "42e01f",
}
H265_PARAMETERS = {"level-id": "180", "profile-id": "1", "tier-flag": "0", "tx-mode": "SRST"}
OPUS_PARAMETERS = {"minptime": "10", "useinbandfec": "1"}
NAMES: dict[Codec, str] = {
    "h264": "H264",
    "hevc": "H265",
    "opus": "opus",
    "pcma": "PCMA",
    "pcmu": "PCMU",
}
# In our offers; 0 and 8 are static (RFC 3551 §6).
PAYLOAD_TYPES: dict[Codec, int] = {"h264": 102, "hevc": 104, "opus": 111, "pcma": 8, "pcmu": 0}
RTX_PAYLOAD_TYPES: dict[Codec, int] = {"h264": 103, "hevc": 105}

Role = Literal["server", "client"]


class CodecError(H5supError):
    """The browser takes nothing that this source can send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a source can send, the preferred first, and under which SSRCs."""

    video: tuple[Codec, ...]
    sound: tuple[Codec, ...]
    profile: h264.Profile | None = None
    """Of H.264 as it comes, to find the payload type that suits it."""
    video_ssrc: int
    rtx_ssrc: int
    sound_ssrc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Our end of the connection, as a description tells it."""

    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class AgreedTrack:
    """How one track is sent."""

    codec: Codec
    payload_type: int
    rtx_payload_type: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What both sides have settled on."""

    video: AgreedTrack
    sound: AgreedTrack | None
    role: Role
    """Ours in DTLS."""
    fingerprints: tuple[Fingerprint, ...]


def build_offer(choices: Choices, transport: Transport) -> str:
    """Return an offer of all that the source can send."""
    video = _section("video", "0", transport, Setup.ACTPASS, port=9)
    codecs: list[model.Codec] = []
    for codec in choices.video:
        codecs += _video_codecs(codec, PAYLOAD_TYPES[codec], RTX_PAYLOAD_TYPES[codec])
    sections = [_with_video(video, codecs, choices, has_rtx=True)]
    if choices.sound:
        sound = _section("audio", "1", transport, Setup.ACTPASS, port=9)
        heard = [_sound_codec(codec, PAYLOAD_TYPES[codec]) for codec in choices.sound]
        sections.append(_with_sound(sound, heard, choices))
    return _describe(sections)


def read_answer(text: str, choices: Choices) -> Agreement:
    """Return what a browser has taken of our offer; raises InvalidError, CodecError."""
    answer = _parse(text, "answer")
    video = _find(answer, "video")
    chosen = _pick_video(video, choices) if video is not None else None
    if video is None or chosen is None:
        raise CodecError(f"the browser takes no {_list(choices.video)}")
    return Agreement(
        video=chosen,
        sound=_pick_sound(_find(answer, "audio"), choices),
        role=_our_role(answer, "answer"),
        fingerprints=_fingerprints(answer, "answer"),
    )


def answer_offer(text: str, choices: Choices, transport: Transport) -> tuple[str, Agreement]:
    """Return our answer to a browser's offer; raises InvalidError, CodecError."""
    offer = _parse(text, "offer")
    video = _find(offer, "video")
    chosen = _pick_video(video, choices) if video is not None else None
    if video is None or chosen is None:
        raise CodecError(f"the offer takes no {_list(choices.video)}")
    sound_section = _find(offer, "audio")
    sound = _pick_sound(sound_section, choices)
    role = _our_role(offer, "offer")
    setup = Setup.PASSIVE if role == "server" else Setup.ACTIVE
    sections = []
    for section in offer.media:
        if section is video:
            ours = _section("video", section.mid, transport, setup, port=9)
            codecs = _video_codecs(chosen.codec, chosen.payload_type, chosen.rtx_payload_type)
            parameters = _offered_parameters(section, chosen.payload_type)
            codecs[0] = _with_parameters(codecs[0], parameters)
            has_rtx = chosen.rtx_payload_type is not None
            sections.append(_with_video(ours, codecs, choices, has_rtx=has_rtx))
        elif section is sound_section and sound is not None:
            ours = _section("audio", section.mid, transport, setup, port=9)
            codec = _sound_codec(sound.codec, sound.payload_type)
            sections.append(_with_sound(ours, [codec], choices))
        else:
            sections.append(_reject(section))
    agreement = Agreement(
        video=chosen, sound=sound, role=role, fingerprints=_fingerprints(offer, "offer")
    )
    try:
        return _describe(sections), agreement
    except MediaFormatError as error:  # a name of the offer, which an answer has to repeat
        raise InvalidError("offer", str(error)) from error


def _parse(text: str, what: str) -> SessionDescription:
    try:
        description = parse_description(text)
    except MediaFormatError as error:
        raise InvalidError(what, str(error)) from error
    transport = description.find_transport()
    if transport is None:
        raise InvalidError(what, "has no media section")
    if not transport.ufrag or not transport.pwd:
        raise InvalidError(what, "has no ICE user name and password (a=ice-ufrag, a=ice-pwd)")
    if not transport.fingerprints:
        raise InvalidError(what, "has no certificate fingerprint (a=fingerprint)")
    return description


def _find(description: SessionDescription, kind: str) -> MediaSection | None:
    """Return the first section of a kind that its writer wants to receive."""
    for section in description.media:
        receives = section.direction in (Direction.RECVONLY, Direction.SENDRECV)
        if section.kind == kind and receives and not section.is_rejected:
            return section
    return None


def _pick_video(section: MediaSection, choices: Choices) -> AgreedTrack | None:
    for codec in choices.video:
        offered = section.find_codecs(NAMES[codec])
        if not offered:
            continue
        found: int | None = offered[0].payload_type
        if codec == "h264":
            by_type = {one.payload_type: one.parameters for one in offered}
            found = h264.choose_payload_type(by_type, choices.profile)
        if found is not None:
            return AgreedTrack(codec, found, section.find_rtx(found))
    return None


def _pick_sound(section: MediaSection | None, choices: Choices) -> AgreedTrack | None:
    if section is None:
        return None
    for codec in choices.sound:
        for offered in section.find_codecs(NAMES[codec]):
            if offered.clock_hz == CLOCKS_HZ[codec]:
                return AgreedTrack(codec, offered.payload_type)
    return None


def _our_role(description: SessionDescription, what: str) -> Role:
    """Return our part in DTLS: the server's where we may choose, for Chromium then takes GCM."""
    transport = description.find_transport()
    setup = transport.setup if transport is not None else None
    if setup in (Setup.ACTIVE, Setup.ACTPASS):
        return "server"
    if setup is Setup.PASSIVE:
        return "client"
    raise InvalidError(what, "does not say who begins with DTLS (a=setup)")


def _fingerprints(description: SessionDescription, what: str) -> tuple[Fingerprint, ...]:
    transport = description.find_transport()
    found = transport.fingerprints if transport is not None else ()
    if not any(one.algorithm in ("sha-256", "sha-384", "sha-512") for one in found):
        raise InvalidError(what, "has no SHA-256 fingerprint of a certificate")
    return found


def _describe(sections: Sequence[MediaSection]) -> str:
    bundle = tuple(section.mid for section in sections if not section.is_rejected)
    return build_description(
        SessionDescription(
            media=tuple(sections),
            bundle=bundle,
            is_ice_lite=True,
            session_id=secrets.randbits(62),
            version=2,
        )
    )


def _section(
    kind: str, mid: str, transport: Transport, setup: Setup, *, port: int
) -> MediaSection:
    return MediaSection(
        kind=kind,
        port=port,
        mid=mid,
        direction=Direction.SENDONLY,
        has_rtcp_mux=True,
        has_rtcp_rsize=True,
        ufrag=transport.ufrag,
        pwd=transport.pwd,
        candidates=tuple(transport.candidates),
        ends_candidates=True,
        fingerprints=(transport.fingerprint,),
        setup=setup,
    )


def _with_video(
    section: MediaSection, codecs: Sequence[model.Codec], choices: Choices, *, has_rtx: bool
) -> MediaSection:
    ssrcs = (choices.video_ssrc, choices.rtx_ssrc) if has_rtx else (choices.video_ssrc,)
    return replace(
        section,
        codecs=tuple(codecs),
        msid=f"{CNAME} video",
        cnames=dict.fromkeys(ssrcs, CNAME),
        ssrc_groups=(SsrcGroup("FID", ssrcs),) if has_rtx else (),
    )


def _with_sound(
    section: MediaSection, codecs: Sequence[model.Codec], choices: Choices
) -> MediaSection:
    return replace(
        section,
        codecs=tuple(codecs),
        msid=f"{CNAME} audio",
        cnames={choices.sound_ssrc: CNAME},
    )


def _reject(section: MediaSection) -> MediaSection:
    """Return the answer to a section that nothing is sent in (RFC 3264 §6)."""
    return MediaSection(
        kind=section.kind,
        port=0,
        protocol=section.protocol,
        codecs=section.codecs[:1],
        formats=section.formats[:1],
        mid=section.mid,
        direction=Direction.INACTIVE,
    )


def _video_codecs(codec: Codec, payload_type: int, rtx: int | None) -> list[model.Codec]:
    clock_hz = CLOCKS_HZ[codec]
    found = [
        model.Codec(
            payload_type=payload_type,
            name=NAMES[codec],
            clock_hz=clock_hz,
            parameters=H264_PARAMETERS if codec == "h264" else H265_PARAMETERS,
            feedback=VIDEO_FEEDBACK,
        )
    ]
    if rtx is not None:
        again = {"apt": str(payload_type)}
        found.append(
            model.Codec(payload_type=rtx, name="rtx", clock_hz=clock_hz, parameters=again)
        )
    return found


def _sound_codec(codec: Codec, payload_type: int) -> model.Codec:
    is_opus = codec == "opus"
    return model.Codec(
        payload_type=payload_type,
        name=NAMES[codec],
        clock_hz=CLOCKS_HZ[codec],
        channels=2 if is_opus else 1,  # RFC 7587 §7: always 2 here, whatever is sent
        parameters=OPUS_PARAMETERS if is_opus else {},
    )


def _offered_parameters(section: MediaSection, payload_type: int) -> Mapping[str, str]:
    """Return what the offer says of a payload type: an answer repeats it (RFC 6184 §8.2.2)."""
    return next(one.parameters for one in section.codecs if one.payload_type == payload_type)


def _with_parameters(codec: model.Codec, parameters: Mapping[str, str]) -> model.Codec:
    return replace(codec, parameters=parameters) if parameters else codec


def _list(codecs: Sequence[Codec]) -> str:
    return " or ".join(NAMES[codec] for codec in codecs)
