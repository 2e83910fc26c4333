"""The newest key frame of a source as a JPEG, made by a short ffmpeg job.

Costs the source nothing: the key frame lies in the channel's cache. A picture is made at most
once a second and never twice of the same key frame, however many ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from h5sup.base.errors import H5supError
from h5sup.base.tasks import end_tasks
from h5sup.bus.channel import Channel
from h5sup.ffmpeg.command import build_picture
from h5sup.ffmpeg.tools import Tools

FRESH_S = 1.0
JOB_TIMEOUT_S = 5.0  # of the job alone; a 4K picture takes half a second on a Pi
WAIT_S = 8.0  # in all: others' jobs may be before it
MAX_PICTURE_BYTES = 16_000_000
MAX_CACHED = 256  # pictures; the oldest leaves

logger = logging.getLogger(__name__)


class Channels(Protocol):
    """What this output needs of the sources."""

    def find_channel(self, token: str) -> Channel:
        """Return the channel of the main input, running or not; raises NotFoundError.

        Starts nothing.
        """


class Jobs(Protocol):
    """What runs short jobs, few at a time."""

    async def run_job(
        self,
        argv: Sequence[str],
        data: bytes = b"",
        *,
        timeout_s: float,
        max_bytes: int,
        kind: str,
    ) -> bytes:
        """Return what the job wrote; raises SourceError."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One that was made, or the failure to."""

    jpeg: bytes | None
    made_at: float
    key_arrived: float
    """When the fragment it shows came: no two have that in common."""


class Pictures:
    """Makes and keeps pictures. Used from the event loop alone; `close()` ends its jobs."""

    def __init__(self, channels: Channels, jobs: Jobs, tools: Tools) -> None:
        self._channels = channels
        self._jobs = jobs
        self._tools = tools
        self._cache: dict[str, Picture] = {}
        self._making: dict[str, asyncio.Task[Picture]] = {}

    async def jpeg(self, token: str) -> bytes | None:
        """Return a JPEG, or None while there is no picture; raises NotFoundError."""
        channel = self._channels.find_channel(token)
        if channel.init is None or not channel.gop:
            return None
        picture = self._find_cached(channel)
        if picture is None:
            picture = await self._make_once(channel)
        return picture.jpeg

    async def draw(self, token: str, media: bytes, number: int) -> bytes | None:
        """Return a picture of some media of a source as JPEG, None if there is none.

        `media` is an init segment and the beginning of a GOP, `number` which of its pictures.
        """
        return await self._run(token, media, number)

    async def close(self) -> None:
        """End the jobs that run."""
        making = list(self._making.values())
        await end_tasks(*making)

    def _find_cached(self, channel: Channel) -> Picture | None:
        """Return a picture that a new job could hardly better."""
        picture = self._cache.get(channel.token)
        if picture is None:
            return None
        age_s = asyncio.get_running_loop().time() - picture.made_at
        if age_s < FRESH_S:
            return picture
        is_same = picture.key_arrived == channel.gop[0].arrived
        return picture if is_same and picture.jpeg is not None else None

    async def _make_once(self, channel: Channel) -> Picture:
        """Join the job that runs for this source, or start one; it outlives who waits for it."""
        task = self._making.get(channel.token)
        if task is None:
            name = f"picture of {channel.token}"
            task = asyncio.create_task(self._make(channel), name=name)
            self._making[channel.token] = task
            task.add_done_callback(lambda _: self._making.pop(channel.token, None))
        return await asyncio.shield(task)

    async def _make(self, channel: Channel) -> Picture:
        init, key = channel.init, channel.gop[0]
        assert init is not None
        jpeg = await self._run(channel.token, init.data + key.data)
        picture = Picture(jpeg, asyncio.get_running_loop().time(), key.arrived)
        self._cache.pop(channel.token, None)
        self._cache[channel.token] = picture
        if len(self._cache) > MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        return picture

    async def _run(self, token: str, media: bytes, number: int = 0) -> bytes | None:
        try:
            async with asyncio.timeout(WAIT_S):
                jpeg = await self._jobs.run_job(
                    build_picture(self._tools, number),
                    media,
                    timeout_s=JOB_TIMEOUT_S,
                    max_bytes=MAX_PICTURE_BYTES,
                    kind="picture",
                )
        except TimeoutError:
            logger.warning("no picture of %s: too many are being made", token)
            return None
        except (H5supError, OSError) as error:
            logger.warning("no picture of %s: %s", token, error)
            return None
        return jpeg or None
