"""Stand-ins for what the REST side gets from app/."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import msgspec

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError, UnavailableError
from h5sup.bus.channel import Channel, ChannelState
from h5sup.config.model import SourceConfig
from h5sup.devices.model import DeviceError
from h5sup.devices.onvif.connection import Address
from h5sup.devices.onvif.messages import OnvifProfile
from h5sup.devices.onvif.search import Found
from h5sup.ffmpeg.codecs import Codecs
from h5sup.ffmpeg.supervisor import LogLine
from h5sup.metrics.machine import Load
from h5sup.recording.archive.plan import ArchiveRequest
from h5sup.recording.library import Day
from h5sup.recording.outlook import Outlook, Share
from h5sup.recording.recordings import Begun, Moment
from h5sup.recording.volume import State
from h5sup.store.media_records import Gap, Kind, StoredFile
from tests.fakes.steerable import FakeSteerable

JPEG = b"\xff\xd8 a picture \xff\xd9"
CAMERAS_OWN = b"\xff\xd8 by the camera's own address \xff\xd9"
LOADING = b"\xff\xd8 loading \xff\xd9"


class FakeFeed:
    """One input with a real channel."""

    def __init__(self, token: str, name: str = "main") -> None:
        self.channel = Channel(token, name, "copy", gop_bytes=100_000)
        self.log_lines: list[LogLine] = []


class FakeOnvifSource:
    """A camera that has told where its pictures are, or has not yet."""

    def __init__(self, config: SourceConfig) -> None:
        self.main = config.onvif_profile_main
        self.sub = config.onvif_profile_sub
        self.url = ""
        self.error: DeviceError | None = None

    async def picture(self) -> bytes:
        if self.error is not None:
            raise self.error
        return CAMERAS_OWN


class FakeOnvif:
    """Finds one camera, and answers probes with it or with `error`."""

    def __init__(self) -> None:
        self.error: DeviceError | None = None
        self.asked: list[object] = []

    async def search(self, timeout_s: float) -> list[Found]:
        self.asked.append(timeout_s)
        return [Found("192.0.2.7", 8000, "/onvif/device_service", "IPC-1 Maker")]

    async def probe(self, address: Address) -> list[OnvifProfile]:
        self.asked.append(address)
        if self.error is not None:
            raise self.error
        return [
            OnvifProfile(
                token="Profile_1", name="main", codec="H264", width=1920, height=1080, fps=25,
                bitrate_kbps=3072, video_source="v", ptz="", url="rtsp://192.0.2.7:554/1",
            )
        ]  # fmt: skip


class FakeSource:
    """A source whose state the test sets on its channel."""

    def __init__(self, config: SourceConfig, *, from_file: bool = False) -> None:
        self.config = config
        self.from_file = from_file
        self.main = FakeFeed(config.token)
        self.sub = FakeFeed(config.token, "sub") if config.sub.url else None
        self.onvif = FakeOnvifSource(config) if config.type == "onvif" else None
        self.viewers = 0
        self.note = ""
        self.steering: FakeSteerable | None = None

    @property
    def can_move(self) -> bool:
        return self.steering is not None

    @property
    def has_sub(self) -> bool:
        return self.sub is not None

    @property
    def feeds(self) -> list[FakeFeed]:
        return [feed for feed in (self.main, self.sub) if feed is not None]

    @property
    def state(self) -> ChannelState:
        return self.main.channel.state

    @property
    def is_online(self) -> bool:
        return self.state.state == "RUNNING"


class FakeSources:
    """Sources in a dict; files outside `demo.mp4` count as outside the media folder."""

    def __init__(self, *sources: FakeSource) -> None:
        self.by_token = {source.config.token: source for source in sources}

    def sources(self) -> list[FakeSource]:
        return list(self.by_token.values())

    def get(self, token: str) -> FakeSource:
        try:
            return self.by_token[token]
        except KeyError:
            raise NotFoundError("there is no source with this token") from None

    async def add(self, config: SourceConfig) -> None:
        if config.token in self.by_token:
            raise ConflictError("there is a source with this token already")
        if config.type == "file" and config.url != "demo.mp4":
            raise ConfigError("url", "must be a file inside the media folder (paths.media_root)")
        self.by_token[config.token] = FakeSource(config)

    async def delete(self, token: str) -> None:
        if self.get(token).from_file:
            raise ConflictError(f"source {token!r} stands in config.json: take it out there")
        del self.by_token[token]


class FakePictures:
    """A picture for those that have one; `error` is raised instead when set."""

    def __init__(self) -> None:
        self.by_token: dict[str, bytes] = {"front": JPEG}
        self.error: Exception | None = None

    async def jpeg(self, token: str) -> bytes | None:
        if self.error is not None:
            raise self.error
        if token not in ("front", "back", "back2"):
            raise NotFoundError("there is no source with this token")
        return self.by_token.get(token)


class FakeRecordings:
    """Recordings by token; says what it was asked for."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.asked: list[tuple[object, ...]] = []
        self.error: Exception | None = None

    def is_recording(self, token: str) -> bool:
        return token in self.running

    def has_manual(self, token: str) -> bool:
        return token in self.running

    async def record(self, token: str, duration_s: float, name: str = "") -> Begun:
        return self._begin("record", token, duration_s, name)

    async def start_manual(
        self, token: str, *, always_create: bool = False, limit_s: float | None = None
    ) -> Begun:
        begun = self._begin("start_manual", token, always_create, limit_s)
        self.running.add(token)
        return begun

    async def stop_manual(self, token: str, name: str = "") -> str:
        self._begin("stop_manual", token, name)
        self.running.discard(token)
        return "the recording is stopped"

    async def record_path(
        self,
        token: str,
        moment: Moment,
        duration_s: float,
        name: str,
        *,
        always_create: bool = False,
    ) -> Begun:
        return self._begin("record_path", token, moment, duration_s, name, always_create)

    def _begin(self, *asked: object) -> Begun:
        if self.error is not None:
            raise self.error
        self.asked.append(asked)
        return Begun("one.mp4", "record/front/2026-11-24TZ08/10-00-00/one.mp4", "it runs")


class FakeConnections:
    """Counts what it is told."""

    connections = 2


@dataclass(frozen=True)
class FakeRtcFigures:
    """A WebRTC viewer as it reports itself."""

    token: str
    name: str = "7"
    packets: int = 1000
    resent: int = 12
    replays: int = 1
    dropped: int = 0
    loss: float = 0.25
    jitter_ms: float = 3.14
    round_trip_ms: float | None = None


class FakeRtcViewers(FakeConnections):
    """Counts what it is told, and says how media arrives."""

    def __init__(self) -> None:
        self.figures: list[FakeRtcFigures] = []


class FakeMachine:
    """A machine that has run for 83 minutes."""

    uptime_s = 83 * 60 + 7.0

    async def sampled(self) -> Load:
        return Load(
            cpu_percent=15.6,
            own_cpu_percent=31.24,
            memory_percent=39.4,
            own_memory_bytes=150_000_000,
            in_kbps=8012.3,
            out_kbps=15.5,
            disk_total_bytes=937_300_000_000,
            disk_free_bytes=806_100_000,
        )


class FakeMediastore:
    """A disk that has filled up."""

    state = State.FULL
    free_bytes = 1_000_000
    total_bytes = 64_000_000_000

    def refusal(self) -> str:
        return "the disk of paths.mediastore is full"


class FakeForecast:
    """Recordings of two sources."""

    newest = Outlook(
        shares=(
            Share(
                token="door",
                files=2,
                size_bytes=7_000,
                bytes_per_day=1_000,
                days_left=3.04,
            ),
            Share(token="yard", files=1, size_bytes=2_000),
        ),
        files=3,
        size_bytes=9_000,
        bytes_per_day=1_000,
        days_left=3.04,
        full_at=datetime(2026, 11, 28, tzinfo=UTC),
    )


class FakeCodecs:
    """Codecs that have been tried, or are being tried while `found` is None."""

    def __init__(self) -> None:
        self.found: Codecs | None = Codecs(
            sw_encoders={"h264": ("libx264",), "vp9": ("libvpx-vp9",)},
            hw_encoders={"hevc": ("hevc_vaapi",), "h264": ("h264_vaapi",)},
            sw_decoders={"h264": ("h264",)},
            hw_decoders={"h264": ("vaapi",), "hevc": ("hevc_v4l2m2m", "vaapi")},
        )

    async def codecs(self) -> Codecs:
        if self.found is None:
            raise UnavailableError("the codecs are being tried: ask again in half a minute")
        return self.found


class FakeLibrary:
    """One recording that has ended, of `front`."""

    zone = timezone(timedelta(hours=8))
    file = StoredFile(
        id=1,
        kind="record",
        token="front",
        path="record/front/2018-04-25TZ08/19-32-05/1234.mp4",
        filename="1234.mp4",
        recording="1234.mp4",
        trigger="manual",
        start_us=1_524_655_925_400_000,
        end_us=1_524_656_226_600_000,
    )
    gap = Gap(
        token="front", start_us=1_524_656_226_600_000, end_us=None, cause="offline", reason="Gone."
    )

    async def find_files(
        self, kind: Kind, token: str, begin: datetime, end: datetime
    ) -> list[StoredFile]:
        return [self.file] if (kind, token) == ("record", "front") and begin < end else []

    async def find_recording(self, kind: Kind, token: str, name: str) -> list[StoredFile]:
        is_it = (kind, token, name) == ("record", "front", "1234")
        return [self.file] if is_it else []

    async def find_gaps(self, token: str, begin: datetime, end: datetime) -> list[Gap]:
        return [self.gap] if token == "front" and begin < end else []

    async def find_days(self, token: str, year: int, month: int) -> list[Day]:
        return [Day(day, token == "front" and day == 25, has_alarm=False) for day in range(1, 31)]


class FakeArchives:
    """Begins an archive of `front` where something was recorded; one of its archives failed."""

    def __init__(self) -> None:
        self.asked: list[ArchiveRequest] = []

    async def request(self, request: ArchiveRequest) -> StoredFile:
        self.asked.append(request)
        if request.token != "front":
            raise NotFoundError("nothing was recorded")
        path = "archive/front/2019-05-10TZ08/10-37-06/front-1.mp4"
        return replace(FakeLibrary.file, kind="archive", path=path, filename="front-1.mp4")

    async def percentage(self, token: str, filename: str) -> int:
        if filename == "front-2.mp4":
            raise UnavailableError("the disk was full")
        if (token, filename) != ("front", "front-1.mp4"):
            raise NotFoundError(f"source {token!r} has no archive {filename!r}")
        return 37


class FakeSnapshots:
    """Keeps a picture of `front` in name alone."""

    kept = StoredFile(
        id=2,
        kind="snapshot",
        token="front",
        path="snapshot/front/2019-05-10TZ08/15-59-42/xxxxxx.jpg",
        filename="xxxxxx.jpg",
        recording="xxxxxx.jpg",
        trigger="manual",
        start_us=1_557_475_182_000_000,
        end_us=1_557_475_182_000_000,
    )

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    async def take(self, token: str, name: str = "") -> StoredFile:
        return self._keep(token, name)

    async def take_to(
        self, token: str, moment: datetime, zone: tzinfo | None, name: str
    ) -> StoredFile:
        return self._keep(token, moment, zone, name)

    async def take_of_playback(self, token: str, playback_id: str, *, owner: str) -> StoredFile:
        assert owner in ("admin", "olga", "vera")
        return self._keep(token, playback_id)

    def _keep(self, token: str, *more: object) -> StoredFile:
        if token != "front":
            raise NotFoundError("there is no source with this token")
        self.asked.append((token, *more))
        return self.kept


class FakeRestarter:
    """Counts; refuses with the error it is given."""

    def __init__(self) -> None:
        self.restarts = 0
        self.error: ConfigError | None = None

    async def restart(self) -> None:
        if self.error is not None:
            raise self.error
        self.restarts += 1


def source(token: str, *, from_file: bool = False, **changes: object) -> FakeSource:
    """Return a camera as a test needs it."""
    config = SourceConfig(
        token=token,
        type="rtsp",
        url="rtsp://192.0.2.7/live",
        name=f"The {token} door",
        user="viewer",
        password="camera-secret",
    )
    return FakeSource(msgspec.structs.replace(config, **changes), from_file=from_file)
