"""An offer or an answer as objects.

Of what WebRTC adds to RFC 8866 it has what h5sup needs: the subset of RFC 8829 with BUNDLE
(RFC 9143), ICE (RFC 8839), DTLS (RFC 8842) and trickled fragments (RFC 8840).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from h5sup.formats.sdp.candidate import Candidate

MIME = "application/sdp"  # RFC 8866 §8.1
FRAGMENT_MIME = "application/trickle-ice-sdpfrag"  # RFC 8840 §9
FIRST_LINE = "v=0"
UNBOUND_ADDRESS = "0.0.0.0"  # noqa: S104 (RFC 8829 §5.2.1: ICE knows the address, c= doesn't)


class Direction(Enum):
    """Who sends media, seen from who wrote the description (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class Setup(Enum):
    """Who begins with DTLS (RFC 4145 §4, RFC 5763 §5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """What one RTP payload type holds."""

    payload_type: int
    name: str = ""
    """As written, e.g. `H264`; empty for a type that nothing explains."""
    clock_hz: int = 0
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the fmtp line, names in small letters; what has no `=` is a name without a value."""
    feedback: tuple[str, ...] = ()
    """RTCP that may come back, e.g. `nack`, `nack pli` (RFC 4585 §4.2)."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hash of the certificate that DTLS will show (RFC 8122 §5)."""

    algorithm: str
    """In small letters, e.g. `sha-256`."""
    value: str
    """Pairs of capital hexadecimal digits with colons between."""


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """SSRCs that belong together, e.g. a track and its retransmissions: FID (RFC 5576 §4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """An m= line and what belongs to it; what the session says for all is in each."""

    kind: str
    """video, audio, application ..."""
    port: int = 9  # RFC 8829 §5.2.1: discard, for ICE knows the port
    protocol: str = "UDP/TLS/RTP/SAVPF"
    codecs: tuple[Codec, ...] = ()
    """Of RTP, the preferred first."""
    formats: tuple[str, ...] = ()
    """What stands in their place when the protocol is not RTP, e.g. `webrtc-datachannel`."""
    address: str = UNBOUND_ADDRESS
    mid: str = ""
    direction: Direction = Direction.SENDRECV
    is_bundle_only: bool = False
    has_rtcp_mux: bool = False
    has_rtcp_rsize: bool = False
    ufrag: str = ""
    pwd: str = ""
    ice_options: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    ends_candidates: bool = False
    """Whether no more candidates will follow."""
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    msid: str = ""
    """Names of MediaStream and track in the browser (RFC 8830)."""
    cnames: Mapping[int, str] = field(default_factory=dict)
    """By SSRC (RFC 5576 §6.1)."""
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    extensions: Mapping[int, str] = field(default_factory=dict)
    """URIs of RTP header extensions by number (RFC 8285 §5)."""

    @property
    def is_rejected(self) -> bool:
        """Return whether its writer doesn't want it (RFC 3264 §6, RFC 9143 §6)."""
        return not self.port and not self.is_bundle_only

    def find_codecs(self, name: str) -> list[Codec]:
        """Return the codecs of a name, small or capital letters alike, the preferred first."""
        return [codec for codec in self.codecs if codec.name.lower() == name.lower()]

    def find_rtx(self, payload_type: int) -> int | None:
        """Return the payload type for sending packets of `payload_type` again (RFC 4588 §8.1)."""
        for codec in self.find_codecs("rtx"):
            if codec.parameters.get("apt") == str(payload_type):
                return codec.payload_type
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """An offer or an answer."""

    media: tuple[MediaSection, ...] = ()
    bundle: tuple[str, ...] = ()
    """The mids that share one transport; the first one's section describes it."""
    is_ice_lite: bool = False
    session_id: int = 0
    version: int = 0

    def find_transport(self) -> MediaSection | None:
        """Return the section whose ICE and DTLS count for all that are bundled (RFC 9143 §7)."""
        wanted = [section for section in self.media if not section.is_rejected]
        for mid in self.bundle[:1]:
            wanted.sort(key=lambda section: section.mid != mid)
        return wanted[0] if wanted else None


@dataclass(frozen=True, slots=True, kw_only=True)
class IceFragment:
    """Candidates that follow a description (RFC 8840 §9)."""

    ufrag: str = ""
    pwd: str = ""
    candidates: tuple[Candidate, ...] = ()
    ends_candidates: bool = False
