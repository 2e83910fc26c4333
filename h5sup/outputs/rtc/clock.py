"""The time of a channel's media now, and what that is in the timestamps of its packets.

A browser plays sound and picture together by sender reports: each says which timestamp belongs to
one wall time (RFC 3550 §6.4.1). Both tracks' reports are made here from one clock.
"""

from __future__ import annotations

from typing import Protocol

from h5sup.bus.anchors import find_sound_anchor, find_video_anchor
from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import PacketRing
from h5sup.formats.rtp import TIMESTAMP_MASK

SLACK_S = 1.0  # so far the media's clock may run off ours before it is set anew


class TrackClock(Protocol):
    """Tells what sender reports say."""

    def refresh(self) -> None:
        """Look where the tracks stand."""

    def is_certain(self, rings: list[PacketRing]) -> bool:
        """Return whether timestamps() knows rather than guesses."""

    def timestamps(self, rings: list[PacketRing], now_s: float) -> list[int]:
        """Return what time it is on each ring's clock, all at the same moment of the media."""


class ArrivalClock:
    """Of rings whose packets come when they are due, so that times are told by arrival."""

    def refresh(self) -> None:
        """Do nothing: rings know when their packets came."""

    def is_certain(self, rings: list[PacketRing]) -> bool:
        """Return True: before its first packet too, a ring's time is already running."""
        del rings
        return True

    def timestamps(self, rings: list[PacketRing], now_s: float) -> list[int]:
        """Return what time it is on each ring's clock."""
        return timestamps_by_arrival(rings, now_s)


class MediaClock:
    """One channel's. `refresh()` now and then; it costs little when nothing is new."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._generation = -1
        self._offset_s: float | None = None  # the loop's time less the media's

    def refresh(self) -> None:
        """Look where the tracks stand, at a key frame if there is one to be seen."""
        channel = self._channel
        init, gop = channel.init, channel.gop
        if channel.ring is None or init is None or init.video is None or not gop:
            return
        anchor = find_video_anchor(channel)
        if anchor is not None:
            channel.ring.anchor = anchor
        sound = channel.sound_ring
        if sound is not None and sound.anchor is None:
            sound.anchor = find_sound_anchor(channel.ring, sound)
        key = gop[0]
        if key.video is None:
            return
        offset_s = key.arrived - key.video.dts / init.video.timescale
        known = self._offset_s
        is_new = self._generation != channel.generation or known is None
        if is_new or abs(offset_s - (known or 0.0)) > SLACK_S:
            self._offset_s = offset_s
            self._generation = channel.generation

    def is_certain(self, rings: list[PacketRing]) -> bool:
        """Return whether timestamps() knows rather than guesses."""
        return self._offset_s is not None and all(ring.anchor is not None for ring in rings)

    def timestamps(self, rings: list[PacketRing], now_s: float) -> list[int]:
        """Return what time it is on each ring's clock, all at the same moment of the media.

        While that can't be told, packets are taken to come as soon on one as on the other.
        """
        offset_s = self._offset_s
        anchors = [ring.anchor for ring in rings]
        if offset_s is not None and all(anchors):
            media_s = now_s - offset_s
            return [
                anchor.timestamp_at(media_s, ring.clock_hz)
                for ring, anchor in zip(rings, anchors, strict=True)
                if anchor is not None
            ]
        return timestamps_by_arrival(rings, now_s)


def timestamps_by_arrival(rings: list[PacketRing], now_s: float) -> list[int]:
    """Return each ring's newest timestamp, advanced by the time since it came."""
    return [
        ring.last_timestamp + int((now_s - ring.last_arrival_s) * ring.clock_hz) & TIMESTAMP_MASK
        for ring in rings
    ]
