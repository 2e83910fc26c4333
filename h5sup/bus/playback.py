"""Media of the past: what a playback is to the outputs, whoever has recorded it.

recording plays this server's own files and what recorders have recorded; outputs/ws and
outputs/rtc are given one opener and don't know which it is. A playback paces itself: it hands over
each fragment when it is due, at most LEAD_S before, and waits while its output does not take one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from h5sup.bus.fragment import Fragment
from h5sup.formats.isobmff.init_segment import InitSegment

LEAD_S = 0.3  # how far media may be ahead: so long a command takes to show
SLOWEST = 0.5
FASTEST = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackRequest:
    """What a viewer asked to see again."""

    token: str
    begin: datetime | None = None
    """With `end` a range of time; None for both plays `filename` from its start."""
    end: datetime | None = None
    filename: str = ""
    from_server: bool = True
    """This server's recordings, not those of the device."""
    hevc: bool = False
    """The viewer takes H.265 as it was recorded."""
    b_frames: bool = True
    """It takes pictures that are shown in another order than they come in."""
    opus: bool = False
    """It takes sound as Opus alone, for WebRTC; one that can't be made goes without sound."""
    lead_s: float = LEAD_S
    """How far ahead it wants its media, from 0 to LEAD_S."""
    owner: str = ""
    """The user who plays: nobody else may ask where the playback stands."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What follows needs this init segment. Comes first, and again only when it changes.

    Its time scales may differ from those before it: the timeline goes on in seconds.
    """

    init: InitSegment


@dataclass(frozen=True, slots=True)
class Played:
    """A fragment on the playback's own timeline, which starts near 0 and has no hole.

    `fragment.data` has its decode times in place already; it has one run per track at most.
    After a command that jumps, the first one is a key fragment, and all pictures from there up to
    the asked one last about a millisecond each, in one fragment or a few, with silence.
    """

    fragment: Fragment
    at: datetime
    """When its first picture was taken."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the playback stands, about once a second while it plays, and at its end.

    Also with the picture that a jump goes to, and with the first one after a gap: players learn in
    time which moment they will show.
    """

    at: datetime
    is_end: bool = False
    media_s: float | None = None
    """Where on the playback's timeline that is."""


Item = Begun | Played | Position


class Playback(Protocol):
    """One viewer's playback. Commands come from the loop, at any time; `close()` must follow.

    Nothing plays before `start()`. The media clock runs on over every command.
    """

    @property
    def id(self) -> str:
        """Its secret name, by which PbSnapshot finds it."""

    @property
    def mime(self) -> str:
        """What all of it is, for addSourceBuffer; known once it is open.

        Which codecs there are, and whether there is sound, holds to its end; level and size of
        the pictures may change with each Begun.
        """

    @property
    def has_sound(self) -> bool:
        """Whether there is sound, which may be silence."""

    def start(self) -> None:
        """Play, also after pause(); twice is harmless."""

    def pause(self) -> None:
        """Stand still at the picture that was handed over last.

        A command that jumps meanwhile shows the picture it goes to.
        """

    def resume(self) -> None:
        """Go on after pause()."""

    def seek(self, seconds: float) -> None:
        """Go on at so many seconds of time after the begin; beyond an end, at that end."""

    def move_to(self, at: datetime) -> None:
        """Go on at a moment, or at the next picture after it."""

    def set_speed(self, speed: float) -> None:
        """Play SLOWEST to FASTEST times as fast; raises InvalidError."""

    async def next(self) -> Item | None:
        """Return what is due next, once it is; None once closed.

        After the end it waits for a command that jumps back. Raises UnavailableError when it
        can't go on.
        """

    async def close(self) -> None:
        """Free what it holds; next() returns None from now on."""


class PlaybackOpener(Protocol):
    """Who has recordings."""

    async def open(self, request: PlaybackRequest) -> Playback:
        """Return a playback that stands at its begin.

        Raises NotFoundError when there is nothing to play, UnavailableError when too many play.
        """
