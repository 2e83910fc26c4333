"""Who is still being watched: a player only asks from time to time and never says goodbye."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum

from h5sup.base.errors import UnavailableError
from h5sup.bus.channel import Channel
from h5sup.outputs.hls.leases import Lease, Leases
from h5sup.outputs.hls.muxer import Muxer
from h5sup.outputs.hls.playlist import LivePlaylist

IDLE_S = 30.0  # three reloads of a playlist with the longest usual segments
PLAYLISTS = 256  # kept at once; each also has its share of the room for segments
RENEW_S = 1.0  # who has pictures to show does not wait longer for a source that is away


class Form(Enum):
    """Which of a source's channels a playlist is made from."""

    INDEX = "index"  # the multivariant playlist: the input as it comes
    HEVC = "hevc"  # the input as it comes, too
    H264 = "h264"
    TS = "ts"  # H.264 as well

    @property
    def takes_hevc(self) -> bool:
        """Return whether H.265 will do."""
        return self in (Form.INDEX, Form.HEVC)


class Hold:
    """A channel kept open for one kind of playlist, until nobody asks any more."""

    def __init__(self, lease: Lease, channel: Channel) -> None:
        self.lease = lease
        self.channel = channel
        self.muxer: Muxer | None = None
        self.playlist: LivePlaylist | None = None
        """What the muxer cuts, as players read it."""
        self.asked_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Let go of everything."""
        if self.timer is not None:
            self.timer.cancel()
        if self.muxer is not None:
            self.muxer.stop()
        self.lease.release()


class Holds:
    """All holds by source and form. Each lasts until nobody has asked for `idle_s`."""

    def __init__(self, leases: Leases, *, idle_s: float = IDLE_S) -> None:
        self._leases = leases
        self._idle_s = idle_s
        self._holds: dict[tuple[str, Form], Hold] = {}
        self._kept: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._holds)

    @property
    def size_bytes(self) -> int:
        """Return the length of all segments that are kept."""
        muxers = [hold.muxer for hold in self._holds.values() if hold.muxer is not None]
        return sum([muxer.window.size_bytes for muxer in muxers])

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a segment or part."""
        return sum([hold.muxer.waiting for hold in self._holds.values() if hold.muxer is not None])

    def find(self, token: str, form: Form) -> Hold | None:
        """Return the hold, if there is one, as one that is asked for."""
        hold = self.peek(token, form)
        if hold is not None:
            hold.asked_at = asyncio.get_running_loop().time()
        return hold

    def peek(self, token: str, form: Form) -> Hold | None:
        """Return the hold, if there is one, without keeping it."""
        return self._holds.get((token, form))

    async def open(self, token: str, form: Form, timeout_s: float) -> Hold:
        """Return the hold, made if need be; raises NotFoundError, UnavailableError.

        A hold whose channel has ended is renewed: the source may be gone, or another one by now.
        """
        hold = self.find(token, form)
        if hold is not None and hold.channel.is_ready:
            return hold
        if hold is None and len(self._holds) >= PLAYLISTS:
            raise UnavailableError(f"all {PLAYLISTS} playlists' places are taken")
        lease = self._leases.lease(token, hevc=form.takes_hevc)
        has_media = hold is not None and hold.muxer is not None and not hold.muxer.window.is_empty
        adopted = False
        try:
            channel = await lease.ready(min(timeout_s, RENEW_S) if has_media else timeout_s)
            adopted = self._adopt((token, form), lease, channel)
        except UnavailableError:
            if not has_media:
                raise
        finally:
            if not adopted:
                lease.release()
        hold = self.find(token, form)
        if hold is None:  # closed while it was waited for
            raise UnavailableError(f"source {token!r} has just been stopped")
        return hold

    def keep(self, token: str) -> None:
        """Keep the source's holds until the matching let_go(), asked for or not."""
        self._kept[token] += 1

    def let_go(self, token: str) -> None:
        """End a keep()."""
        self._kept[token] -= 1
        if not self._kept[token]:
            del self._kept[token]
            for (held, _), hold in self._holds.items():
                if held == token:
                    hold.asked_at = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Let go of all."""
        holds, self._holds = list(self._holds.values()), {}
        for hold in holds:
            hold.close()

    def _adopt(self, key: tuple[str, Form], lease: Lease, channel: Channel) -> bool:
        """Make the lease a hold, unless another request was faster."""
        before = self._holds.get(key)
        if before is not None:
            if before.channel is channel:
                return False
            before.close()
        hold = self._holds[key] = Hold(lease, channel)
        self._watch(key, hold, self._idle_s)
        return True

    def _watch(self, key: tuple[str, Form], hold: Hold, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        hold.timer = loop.call_later(wait_s, self._check, key, hold)

    def _check(self, key: tuple[str, Form], hold: Hold) -> None:
        """Close the hold if nobody has asked for long, or look again when that may be so."""
        left_s = hold.asked_at + self._idle_s - asyncio.get_running_loop().time()
        if key[0] in self._kept and hold.channel.is_ready:
            left_s = self._idle_s
        if left_s > 0.001:
            self._watch(key, hold, left_s)
            return
        del self._holds[key]
        hold.close()
