"""Pictures of MP4 as RTP payloads: H.264 (RFC 6184 §5.6, §5.8), H.265 (RFC 7798 §4.4.1, §4.4.3).

In MP4 a length stands before each NAL unit and parameter sets stand in the init segment; over RTP
each unit goes in a packet of its own or, when it is too large, in fragments, and parameter sets
go before each key frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from h5sup.base.errors import MediaFormatError
from h5sup.formats import h264, h265
from h5sup.formats.decoder_config import DecoderConfig, parse_avcc, parse_hvcc
from h5sup.formats.isobmff.track import Track
from h5sup.formats.rtp import HEADER, MARKER_BIT, RTP_HEADER_LENGTH, RTP_VERSION, SEQUENCE_MASK

PACKET_BYTES = 1200  # as ffmpeg is told: with SRTP, UDP and IP it stays below any usual MTU
PAYLOAD_BYTES = PACKET_BYTES - RTP_HEADER_LENGTH
H264_ENTRIES = ("avc1.", "avc3.")
H265_ENTRIES = ("hvc1.", "hev1.")
FU_END_BIT = 0x40  # RFC 6184 §5.8, RFC 7798 §4.4.3
H264_REFERENCE_MASK = 0xE0  # of the first byte: F and NRI
H265_KEPT_MASK = 0x81  # of the first byte: F and the layer's highest bit


class Payloader(ABC):
    """Cuts the access units of one track. Owned by who sends them."""

    def __init__(self, config: DecoderConfig, most_bytes: int = PAYLOAD_BYTES) -> None:
        self._length_size = config.length_size
        self._sets = [(self._type(nal), nal) for nal in config.parameter_sets]
        self._most_bytes = most_bytes

    def split(self, unit: bytes, *, is_key: bool) -> list[bytes]:
        """Return the payloads of one access unit; raises MediaFormatError for a damaged one."""
        nals = [(self._type(nal), nal) for nal in _split_nals(unit, self._length_size)]
        nals = [(kind, nal) for kind, nal in nals if self._is_plain(kind)]
        if is_key:
            nals = self._with_sets(nals)
        payloads: list[bytes] = []
        for kind, nal in nals:
            if len(nal) <= self._most_bytes:
                payloads.append(nal)
            else:
                payloads.extend(self._fragments(kind, nal))
        return payloads

    def _with_sets(self, nals: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Put in front what the unit does not bring itself; a delimiter stays first."""
        present = {kind for kind, _ in nals}
        missing = [(kind, nal) for kind, nal in self._sets if kind not in present]
        at = 1 if nals and nals[0][0] == self._delimiter else 0
        return nals[:at] + missing + nals[at:]

    def _cut(self, head: bytes, fu_type: int, body: bytes) -> Iterator[bytes]:
        """Yield fragments of a NAL unit: each as large as can be, so that most are of one size."""
        room = self._most_bytes - len(head) - 1
        for at in range(0, len(body), room):
            fu_header = fu_type
            if not at:
                fu_header |= h264.FU_START_BIT
            if at + room >= len(body):
                fu_header |= FU_END_BIT
            yield b"".join((head, fu_header.to_bytes(), body[at : at + room]))

    @property
    @abstractmethod
    def _delimiter(self) -> int:
        """Return the type of an access unit delimiter."""

    @abstractmethod
    def _type(self, nal: bytes) -> int:
        """Return a NAL unit's type; raises MediaFormatError."""

    @abstractmethod
    def _is_plain(self, kind: int) -> bool:
        """Return whether a receiver would not take this type for a structure of RTP."""

    @abstractmethod
    def _fragments(self, kind: int, nal: bytes) -> Iterator[bytes]:
        """Yield a large NAL unit in pieces."""


class H264Payloader(Payloader):
    """RFC 6184, packetization mode 1."""

    @property
    def _delimiter(self) -> int:
        return h264.NAL_TYPE_AUD

    def _type(self, nal: bytes) -> int:
        return h264.nal_type(nal)

    def _is_plain(self, kind: int) -> bool:
        return 0 < kind < h264.NAL_TYPE_STAP_A

    def _fragments(self, kind: int, nal: bytes) -> Iterator[bytes]:
        indicator = nal[0] & H264_REFERENCE_MASK | h264.NAL_TYPE_FU_A
        return self._cut(indicator.to_bytes(), kind, nal[1:])


class H265Payloader(Payloader):
    """RFC 7798, without decoding order numbers."""

    @property
    def _delimiter(self) -> int:
        return h265.NAL_TYPE_AUD

    def _type(self, nal: bytes) -> int:
        return h265.nal_type(nal)

    def _is_plain(self, kind: int) -> bool:
        return kind < h265.NAL_TYPE_AP

    def _fragments(self, kind: int, nal: bytes) -> Iterator[bytes]:
        first = nal[0] & H265_KEPT_MASK | h265.NAL_TYPE_FU << 1
        return self._cut(bytes((first, nal[1])), kind, nal[h265.NAL_HEADER_LENGTH :])


def open_payloader(track: Track) -> Payloader:
    """Return what suits a video track; raises MediaFormatError."""
    if track.codec.startswith(H264_ENTRIES):
        return H264Payloader(parse_avcc(track.video_config))
    if track.codec.startswith(H265_ENTRIES):
        return H265Payloader(parse_hvcc(track.video_config))
    raise MediaFormatError(f"video of the kind {track.codec!r} has no form over RTP here")


def build_packets(
    payloads: Sequence[bytes], *, payload_type: int, sequence: int, timestamp: int, ssrc: int
) -> list[bytes]:
    """Return the packets of one access unit, numbered from `sequence`; the last is marked."""
    last = len(payloads) - 1
    return [
        HEADER.pack(
            RTP_VERSION << 6,
            payload_type | (MARKER_BIT if index == last else 0),
            sequence + index & SEQUENCE_MASK,
            timestamp,
            ssrc,
        )
        + payload
        for index, payload in enumerate(payloads)
    ]


def _split_nals(unit: bytes, length_size: int) -> Iterator[bytes]:
    """Yield the NAL units of a sample (ISO/IEC 14496-15 §5.3.4.2.1); empty ones are left out."""
    at, end = 0, len(unit)
    while at < end:
        start = at + length_size
        at = start + int.from_bytes(unit[at:start])
        if at > end:
            raise MediaFormatError("a NAL unit is longer than its access unit")
        if at > start:
            yield unit[start:at]
