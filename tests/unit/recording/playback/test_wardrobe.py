"""How files are shown so that what was announced holds."""

from __future__ import annotations

import pytest

from h5sup.recording.playback.wardrobe import choose_family, family_of, has_sound


@pytest.mark.parametrize(
    ("codecs", "takes_h265", "family"),
    [
        (["avc1.4D002A, mp4a.40.2", "avc1.640028"], True, "avc1"),
        (["hvc1.1.6.L93.B0", "hev1.1.6.L93.B0, mp4a.40.2"], True, "hvc1"),
        (["hvc1.1.6.L93.B0"], False, "avc1"),
        (["hvc1.1.6.L93.B0", "avc1.4D002A"], True, "avc1"),
        (["avc3.4D002A", "mp4v.6C"], True, "avc1"),
    ],
)
def test_all_files_are_shown_as_one_kind(codecs: list[str], takes_h265: bool, family: str) -> None:
    assert choose_family(codecs, takes_h265=takes_h265) == family


def test_codecs_are_told_apart() -> None:
    assert family_of("avc3.64001F") == "avc1"
    assert family_of("mp4v.6C, mp4a.40.2") == "mp4v"
    assert has_sound("avc1.4D002A, mp4a.40.2")
    assert not has_sound("avc1.4D002A")
