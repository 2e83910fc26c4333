"""config.json as typed, immutable objects: every key, its type, range and default.

`docs/config.md` explains each key and `config.schema.json` is generated from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

# Python's `$` also matches before a line break at the end, hence `(?!\n)`.
TOKEN_PATTERN = r"^(?!\.{1,2}$)(?!.*--)[A-Za-z0-9_.-]{1,64}$(?!\n)"  # noqa: S105 (a source's public name)
PROFILE_PATTERN = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
# a token, or the beginning of tokens followed by `*`
SOURCE_PATTERN = r"^(?=.)[A-Za-z0-9_.-]{0,128}\*?$(?!\n)"
SEE_ALL = ("*",)
TokenName = Annotated[str, Meta(pattern=TOKEN_PATTERN)]
SourcePattern = Annotated[str, Meta(pattern=SOURCE_PATTERN)]
Port = Annotated[int, Meta(ge=0, le=65535)]
ByteCount = Annotated[int, Meta(ge=0)]
Fingerprint = Annotated[str, Meta(max_length=95)]  # SHA-256 with colons

Role = Literal["Administrator", "Operator", "Viewer"]
SourceType = Literal["file", "rtsp", "onvif", "device"]
DeviceType = Literal["hik", "dahua"]
Connect = Literal["always", "ondemand", "auto"]
Transport = Literal["auto", "tcp", "udp", "http", "https"]
EventName = Literal[
    "ONLINE",
    "OFFLINE",
    "RECORD_START",
    "RECORD_STOP",
    "DISK_LOW",
    "LOGIN_FAILED",
    "MOTION",
    "ALARM_IN",
]
Record = Literal["off", "always", "schedule"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# 24:00 is the end of a day
TIME_OF_DAY_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$(?!\n)"
TimeOfDay = Annotated[str, Meta(pattern=TIME_OF_DAY_PATTERN)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object of config.json; an unknown key is an error."""


class HttpConfig(Section, frozen=True, kw_only=True):
    """Where h5sup listens."""

    host: str = "0.0.0.0"  # noqa: S104 (a gateway is there to be reached)
    port: Port = 8080
    tls_port: Port = 0
    tls_cert: str = ""
    tls_key: str = ""
    cors_origins: tuple[str, ...] = ()


class UserConfig(Section, frozen=True, kw_only=True):
    """One user as the operator wrote it."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(min_length=1, max_length=128)]
    role: Role = "Viewer"
    sources: tuple[SourcePattern, ...] = SEE_ALL

    def __repr__(self) -> str:  # the password must not reach a log by way of a traceback
        return f"UserConfig({self.name!r})"


class AuthConfig(Section, frozen=True, kw_only=True):
    """Who may do what."""

    enabled: bool = True
    anonymous_view: bool = False
    session_timeout_s: Annotated[int, Meta(ge=10, le=86400)] = 600
    strict_roles: bool = True
    metrics_key: Annotated[str, Meta(max_length=128)] = ""
    users: tuple[UserConfig, ...] = (
        UserConfig(name="admin", password="12345", role="Administrator"),  # noqa: S106 (contract)
    )


class PathsConfig(Section, frozen=True, kw_only=True):
    """Folders; relative ones start at config.json's folder."""

    mediastore: str = "mediastore"
    data: str = "data"
    profiles: str = "ffmpeg_profiles"
    www: str = "www"
    media_root: str = "media"
    ram: str = ""
    ffmpeg: str = "ffmpeg"
    ffprobe: str = "ffprobe"


class RecordingConfig(Section, frozen=True, kw_only=True):
    """How recordings are cut, and how long they and snapshots are kept; 0 means for ever."""

    segment_s: Annotated[int, Meta(ge=10, le=3600)] = 300
    max_bytes: ByteCount = 0
    keep_free_bytes: ByteCount = 2_000_000_000
    max_days: Annotated[int, Meta(ge=0, le=36_500)] = 30
    snapshot_days: Annotated[int, Meta(ge=0, le=36_500)] = 30
    manual_max_s: Annotated[int, Meta(ge=1, le=86_400)] = 86_400
    pre_record_bytes: ByteCount = 64_000_000
    queue_bytes: Annotated[int, Meta(ge=1_000_000)] = 32_000_000
    archives: Annotated[int, Meta(ge=1, le=16)] = 1


class HlsConfig(Section, frozen=True, kw_only=True):
    """HLS playlists and segments."""

    ts: bool = True
    segment_s: Annotated[float, Meta(ge=0.5, le=20)] = 2.0
    segments: Annotated[int, Meta(ge=3, le=30)] = 4
    part_s: Annotated[float, Meta(ge=0.1, le=2)] = 0.2


class IceServerConfig(Section, frozen=True, kw_only=True):
    """A STUN or TURN server that viewers are told of."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""

    def __repr__(self) -> str:  # see UserConfig.__repr__
        return f"IceServerConfig({self.urls!r})"


class RtcConfig(Section, frozen=True, kw_only=True):
    """WebRTC: one port, UDP and TCP, for all viewers."""

    port: Port = 50_000
    public_ips: tuple[str, ...] = ()
    ice_servers: tuple[IceServerConfig, ...] = ()


class LimitsConfig(Section, frozen=True, kw_only=True):
    """Bounds that keep one camera or viewer from harming the rest."""

    transcodes: Annotated[int, Meta(ge=0, le=64)] = 2
    viewers: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    viewer_bytes: Annotated[int, Meta(ge=65_536)] = 4_000_000
    gop_bytes: ByteCount = 8_000_000
    ring_bytes: ByteCount = 8_000_000
    linger_s: Annotated[float, Meta(ge=0, le=3600)] = 20.0
    connections: Annotated[int, Meta(ge=16, le=1_000_000)] = 3000
    connections_per_address: Annotated[int, Meta(ge=0, le=1_000_000)] = 256


class WebhookConfig(Section, frozen=True, kw_only=True):
    """One address that events are posted to; no `events` means all of them."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    secret: Annotated[str, Meta(min_length=8, max_length=256)]
    events: tuple[EventName, ...] = ()

    def __repr__(self) -> str:  # see UserConfig.__repr__; many services have a secret in the URL
        return "WebhookConfig()"


class MqttConfig(Section, frozen=True, kw_only=True):
    """The broker that events and states are published to; an empty `url` means none."""

    url: Annotated[str, Meta(max_length=2048)] = ""
    prefix: str = "h5sup"
    discovery: str = "homeassistant"
    state_s: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    picture_s: Annotated[float, Meta(ge=0, le=86400)] = 60.0

    def __repr__(self) -> str:  # see UserConfig.__repr__
        return f"MqttConfig({self.prefix!r})"


class SubInput(Section, frozen=True, kw_only=True):
    """A source's second, smaller input; an empty `url` means there is none."""

    url: str = ""


class RecordHours(Section, frozen=True, kw_only=True):
    """Hours of some days of the week; a `to` before `from` means the next day."""

    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    begin: TimeOfDay = field(name="from", default="00:00")
    end: TimeOfDay = field(name="to", default="24:00")


class SourceConfig(Section, frozen=True, kw_only=True):
    """One source as the operator wrote it. Immutable: an edit makes a new object."""

    token: TokenName
    type: SourceType
    url: Annotated[str, Meta(max_length=2048)] = ""
    name: Annotated[str, Meta(max_length=128)] = ""
    user: Annotated[str, Meta(max_length=128)] = ""
    password: Annotated[str, Meta(max_length=128)] = ""
    transport: Transport = "auto"
    profile: Annotated[str, Meta(pattern=PROFILE_PATTERN)] = "auto"
    connect: Connect = "always"
    audio: bool = True
    stall_timeout_s: Annotated[float, Meta(ge=1, le=300)] = 10.0
    sub: SubInput = SubInput()
    record: Record = "off"
    record_hours: tuple[RecordHours, ...] = ()
    host: Annotated[str, Meta(max_length=255)] = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 80
    onvif_addr: Annotated[str, Meta(max_length=512)] = "/onvif/device_service"
    https: bool = False
    fingerprint: Fingerprint = ""
    onvif_profile_main: Annotated[str, Meta(max_length=128)] = ""
    onvif_profile_sub: Annotated[str, Meta(max_length=128)] = ""
    playback: bool = False
    playback_speed: Annotated[float, Meta(ge=0.1, le=16)] = 1.0
    record_max_bytes: ByteCount = 0
    pre_record_s: Annotated[float, Meta(ge=0, le=120)] = 0.0

    def __repr__(self) -> str:  # see UserConfig.__repr__
        return f"SourceConfig({self.token!r})"


class DeviceConfig(Section, frozen=True, kw_only=True):
    """A recorder whose channels are sources, as the operator wrote it."""

    token: TokenName
    type: DeviceType
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    name: Annotated[str, Meta(max_length=128)] = ""
    user: Annotated[str, Meta(max_length=128)] = ""
    password: Annotated[str, Meta(max_length=128)] = ""
    http_port: Port = 0
    rtsp_port: Port = 0
    fingerprint: Fingerprint = ""
    audio: bool = False

    def __repr__(self) -> str:  # see UserConfig.__repr__
        return f"DeviceConfig({self.token!r})"


class Config(Section, frozen=True, kw_only=True):
    """The whole of config.json."""

    http: HttpConfig = HttpConfig()
    auth: AuthConfig = AuthConfig()
    paths: PathsConfig = PathsConfig()
    recording: RecordingConfig = RecordingConfig()
    hls: HlsConfig = HlsConfig()
    rtc: RtcConfig = RtcConfig()
    limits: LimitsConfig = LimitsConfig()
    mqtt: MqttConfig = MqttConfig()
    webhooks: tuple[WebhookConfig, ...] = ()
    sources: tuple[SourceConfig, ...] = ()
    devices: tuple[DeviceConfig, ...] = ()
