"""AAC's configuration, and which kinds of it silence is known for."""

from __future__ import annotations

import pytest

from h5sup.base.errors import MediaFormatError
from h5sup.formats.aac import AacConfig, parse_config


@pytest.mark.parametrize(
    ("config", "object_type", "channels", "frame_samples", "can_be_silent"),
    [
        ("1190", 2, 2, 1024, True),  # LC, 48 kHz, stereo
        ("1188", 2, 1, 1024, True),
        ("1194", 2, 2, 960, False),  # short frames
        ("1198", 2, 3, 1024, False),
        ("2b118800", 5, 2, 2048, False),  # HE-AAC, signalled: twice the time a frame
        ("17805dc008", 2, 1, 1024, True),  # a rate that has no index
    ],
)
def test_a_configuration_tells_the_length_of_a_frame(
    config: str, object_type: int, channels: int, frame_samples: int, can_be_silent: bool
) -> None:
    found = parse_config(bytes.fromhex(config))
    assert found == AacConfig(object_type, channels, frame_samples)
    assert (found.silent_frame is not None) is can_be_silent


def test_every_shortened_configuration_is_refused() -> None:
    whole = bytes.fromhex("2b118800")
    for length in range(2):
        with pytest.raises(MediaFormatError):
            parse_config(whole[:length])
