"""One run of one ffmpeg: what is opened for it, and closed when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from h5sup.base.errors import Failure, MediaFormatError, SourceError
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.config.profile import Profile
from h5sup.ffmpeg.command import (
    Legs,
    build_derived,
    build_ingest,
    find_rtp_sound,
    write_loop_list,
)
from h5sup.ffmpeg.media import Input, Tracks
from h5sup.ffmpeg.probe import probe
from h5sup.ffmpeg.supervisor import Launch, Progress
from h5sup.sources.bus_feeder import BusFeeder
from h5sup.sources.feed import Feed, Workshop
from h5sup.sources.pipes import PipeReader, PipeWriter, open_pipe
from h5sup.sources.rtp_receiver import RtpReceiver

PARENT_WAIT_S = 20.0
FEED_BYTES = 8_000_000  # what a derived job may be behind before it loses a GOP


class FeedAttempt:
    """What both kinds of run share: fMP4 into the channel, RTP into its ring, a folder."""

    def __init__(self, feed: Feed, workshop: Workshop) -> None:
        self._feed = feed
        self._workshop = workshop
        self._reader: PipeReader | None = None
        self._child_ends: list[int] = []
        self._receivers: list[RtpReceiver] = []
        self._damage: MediaFormatError | None = None

    def started(self) -> None:
        """Close the child's ends of the pipes: only it holds them now."""
        for fd in self._child_ends:
            os.close(fd)
        self._child_ends.clear()

    def progress(self) -> Progress:
        """Return when media last came; raises SourceError when it is damaged."""
        if self._damage is not None:
            raise SourceError(Failure.NOT_MEDIA, f"ffmpeg's output is damaged: {self._damage}")
        ingest = self._feed.ingest
        return Progress(last_video=ingest.last_video, last_audio=ingest.last_audio)

    async def close(self) -> None:
        """Release everything; also after a failed open()."""
        self.started()
        if self._reader is not None:
            self._feed.attach(None)
            self._reader.take()  # the last thing a camera saw may be why it is gone
            self._reader.close()
            self._feed.ingest.close(asyncio.get_running_loop().time())
        for receiver in self._receivers:
            receiver.close()

    @property
    def _folder(self) -> Path:
        """Return this feed's own place in the RAM folder."""
        channel = self._feed.channel
        return self._workshop.ram / channel.token / channel.input_name / channel.profile

    async def _open_legs(
        self, *, rtp: Codec | None, has_ts: bool, sound: Codec | None = None
    ) -> Legs:
        """Make ready for what ffmpeg will send: all listen before it starts."""
        feed, workshop = self._feed, self._workshop
        read_fd, write_fd = open_pipe()
        self._child_ends.append(write_fd)
        feed.ingest.open()
        self._reader = PipeReader(read_fd, self._on_chunk)
        feed.attach(self._reader)
        rtp_port = self._receive(feed.channel.ring, rtp)
        sound_port = self._receive(feed.channel.sound_ring, sound)
        folder = self._folder if has_ts and workshop.hls.ts else None
        if folder is not None:
            await asyncio.to_thread(_empty_folder, folder)
        feed.ts_folder = folder
        return Legs(
            fmp4_fd=write_fd,
            rtp_port=rtp_port,
            sound_port=sound_port,
            hls_folder=folder,
            hls_segment_s=workshop.hls.segment_s,
            hls_segments=workshop.hls.segments,
        )

    def _receive(self, ring: PacketRing | None, codec: Codec | None) -> int | None:
        """Have packets come into a ring; return the port for them."""
        if ring is None or codec is None:
            return None
        receiver = RtpReceiver(ring, codec)
        self._receivers.append(receiver)
        receiver.open()
        return receiver.port

    def _on_chunk(self, chunk: bytes) -> None:
        try:
            self._feed.ingest.feed(chunk, asyncio.get_running_loop().time())
        except MediaFormatError as error:
            self._damage = error
            assert self._reader is not None
            self._reader.close()


class InputAttempt(FeedAttempt):
    """A run that reads a camera, a server or a file."""

    def __init__(
        self,
        feed: Feed,
        workshop: Workshop,
        locate: Callable[[], Awaitable[Input]],
        profile: Profile,
        *,
        audio: bool,
        speed: float | None = None,
    ) -> None:
        super().__init__(feed, workshop)
        self._locate = locate
        self._profile = profile
        self._audio = audio
        self._speed = speed

    async def open(self) -> Launch:
        """Probe if need be and build the command; raises SourceError."""
        tools = self._workshop.tools
        source = await self._locate()
        self._feed.note_place(source.url)
        tracks = self._feed.tracks
        if tracks is None:
            tracks = await probe(tools, self._workshop.launcher, source)
            self._feed.found(tracks)
        playlist = None
        if source.kind == "file":
            playlist = self._folder.with_suffix(".ffconcat")
            await asyncio.to_thread(_write_loop_list, playlist, Path(source.url))
        legs = await self._open_legs(
            rtp=_rtp_codec(tracks, self._profile),
            has_ts=_fits_ts(tracks, self._profile),
            sound=find_rtp_sound(tracks) if self._audio and _copies(self._profile) else None,
        )
        argv = build_ingest(
            tools,
            source,
            tracks,
            self._profile,
            legs,
            audio=self._audio,
            playlist=playlist,
            speed=self._speed,
        )
        return Launch(argv, tuple(self._child_ends))


class DerivedAttempt(FeedAttempt):
    """A run that turns what another feed's channel carries into what its viewers can play."""

    def __init__(self, feed: Feed, workshop: Workshop, parent: Feed, profile: Profile) -> None:
        super().__init__(feed, workshop)
        self._parent = parent
        self._profile = profile
        self._feeder: BusFeeder | None = None

    async def open(self) -> Launch:
        """Wait for the parent's media, then have it written into the job's input."""
        channel = self._parent.channel
        init = await channel.wait_ready(PARENT_WAIT_S)
        tracks = _as_carried(await self._parent.wait_tracks(PARENT_WAIT_S))
        legs = await self._open_legs(rtp="h264", has_ts=True)
        read_fd, write_fd = open_pipe()
        self._child_ends.append(read_fd)
        writer = PipeWriter(write_fd, FEED_BYTES)
        if channel.init is None:
            writer.close()
            raise SourceError(Failure.CLOSED, channel.state.reason or "its source has stopped")
        self._feeder = BusFeeder(channel, writer)
        argv = build_derived(
            self._workshop.tools,
            tracks,
            self._profile,
            legs,
            feed_fd=read_fd,
            audio=init.audio is not None,
        )
        return Launch(argv, tuple(self._child_ends))

    async def close(self) -> None:
        """Leave the parent's channel and release everything."""
        if self._feeder is not None:
            self._feeder.close()
        await super().close()


def _as_carried(tracks: Tracks) -> Tracks:
    """Return a parent's tracks as its channel carries them: sound has become AAC."""
    audio = tracks.audio and replace(tracks.audio, codec="aac")
    return replace(tracks, audio=audio, is_annex_b=False)


def _rtp_codec(tracks: Tracks, profile: Profile) -> Codec | None:
    """Return what the packets carry, None where WebRTC and RTSP viewers could not take it."""
    if not _copies(profile) or tracks.video.codec == "h264":
        return "h264"
    return "hevc" if tracks.video.codec == "hevc" else None


def _fits_ts(tracks: Tracks, profile: Profile) -> bool:
    """Return whether HLS v1, which is always H.264, can be written by this very ffmpeg."""
    return not _copies(profile) or tracks.browser_playable


def _copies(profile: Profile) -> bool:
    return profile.video.encoder == "copy"


def _write_loop_list(playlist: Path, file: Path) -> None:
    playlist.parent.mkdir(parents=True, exist_ok=True)
    write_loop_list(playlist, file)


def _empty_folder(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
