"""What a playback announces, and how each file is shown so that this holds to its end.

A source buffer takes other sizes and levels of the codecs it was told, but neither another codec
nor a track more or less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from h5sup.base.errors import UnavailableError
from h5sup.formats.isobmff.compose import with_sound_of
from h5sup.formats.isobmff.init_segment import InitSegment, without_audio
from h5sup.recording.playback.retiming import find_silence
from h5sup.recording.playback.stored import Opened

H264, H265 = "avc1", "hvc1"
FAMILIES = {"avc1": H264, "avc3": H264, "hvc1": H265, "hev1": H265}


def family_of(codecs: str) -> str:
    """Return which kind of video a list of codecs begins with."""
    kind = codecs.partition(".")[0]
    return FAMILIES.get(kind, kind)


def has_sound(codecs: str) -> bool:
    """Return whether a list of codecs has sound."""
    return "mp4a" in codecs


@dataclass(frozen=True, slots=True, kw_only=True)
class Wardrobe:
    """One viewer's: which kind of video it is shown, and the sound of files that have none."""

    family: str
    sound: InitSegment | None
    """A file's whose sound is announced; None: the playback is mute."""

    def dress(self, source: Opened) -> tuple[InitSegment, bool]:
        """Return the init segment that a file is shown with, and whether it has its own sound."""
        init = source.movie.init
        if family_of(init.codecs) != self.family:
            raise UnavailableError(
                "the recording goes on with a codec that this viewer was not told of"
            )
        if self.sound is None:
            return without_audio(init), False
        if find_silence(init) is not None:
            return init, True
        return with_sound_of(without_audio(init), self.sound), False


def choose_family(codecs: Iterable[str], *, takes_h265: bool) -> str:
    """Return which kind of video all files are shown as, given what each has."""
    families = {family_of(one) for one in codecs}
    return H265 if takes_h265 and families == {H265} else H264
