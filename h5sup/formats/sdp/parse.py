"""Reads offers, answers (RFC 8866) and trickled candidates (RFC 8840).

What stands in a text of a stranger costs time in proportion to its length, which is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from h5sup.base.errors import MediaFormatError
from h5sup.formats.sdp.candidate import Candidate, parse_candidate
from h5sup.formats.sdp.model import (
    FIRST_LINE,
    UNBOUND_ADDRESS,
    Codec,
    Direction,
    Fingerprint,
    IceFragment,
    MediaSection,
    SessionDescription,
    Setup,
    SsrcGroup,
)

LARGEST_LENGTH = 65536  # browsers write about 10,000 characters
MOST_LINES = 5000
MOST_SECTIONS = 16
MOST_FINGERPRINTS = 16  # aiortc writes three
LARGEST_PAYLOAD_TYPE = 127

NUMBER = re.compile(r"[0-9]{1,20}")
ICE_UFRAG = re.compile(r"[0-9A-Za-z+/=_-]{4,256}")  # RFC 8839 §5.4, and what base64 has besides
ICE_PWD = re.compile(r"[0-9A-Za-z+/=_-]{22,256}")
FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")  # RFC 8122 §5

# RFC 3551 §6: payload types that need no rtpmap, those that live video meets
STATIC_CODECS = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    4: ("G723", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    13: ("CN", 8000),
    14: ("MPA", 90000),
    18: ("G729", 8000),
    26: ("JPEG", 90000),
    32: ("MPV", 90000),
    33: ("MP2T", 90000),
    34: ("H263", 90000),
}


def parse_description(text: str) -> SessionDescription:
    """Read an offer or an answer; raises MediaFormatError.

    Lines end with LF or CRLF. What is unknown is passed over, for everybody adds attributes.
    """
    lines = _split_lines(text)
    if lines[0] != FIRST_LINE:
        raise MediaFormatError(f"a session description begins with {lines[0][:80]!r}, not v=0")
    session, *sections = _group(lines)
    session_id, version = _parse_origin(session.origin)
    return SessionDescription(
        media=tuple(_parse_section(lines, session) for lines in sections),
        bundle=_parse_bundle(session),
        is_ice_lite="ice-lite" in session.attributes,
        session_id=session_id,
        version=version,
    )


def parse_fragment(text: str) -> IceFragment:
    """Read trickled candidates, of all media sections together; raises MediaFormatError."""
    groups = _group(_split_lines(text))
    return IceFragment(
        ufrag=next(filter(None, (_parse_ice(group, "ice-ufrag") for group in groups)), ""),
        pwd=next(filter(None, (_parse_ice(group, "ice-pwd") for group in groups)), ""),
        candidates=tuple(candidate for group in groups for candidate in _candidates(group)),
        ends_candidates=any("end-of-candidates" in group.attributes for group in groups),
    )


@dataclass(slots=True)
class _Group:
    """The lines of the session or of one media section."""

    media: str = ""
    origin: str = ""
    connection: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])

    def first(self, name: str) -> str:
        return self.all(name)[0] if name in self.attributes else ""


def _split_lines(text: str) -> list[str]:
    """Return the lines; Python's own way would also split at signs that SDP allows in a line."""
    if len(text) > LARGEST_LENGTH:
        raise MediaFormatError(f"a session description of {len(text)} characters is too long")
    lines = [line.rstrip("\r") for line in text.strip("\r\n").split("\n")]
    if len(lines) > MOST_LINES:
        raise MediaFormatError(f"a session description has {len(lines)} lines, too many")
    return lines


def _group(lines: list[str]) -> list[_Group]:
    """Return what belongs to the session, then what belongs to each media section."""
    groups = [_Group()]
    for line in lines:
        kind, value = line[:2], line[2:].strip()
        if kind == "m=":
            groups.append(_Group(media=value))
        elif kind == "a=":
            name, _, argument = value.partition(":")
            groups[-1].attributes.setdefault(name, []).append(argument.strip())
        elif kind == "c=":
            groups[-1].connection = value
        elif kind == "o=":
            groups[-1].origin = value
    if len(groups) > MOST_SECTIONS + 1:
        raise MediaFormatError(f"a session description has {len(groups) - 1} media, too many")
    return groups


def _parse_section(lines: _Group, session: _Group) -> MediaSection:
    kind, port, protocol, *formats = [*lines.media.split(), "", "", ""]
    formats = formats[:-3]
    if not formats:
        raise MediaFormatError(f"the media line {lines.media[:80]!r} is too short")
    is_rtp = "RTP/" in protocol.upper()
    return MediaSection(
        kind=kind,
        port=_number(port.partition("/")[0], 0xFFFF, "port"),
        protocol=protocol,
        codecs=_parse_codecs(formats, lines) if is_rtp else (),
        formats=() if is_rtp else tuple(formats),
        address=_parse_connection(lines.connection or session.connection),
        mid=lines.first("mid"),
        direction=_parse_direction(lines) or _parse_direction(session) or Direction.SENDRECV,
        is_bundle_only="bundle-only" in lines.attributes,
        has_rtcp_mux="rtcp-mux" in lines.attributes,
        has_rtcp_rsize="rtcp-rsize" in lines.attributes,
        ufrag=_parse_ice(lines, "ice-ufrag") or _parse_ice(session, "ice-ufrag"),
        pwd=_parse_ice(lines, "ice-pwd") or _parse_ice(session, "ice-pwd"),
        ice_options=tuple((lines.first("ice-options") or session.first("ice-options")).split()),
        candidates=tuple(_candidates(lines)),
        ends_candidates=any("end-of-candidates" in one.attributes for one in (lines, session)),
        fingerprints=_parse_fingerprints(lines) or _parse_fingerprints(session),
        setup=_parse_setup(lines.first("setup") or session.first("setup")),
        msid=lines.first("msid"),
        cnames=_parse_cnames(lines),
        ssrc_groups=tuple(map(_parse_ssrc_group, lines.all("ssrc-group"))),
        extensions=dict(map(_parse_extension, lines.all("extmap"))),
    )


def _parse_origin(text: str) -> tuple[int, int]:
    """Return session id and version; cameras write what they like, which harms nobody."""
    fields = text.split()[1:3]
    if len(fields) < 2 or not all(map(NUMBER.fullmatch, fields)):
        return 0, 0
    return int(fields[0]), int(fields[1])


def _parse_bundle(session: _Group) -> tuple[str, ...]:
    for group in session.all("group"):
        semantics, *mids = group.split() or [""]
        if semantics == "BUNDLE":
            return tuple(mids)
    return ()


def _parse_connection(text: str) -> str:
    """Return the address of `IN IP4 224.2.1.1/127` (RFC 8866 §5.7)."""
    fields = text.split()
    return fields[2].partition("/")[0] if len(fields) > 2 else UNBOUND_ADDRESS


def _parse_direction(lines: _Group) -> Direction | None:
    return next((one for one in Direction if one.value in lines.attributes), None)


def _parse_ice(lines: _Group, name: str) -> str:
    value = lines.first(name)
    form = ICE_UFRAG if name == "ice-ufrag" else ICE_PWD
    if value and not form.fullmatch(value):
        raise MediaFormatError(f"a session description has an impossible {name}")
    return value


def _candidates(lines: _Group) -> Iterator[Candidate]:
    return map(parse_candidate, lines.all("candidate"))


def _parse_setup(text: str) -> Setup | None:
    if not text:
        return None
    try:
        return Setup(text)
    except ValueError as error:
        raise MediaFormatError(f"a session description has setup:{text[:80]}") from error


def _parse_fingerprints(lines: _Group) -> tuple[Fingerprint, ...]:
    texts = lines.all("fingerprint")
    if len(texts) > MOST_FINGERPRINTS:
        raise MediaFormatError(f"a session description has {len(texts)} fingerprints, too many")
    found = []
    for text in texts:
        algorithm, _, value = text.partition(" ")
        if not FINGERPRINT.fullmatch(value.strip()):
            raise MediaFormatError(f"a session description has the fingerprint {text[:80]!r}")
        found.append(Fingerprint(algorithm.lower(), value.strip().upper()))
    return tuple(found)


def _parse_codecs(formats: list[str], lines: _Group) -> tuple[Codec, ...]:
    """Return one codec for each payload type of the m= line, in its order."""
    types = dict.fromkeys(_number(one, LARGEST_PAYLOAD_TYPE, "payload type") for one in formats)
    maps = dict(map(_parse_rtpmap, lines.all("rtpmap")))
    parameters = dict(map(_parse_fmtp, lines.all("fmtp")))
    feedback = _parse_feedback(lines)
    codecs = []
    for payload_type in types:
        name, clock_hz, channels = maps.get(payload_type, _static_codec(payload_type))
        codec = Codec(
            payload_type=payload_type,
            name=name,
            clock_hz=clock_hz,
            channels=channels,
            parameters=parameters.get(payload_type, {}),
            feedback=(*feedback.get("*", ()), *feedback.get(str(payload_type), ())),
        )
        codecs.append(codec)
    return tuple(codecs)


def _static_codec(payload_type: int) -> tuple[str, int, int]:
    name, clock_hz = STATIC_CODECS.get(payload_type, ("", 0))
    return name, clock_hz, 1


def _parse_rtpmap(text: str) -> tuple[int, tuple[str, int, int]]:
    """Read `111 opus/48000/2` (RFC 8866 §6.6)."""
    payload_type, codec = _parse_numbered(text)
    name, clock_hz, channels = (*codec.split("/"), "", "1")[:3]
    clock = _number(clock_hz, 0xFFFFFFFF, "clock rate")
    return payload_type, (name, clock, _number(channels or "1", 255, "number of channels"))


def _parse_fmtp(text: str) -> tuple[int, dict[str, str]]:
    """Read `96 packetization-mode=1; profile-level-id=42e01f` (RFC 8866 §6.15)."""
    payload_type, rest = _parse_numbered(text)
    pairs = (part.strip().partition("=") for part in rest.split(";"))
    return payload_type, {name.strip().lower(): value.strip() for name, _, value in pairs if name}


def _parse_feedback(lines: _Group) -> dict[str, list[str]]:
    """Return the values of rtcp-fb lines by payload type; `*` stands for all."""
    found: dict[str, list[str]] = {}
    for text in lines.all("rtcp-fb"):
        payload_type, _, kind = text.partition(" ")
        found.setdefault(payload_type, []).append(kind.strip())
    return found


def _parse_numbered(text: str) -> tuple[int, str]:
    """Read a payload type and what is said of it."""
    payload_type, _, rest = text.partition(" ")
    return _number(payload_type, LARGEST_PAYLOAD_TYPE, "payload type"), rest.strip()


def _parse_cnames(lines: _Group) -> dict[int, str]:
    """Read `ssrc:<number> cname:<name>`; some say more of an SSRC, and some no name (RFC 5576)."""
    cnames: dict[int, str] = {}
    for text in lines.all("ssrc"):
        number, _, attribute = text.partition(" ")
        ssrc = _number(number, 0xFFFFFFFF, "SSRC")
        name, _, value = attribute.strip().partition(":")
        if name == "cname":
            cnames[ssrc] = value
        cnames.setdefault(ssrc, "")
    return cnames


def _parse_ssrc_group(text: str) -> SsrcGroup:
    semantics, *ssrcs = text.split() or [""]
    return SsrcGroup(semantics, tuple(_number(one, 0xFFFFFFFF, "SSRC") for one in ssrcs))


def _parse_extension(text: str) -> tuple[int, str]:
    """Read `3 urn:...` or `3/recvonly urn:...` (RFC 8285 §5)."""
    number, uri, *_ = [*text.split(), "", ""]
    return _number(number.partition("/")[0], 0xFFFF, "extension number"), uri


def _number(text: str, largest: int, what: str) -> int:
    if not NUMBER.fullmatch(text) or int(text) > largest:
        raise MediaFormatError(f"a session description has the {what} {text[:80]!r}")
    return int(text)
