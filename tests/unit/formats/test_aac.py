"""AudioSpecificConfigs as encoders write them, and which kinds of AAC have a known silence."""

from __future__ import annotations

import pytest

from h5sup.base.errors import MediaFormatError
from h5sup.formats.aac import SILENT_FRAMES, AacConfig, parse_config

LC_MONO_48K = bytes.fromhex("1188")
LC_STEREO_44K = bytes.fromhex("1210")
LC_MONO_960 = bytes.fromhex("118c")
HE_STEREO_24K = bytes.fromhex("2b11")
LC_EXPLICIT_RATE = (0b00010_1111_000000001011101110000000_0001_000).to_bytes(5, "big")
ESCAPED_TYPE = (0b11111_000010_0011_0001_00000).to_bytes(3, "big")  # 32 + 2


@pytest.mark.parametrize(
    ("data", "config", "silence"),
    [
        (LC_MONO_48K, AacConfig(2, 1, 1024), SILENT_FRAMES[1]),
        (LC_STEREO_44K, AacConfig(2, 2, 1024), SILENT_FRAMES[2]),
        (LC_MONO_960, AacConfig(2, 1, 960), None),
        (HE_STEREO_24K, AacConfig(5, 2, 2048), None),
        (LC_EXPLICIT_RATE, AacConfig(2, 1, 1024), SILENT_FRAMES[1]),
        (ESCAPED_TYPE, AacConfig(34, 1, 1024), None),
    ],
)
def test_configuration_is_read(data: bytes, config: AacConfig, silence: bytes | None) -> None:
    assert parse_config(data) == config
    assert config.silent_frame == silence


def test_more_channels_have_no_known_silence() -> None:
    assert AacConfig(2, 6, 1024).silent_frame is None


@pytest.mark.parametrize("data", [LC_MONO_48K, HE_STEREO_24K, LC_EXPLICIT_RATE, ESCAPED_TYPE])
def test_every_truncation_is_said(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(MediaFormatError, match="the AudioSpecificConfig is cut off"):
            parse_config(data[:length])
