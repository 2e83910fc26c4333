"""What is said in ISAPI, Hikvision's protocol of XML over HTTP: built and read, nothing sent.

After the ISAPI developer guide ("General Application", chapters Storage, Streaming, PTZ and
Security). Where firmware is known to differ from it, the place says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from h5sup.base.errors import MediaFormatError
from h5sup.devices.hik.zone import Zone, parse_zone
from h5sup.devices.model import (
    DeviceChannel,
    DeviceRecord,
    Preset,
    RecordDay,
    RecordTrigger,
    Switch,
)
from h5sup.formats.xml import Element, escape_xml, parse_xml

DEVICE_INFO = "/ISAPI/System/deviceInfo"
TIME = "/ISAPI/System/time"
PROTOCOLS = "/ISAPI/Security/adminAccesses"
IP_CHANNELS = "/ISAPI/ContentMgmt/InputProxy/channels"
IP_STATUS = "/ISAPI/ContentMgmt/InputProxy/channels/status"
ANALOG_CHANNELS = "/ISAPI/System/Video/inputs/channels"
STREAMING_CHANNELS = "/ISAPI/Streaming/channels"
SEARCH = "/ISAPI/ContentMgmt/search"
XML = 'application/xml; charset="UTF-8"'

MAIN, SUB = 1, 2  # a channel's number times 100 and one of these name what is sent or recorded
MAX_CHANNEL = 1024
MAX_NAME_LETTERS = 128
MAX_PRESETS = 300
SPEED_STEPS = 100  # of pan, tilt, zoom, focus and iris
PAGE = 40  # what the smallest devices take for maxResults
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'
NAMESPACE = 'version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"'
STAMP = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(?:\.\d+)?"
    r"(?:Z|([+-])(\d\d):?(\d\d))?"
)
MANUAL = ("manual",)
ON_TIME = ("timing", "time", "record", "schedule", "alltime")
# What a device says of a user it has locked out: lockStatus of userCheck, or a subStatusCode.
LOCKED = ("lock", "locked")
LOCKED_CODE = re.compile(r"(?i)(user|account|login|ip|device).{0,4}lock")
DEFAULT_LOCK_S = 1800.0  # what devices come with
NO_VIDEO = "no video"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device says it is."""

    name: str
    model: str
    kind: str
    """NVR, DVR, IPCamera, IPDome ..."""
    serial: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Page:
    """Part of what a search found; `is_last` when nothing follows."""

    records: tuple[DeviceRecord, ...]
    matches: int
    """How many the device counts in this part, those that could not be read included."""
    is_last: bool


def is_device(body: bytes) -> bool:
    """Return whether the answer to DEVICE_INFO comes from such a device."""
    try:
        return parse_xml(body).name in ("DeviceInfo", "ResponseStatus")
    except MediaFormatError:
        return False


def parse_device_info(body: bytes) -> DeviceInfo:
    """Return what DEVICE_INFO answers."""
    tree = parse_answer(body, "DeviceInfo")
    return DeviceInfo(
        *(
            _name(tree.text_of(key))
            for key in ("deviceName", "model", "deviceType", "serialNumber", "firmwareVersion")
        )
    )


def parse_time_zone(body: bytes) -> Zone:
    """Return the zone of a device's clock, as TIME answers.

    Older firmware names none; then what localTime has behind it is the offset for all times.
    """
    tree = parse_answer(body, "Time")
    if text := tree.text_of("timeZone"):
        return parse_zone(text)
    found = STAMP.fullmatch(tree.text_of("localTime"))
    if found is None or found[7] is None:
        raise MediaFormatError("the device does not tell its time zone")
    return Zone(_offset(found[7], found[8], found[9]))


def parse_rtsp_port(body: bytes) -> int | None:
    """Return the port that PROTOCOLS tells, if any."""
    for each in parse_xml(body).find_all("AdminAccessProtocol"):
        if each.text_of("protocol").upper() == "RTSP":
            port = _number(each.text_of("portNo"))
            return port if port is not None and 1 <= port <= 65535 else None
    return None


def parse_online(body: bytes) -> dict[int, bool]:
    """Return which channels say whether they are online; none, of what can't be read."""
    try:
        tree = parse_answer(body, "InputProxyChannelStatusList")
    except MediaFormatError:  # a state that can't be read is none: the channels are still there
        return {}
    states: dict[int, bool] = {}
    for each in tree.find_all("InputProxyChannelStatus"):
        number = read_channel_number(each.text_of("id"))
        # by the maker's web SDK it may stand with the address too
        state = each.text_of("online") or each.text_of("sourceInputPortDescriptor/online")
        state = state.lower()
        if number is not None and state in ("true", "false"):
            states[number] = state == "true"
    return states


def parse_ip_channels(body: bytes, online: Mapping[int, bool]) -> tuple[DeviceChannel, ...]:
    """Return a recorder's IP channels.

    One that says nothing of its state counts as online: some firmware knows none, and a camera
    must not be lost by that.
    """
    tree = parse_answer(body, "InputProxyChannelList")
    found = []
    for each in tree.find_all("InputProxyChannel"):
        number = read_channel_number(each.text_of("id"))
        if number is not None:
            name = _name(each.text_of("name"))
            found.append(_channel(number, name, is_online=online.get(number, True)))
    return _unique(found)


def parse_analog_channels(body: bytes) -> tuple[DeviceChannel, ...]:
    """Return a recorder's analog inputs, or a camera's one, without those switched off."""
    tree = parse_answer(body, "VideoInputChannelList")
    found = []
    for each in tree.find_all("VideoInputChannel"):
        number = read_channel_number(each.text_of("id"))
        if number is None or each.text_of("videoInputEnabled", "true").lower() == "false":
            continue
        has_video = each.text_of("resDesc").lower() != NO_VIDEO
        found.append(_channel(number, _name(each.text_of("name")), is_online=has_video))
    return _unique(found)


def parse_streaming_channels(body: bytes) -> tuple[DeviceChannel, ...]:
    """Return the channels of a device that lists only what it sends: 101, 102, 201 ..."""
    tree = parse_answer(body, "StreamingChannelList")
    found = []
    for each in tree.find_all("StreamingChannel"):
        sent = _number(each.text_of("id"))
        number = read_channel_number(str(sent // 100)) if sent is not None else None
        if number is not None:
            found.append(_channel(number, _name(each.text_of("channelName")), is_online=True))
    return _unique(found)


def merge_channels(parts: Iterable[Sequence[DeviceChannel]]) -> tuple[DeviceChannel, ...]:
    """Return all of several lists by number; where two have one, the first list wins."""
    merged: dict[int, DeviceChannel] = {}
    for part in parts:
        for channel in part:
            merged.setdefault(channel.number, channel)
    return tuple(merged[number] for number in sorted(merged))


def build_live_path(channel: int, *, sub: bool) -> str:
    """Return the path of a channel's picture by RTSP."""
    return f"/Streaming/Channels/{channel * 100 + (SUB if sub else MAIN)}"


def build_playback_path(channel: int, begin: datetime, end: datetime, zone: Zone) -> str:
    """Return the path by RTSP of what was recorded between two moments.

    The Z is a label: firmware reads and tells the time of the device's own clock.
    """
    first, last = (zone.to_wall(moment).strftime("%Y%m%dT%H%M%SZ") for moment in (begin, end))
    return f"/Streaming/tracks/{channel * 100 + MAIN}?starttime={first}&endtime={last}"


def build_search(
    search_id: str, channel: int, begin: datetime, end: datetime, zone: Zone, position: int
) -> bytes:
    """Return the body that asks for recordings from the `position`th on.

    `searchResultPostion` is spelt like that: devices ignore the right spelling.
    """
    first, last = (zone.to_wall(moment).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (begin, end))
    return (
        f"{PROLOGUE}<CMSearchDescription><searchID>{search_id}</searchID>"
        f"<trackList><trackID>{channel * 100 + MAIN}</trackID></trackList>"
        f"<timeSpanList><timeSpan><startTime>{first}</startTime><endTime>{last}</endTime>"
        f"</timeSpan></timeSpanList><maxResults>{PAGE}</maxResults>"
        f"<searchResultPostion>{position}</searchResultPostion>"
        "<metadataList><metadataDescriptor>//recordType.meta.std-cgi.com</metadataDescriptor>"
        "</metadataList></CMSearchDescription>"
    ).encode()


def parse_search(body: bytes, zone: Zone) -> Page:
    """Return a part of what was found; what makes no sense in it is left out."""
    tree = parse_answer(body, "CMSearchResult")
    items = tree.find_all("matchList/searchMatchItem")
    records = []
    for each in items:
        begin = _moment(each.text_of("timeSpan/startTime"), zone)
        end = _moment(each.text_of("timeSpan/endTime"), zone)
        if begin is not None and end is not None and begin < end:
            trigger = _trigger(each.text_of("metadataMatches/metadataDescriptor"))
            records.append(DeviceRecord(begin, end, trigger))
    status = tree.text_of("responseStatusStrg").upper()
    return Page(tuple(records), len(items), is_last=status != "MORE" or not items)


def build_calendar(year: int, month: int) -> bytes:
    """Return the body that asks for a month."""
    return (
        f"{PROLOGUE}<trackDailyParam><year>{year}</year><monthOfYear>{month}</monthOfYear>"
        "</trackDailyParam>"
    ).encode()


def build_calendar_path(channel: int) -> str:
    """Return where a channel's month is asked for."""
    return f"/ISAPI/ContentMgmt/record/tracks/{channel * 100 + MAIN}/dailyDistribution"


def parse_calendar(body: bytes) -> tuple[RecordDay, ...]:
    """Return the days with recordings."""
    tree = parse_answer(body, "trackDailyDistribution")
    days: dict[int, RecordDay] = {}
    for each in tree.find_all("dayList/day"):
        day = _number(each.text_of("dayOfMonth"))
        if day is not None and 1 <= day <= 31 and each.text_of("record").lower() == "true":
            kinds = {kind.strip() for kind in each.text_of("recordType").lower().split(",")}
            days[day] = RecordDay(day, has_alarm=not kinds <= {"", *ON_TIME, *MANUAL})
    return tuple(days[day] for day in sorted(days))


def build_motion(pan: float, tilt: float, zoom: float) -> bytes:
    """Return the body that moves, or stops, a camera."""
    return (
        f"{PROLOGUE}<PTZData {NAMESPACE}><pan>{_speed(pan)}</pan><tilt>{_speed(tilt)}</tilt>"
        f"<zoom>{_speed(zoom)}</zoom></PTZData>"
    ).encode()


def build_focus(speed: float) -> bytes:
    """Return the body that moves, or stops, the focus; positive is farther away."""
    return f"{PROLOGUE}<FocusData {NAMESPACE}><focus>{_speed(speed)}</focus></FocusData>".encode()


def build_iris(speed: float) -> bytes:
    """Return the body that moves, or stops, the iris; positive is open."""
    return f"{PROLOGUE}<IrisData {NAMESPACE}><iris>{_speed(speed)}</iris></IrisData>".encode()


def build_switch(what: Switch, *, on: bool) -> bytes:
    """Return the body for wiper and light; with a namespace some cameras refuse it."""
    kind = "WIPER" if what is Switch.WIPER else "LIGHT"
    status = "on" if on else "off"
    return (
        f"{PROLOGUE}<PTZAux><id>1</id><type>{kind}</type><status>{status}</status></PTZAux>"
    ).encode()


def build_preset(number: int, name: str) -> bytes:
    """Return the body that keeps a place."""
    return (
        f"{PROLOGUE}<PTZPreset {NAMESPACE}><id>{number}</id>"
        f"<presetName>{escape_xml(name)}</presetName></PTZPreset>"
    ).encode()


def parse_presets(body: bytes) -> tuple[Preset, ...]:
    """Return the places that are set; cameras also list those that are not, as disabled."""
    tree = parse_answer(body, "PTZPresetList")
    found: dict[str, Preset] = {}
    for each in tree.find_all("PTZPreset"):
        number = find_preset_number(each.text_of("id"))
        if number is not None and each.text_of("enabled", "true").lower() != "false":
            name = _name(each.text_of("presetName")) or str(number)
            found.setdefault(str(number), Preset(str(number), name))
    return tuple(found.values())


def find_preset_number(token: str) -> int | None:
    """Return the number that a token stands for; devices have them from 1 to 300."""
    number = _number(token)
    return number if number is not None and 1 <= number <= MAX_PRESETS else None


def find_lock(body: bytes) -> float | None:
    """Return for how many seconds a refusal says the user is locked out, or None."""
    try:
        tree = parse_xml(body)
    except MediaFormatError:
        return None
    texts = {element.name: element.text for element in tree.walk()}
    is_locked = texts.get("lockStatus", "").lower() in LOCKED
    if not is_locked and LOCKED_CODE.search(texts.get("subStatusCode", "")) is None:
        return None
    seconds = _number(texts.get("unlockTime", ""))
    return float(seconds) if seconds is not None and 0 < seconds <= 86_400 else DEFAULT_LOCK_S


def explain(status: int, body: bytes) -> str:
    """Return in words why a device did not do it."""
    try:
        tree = parse_xml(body)
    except MediaFormatError:
        said = ""
    else:
        said = _name(tree.text_of("subStatusCode") or tree.text_of("statusString"))
    return f"it answers {status} ({said})" if said else f"it answers {status}"


def parse_answer(body: bytes, name: str) -> Element:
    """Return the outermost element, which must be called like that; raises MediaFormatError."""
    tree = parse_xml(body)
    if tree.name != name:
        raise MediaFormatError(
            f"the device answers with {_name(tree.name)!r} in place of {name!r}"
        )
    return tree


def _channel(number: int, name: str, *, is_online: bool) -> DeviceChannel:
    return DeviceChannel(number=number, name=name or f"Channel {number}", is_online=is_online)


def _unique(channels: Sequence[DeviceChannel]) -> tuple[DeviceChannel, ...]:
    return merge_channels([channels])


def read_channel_number(text: str) -> int | None:
    """Return a channel's number, None for what is none."""
    number = _number(text)
    return number if number is not None and 1 <= number <= MAX_CHANNEL else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _name(text: str) -> str:
    """Return a device's words fit to be shown."""
    return "".join(letter for letter in text if letter.isprintable())[:MAX_NAME_LETTERS].strip()


def _speed(value: float) -> int:
    return round(max(-1.0, min(1.0, value)) * SPEED_STEPS)


def _moment(text: str, zone: Zone) -> datetime | None:
    """Return the moment of a time of a device: its wall clock, unless an offset stands there."""
    found = STAMP.fullmatch(text)
    if found is None:
        return None
    try:
        wall = datetime(*(int(found[group]) for group in range(1, 7)))  # type: ignore[arg-type]  # noqa: DTZ001
        if found[7] is not None:
            offset = _offset(found[7], found[8], found[9])
            return wall.replace(tzinfo=timezone(offset)).astimezone(UTC)
        return zone.to_utc(wall)
    except (ValueError, OverflowError):
        return None


def _offset(sign: str, hours: str, minutes: str) -> timedelta:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return -offset if sign == "-" else offset


def _trigger(descriptor: str) -> RecordTrigger:
    """Return what began a recording: `recordType.meta.hikvision.com/timing`, `/motion`, ..."""
    kind = descriptor.rpartition("/")[2].lower()
    if kind in MANUAL:
        return "manual"
    return "schedule" if not kind or kind in ON_TIME else "alarm"
