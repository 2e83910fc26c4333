"""Opus for WebRTC: one more supervised ffmpeg per channel, only while somebody listens.

Inside the input's own ffmpeg it would double that one's cost, whether anyone listens or not.
"""

from __future__ import annotations

import asyncio
import os

from h5sup.base.errors import Failure, SourceError
from h5sup.base.logs import source_logger
from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import Anchor, PacketRing
from h5sup.ffmpeg.command import build_sound
from h5sup.ffmpeg.supervisor import Launch, Progress, Supervisor
from h5sup.sources.bus_feeder import BusFeeder
from h5sup.sources.feed import SOUND_RING_BYTES, Workshop
from h5sup.sources.on_demand import OnDemand
from h5sup.sources.pipes import PipeWriter, open_pipe
from h5sup.sources.rtp_receiver import RtpReceiver

FEED_BYTES = 8_000_000  # what the job may be behind before it loses a GOP
CHANNEL_WAIT_S = 20.0
STALL_S = 20.0  # its channel's watchdog comes first and knows the reason
LINGER_S = 10.0
RENEW_S = 4 * 3600.0  # ffmpeg's index of an endless feed grows
ENCODER_DELAY_S = 0.0065  # libopus begins with so much of nothing (RFC 7845 §4.2: pre-skip)
PACKET_S = 0.02  # libopus's usual packet


class SoundFeed:
    """Makes Opus of a channel's sound while someone holds it, and a little longer."""

    def __init__(self, channel: Channel, workshop: Workshop) -> None:
        self.ring = PacketRing(SOUND_RING_BYTES)
        name = f"{channel.token}/{channel.input_name}/{channel.profile}/opus"
        supervisor = Supervisor(
            name,
            lambda: SoundAttempt(channel, self.ring, workshop),
            workshop.launcher,
            stall_timeout_s=STALL_S,
            logger=source_logger(channel.token),
            renew_after_s=RENEW_S,
        )
        self._duty = OnDemand(supervisor.run, name=name, linger_s=LINGER_S)

    def hold(self) -> None:
        """Run at least until the matching release()."""
        self._duty.hold()

    def release(self) -> None:
        """Stop a while after the last holder left."""
        self._duty.release()

    async def aclose(self) -> None:
        """Stop now."""
        await self._duty.aclose()


class SoundAttempt:
    """One run of it."""

    def __init__(self, channel: Channel, ring: PacketRing, workshop: Workshop) -> None:
        self._channel = channel
        self._ring = ring
        self._workshop = workshop
        self._receiver: RtpReceiver | None = None
        self._feeder: BusFeeder | None = None
        self._child_ends: list[int] = []
        self._began_s = 0.0

    async def open(self) -> Launch:
        """Wait for the channel, then have it written into the job's input from now on."""
        init = await self._channel.wait_ready(CHANNEL_WAIT_S)
        if init.audio is None:
            raise SourceError(Failure.CLOSED, "the source sends no sound")
        self._began_s = asyncio.get_running_loop().time()
        self._receiver = RtpReceiver(self._ring, "opus")
        self._receiver.open()
        read_fd, write_fd = open_pipe()
        self._child_ends.append(read_fd)
        writer = PipeWriter(write_fd, FEED_BYTES)
        self._feeder = BusFeeder(self._channel, writer, begins_live=True)
        argv = build_sound(
            self._workshop.tools,
            feed_fd=read_fd,
            rtp_port=self._receiver.port,
            channels=min(2, max(1, init.audio.channels)),
        )
        return Launch(argv, (read_fd,))

    def started(self) -> None:
        """Close the child's end of the pipe: only it holds it now."""
        for fd in self._child_ends:
            os.close(fd)
        self._child_ends.clear()

    def progress(self) -> Progress:
        """Return when packets last came; they are what a picture is elsewhere."""
        self._anchor()
        came = self._ring.last_arrival_s
        return Progress(last_video=came if came > self._began_s else None)

    async def close(self) -> None:
        """Leave the channel and release everything."""
        self.started()
        if self._feeder is not None:
            self._feeder.close()
        if self._receiver is not None:
            self._receiver.close()

    def _anchor(self) -> None:
        """Tell the ring when its first packet was on the channel: what went in came out of it."""
        ring, init = self._ring, self._channel.init
        began, first = ring.began, self._feeder.first_sound if self._feeder else None
        if ring.anchor is not None or began is None or first is None:
            return
        if init is not None and init.audio is not None:
            sequence, timestamp = began
            begins_s = first / init.audio.timescale - ENCODER_DELAY_S
            ring.anchor = Anchor(timestamp, begins_s + sequence * PACKET_S)
