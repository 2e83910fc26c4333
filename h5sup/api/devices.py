"""Chapters 5.3.7 to 5.3.13 and 5.5.12 to 5.5.13 of the manual: recorders and what they hold."""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.library import (
    DayAnswer,
    DaysAnswer,
    MonthParameters,
    RangeParameters,
    read_range,
)
from h5sup.api.onvif import KnownBy
from h5sup.api.sources import (
    NewToken,
    Short,
    list_channels,
)
from h5sup.api.subject import CallToken
from h5sup.auth.guard import Access
from h5sup.base.clock import iso_ms
from h5sup.base.errors import ConflictError, InvalidError
from h5sup.base.logs import redact
from h5sup.config.checks import check_host
from h5sup.config.loading import parse_device
from h5sup.config.model import DeviceType
from h5sup.devices.device import Device
from h5sup.devices.model import DeviceRecord, RecordTrigger

TYPES: dict[DeviceType, str] = {"hik": "H5_DEV_HIK", "dahua": "H5_DEV_DH"}
TRIGGERS: dict[RecordTrigger, str] = {
    "schedule": "H5_REC_SCHEDULE",
    "manual": "H5_REC_MANUAL",
    "alarm": "H5_REC_ALARM",
}
FIRST_TRY_S = 5.0  # whoever adds a recorder waits so long to hear whether it answers
Port = Annotated[int, Meta(ge=1, le=65535)]
FoundPort = Annotated[
    int, Meta(ge=0, le=65535, description="0, as without it: found from the device")
]


class GetDeviceParameters(Struct, frozen=True):
    """Which devices to list."""

    token: Annotated[str, Meta(max_length=128, description="empty means all")] = ""
    getonline: Annotated[
        bool, Meta(description="taken for compatibility: the state costs nothing here")
    ] = True


class GetDeviceSrcParameters(Struct, frozen=True):
    """The channels of which device to list."""

    token: Annotated[str, Meta(max_length=128, description="of the device")]
    getonline: Annotated[
        bool, Meta(description="taken for compatibility: the state costs nothing here")
    ] = True


class AddDeviceParameters(Struct, frozen=True):
    """A recorder to add."""

    token: NewToken
    name: Short
    user: Short
    password: Short
    ip: Annotated[str, Meta(min_length=1, max_length=255, description="its name or address")]
    port: Annotated[Port, Meta(description="that of the maker's own programs")]
    audio: bool = False
    httpport: FoundPort = 0
    rtspport: FoundPort = 0
    fingerprint: KnownBy = ""


class DeviceTokenParameters(Struct, frozen=True):
    """One device."""

    token: Annotated[str, Meta(max_length=128)]


class DeviceLoginParameters(Struct, frozen=True):
    """Another login for a device."""

    token: Annotated[str, Meta(max_length=128)]
    user: Short
    password: Short


class DeviceAnswer(Struct, frozen=True, kw_only=True):
    """One device: the manual's keys first, then ours."""

    type: str = field(name="nType")
    name: str = field(name="strName")
    token: str = field(name="strToken")
    user: str = field(name="strUser")
    password: str = field(name="strPasswd")
    is_password_encrypted: bool = field(name="bPasswdEncrypt", default=False)
    host: str = field(name="strDevIpAddress")
    port: str = field(name="strDevPort")
    is_online: bool = field(name="bOnline")
    reason: str = field(name="strReason")
    """Why it is offline; empty while it is online."""
    since: str = field(name="strSince")
    channels: int = field(name="nChannels")
    channels_online: int = field(name="nChannelsOnline")
    http_port: int = field(name="nHttpPort")
    """As given; 0: found by trying."""
    rtsp_port: int = field(name="nRtspPort")
    has_audio: bool = field(name="bEnableAudio")
    is_fixed: bool = field(name="bFixed")
    """It stands in config.json, so DelDevice refuses it."""


class DevicesAnswer(Struct, frozen=True):
    """The list of GetDevice."""

    devices: list[DeviceAnswer] = field(name="dev")


class ChannelAnswer(present.SourceAnswer, frozen=True, kw_only=True):
    """A channel as a source, with what the manual says of channels alone."""

    playback_speed: int = field(name="nRTSPPlaybackSpeed", default=0)
    original_type: str = field(name="nOriginalType", default="H5_ZERO")


class ChannelsAnswer(Struct, frozen=True):
    """The list of GetDeviceSrc."""

    sources: list[ChannelAnswer] = field(name="src")


class DeviceRecordAnswer(Struct, frozen=True):
    """A stretch that a device has recorded."""

    start: str = field(name="strStartTime")
    end: str = field(name="strEndTime")
    type: str = field(name="nType")


class DeviceRecordsAnswer(Struct, frozen=True):
    """What a device has recorded."""

    is_finished: bool = field(name="bFinished")
    """False: the device holds more than it tells at once; ask again from the last end."""
    records: list[DeviceRecordAnswer] = field(name="record")


async def get_device(caller: Caller, given: GetDeviceParameters) -> web.Response:
    """List the devices."""
    devices = caller.services.devices
    if given.token:
        found: Sequence[Device] = [devices.get(given.token)]
    else:
        found = [one for one in devices.devices() if caller.may_see_device(one.config.token)]
    return present.answer(DevicesAnswer([show_device(one) for one in found]))


async def get_device_src(caller: Caller, given: GetDeviceSrcParameters) -> web.Response:
    """List the channels of a device."""
    token = caller.services.devices.get(given.token).config.token
    listed = list_channels(caller, token)
    shown = [ChannelAnswer(**msgspec.structs.asdict(one)) for one in listed]
    return present.answer(ChannelsAnswer(shown))


async def add_device_hik(caller: Caller, given: AddDeviceParameters) -> web.Response:
    """Add a recorder of Hikvision."""
    return await _add(caller, given, "hik")


async def add_device_dh(caller: Caller, given: AddDeviceParameters) -> web.Response:
    """Add a recorder of Dahua."""
    return await _add(caller, given, "dahua")


async def del_device(caller: Caller, given: DeviceTokenParameters) -> web.Response:
    """Forget a device; its channels go with it."""
    await caller.services.devices.delete(given.token)
    return present.done("Delete successfully")


async def set_device_login(caller: Caller, given: DeviceLoginParameters) -> web.Response:
    """Have a device asked with another login."""
    device = await caller.services.devices.change_login(given.token, given.user, given.password)
    return await _tell_first_try(device, "Set successfully")


async def search_device_record_by_time(caller: Caller, given: RangeParameters) -> web.Response:
    """Ask a device what it has recorded of a channel."""
    zone = caller.services.library.zone
    begin, end = read_range(given.start, given.end, zone)
    device, number = find_channel(caller, given.token)
    if begin >= end:
        return present.answer(DeviceRecordsAnswer(is_finished=True, records=[]))
    found, is_all = await device.ask(lambda recorder: recorder.search(number, begin, end))
    shown = await asyncio.to_thread(lambda: [_show_record(one, zone) for one in found])
    return present.answer(DeviceRecordsAnswer(is_all, shown))


async def search_device_record_calendar(caller: Caller, given: MonthParameters) -> web.Response:
    """Ask a device on which days of a month it has recorded a channel."""
    device, number = find_channel(caller, given.token)
    found = await device.ask(lambda recorder: recorder.calendar(number, given.year, given.month))
    has_alarm = {one.day: one.has_alarm for one in found}
    days = [
        DayAnswer(day, day in has_alarm, has_alarm.get(day, False))
        for day in range(1, monthrange(given.year, given.month)[1] + 1)
    ]
    return present.answer(DaysAnswer(days))


def find_channel(caller: Caller, token: str) -> tuple[Device, int]:
    """Return a channel's device and its number; raises NotFoundError, InvalidError."""
    found = caller.services.devices.find_channel(token)
    if found is None:
        caller.services.sources.get(token)
        raise InvalidError("token", "is no channel of a device, so no device records it")
    return found[0], found[1].number


def show_device(one: Device) -> DeviceAnswer:
    """Return a device without its password."""
    config, state = one.config, one.state
    return DeviceAnswer(
        type=TYPES[config.type],
        name=config.name or config.token,
        token=config.token,
        user=config.user,
        password=present.MASKED if config.password else "",
        host=config.host,
        port=str(config.port),
        is_online=state.is_online,
        reason=redact(state.reason) if state.reason else "",
        since=iso_ms(state.since),
        channels=len(one.channels),
        channels_online=sum(channel.is_online for channel in one.channels)
        if state.is_online
        else 0,
        http_port=config.http_port,
        rtsp_port=config.rtsp_port,
        has_audio=config.audio,
        is_fixed=one.from_file,
    )


async def _add(caller: Caller, given: AddDeviceParameters, kind: DeviceType) -> web.Response:
    services = caller.services
    check_host(given.ip, "ip")
    config = parse_device(
        {
            "token": given.token,
            "type": kind,
            "name": given.name,
            "host": given.ip,
            "port": given.port,
            "user": given.user,
            "password": given.password,
            "http_port": given.httpport,
            "fingerprint": given.fingerprint,
            "rtsp_port": given.rtspport,
            "audio": given.audio,
        }
    )
    if any(one.config.token == config.token for one in services.sources.sources()):
        raise ConflictError(f"there is a source with the token {config.token!r} already")
    return await _tell_first_try(await services.devices.add(config), "Add successfully")


async def _tell_first_try(device: Device, done: str) -> web.Response:
    """Say what was done, and why the device is offline if it is."""
    if not await device.first_try(FIRST_TRY_S):
        return present.done(f"{done}; it has not answered yet")
    if not device.state.is_online:
        return present.done(f"{done}, but it is offline: {device.state.reason}")
    return present.done(done)


def _show_record(one: DeviceRecord, zone: tzinfo) -> DeviceRecordAnswer:
    begin, end = (moment.astimezone(zone).isoformat(timespec="seconds")
                  for moment in (one.begin, one.end))  # fmt: skip
    return DeviceRecordAnswer(begin, end, TRIGGERS[one.trigger])


CALLS = (
    Call(
        name="GetDevice",
        section="5.3.7",
        description="Lists the recorders with their state, and why one is offline. Who may see "
        "one channel of a recorder may see it. Passwords are masked.",
        parameters=GetDeviceParameters,
        answer=DevicesAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_device,
        token=CallToken.DEVICE,
    ),
    Call(
        name="GetDeviceSrc",
        section="5.3.8",
        description="Lists the channels of a recorder, those that the caller may see. They are "
        "sources: `strToken` is `<device>--<channel>`, and they play in every output, on demand. "
        "`bOnline` is what the recorder says of the camera.",
        parameters=GetDeviceSrcParameters,
        answer=ChannelsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_device_src,
        token=CallToken.DEVICE,
    ),
    Call(
        name="AddDeviceHik",
        section="5.3.11",
        description="Adds a recorder of Hikvision. One that can't be reached is added too: it is "
        "shown offline with the reason, which `strCode` has if it is known within 5 s. `port` is "
        "8000 as a rule; where HTTP and RTSP are is found, or given by `httpport`, `rtspport`. A "
        "password that the recorder refuses is not tried again.",
        parameters=AddDeviceParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=add_device_hik,
        token=CallToken.NEW,
    ),
    Call(
        name="AddDeviceDh",
        section="5.3.12",
        description="Adds a recorder of Dahua, as AddDeviceHik does; `port` is 37777 as a rule.",
        parameters=AddDeviceParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=add_device_dh,
        token=CallToken.NEW,
    ),
    Call(
        name="DelDevice",
        section="5.3.13",
        description="Deletes a recorder that was added by API, with its channels; one of "
        "config.json is refused.",
        parameters=DeviceTokenParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=del_device,
        token=CallToken.DEVICE,
    ),
    Call(
        name="SetDeviceLogin",
        section="",
        description="Has a recorder that was added by API asked with another user and password, "
        "at once; `strCode` says why it is offline if that is known within 5 s.",
        parameters=DeviceLoginParameters,
        answer=present.Outcome,
        role="Administrator",
        access=Access.ACT,
        handler=set_device_login,
        token=CallToken.DEVICE,
    ),
    Call(
        name="SearchDeviceRecordByTime",
        section="5.5.12",
        description="What a recorder has recorded of a channel between two times, the earliest "
        "first. `bFinished` false: it has more than it tells at once, ask again from the last "
        "`strEndTime`. What h5sup itself has recorded of the channel, Search finds.",
        parameters=RangeParameters,
        answer=DeviceRecordsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=search_device_record_by_time,
    ),
    Call(
        name="SearchDeviceRecordCalendar",
        section="5.5.13",
        description="On which days of a month, in the zone of the recorder, it has recorded a "
        "channel.",
        parameters=MonthParameters,
        answer=DaysAnswer,
        role="Viewer",
        access=Access.READ,
        handler=search_device_record_calendar,
    ),
)
