"""Every service once, each with what it needs of the others; what starts them is server.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from h5sup.api.events import EventSockets
from h5sup.api.process_metrics import find_processes
from h5sup.api.services import SystemFacts
from h5sup.app.places import Places
from h5sup.auth.alarm import LoginAlarm
from h5sup.auth.guard import Guard
from h5sup.auth.lockout import Lockout
from h5sup.auth.login import Logins
from h5sup.auth.passwords import Passwords
from h5sup.auth.sessions import Sessions
from h5sup.auth.users import Users
from h5sup.config.model import Config, DeviceType
from h5sup.config.profile import Profile
from h5sup.devices.dahua.api import DahuaRecorder
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.model import STILL_AFTER_S
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.registry import Devices, Maker
from h5sup.devices.steering import Steering
from h5sup.devices.trust import Trust
from h5sup.events.hub import Hub
from h5sup.ffmpeg.codecs import CodecProbe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.metrics.machine import Machine
from h5sup.metrics.processes import Processes
from h5sup.notify.notifier import Notifier
from h5sup.outputs.hls.output import HlsOutput
from h5sup.outputs.picture.pictures import Pictures
from h5sup.outputs.rtc.output import RtcOutput
from h5sup.outputs.stored.output import StoredOutput
from h5sup.outputs.ws.output import WsOutput
from h5sup.recording.playback.converter import Kit, find_recipe
from h5sup.recording.service import Folders, RecordingService
from h5sup.sources.feed import Workshop
from h5sup.sources.ram_watch import RamWatch
from h5sup.sources.registry import Registry
from h5sup.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the services stand on: all of it is known before the first of them is built."""

    config: Config
    profiles: dict[str, Profile]
    places: Places
    tools: Tools
    launcher: Launcher
    store: Store
    hub: Hub
    system: SystemFacts
    loading_image: bytes
    """What GetImage answers before the first frame, a JPEG."""


class Parts:
    """The services, built and not yet started; from the bottom up, as they need each other."""

    def __init__(self, ground: Ground) -> None:
        config, places, store, hub = ground.config, ground.places, ground.store, ground.hub
        tools, launcher, viewers = ground.tools, ground.launcher, config.limits.viewers
        self.ground = ground
        self.passwords = Passwords()
        self.users = Users(self.passwords, store)
        self.sessions = Sessions(config.auth.session_timeout_s)
        self.guard = Guard(config.auth, self.users, self.sessions, config.http.cors_origins)
        self.logins = Logins(
            self.users,
            self.passwords,
            self.sessions,
            Lockout(),
            LoginAlarm(hub),
            enabled=config.auth.enabled,
        )
        self.trust = Trust(store)
        self.onvif = Onvif(trust=self.trust)
        makers: dict[DeviceType, Maker] = {
            "hik": partial(HikRecorder, trust=self.trust),
            "dahua": partial(DahuaRecorder, trust=self.trust),
        }
        self.devices = Devices(makers, store, hub, trust=self.trust)
        self.sources = Registry(
            Workshop(tools, launcher, ground.profiles, config.hls, config.limits, places.ram),
            places.media_root,
            store,
            hub,
            self.onvif,
            self.devices,
            trust=self.trust,
        )
        self.steering = Steering(self.sources, store, still_after_s=STILL_AFTER_S)
        self.pictures = Pictures(self.sources, launcher, tools)
        self.recording = RecordingService(
            Folders(places.data, places.mediastore),
            config.recording,
            hub,
            self.sources,
            store,
            self.pictures,
            playbacks=viewers,
            kit=Kit(tools, launcher, find_recipe(ground.profiles)),
            transcodes=self.sources.transcodes,
            find_device=self.devices.find_recorded,
        )
        playbacks = self.recording.playbacks
        self.ws = WsOutput(
            self.sources, playbacks, viewers=viewers, viewer_bytes=config.limits.viewer_bytes
        )
        self.hls = HlsOutput(self.sources, config.hls, viewers=viewers)
        self.rtc = RtcOutput(self.sources, config.rtc, viewers=viewers, playbacks=playbacks)
        self.stored = StoredOutput(self.recording.library, places.mediastore, viewers=viewers)
        self.events = EventSockets(hub, limit=viewers)
        self.notifier = Notifier(
            config,
            hub,
            self.sources,
            self.pictures,
            self.recording.recordings,
            host_id=ground.system.host_id,
            version=ground.system.version,
        )
        self.processes = Processes(lambda: find_processes(self.sources), launcher.find_running)
        self.machine = Machine(places.data)
        self.codecs = CodecProbe(tools, launcher, places.data)
        self.ram_watch = RamWatch(places.ram, hub)

    async def apply(self, config: Config) -> None:
        """Make sources, devices and users as config.json has them; raises H5supError."""
        tokens = {source.token for source in config.sources}
        await self.devices.apply(config.devices, taken=tokens)
        await self.sources.apply(config.sources)
        for name in await self.users.apply(config.auth.users):
            self.sessions.close_user(name)
