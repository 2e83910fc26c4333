"""AAC: what its AudioSpecificConfig says, and silence (ISO/IEC 14496-3)."""

from __future__ import annotations

from dataclasses import dataclass

from h5sup.base.errors import MediaFormatError

OBJECT_TYPE_LC = 2
OBJECT_TYPE_SBR = 5
OBJECT_TYPE_PS = 29

# One frame of AAC-LC silence: a raw_data_block with all spectra zero, §4.4.2.1
SILENT_FRAMES = {
    1: bytes.fromhex("00c800802380"),
    2: bytes.fromhex("210049900219002380"),
}


@dataclass(frozen=True, slots=True)
class AacConfig:
    """What h5sup needs of an AudioSpecificConfig, §1.6.2.1."""

    object_type: int
    channels: int
    frame_samples: int
    """Samples per frame at the track's timescale."""

    @property
    def silent_frame(self) -> bytes | None:
        """Return one frame of silence, or None where none is known for this kind of AAC."""
        if self.object_type != OBJECT_TYPE_LC or self.frame_samples != 1024:
            return None
        return SILENT_FRAMES.get(self.channels)


def parse_config(config: bytes) -> AacConfig:
    """Read an AudioSpecificConfig; raises MediaFormatError."""
    bits = _Bits(config)
    object_type = bits.object_type()
    bits.frequency()
    channels = bits.take(4)
    frame_samples = 1024
    if object_type in (OBJECT_TYPE_SBR, OBJECT_TYPE_PS):
        # explicit signalling: the container counts time at the doubled rate
        return AacConfig(object_type, channels, 2048)
    if bits.take(1):  # frameLengthFlag, §4.4.1
        frame_samples = 960
    return AacConfig(object_type, channels, frame_samples)


class _Bits:
    """Reads a bit string from the left."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise MediaFormatError("the AudioSpecificConfig is cut off")
        return self._value >> self._left & (1 << count) - 1

    def object_type(self) -> int:
        kind = self.take(5)
        return 32 + self.take(6) if kind == 31 else kind

    def frequency(self) -> None:
        if self.take(4) == 15:  # an explicit rate follows
            self.take(24)
