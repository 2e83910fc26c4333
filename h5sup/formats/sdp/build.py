"""Writes offers and answers (RFC 8866)."""

from __future__ import annotations

from collections.abc import Iterator

from h5sup.base.errors import MediaFormatError
from h5sup.formats.sdp.candidate import build_candidate
from h5sup.formats.sdp.model import FIRST_LINE, Codec, MediaSection, SessionDescription


def build_description(description: SessionDescription) -> str:
    """Return the text of an offer or an answer; raises MediaFormatError for a broken line."""
    lines = [
        FIRST_LINE,
        f"o=- {description.session_id} {description.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
    ]
    if description.is_ice_lite:
        lines.append("a=ice-lite")
    if description.bundle:
        lines.append(f"a=group:BUNDLE {' '.join(description.bundle)}")
    if any(section.msid for section in description.media):
        lines.append("a=msid-semantic: WMS *")
    for section in description.media:
        lines += _section_lines(section)
    return "".join(f"{_check_line(line)}\r\n" for line in lines)


def _section_lines(section: MediaSection) -> Iterator[str]:
    types = [str(codec.payload_type) for codec in section.codecs]
    formats = " ".join(types or section.formats)
    version = "IP6" if ":" in section.address else "IP4"
    yield f"m={section.kind} {section.port} {section.protocol} {formats}"
    yield f"c=IN {version} {section.address}"
    yield from _transport_lines(section)
    if section.mid:
        yield f"a=mid:{section.mid}"
    if section.is_bundle_only:
        yield "a=bundle-only"
    for number, uri in section.extensions.items():
        yield f"a=extmap:{number} {uri}"
    yield f"a={section.direction.value}"
    if section.msid:
        yield f"a=msid:{section.msid}"
    if section.has_rtcp_mux:
        yield "a=rtcp-mux"
    if section.has_rtcp_rsize:
        yield "a=rtcp-rsize"
    for codec in section.codecs:
        yield from _codec_lines(codec)
    for group in section.ssrc_groups:
        yield f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}"
    for ssrc, cname in section.cnames.items():
        yield f"a=ssrc:{ssrc} cname:{cname}"


def _transport_lines(section: MediaSection) -> Iterator[str]:
    """Yield what ICE and DTLS need."""
    if section.ufrag:
        yield f"a=ice-ufrag:{section.ufrag}"
        yield f"a=ice-pwd:{section.pwd}"
    if section.ice_options:
        yield f"a=ice-options:{' '.join(section.ice_options)}"
    for fingerprint in section.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    if section.setup:
        yield f"a=setup:{section.setup.value}"
    for candidate in section.candidates:
        yield f"a={build_candidate(candidate)}"
    if section.ends_candidates:
        yield "a=end-of-candidates"


def _codec_lines(codec: Codec) -> Iterator[str]:
    if codec.name:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_hz}{channels}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    if codec.parameters:
        pairs = (f"{name}={value}" if value else name for name, value in codec.parameters.items())
        yield f"a=fmtp:{codec.payload_type} {';'.join(pairs)}"


def _check_line(line: str) -> str:
    if "\r" in line or "\n" in line:
        raise MediaFormatError(f"{line[:80]!r} can't be a line of a session description")
    return line
