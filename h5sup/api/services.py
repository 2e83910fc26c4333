"""What the calls need of the rest, as small Protocols; app/routes.py passes what has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Protocol

from aiohttp import web

from h5sup.auth.administration import Administration
from h5sup.auth.guard import Guard
from h5sup.auth.login import Logins
from h5sup.auth.sessions import Sessions
from h5sup.bus.channel import Channel, ChannelState
from h5sup.config.model import DeviceConfig, SourceConfig
from h5sup.devices.device import Device
from h5sup.devices.model import DeviceChannel, Motion, Preset, Switch
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.messages import OnvifProfile
from h5sup.devices.onvif.search import Found
from h5sup.ffmpeg.codecs import Codecs
from h5sup.metrics.machine import Load
from h5sup.recording.archive.plan import ArchiveRequest
from h5sup.recording.outlook import Outlook
from h5sup.recording.recordings import Begun, Moment
from h5sup.recording.volume import State
from h5sup.store.media_records import Gap, Kind, StoredFile


class OnvifSource(Protocol):
    """An ONVIF camera as a source."""

    @property
    def main(self) -> str:
        """The token of its large profile; empty before it is known."""

    @property
    def sub(self) -> str:
        """The token of its small profile; empty before it is known, or for none."""

    @property
    def url(self) -> str:
        """Where its large picture is; empty before it is known."""

    async def picture(self) -> bytes:
        """Return a JPEG by its own address; raises DeviceError."""


class Devices(Protocol):
    """All recorders."""

    def devices(self) -> Sequence[Device]:
        """Return them in the order they were added."""

    def get(self, token: str) -> Device:
        """Return one; raises NotFoundError."""

    def find_channel(self, token: str) -> tuple[Device, DeviceChannel] | None:
        """Return what `<device>--<channel>` names, if there is such."""

    async def add(self, config: DeviceConfig) -> Device:
        """Add and ask one; raises ConflictError, ConfigError, UnavailableError."""

    async def delete(self, token: str) -> None:
        """Forget one; raises NotFoundError, ConflictError."""

    async def change_login(self, token: str, user: str, password: str) -> Device:
        """Have one asked with another login; raises NotFoundError, ConflictError."""


class Onvif(Protocol):
    """What finds ONVIF cameras and asks them."""

    async def search(self, timeout_s: float) -> Sequence[Found]:
        """Return the cameras that answer within a time; raises UnavailableError."""

    async def probe(self, address: Address) -> Sequence[OnvifProfile]:
        """Return what a camera offers; raises DeviceError."""


class Feed(Protocol):
    """One input of a source, or what is derived from it."""

    @property
    def channel(self) -> Channel:
        """What it carries now."""

    @property
    def log_lines(self) -> Sequence[LogLine]:
        """What its ffmpegs said last, without secrets."""


class Source(Protocol):
    """One source as GetSrc shows it."""

    @property
    def config(self) -> SourceConfig:
        """As the operator wrote it, password included."""

    @property
    def from_file(self) -> bool:
        """Whether it stands in config.json."""

    @property
    def is_online(self) -> bool:
        """Whether its main input gives pictures."""

    @property
    def state(self) -> ChannelState:
        """How its main input fares."""

    @property
    def note(self) -> str:
        """What viewers should know of its picture."""

    @property
    def onvif(self) -> OnvifSource | None:
        """The camera that tells its addresses, where there is one."""

    @property
    def can_move(self) -> bool:
        """Whether its camera can be steered, as far as is known."""

    @property
    def has_sub(self) -> bool:
        """Whether it has a second, smaller picture."""

    @property
    def viewers(self) -> int:
        """How many hold it open, see sources."""

    @property
    def main(self) -> Feed:
        """Its main input."""

    @property
    def sub(self) -> Feed | None:
        """Its second, smaller input."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """Its inputs and what is derived from them."""


class LogLine(Protocol):
    """One line that an ffmpeg said."""

    @property
    def at(self) -> datetime:
        """When it came."""

    @property
    def text(self) -> str:
        """What it says, without secrets."""


class Sources(Protocol):
    """All sources."""

    def sources(self) -> Sequence[Source]:
        """Return them in the order they were added."""

    def get(self, token: str) -> Source:
        """Return one; raises NotFoundError."""

    async def add(self, config: SourceConfig) -> None:
        """Add, keep and start one; raises ConflictError, ConfigError."""

    async def delete(self, token: str) -> None:
        """Stop and forget one; raises NotFoundError, ConflictError."""


class Steering(Protocol):
    """What moves cameras. Its methods raise NotFoundError, DeviceError and UnavailableError.

    Those that return a bool say by False that a newer command took their place.
    """

    async def move(self, token: str, motion: Motion) -> bool:
        """Move on until stop(), or until nobody has repeated it for a while."""

    async def stop(self, token: str) -> bool:
        """Stand still."""

    async def go_to(self, token: str, preset: str) -> bool:
        """Turn to a place."""

    async def switch(self, token: str, what: Switch, *, on: bool) -> None:
        """Switch the wiper or the light."""

    async def presets(self, token: str) -> Sequence[Preset]:
        """Return the places a camera knows, none for a source that can't be steered."""

    async def set_preset(self, token: str, preset: str, name: str) -> None:
        """Keep where the camera looks now; raises ConflictError when no more are kept."""

    async def delete_preset(self, token: str, preset: str) -> None:
        """Forget a place."""


class Pictures(Protocol):
    """The newest picture of each source."""

    async def jpeg(self, token: str) -> bytes | None:
        """Return it as JPEG, None before the first frame; raises NotFoundError."""


class Connections(Protocol):
    """An output that counts who is connected."""

    @property
    def connections(self) -> int:
        """How many are connected now."""


class RtcFigures(Protocol):
    """How media arrives at one WebRTC viewer."""

    @property
    def token(self) -> str:
        """Which source it watches."""

    @property
    def name(self) -> str:
        """What tells it from the others."""

    @property
    def packets(self) -> int:
        """How many it was sent."""

    @property
    def resent(self) -> int:
        """How many it was sent again."""

    @property
    def replays(self) -> int:
        """How many GOPs it was played, the one at joining among them."""

    @property
    def dropped(self) -> int:
        """Bursts for which the socket had no room."""

    @property
    def loss(self) -> float:
        """Of the packets of its last report, 0 to 1."""

    @property
    def jitter_ms(self) -> float:
        """How unevenly they arrive."""

    @property
    def round_trip_ms(self) -> float | None:
        """How long it takes there and back; None before its first report."""


class RtcViewers(Connections, Protocol):
    """The viewers over WebRTC."""

    @property
    def figures(self) -> Sequence[RtcFigures]:
        """Of each who is connected."""


class Machine(Protocol):
    """How busy this machine is."""

    @property
    def uptime_s(self) -> float:
        """How long h5sup has run."""

    async def sampled(self) -> Load:
        """Return the newest load; at the very start it takes a second."""


class CodecFinder(Protocol):
    """What this machine encodes and decodes."""

    async def codecs(self) -> Codecs:
        """Return what passed its trial; raises UnavailableError while it is being tried."""


class RecordedDay(Protocol):
    """One day of a month."""

    @property
    def number(self) -> int:
        """From 1 on."""

    @property
    def has_recording(self) -> bool:
        """Whether something was recorded in it."""

    @property
    def has_alarm(self) -> bool:
        """Whether something was recorded for an alarm."""


class Library(Protocol):
    """What has been recorded and kept, for whoever may see it."""

    @property
    def zone(self) -> tzinfo:
        """Of days, and of times that name none."""

    async def find_files(
        self, kind: Kind, token: str, begin: datetime, end: datetime
    ) -> Sequence[StoredFile]:
        """Return what overlaps a stretch of time, by its beginning."""

    async def find_recording(self, kind: Kind, token: str, name: str) -> Sequence[StoredFile]:
        """Return all files of a recording by a name of it, with or without extension."""

    async def find_gaps(self, token: str, begin: datetime, end: datetime) -> Sequence[Gap]:
        """Return what was not recorded though it should have been."""

    async def find_days(self, token: str, year: int, month: int) -> Sequence[RecordedDay]:
        """Return all days of a month."""


class Recordings(Protocol):
    """What is recorded. Its methods raise what a call answers."""

    def is_recording(self, token: str) -> bool:
        """Return whether pictures of a source go to the disk."""

    async def record(self, token: str, duration_s: float, name: str = "") -> Begun:
        """Record for so long."""

    async def start_manual(
        self, token: str, *, always_create: bool = False, limit_s: float | None = None
    ) -> Begun:
        """Record until stop_manual()."""

    async def stop_manual(self, token: str, name: str = "") -> str:
        """End a recording and say how it went."""

    async def record_path(
        self,
        token: str,
        moment: Moment,
        duration_s: float,
        name: str,
        *,
        always_create: bool = False,
    ) -> Begun:
        """Record to a path, or lengthen what is recorded there."""


class Mediastore(Protocol):
    """The disk of recordings."""

    @property
    def state(self) -> State:
        """What it was like when it was last looked at."""

    @property
    def free_bytes(self) -> int:
        """How much is free for h5sup."""

    @property
    def total_bytes(self) -> int:
        """How large it is."""

    def refusal(self) -> str:
        """Return why nothing may be written now; empty when it may."""


class Forecast(Protocol):
    """What recordings take, and for how long there is room."""

    @property
    def newest(self) -> Outlook:
        """As it was seen last."""


class Archives(Protocol):
    """Stretches of time made into one file each."""

    async def request(self, request: ArchiveRequest) -> StoredFile:
        """Begin one and return where it will lie.

        Raises NotFoundError when nothing was recorded in this time, UnavailableError when it
        can't be made.
        """

    async def percentage(self, token: str, filename: str) -> int:
        """Return how far one is, 1 to 100.

        Raises NotFoundError for one that nobody asked for, UnavailableError for one that failed.
        """


class Snapshots(Protocol):
    """What keeps pictures."""

    async def take(self, token: str, name: str = "") -> StoredFile:
        """Keep the newest picture of a source.

        Raises InvalidError, NotFoundError, ConflictError, UnavailableError.
        """

    async def take_to(
        self, token: str, moment: datetime, zone: tzinfo | None, name: str
    ) -> StoredFile:
        """Keep it at the path of another moment; raises as take() does."""

    async def take_of_playback(self, token: str, playback_id: str, *, owner: str) -> StoredFile:
        """Keep the picture that a user's playback shows; raises as take() does."""


class Restarter(Protocol):
    """What starts the server anew."""

    async def restart(self) -> None:
        """Do so soon, after the answer; raises ConfigError when it would not start again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """What never changes while the process runs."""

    version: str
    host_id: str
    ffmpeg: str
    """What ffmpeg says of its version."""
    processor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the calls use."""

    guard: Guard
    logins: Logins
    administration: Administration
    sessions: Sessions
    sources: Sources
    devices: Devices
    onvif: Onvif
    steering: Steering
    pictures: Pictures
    recordings: Recordings
    ws_viewers: Connections
    rtc_viewers: RtcViewers
    machine: Machine
    codecs: CodecFinder
    library: Library
    mediastore: Mediastore
    forecast: Forecast
    archives: Archives
    snapshots: Snapshots
    restarter: Restarter
    system: SystemFacts
    loading_image: bytes
    """What GetImage answers before the first frame, a JPEG."""


SERVICES = web.AppKey("SERVICES", Services)
