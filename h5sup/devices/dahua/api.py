"""A recorder, or a lone camera, of Dahua as the rest of h5sup knows one: a Recorder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from h5sup.config.model import DeviceConfig
from h5sup.devices.dahua.camera import DahuaCamera, Numbering
from h5sup.devices.dahua.connection import DahuaConnection
from h5sup.devices.dahua.messages import (
    CAMERA_STATE,
    CAMERA_STATE_BODY,
    CHANNEL_TITLES,
    CREATE_FINDER,
    VIDEO_LOSS,
    DeviceInfo,
    Page,
    build_channels,
    build_days,
    build_find,
    build_leave,
    build_live_path,
    build_next,
    build_playback_path,
    month_span,
    parse_finder,
    parse_losses,
    parse_page,
    parse_states,
    parse_titles,
    to_wall,
)
from h5sup.devices.http import FIND_TIMEOUT_S
from h5sup.devices.model import (
    DEVICE_TIMEOUT_S,
    DeviceChannel,
    DeviceError,
    DeviceFailure,
    DeviceRecord,
    MediaAddress,
    RecordDay,
    Steerable,
)
from h5sup.devices.trust import Trust

ASK_AGAIN_S = 3600.0  # for what a device has not: it may get other firmware
MAX_PAGES = 50  # 5000 recordings: a device that is asked for a year must not fill the memory
MAX_CALENDAR_PAGES = 100  # a month of recordings of 5 min each
FINDERS = 2  # at once: a device has few of them, for all who ask it
LEAVE_TIMEOUT_S = 2.0  # of the time of a search; kept for giving its finder back

Span = tuple[datetime, datetime]  # of a wall clock

logger = logging.getLogger(__name__)


class DahuaRecorder:
    """A Recorder, see there.

    One object is for one user name and password: after a change of those, or of the host, make
    another.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float = DEVICE_TIMEOUT_S,
        find_timeout_s: float = FIND_TIMEOUT_S,
        trust: Trust | None = None,
        leave_timeout_s: float = LEAVE_TIMEOUT_S,
    ) -> None:
        self._token = config.token
        self._search_timeout_s = timeout_s - leave_timeout_s
        self._leave_timeout_s = leave_timeout_s
        self._connection = DahuaConnection(
            config, timeout_s=timeout_s, find_timeout_s=find_timeout_s, trust=trust
        )
        self._numbering = Numbering(self._connection)
        self._cameras: dict[int, DahuaCamera] = {}
        self._finders = asyncio.Semaphore(FINDERS)
        self._lacks: dict[str, float] = {}

    @property
    def info(self) -> DeviceInfo | None:
        """Who it is, once it has answered."""
        return self._connection.info

    async def channels(self) -> Sequence[DeviceChannel]:
        """Return its channels; a camera alone is channel 1.

        Older firmware tells no state of cameras, but which channels have lost their picture.
        """
        async with self._connection.in_time():
            titles = await self._ask_if_had(CHANNEL_TITLES)
            states = await self._ask_if_had(CAMERA_STATE, CAMERA_STATE_BODY)
            told = {} if states is None else await self._connection.read(parse_states, states)
            losses: frozenset[int] = frozenset()
            if not told:
                losses = await self._ask_losses()
            if titles is not None:
                names = await self._connection.read(parse_titles, titles)
            else:  # a user who may not read the configuration
                names = {number: f"Channel {number}" for number in sorted(told) or (1,)}
            self._numbering.last = max(names)
            return build_channels(names, told, losses)

    def live(self, channel: int, *, sub: bool) -> MediaAddress:
        """Return where a channel's picture is had; the port is known once it has answered."""
        return self._connection.address(build_live_path(channel, sub=sub))

    def playback(self, channel: int, begin: datetime, end: datetime) -> MediaAddress:
        """Return where recordings are had; zone and port are known once it has answered."""
        path = build_playback_path(channel, begin, end, self._connection.offset)
        return self._connection.address(path)

    def steering(self, channel: int) -> Steerable:
        """Return what moves a channel's camera."""
        return self._cameras.setdefault(
            channel, DahuaCamera(self._connection, self._numbering, channel)
        )

    async def search(
        self, channel: int, begin: datetime, end: datetime
    ) -> tuple[Sequence[DeviceRecord], bool]:
        """Return what was recorded; what was found in time, when there is too much of it."""

        def span(offset: timedelta) -> Span:
            return to_wall(begin, offset), to_wall(end, offset)

        found, is_all = await self._search(channel, span, MAX_PAGES)
        records = [each for each in found if each.begin < end and each.end > begin]
        return sorted(records, key=lambda record: record.begin), is_all

    async def calendar(self, channel: int, year: int, month: int) -> Sequence[RecordDay]:
        """Return the days of a month, by the device's clock, with recordings.

        The CGI has no calendar: the whole month is searched, and what was found in time counts.
        """
        span = month_span(year, month)
        found, is_all = await self._search(channel, lambda _: span, MAX_CALENDAR_PAGES)
        if not is_all:
            logger.warning(
                "device %s: %d-%02d has more recordings than it tells in time; "
                "days may be missing in the calendar", self._token, year, month,
            )  # fmt: skip
        return build_days(found, year, month, self._connection.offset)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _search(
        self, channel: int, span: Callable[[timedelta], Span], max_pages: int
    ) -> tuple[list[DeviceRecord], bool]:
        """Return what is found between two times of the device's clock, and whether it is all.

        `span` gives those times for a clock that is so far ahead.
        """
        found: dict[DeviceRecord, None] = {}
        try:
            async with (
                self._connection.in_time(self._search_timeout_s),
                self._finder() as finder,
            ):
                find = build_find(finder, channel, *span(self._connection.offset))
                is_all = await self._collect(found, finder, find, max_pages)
        except DeviceError as error:
            if not found or error.failure is not DeviceFailure.NO_ANSWER:
                raise
            is_all = False
        return list(found), is_all

    async def _collect(
        self, found: dict[DeviceRecord, None], finder: str, find: str, max_pages: int
    ) -> bool:
        """Collect page after page; return whether the device says that was all."""
        if await self._ask_finder(find) is None:
            return True  # so it says that there is nothing
        for _ in range(max_pages):
            page = await self._turn_page(finder)
            if page is None or not page.matches:
                return True
            had = len(found)
            found.update(dict.fromkeys(page.records))
            if page.records and len(found) == had:  # it turns no page
                return False
        return False

    async def _turn_page(self, finder: str) -> Page | None:
        body = await self._ask_finder(build_next(finder))
        if body is None:
            return None
        offset = self._connection.offset
        return await self._connection.read(lambda body: parse_page(body, offset), body)

    async def _ask_finder(self, path: str) -> bytes | None:
        """Return an answer, or None for a refusal: that is how some firmware ends a search."""
        try:
            return await self._connection.ask(path)
        except DeviceError as error:
            if error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            return None

    @asynccontextmanager
    async def _finder(self) -> AsyncIterator[str]:
        """Give a finder of the device, and give it back whatever happens."""
        async with self._finders:
            try:
                body = await self._connection.ask(CREATE_FINDER)
            except DeviceError as error:
                if error.failure is not DeviceFailure.UNSUPPORTED:
                    raise
                raise DeviceError(
                    DeviceFailure.NO_ANSWER,
                    f"{error}: it begins no search; too many may be under way",
                ) from error
            finder = await self._connection.read(parse_finder, body)
            try:
                yield finder
            finally:
                await self._leave(finder)

    async def _leave(self, finder: str) -> None:
        """Give a finder back, also when the search's time is over; a device may have lost it."""
        try:
            async with self._connection.in_time(self._leave_timeout_s):
                for path in build_leave(finder):
                    await self._ask_finder(path)
        except DeviceError as error:
            logger.warning("device %s: a search was not ended: %s", self._token, error)

    async def _ask_losses(self) -> frozenset[int]:
        """Return which channels have no picture; devices refuse to answer that none has."""
        try:
            body = await self._connection.ask(VIDEO_LOSS)
            return await self._connection.read(parse_losses, body)
        except DeviceError as error:
            if error.failure not in (DeviceFailure.UNSUPPORTED, DeviceFailure.NOT_UNDERSTOOD):
                raise
            return frozenset()

    async def _ask_if_had(self, path: str, body: bytes = b"") -> bytes | None:
        """Return an answer, or None from a device that has no such thing; it is asked seldom."""
        now = asyncio.get_running_loop().time()
        if now < self._lacks.get(path, now):
            return None
        try:
            return await self._connection.ask(path, body)
        except DeviceError as error:
            if error.failure is not DeviceFailure.UNSUPPORTED:
                raise
            self._lacks[path] = now + ASK_AGAIN_S
            return None
