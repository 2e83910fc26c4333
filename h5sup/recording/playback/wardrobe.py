"""What a playback announces, and how each file is shown so that this holds to its end.

A source buffer takes other sizes and levels of the codecs it was told of, but neither another
codec nor a track more or less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from h5sup.formats.isobmff.compose import with_sound_of
from h5sup.formats.isobmff.fragment import Sample
from h5sup.formats.isobmff.init_segment import InitSegment, without_audio
from h5sup.recording.playback.delivery import Outfit
from h5sup.recording.playback.retiming import find_silence
from h5sup.recording.playback.supply import Footage, StoredFragment

H264, H265 = "avc1", "hvc1"
FAMILIES = {"avc1": H264, "avc3": H264, "hvc1": H265, "hev1": H265}
CONVERTED = "avc1.42C028"  # what ffmpeg makes is not known before it runs; browsers take others


def family_of(codecs: str) -> str:
    """Return which kind of video a list of codecs begins with."""
    kind = codecs.partition(".")[0]
    return FAMILIES.get(kind, kind)


def has_sound(codecs: str) -> bool:
    """Return whether a list of codecs has sound."""
    return "mp4a" in codecs


def choose_family(codecs: Iterable[str], *, takes_h265: bool) -> str:
    """Return which kind of video all files are shown as, given what each has."""
    families = {family_of(one) for one in codecs}
    return H265 if takes_h265 and families == {H265} else H264


def is_reordered(fragments: Sequence[StoredFragment]) -> bool:
    """Return whether pictures are shown in another order than they come in: B-frames."""
    samples: list[Sample] = []
    for one in fragments:
        if one.parsed.video is not None:
            samples += one.parsed.video.samples
    return len({sample.cts_offset for sample in samples}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wardrobe:
    """One viewer's: which kind of video it is shown, and the sound of files that have none."""

    family: str
    sound: InitSegment | None
    """A file's whose sound is announced; None: the playback is mute."""
    opus: bool = False
    """It is announced as Opus."""
    b_frames: bool = True
    """Pictures may come in another order than they are shown in."""

    def fitted(self, fragments: Sequence[StoredFragment]) -> Wardrobe:
        """Return it as it has to be for a playback that begins so."""
        must_convert = not self.b_frames and is_reordered(fragments)
        return replace(self, family=H264) if must_convert else self

    def dress(self, source: Footage, *, reordered: bool) -> Outfit:
        """Return how a file is shown, whose pictures are `reordered` or not."""
        init = source.init
        converts = family_of(init.codecs) != self.family or (reordered and not self.b_frames)
        if self.sound is None:
            return Outfit(init=without_audio(init), converts=converts)
        keeps_sound = find_silence(init) is not None
        if not keeps_sound:
            init = with_sound_of(without_audio(init), self.sound)
        return Outfit(init=init, keeps_sound=keeps_sound, converts=converts, opus=self.opus)


def mime_of(outfit: Outfit) -> str:
    """Return what a playback is announced as that begins in an outfit."""
    video, audio = outfit.init.video, outfit.init.audio
    assert video is not None
    codecs = [CONVERTED if outfit.converts else video.codec]
    if audio is not None:
        codecs.append("opus" if outfit.opus else audio.codec)
    return f'video/mp4; codecs="{", ".join(codecs)}"'
