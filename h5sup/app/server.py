"""h5sup from its start to its end.

Start: programs found, orphans swept, store opened, passwords hashed, sources started, outputs and
API built, port bound, ready line. Stop: the other way round, viewers dismissed with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from h5sup import __version__
from h5sup.api.report import build_report
from h5sup.api.services import Services, SystemFacts
from h5sup.app.figures import build_metrics
from h5sup.app.listening import listen, open_door, open_tls
from h5sup.app.parts import Ground, Parts
from h5sup.app.places import find_places, load_all, prepare_folders
from h5sup.app.routes import build_application, build_services
from h5sup.base.errors import H5supError
from h5sup.base.logs import RecentLines
from h5sup.config.loading import load_config
from h5sup.config.model import Config
from h5sup.config.profile import Profile
from h5sup.events.hub import Hub
from h5sup.ffmpeg.codecs import read_processor
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.metrics.loop_lag import LoopLag
from h5sup.store.store import Store
from h5sup.support.report import ReportSocket
from h5sup.web.site import Site

if TYPE_CHECKING:
    from h5sup.web.tls import Tls

ANSWER_S = 0.2  # who asked for a restart is answered first
OVERLOADED_S = 1.0  # late in all it does for five seconds: /healthz then sends people elsewhere

logger = logging.getLogger(__name__)


class Server:
    """The whole of h5sup in one event loop. `run()` is called once."""

    def __init__(
        self,
        config_path: Path,
        config: Config,
        profiles: dict[str, Profile],
        recent: RecentLines,
    ) -> None:
        self._recent = recent
        self._config_path = config_path
        self._config = config
        self._profiles = profiles
        self._places = find_places(config.paths, config_path.parent)
        self._door = open_door(config.limits)
        self._lag = LoopLag()
        self._stopping = asyncio.Event()
        self.wants_restart = False
        """Whether run() ended to be started anew."""
        self._reloading: asyncio.Task[None] | None = None
        self._parts: Parts | None = None
        self._tls: Tls | None = None
        self._urls: list[str] = []

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; raises H5supError when it can't start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        async with AsyncExitStack() as stack:
            await self._start(stack)
            urls = " and ".join(self._urls)
            sys.stdout.write(f"h5sup ready on {urls} (pid {os.getpid()})\n")
            sys.stdout.flush()
            await self._stopping.wait()
            logger.info("stopping")

    def _stop(self) -> None:
        """End for good, also when a restart was asked for a moment ago."""
        self.wants_restart = False
        self._stopping.set()

    async def restart(self) -> None:
        """End run() for a fresh start; raises ConfigError when config.json would not allow one."""
        await asyncio.to_thread(load_all, self._config_path)
        if not self._stopping.is_set():
            self.wants_restart = True
        loop = asyncio.get_running_loop()
        loop.call_later(ANSWER_S, self._stopping.set)

    async def _start(self, stack: AsyncExitStack) -> None:
        parts = self._parts = Parts(await self._prepare(stack))
        stack.callback(parts.passwords.close)
        await parts.users.apply(self._config.auth.users)
        await self._open(parts, stack)
        site = Site(self._places.www, ailment=self._ailment)
        await site.load()
        services = build_services(parts, self)
        app = build_application(
            parts,
            services,
            pages=site.handle,
            metrics=build_metrics(parts, self._door, self._lag, self._find_expiry),
        )
        await self._begin(parts, services, stack)
        self._tls = await open_tls(
            self._config.http, self._config_path.parent, self._places.data, stack
        )
        self._urls = await listen(app, self._config.http, self._door, self._tls, stack)
        # closed first: their viewers are told why, and no request keeps the server waiting
        for output in (parts.rtc, parts.hls, parts.ws, parts.events):
            stack.push_async_callback(output.close)
        stack.push_async_callback(parts.steering.close)  # before all: a camera moves meanwhile

    async def _prepare(self, stack: AsyncExitStack) -> Ground:
        """Find programs, clear up after an earlier run, open the store."""
        places = self._places
        tools = await find_tools(self._config.paths.ffmpeg, self._config.paths.ffprobe)
        launcher = Launcher(places.mark)
        swept = await asyncio.to_thread(launcher.sweep_orphans)
        if swept:
            logger.warning("ended %d processes that an earlier run left behind", swept)
        stack.callback(shutil.rmtree, places.ram, ignore_errors=True)
        await asyncio.to_thread(prepare_folders, places)
        store = Store(places.data)
        await store.open()
        stack.push_async_callback(store.close)
        return Ground(
            config=self._config,
            profiles=self._profiles,
            places=places,
            tools=tools,
            launcher=launcher,
            store=store,
            hub=Hub(),
            system=SystemFacts(
                version=__version__,
                host_id=await store.host_id(),
                ffmpeg=tools.version_line,
                processor=await asyncio.to_thread(read_processor),
            ),
            loading_image=await asyncio.to_thread((places.www / "img" / "loading.jpg").read_bytes),
        )

    async def _open(self, parts: Parts, stack: AsyncExitStack) -> None:
        """Ready what answers before any source runs; what stands first is closed last."""
        for close in (parts.onvif.close, parts.devices.aclose, parts.sources.aclose):
            stack.push_async_callback(close)
        await parts.trust.start()
        await parts.steering.start()
        parts.sources.on_change(parts.steering.follow)
        parts.devices.on_parting(parts.steering.settle)
        stack.push_async_callback(parts.pictures.close)
        await parts.recording.start()
        stack.push_async_callback(parts.recording.close)
        stack.push_async_callback(parts.stored.close)

    async def _begin(self, parts: Parts, services: Services, stack: AsyncExitStack) -> None:
        """Start the sources, and what looks at them and at the machine."""
        self._lag.start()
        stack.push_async_callback(self._lag.close)
        await parts.rtc.open()
        stack.push_async_callback(parts.rtc.close)
        for early in (parts.notifier, parts.ram_watch):
            early.start()
            stack.push_async_callback(early.close)
        taken = {source.token for source in self._config.sources}
        await parts.devices.start(self._config.devices, taken=taken)
        await parts.sources.start(self._config.sources)
        await parts.recording.record()
        for late in (parts.processes, parts.machine, parts.codecs):
            late.start()
            stack.push_async_callback(late.close)
        report = ReportSocket(
            self._places.ram,
            lambda: build_report(
                services,
                load=parts.machine.load,
                codecs=parts.codecs.found,
                lines=self._recent.lines,
            ),
        )
        await report.open()
        stack.push_async_callback(report.close)

    def _find_expiry(self) -> float | None:
        return None if self._tls is None else self._tls.expires_s

    def _ailment(self) -> str:
        """Return why this server can't serve, for /healthz."""
        if self._stopping.is_set():
            return "the server stops"
        if self._lag.recent_s >= OVERLOADED_S:
            return f"the server is overloaded: all it does is {self._lag.recent_s:.1f} s late"
        return ""

    def _reload_soon(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload(), name="reload")

    async def _reload(self) -> None:
        """Apply what changed in config.json; a bad file changes nothing."""
        if self._tls is not None:
            await self._tls.reload()
        try:
            config = await asyncio.to_thread(load_config, self._config_path)
            assert self._parts is not None
            await self._parts.apply(config)
        except H5supError as error:  # a mistake in it, or a store that can't be written
            logger.error("config.json is not applied: %s", error)  # noqa: TRY400 (no bug)
            return
        for name in needs_restart(self._config, config):
            logger.warning("%s has changed in config.json: restart h5sup to apply it", name)
        self._config = config
        logger.info("config.json is applied")


def needs_restart(old: Config, new: Config) -> list[str]:
    """Return the sections whose changes a reload does not apply."""
    changed = [
        name
        for name in ("http", "paths", "recording", "hls", "rtc", "limits", "mqtt", "webhooks")
        if getattr(old, name) != getattr(new, name)
    ]
    if structs.replace(old.auth, users=()) != structs.replace(new.auth, users=()):
        changed.append("auth")
    return changed
