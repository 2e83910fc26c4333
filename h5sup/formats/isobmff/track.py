"""What an init segment says of one track, as far as h5sup needs to know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["video", "audio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track of an init segment; times are in ticks of `timescale` per second."""

    kind: Kind
    codec: str
    """As RFC 6381 writes it, e.g. `avc1.4D002A`."""
    id: int = 0
    timescale: int = 0
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    audio_config: bytes = b""
    """AudioSpecificConfig of AAC (ISO/IEC 14496-3 §1.6.2.1)."""
    video_config: bytes = b""
    """AVC- or HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1, §8.3.3.1)."""
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0
