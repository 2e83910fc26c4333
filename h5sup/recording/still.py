"""The one picture of a recording that a viewer sees, and what a decoder needs to show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.formats.isobmff.fragment import parse_fragment
from h5sup.formats.isobmff.gop_table import SECOND_US, StoredGop
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.recording.playback.supply import Footage


class Spot(Protocol):
    """Where a playback stands."""

    @property
    def at_us(self) -> int:
        """When what is decoded there was taken."""

    @property
    def source(self) -> Footage:
        """In which file, or what was read from a device."""

    @property
    def gop(self) -> StoredGop:
        """In which of its GOPs."""


class Still(NamedTuple):
    """What a decoder needs for one picture."""

    media: bytes
    """The init segment and the GOP up to the picture."""
    number: int
    """Which of the pictures in it, as they are shown."""


class _Shown(NamedTuple):
    """A picture of a GOP."""

    pts: int
    fragment: int
    """Which fragment holds it."""


def read_still(root: Path, spot: Spot) -> Still:
    """Return the picture that is seen at a spot; raises UnavailableError. Blocks."""
    init, gop = spot.source.init, spot.gop
    try:
        fragments = spot.source.read_gop(root, gop)
        pictures = list(_pictures(fragments, init))
    except (OSError, MediaFormatError) as error:
        raise UnavailableError(f"the recording can't be read any more: {error}") from error
    if not pictures or init.video is None:
        raise UnavailableError("the recording has no picture here")
    scale = init.video.timescale
    chosen = find_shown(pictures, gop.dts + round((spot.at_us - gop.wall_us) * scale / SECOND_US))
    needed = [one for one in pictures if one.fragment <= chosen.fragment]
    number = sum(pictures[0].pts <= one.pts < chosen.pts for one in needed)
    return Still(init.data + b"".join(fragments[: chosen.fragment + 1]), number)


def find_shown(pictures: Sequence[_Shown], at: int) -> _Shown:
    """Return the picture that is on the screen at a time; before the first, the first."""
    seen = [one for one in pictures if pictures[0].pts <= one.pts <= at]
    return max(seen, default=pictures[0])


def _pictures(fragments: Sequence[bytes], init: InitSegment) -> Iterator[_Shown]:
    """Yield the pictures of a GOP in the order they are decoded."""
    for number, data in enumerate(fragments):
        run = parse_fragment(data, init).video
        if run is None:
            continue
        dts = run.dts
        for sample in run.samples:
            yield _Shown(dts + sample.cts_offset, number)
            dts += sample.duration
