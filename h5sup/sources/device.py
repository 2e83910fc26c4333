"""Channels of recorders as sources: made when they are first needed, listed before that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from h5sup.bus.channel import Channel, ChannelState
from h5sup.config.model import DeviceConfig, SourceConfig
from h5sup.devices.device import LOST_PICTURE, DeviceState, channel_token
from h5sup.devices.model import DeviceChannel, DeviceError, MediaAddress, Recorder, Steerable
from h5sup.ffmpeg.media import Input
from h5sup.ffmpeg.supervisor import LogLine
from h5sup.sources.onvif import as_source_error

GONE = "the recorder lists it no more"


class Device(Protocol):
    """One recorder."""

    @property
    def config(self) -> DeviceConfig:
        """As the operator wrote it."""

    @property
    def from_file(self) -> bool:
        """Whether it stands in config.json."""

    @property
    def state(self) -> DeviceState:
        """Whether it answers."""

    @property
    def recorder(self) -> Recorder:
        """What speaks to it."""

    @property
    def channels(self) -> Sequence[DeviceChannel]:
        """As it told them last."""

    def find(self, number: int) -> DeviceChannel | None:
        """Return a channel, if there is such."""

    async def live(self, number: int, *, sub: bool) -> MediaAddress:
        """Return where its picture is had; raises DeviceError."""

    def note_media_refused(self, reason: str) -> None:
        """Note that its RTSP has refused the login."""


class Devices(Protocol):
    """All recorders."""

    def devices(self) -> Sequence[Device]:
        """Return them."""

    def find_channel(self, token: str) -> tuple[Device, DeviceChannel] | None:
        """Return what `<device>--<channel>` names, if there is such."""

    def on_change(self, follower: Callable[[], None]) -> None:
        """Have this called whenever a recorder or a channel comes, changes or goes."""


class DeviceSource:
    """The recorder behind one source. Owned by the Source."""

    has_sub = True
    may_have_sub = True

    def __init__(self, device: Device, number: int) -> None:
        self.device = device
        self.number = number

    @property
    def is_online(self) -> bool:
        """Return whether the recorder has its picture."""
        return self.device.state.is_online and self._reason() == ""

    @property
    def can_move(self) -> bool:
        """Return whether its camera moves, as far as the recorder knows."""
        channel = self.device.find(self.number)
        return channel is not None and channel.has_ptz

    @property
    def steering(self) -> Steerable:
        """Return what moves its camera."""
        return self.device.recorder.steering(self.number)

    def state(self, own: ChannelState) -> ChannelState:
        """Return how it fares: what stands still waits for the recorder, if that is offline."""
        reason = self._reason()
        if own.state != "STOPPED" or not reason:
            return own
        return ChannelState("BACKOFF", reason, self.device.state.since)

    async def locate(self, name: str) -> Input:
        """Return where `main` or `sub` is; raises SourceError."""
        try:
            found = await self.device.live(self.number, sub=name == "sub")
        except DeviceError as error:
            raise as_source_error(error) from error
        return Input(
            kind="rtsp",
            url=found.url,
            transport="tcp",
            user=found.user,
            password=found.password,
        )

    def refused(self, reason: str) -> None:
        """Note that the recorder's RTSP has refused the login."""
        self.device.note_media_refused(reason)

    def worked(self, name: str) -> None:
        """Note that it gives pictures: a recorder's addresses are known by rule."""

    def _reason(self) -> str:
        if not self.device.state.is_online:
            return self.device.state.reason
        channel = self.device.find(self.number)
        if channel is None:
            return GONE
        return "" if channel.is_online else LOST_PICTURE


class IdleFeed:
    """The input of a channel that nobody has opened."""

    log_lines: Sequence[LogLine] = ()

    def __init__(self, channel: Channel) -> None:
        self.channel = channel


class IdleChannel:
    """A channel that nobody has opened, as lists show it: a Source would cost 15 kB."""

    onvif = None
    has_sub = True
    viewers = 0
    note = ""
    sub = None
    feeds: Sequence[IdleFeed] = ()

    def __init__(self, config: SourceConfig, link: DeviceSource, main: IdleFeed) -> None:
        self.config = config
        self.main = main
        self._link = link

    @property
    def from_file(self) -> bool:
        """Return whether its device stands in config.json."""
        return self._link.device.from_file

    @property
    def is_online(self) -> bool:
        """Return whether the recorder has its picture."""
        return self._link.is_online

    @property
    def can_move(self) -> bool:
        """Return whether its camera moves."""
        return self._link.can_move

    @property
    def state(self) -> ChannelState:
        """Return how it fares."""
        return self._link.state(ChannelState(since=self._link.device.state.since))


def channel_config(device: DeviceConfig, channel: DeviceChannel) -> SourceConfig:
    """Return a channel as if an operator had written it; the login stays with the device."""
    return SourceConfig(
        token=channel_token(device.token, channel.number),
        type="device",
        name=channel.name,
        transport="tcp",
        connect="ondemand",
        audio=device.audio,
    )
