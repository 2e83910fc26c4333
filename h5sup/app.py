"""The composition root: builds every service, hands each what it needs, starts and stops them.

Start: programs found, orphans swept, store opened, passwords hashed, sources started, outputs and
API built, port bound, ready line. Stop: the other way round, viewers dismissed with the reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import resource
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import structs

from h5sup import __version__
from h5sup.api.dispatch import Handler, Mount, create_api
from h5sup.api.event_metrics import collect_events
from h5sup.api.events import EventSockets
from h5sup.api.metrics import (
    collect_hls,
    collect_outputs,
    collect_playbacks,
    collect_rtc,
    collect_sources,
    serve,
)
from h5sup.api.process_metrics import (
    collect_certificate,
    collect_connections,
    collect_limits,
    collect_loop,
    collect_processes,
    collect_queues,
    collect_restarts,
    find_processes,
)
from h5sup.api.recorder_metrics import collect_recorders
from h5sup.api.recording_metrics import collect_mediastore, collect_recordings
from h5sup.api.report import build_report
from h5sup.api.services import Services, SystemFacts
from h5sup.api.subject import AllSources, InPath
from h5sup.auth.administration import Administration
from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.guard import Access, Guard
from h5sup.auth.lockout import Lockout
from h5sup.auth.login import Logins
from h5sup.auth.passwords import Passwords
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import Users
from h5sup.base.errors import ConfigError, H5supError
from h5sup.base.logs import RecentLines
from h5sup.config.loading import load_config, load_profiles
from h5sup.config.model import Config, LimitsConfig, PathsConfig
from h5sup.config.profile import Profile
from h5sup.devices.dahua.api import DahuaRecorder
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.model import STILL_AFTER_S
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.registry import Devices
from h5sup.devices.steering import Steering
from h5sup.events.hub import Hub
from h5sup.ffmpeg.codecs import CodecProbe, read_processor
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools, find_tools
from h5sup.metrics.exposition import Exposition
from h5sup.metrics.loop_lag import LoopLag
from h5sup.metrics.machine import Machine
from h5sup.metrics.processes import Processes
from h5sup.notify.notifier import Notifier
from h5sup.outputs.hls.output import HlsOutput
from h5sup.outputs.hls.window import ROOM_BYTES as HLS_ROOM_BYTES
from h5sup.outputs.picture.pictures import Pictures
from h5sup.outputs.rtc.output import RtcOutput
from h5sup.outputs.rtc.whep import METHODS as WHEP_METHODS
from h5sup.outputs.stored.output import StoredOutput
from h5sup.outputs.ws.output import WsOutput
from h5sup.recording.playback.converter import Kit, find_recipe
from h5sup.recording.service import Folders, RecordingService
from h5sup.sources.feed import Workshop
from h5sup.sources.ram_watch import RamWatch
from h5sup.sources.registry import Registry
from h5sup.store.store import Store
from h5sup.support.report import ReportSocket
from h5sup.web.door import Door
from h5sup.web.listeners import Listeners
from h5sup.web.site import Site

if TYPE_CHECKING:
    from h5sup.web.tls import Tls

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it, mode 700)
ANSWER_S = 0.2  # who asked for a restart is answered first
CLOSE_TIMEOUT_S = 3.0  # for requests that are being answered when the server stops
OVERLOADED_S = 1.0  # late in all it does for five seconds: /healthz then sends people elsewhere
OWN_DESCRIPTORS = 256  # pipes, files and sockets that are no connection of a client

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """config.json's folders, absolute."""

    data: Path
    mediastore: Path
    profiles: Path
    www: Path
    media_root: Path
    ram: Path
    mark: str
    """What tells this installation's processes and RAM folder from another's."""


def find_places(paths: PathsConfig, home: Path) -> Places:
    """Return the folders; relative ones start at `home`, where config.json lies."""
    data = (home / paths.data).resolve()
    mark = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else data
    if paths.ram:
        parent = (home / paths.ram).resolve()
    return Places(
        data=data,
        mediastore=(home / paths.mediastore).resolve(),
        profiles=(home / paths.profiles).resolve(),
        www=(home / paths.www).resolve(),
        media_root=(home / paths.media_root).resolve(),
        ram=parent / f"h5sup-{mark}",  # ours alone: it is emptied at every start
        mark=mark,
    )


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
        self._hub = Hub()
        self._stopping = asyncio.Event()
        self.wants_restart = False
        """Whether run() ended to be started anew."""
        self._reloading: asyncio.Task[None] | None = None
        self._registry: Registry | None = None
        self._devices: Devices | None = None
        self._users: Users | None = None
        self._sessions: Sessions | None = None
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
        config, places = self._config, self._places
        tools = await find_tools(config.paths.ffmpeg, config.paths.ffprobe)
        launcher = Launcher(places.mark)
        swept = await asyncio.to_thread(launcher.sweep_orphans)
        if swept:
            logger.warning("ended %d processes that an earlier run left behind", swept)
        stack.callback(shutil.rmtree, places.ram, ignore_errors=True)
        await asyncio.to_thread(prepare_folders, places)

        store = Store(places.data)
        await store.open()
        stack.push_async_callback(store.close)
        limits = config.limits
        workshop = Workshop(tools, launcher, self._profiles, config.hls, config.limits, places.ram)
        onvif = Onvif()
        stack.push_async_callback(onvif.close)
        devices = self._devices = Devices(
            {"hik": HikRecorder, "dahua": DahuaRecorder}, store, self._hub
        )
        stack.push_async_callback(devices.aclose)
        registry = self._registry = Registry(
            workshop, places.media_root, store, self._hub, onvif, devices
        )
        stack.push_async_callback(registry.aclose)
        steering = Steering(registry, store, still_after_s=STILL_AFTER_S)
        await steering.start()
        registry.on_change(steering.follow)
        devices.on_parting(steering.settle)
        pictures = Pictures(registry, launcher, tools)
        stack.push_async_callback(pictures.close)
        recording = RecordingService(
            Folders(places.data, places.mediastore),
            config.recording,
            self._hub,
            registry,
            store,
            pictures,
            playbacks=limits.viewers,
            kit=Kit(tools, launcher, find_recipe(self._profiles)),
            transcodes=registry.transcodes,
            find_device=devices.find_recorded,
        )
        await recording.start()
        stack.push_async_callback(recording.close)
        ws = WsOutput(
            registry,
            recording.playbacks,
            viewers=limits.viewers,
            viewer_bytes=limits.viewer_bytes,
        )
        hls = HlsOutput(registry, config.hls, viewers=limits.viewers)
        rtc = RtcOutput(
            registry, config.rtc, viewers=limits.viewers, playbacks=recording.playbacks
        )
        stored = StoredOutput(recording.library, places.mediastore, viewers=limits.viewers)
        stack.push_async_callback(stored.close)

        events = EventSockets(self._hub, limit=limits.viewers)

        app = web.Application()
        site = Site(places.www, ailment=self._ailment)
        await site.load()
        processes = Processes(lambda: find_processes(registry))
        machine = Machine(places.data)
        codecs = CodecProbe(tools, launcher, places.data)
        services = await self._build_services(
            stack,
            registry,
            devices,
            pictures,
            ws,
            rtc,
            store,
            tools,
            machine,
            codecs,
            recording,
            onvif,
            steering,
        )
        notifier = Notifier(
            config,
            self._hub,
            registry,
            pictures,
            recording.recordings,
            host_id=services.system.host_id,
            version=__version__,
        )
        create_api(
            app,
            services,
            pages=site.handle,
            sockets={
                "h5swsapi": ws.handle,
                "h5swscmnapi": hls.keep_alive,
                "h5srtcapi": rtc.signal,
                "h5srtcapi2": rtc.signal,
                "h5seventapi": events.handle,
            },
            prefixes={
                "/metrics": Mount(
                    self._metrics(
                        services,
                        registry,
                        recording,
                        processes,
                        ws,
                        hls,
                        rtc,
                        stored,
                        events,
                        notifier,
                    ),
                    AllSources(),
                    access=Access.SCRAPE,
                    role="Administrator",
                ),
                "/hls/": Mount(hls.handle, InPath(2)),
                "/mediastore/": Mount(stored.files, InPath(2)),
                "/api/v1/playback/": Mount(stored.vod, InPath(3, ".m3u8")),
                "/whep/": Mount(rtc.whep, InPath(1), methods=WHEP_METHODS, access=Access.SOCKET),
            },
            trusted_origins=config.http.cors_origins,
        )
        self._lag.start()
        stack.push_async_callback(self._lag.close)
        await rtc.open()
        stack.push_async_callback(rtc.close)
        notifier.start()
        stack.push_async_callback(notifier.close)
        ram_watch = RamWatch(places.ram, self._hub)
        ram_watch.start()
        stack.push_async_callback(ram_watch.close)
        await devices.start(config.devices)
        await registry.start(config.sources)
        await recording.record()
        processes.start()
        stack.push_async_callback(processes.close)
        machine.start()
        stack.push_async_callback(machine.close)
        codecs.start()
        stack.push_async_callback(codecs.close)
        report = ReportSocket(
            places.ram,
            lambda: build_report(
                services, load=machine.load, codecs=codecs.found, lines=self._recent.lines
            ),
        )
        await report.open()
        stack.push_async_callback(report.close)
        await self._listen(stack, app)
        # closed first: their viewers are told why, and no request keeps the server waiting
        stack.push_async_callback(rtc.close)
        stack.push_async_callback(hls.close)
        stack.push_async_callback(ws.close)
        stack.push_async_callback(events.close)
        stack.push_async_callback(steering.close)  # before all: a camera moves meanwhile

    async def _build_services(
        self,
        stack: AsyncExitStack,
        registry: Registry,
        devices: Devices,
        pictures: Pictures,
        ws: WsOutput,
        rtc: RtcOutput,
        store: Store,
        tools: Tools,
        machine: Machine,
        codecs: CodecProbe,
        recording: RecordingService,
        onvif: Onvif,
        steering: Steering,
    ) -> Services:
        config = self._config
        passwords = Passwords()
        stack.callback(passwords.close)
        users = self._users = Users(passwords, store)
        await users.apply(config.auth.users)
        sessions = self._sessions = Sessions(config.auth.session_timeout_s)
        logins = Logins(
            users,
            passwords,
            sessions,
            Lockout(),
            LoginAlarm(self._hub),
            enabled=config.auth.enabled,
        )
        loading = self._places.www / "img" / "loading.jpg"
        return Services(
            guard=Guard(config.auth, users, sessions, config.http.cors_origins),
            logins=logins,
            administration=Administration(users, logins, sessions),
            sessions=sessions,
            sources=registry,
            devices=devices,
            onvif=onvif,
            steering=steering,
            pictures=pictures,
            recordings=recording.recordings,
            ws_viewers=ws,
            rtc_viewers=rtc,
            machine=machine,
            codecs=codecs,
            library=recording.library,
            mediastore=recording.volume,
            forecast=recording.forecast,
            archives=recording.archives,
            snapshots=recording.snapshots,
            restarter=self,
            system=SystemFacts(
                version=__version__,
                host_id=await store.host_id(),
                ffmpeg=tools.version_line,
                processor=await asyncio.to_thread(read_processor),
            ),
            loading_image=await asyncio.to_thread(loading.read_bytes),
        )

    async def _listen(self, stack: AsyncExitStack, app: web.Application) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        listeners = Listeners(runner.server, self._door)
        stack.callback(listeners.close)
        http = self._config.http
        shown = "127.0.0.1" if http.host in ("0.0.0.0", "::") else http.host  # noqa: S104 (compared)
        port = await listeners.open_plain(http.host, http.port)
        self._urls.append(f"http://{shown}:{port}")
        if http.tls_port:
            tls = self._tls = await self._open_tls(stack)
            port = await listeners.open_tls(http.host, http.tls_port, lambda: tls.context)
            self._urls.append(f"https://{shown}:{port}")

    async def _open_tls(self, stack: AsyncExitStack) -> Tls:
        from h5sup.web.tls import Tls, find_pair  # its certificates take memory: if needed only

        pair = find_pair(self._config.http, self._config_path.parent, self._places.data)
        tls = Tls(*pair)
        await tls.load()
        tls.start()
        stack.push_async_callback(tls.close)
        return tls

    def _metrics(
        self,
        services: Services,
        registry: Registry,
        recording: RecordingService,
        processes: Processes,
        ws: WsOutput,
        hls: HlsOutput,
        rtc: RtcOutput,
        stored: StoredOutput,
        events: EventSockets,
        notifier: Notifier,
    ) -> Handler:
        """Return what answers /metrics."""
        outputs = (
            ("ws", ws),
            ("hls_keepalive", hls),
            ("rtc", rtc),
            ("stored", stored),
            ("events", events),
        )
        limits = self._config.limits
        exposition = Exposition()
        exposition.add(lambda: collect_sources(services.sources))
        exposition.add(lambda: collect_restarts(registry))
        exposition.add(lambda: collect_outputs(outputs))
        exposition.add(lambda: collect_playbacks(recording.playbacks))
        exposition.add(lambda: collect_hls(hls))
        exposition.add(lambda: collect_rtc(rtc))
        exposition.add(lambda: collect_queues(ws))
        exposition.add(
            lambda: collect_events(notifier.hub, notifier.webhooks.hooks, notifier.mqtt)
        )
        exposition.add(lambda: collect_recorders(recording.recordings.recorders))
        exposition.add(lambda: collect_limits(limits, HLS_ROOM_BYTES))
        exposition.add(lambda: collect_connections(self._door))
        exposition.add(lambda: collect_mediastore(recording.volume, recording.forecast))
        exposition.add(lambda: collect_recordings(recording.index, recording.retention))
        exposition.add(lambda: collect_loop(self._lag))
        exposition.add(lambda: collect_processes(processes))
        exposition.add(lambda: collect_certificate(self._tls.expires_s) if self._tls else ())

        async def answer(request: web.Request) -> web.StreamResponse:
            del request
            return serve(exposition)

        return answer

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
            assert self._registry is not None
            assert self._devices is not None
            assert self._users is not None
            assert self._sessions is not None
            await self._registry.apply(config.sources)
            await self._devices.apply(config.devices)
            for name in await self._users.apply(config.auth.users):
                self._sessions.close_user(name)
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


def prepare_folders(places: Places) -> None:
    """Make the folders that are ours to make; raises ConfigError."""
    shutil.rmtree(places.ram, ignore_errors=True)
    for path, key, mode in (
        (places.ram, "paths.ram", 0o700),
        (places.data, "paths.data", 0o700),
        (places.media_root, "paths.media_root", 0o755),
    ):
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(key, f"{path} can't be made: {error.strerror}") from error


def open_door(limits: LimitsConfig) -> Door:
    """Return the bound on connections: as configured, or what the system has descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = limits.connections
    if descriptors != resource.RLIM_INFINITY:
        room = min(room, max(descriptors - OWN_DESCRIPTORS, descriptors // 2))
    if room < limits.connections:
        logger.warning(
            "limits.connections is %d, but the system allows %d open files (ulimit -n): "
            "there is room for %d",
            limits.connections,
            descriptors,
            room,
        )
    return Door(limit=room, per_address=limits.connections_per_address)


def load_all(config_path: Path) -> tuple[Config, dict[str, Profile]]:
    """Return config.json and the profiles, checked; raises ConfigError."""
    config = load_config(config_path)
    profiles = load_profiles(find_places(config.paths, config_path.parent).profiles)
    check_profiles(config, profiles)
    return config, profiles


def check_profiles(config: Config, profiles: dict[str, Profile]) -> None:
    """Raise ConfigError for a source whose profile does not exist."""
    for index, source in enumerate(config.sources):
        if source.profile != "auto" and source.profile not in profiles:
            known = ", ".join(["auto", *sorted(profiles)])
            raise ConfigError(
                f"sources[{index}].profile",
                f"there is no profile {source.profile!r}; there are: {known}",
            )
