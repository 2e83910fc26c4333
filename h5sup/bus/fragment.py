"""What flows through a channel: one `moof+mdat`, read once for all who take it."""

from __future__ import annotations

from dataclasses import dataclass

from h5sup.formats.isobmff.fragment import TrackRun, parse_fragment
from h5sup.formats.isobmff.init_segment import InitSegment


@dataclass(frozen=True, slots=True)
class Run:
    """A track's share of a fragment, on the channel's timeline in ticks of the track."""

    tfdt_at: int
    """Offset of the 64-bit baseMediaDecodeTime in `Fragment.data`."""
    dts: int
    duration: int
    samples: int

    @property
    def end(self) -> int:
        """Return where the next fragment's run begins."""
        return self.dts + self.duration


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """A `moof+mdat` pair on the channel's timeline. May hold no video."""

    sequence: int
    data: bytes
    is_key: bool
    """The first video sample is a sync sample: a viewer can start here."""
    video: Run | None
    audio: Run | None
    arrived: float
    """Event loop time at which its last byte came."""


def run_of(parsed: TrackRun, dts: int, duration: int) -> Run:
    """Return a parsed run as it stands on the channel's timeline."""
    return Run(parsed.tfdt_at, dts, duration, len(parsed.samples))


def read_fragment(sequence: int, data: bytes, init: InitSegment) -> Fragment:
    """Return a fragment whose times are right already; it has not arrived from anywhere."""
    parsed = parse_fragment(data, init)
    video, audio = (
        None if run is None else run_of(run, run.dts, run.duration)
        for run in (parsed.video, parsed.audio)
    )
    is_key = parsed.video is not None and parsed.video.has_sync_sample
    return Fragment(sequence, data, is_key, video, audio, 0.0)
