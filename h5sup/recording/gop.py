"""What is recorded: whole GOPs, as they lie on a channel and on the wall's clock."""

from __future__ import annotations

from dataclasses import dataclass

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gop:
    """Fragments from a key fragment up to the next. Its bytes are shared by all who write it."""

    init: InitSegment
    """What its fragments need."""
    fragments: tuple[Fragment, ...]
    size_bytes: int
    duration_s: float
    wall_us: int
    """When its first picture was taken."""
    clock_jump_s: float = 0.0
    """How far the machine's clock was set right before it."""

    @property
    def end_us(self) -> int:
        """Return when its last picture ended."""
        return self.wall_us + round(self.duration_s * 1e6)
