"""What is said in Dahua's CGI, lines of `key=value` over HTTP: built and read, nothing sent.

After the "HTTP API of IPC & NVR & DVR" (V2 and V3): chapters System, Video, PTZ and Storage. Where
firmware is known to differ from it, the place says how.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from h5sup.base.errors import MediaFormatError
from h5sup.devices.model import (
    DeviceChannel,
    DeviceRecord,
    Motion,
    Preset,
    RecordDay,
    RecordTrigger,
    Switch,
)

SYSTEM_INFO = "/cgi-bin/magicBox.cgi?action=getSystemInfo"
TIME = "/cgi-bin/global.cgi?action=getCurrentTime"
RTSP = "/cgi-bin/configManager.cgi?action=getConfig&name=RTSP"
CHANNEL_TITLES = "/cgi-bin/configManager.cgi?action=getConfig&name=ChannelTitle"
CAMERA_STATE = "/cgi-bin/api/LogicDeviceManager/getCameraState"
CAMERA_STATE_BODY = b'{"uniqueChannels":[-1]}'
VIDEO_LOSS = "/cgi-bin/eventManager.cgi?action=getEventIndexes&code=VideoLoss"
FINDER = "/cgi-bin/mediaFileFind.cgi?action="
CREATE_FINDER = f"{FINDER}factory.create"
JSON = "application/json"

MAX_LINES = 20_000  # read in some 30 ms on a slow machine; the event loop waits meanwhile
MAX_CHANNEL = 1024
MAX_NAME_LETTERS = 128
MAX_PRESETS = 255
SPEED_STEPS = 8
PAGE = 100  # the most that the document allows for findNextFile
LINE = re.compile(r"([A-Za-z_][\w.\[\]]{0,127})=(.*)")
STAMP = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})")
FINDER_NAME = re.compile(r"[0-9A-Za-z_]{1,32}")
TITLE = re.compile(r"table\.ChannelTitle\[(\d{1,4})\]\.Name")
LOST = re.compile(r"channels\[\d{1,4}\]")
ITEM = re.compile(r"items\[(\d{1,4})\]\.([\w\[\]]+)")
PRESET = re.compile(r"(?:list\.)?presets?\[(\d{1,4})\]\.(Index|Name)")
QUARTER = timedelta(minutes=15)
LARGEST_OFFSET = timedelta(hours=15)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # nothing was recorded before
LATEST = datetime(2199, 12, 30, tzinfo=UTC)
# `User Locked! Please try again after 30 minutes.`, or `remainLockSecond: 600`
LOCK = re.compile(r"(?i)\b(?:user|account|ip|device)\b.{0,16}\block(?:ed)?\b|remainLockSecond")
LOCK_SECONDS = re.compile(r"(?i)remainLockSecond\W{0,4}(\d{1,6})")
LOCK_MINUTES = re.compile(r"(?i)(\d{1,4})\s*min")
DEFAULT_LOCK_S = 1800.0  # what devices come with
WIPER_PAUSE_S = 5


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device says it is."""

    model: str
    serial: str


@dataclass(frozen=True, slots=True)
class Page:
    """Part of what a search found."""

    records: tuple[DeviceRecord, ...]
    matches: int
    """How many the device counts in this part, those that could not be read included."""


def parse_lines(body: bytes) -> dict[str, str]:
    """Return the values by key; raises MediaFormatError for what are no such lines.

    What stands behind an unknown line is read all the same: some firmware has blank ones, and
    titles with a line break in them.
    """
    if b"\x00" in body:
        raise MediaFormatError("the device answers with something that is no text")
    lines = _decode(body).splitlines()
    if len(lines) > MAX_LINES:
        raise MediaFormatError(f"the device answers with more than {MAX_LINES} lines")
    values: dict[str, str] = {}
    for line in lines:
        if (found := LINE.fullmatch(line.strip())) is not None:
            values.setdefault(found[1], found[2].strip())
    if not values:
        raise MediaFormatError("the device answers without any key and value")
    return values


def is_device(body: bytes) -> bool:
    """Return whether the answer to SYSTEM_INFO comes from such a device."""
    try:
        parse_device_info(body)
    except MediaFormatError:
        return False
    return True


def is_refusal(body: bytes) -> bool:
    """Return whether an answer with status 200 says no all the same, as old firmware does."""
    return body.lstrip()[:5].lower() == b"error"


def is_done(body: bytes) -> bool:
    """Return whether a command was done."""
    return body.strip().lower() == b"ok"


def parse_device_info(body: bytes) -> DeviceInfo:
    """Return what SYSTEM_INFO answers."""
    values = parse_lines(body)
    serial, model = values.get("serialNumber"), values.get("deviceType")
    if serial is None and model is None:
        raise MediaFormatError("the device says neither its type nor its serial number")
    return DeviceInfo(_name(values.get("updateSerial") or model or ""), _name(serial or ""))


def parse_offset(body: bytes, now: datetime) -> timedelta:
    """Return how far the device's clock is ahead of UTC, as TIME answers.

    In quarters of an hour, for its clock may go wrong by some minutes. Raises MediaFormatError
    when no zone is so far off: then its clock was never set.
    """
    wall = _wall(parse_lines(body).get("result", ""))
    if wall is None:
        raise MediaFormatError("the device does not tell its time")
    offset = QUARTER * round((wall - now.astimezone(UTC).replace(tzinfo=None)) / QUARTER)
    if abs(offset) > LARGEST_OFFSET:
        raise MediaFormatError(f"the device's clock is wrong: it shows {wall:%Y-%m-%d %H:%M}")
    return offset


def parse_rtsp_port(body: bytes) -> int | None:
    """Return the port that RTSP tells, if any."""
    port = _number(parse_lines(body).get("table.RTSP.Port", ""))
    return port if port is not None and 1 <= port <= 65535 else None


def parse_titles(body: bytes) -> dict[int, str]:
    """Return the channels' names by number; titles are counted from 0, channels from 1."""
    found: dict[int, str] = {}
    for key, value in parse_lines(body).items():
        title = TITLE.fullmatch(key)
        if title is not None and int(title[1]) < MAX_CHANNEL:
            number = int(title[1]) + 1
            found[number] = _name(value) or f"Channel {number}"
    if not found:
        raise MediaFormatError("the device tells no titles of channels")
    return dict(sorted(found.items()))


def parse_states(body: bytes) -> dict[int, str]:
    """Return the state of each channel by number, in small letters: connected, empty ...

    A state that can't be read is none: the channels are still there.
    """
    try:
        told = json.loads(_decode(body))
        states = told["states"]
        if not isinstance(states, list):
            return {}
    except (ValueError, RecursionError, TypeError, KeyError):
        return {}
    found: dict[int, str] = {}
    for state in states[:MAX_CHANNEL]:
        match state:
            case {"channel": int(index), "connectionState": str(word)} if 0 <= index < MAX_CHANNEL:
                found[index + 1] = word.lower()
    return found


def parse_losses(body: bytes) -> frozenset[int]:
    """Return the numbers of channels without a picture, as VIDEO_LOSS answers."""
    found = set()
    for key, value in parse_lines(body).items():
        index = _number(value)
        if LOST.fullmatch(key) is not None and index is not None:
            found.add(index + 1)
    return frozenset(found)


def build_channels(
    titles: Mapping[int, str], states: Mapping[int, str], losses: frozenset[int]
) -> tuple[DeviceChannel, ...]:
    """Return the channels; places of a recorder where no camera was added are left out.

    A channel of which nothing is said counts as online, for a camera must not be lost by that.
    """
    return tuple(
        DeviceChannel(
            number=number,
            name=name,
            is_online=states.get(number, "connected") == "connected" and number not in losses,
        )
        for number, name in titles.items()
        if states.get(number) != "empty"
    )


def build_live_path(channel: int, *, sub: bool) -> str:
    """Return the path of a channel's picture by RTSP."""
    return f"/cam/realmonitor?channel={channel}&subtype={int(sub)}"


def build_playback_path(channel: int, begin: datetime, end: datetime, offset: timedelta) -> str:
    """Return the path by RTSP of what was recorded between two moments, in the device's time."""
    first, last = (f"{to_wall(moment, offset):%Y_%m_%d_%H_%M_%S}" for moment in (begin, end))
    return f"/cam/playback?channel={channel}&starttime={first}&endtime={last}"


def to_wall(moment: datetime, offset: timedelta) -> datetime:
    """Return what the device's clock shows at an aware moment, without a zone."""
    moment = min(max(moment, EARLIEST), LATEST).astimezone(UTC)
    return moment.replace(tzinfo=None) + offset


def parse_finder(body: bytes) -> str:
    """Return the name of the finder that was made."""
    name = parse_lines(body).get("result", "")
    if FINDER_NAME.fullmatch(name) is None:
        raise MediaFormatError("the device names no finder")
    return name


def build_find(finder: str, channel: int, begin: datetime, end: datetime) -> str:
    """Return what has a finder look for recordings, between two times of the device's clock."""
    first, last = (f"{wall:%Y-%m-%d}%20{wall:%H:%M:%S}" for wall in (begin, end))
    return (
        f"{FINDER}findFile&object={finder}&condition.Channel={channel}"
        f"&condition.StartTime={first}&condition.EndTime={last}&condition.Types[0]=dav"
    )


def build_next(finder: str) -> str:
    """Return what asks a finder for the next page."""
    return f"{FINDER}findNextFile&object={finder}&count={PAGE}"


def build_leave(finder: str) -> tuple[str, str]:
    """Return what lets go of a finder: devices have few, and keep those not given back."""
    return (f"{FINDER}close&object={finder}", f"{FINDER}destroy&object={finder}")


def parse_page(body: bytes, offset: timedelta) -> Page:
    """Return a part of what was found; what makes no sense in it is left out.

    Raises MediaFormatError when the device announces more than it tells.
    """
    values = parse_lines(body)
    matches = _number(values.get("found", ""))
    if matches is None:
        raise MediaFormatError("the device does not say how many recordings it found")
    items: dict[int, dict[str, str]] = {}
    for key, value in values.items():
        if (found := ITEM.fullmatch(key)) is not None:
            items.setdefault(int(found[1]), {})[found[2]] = value
    if len(items) < matches:
        raise MediaFormatError(f"the device finds {matches} recordings and tells {len(items)}")
    records = (_record(item, offset) for item in items.values())
    return Page(tuple(record for record in records if record is not None), matches)


def month_span(year: int, month: int) -> tuple[datetime, datetime]:
    """Return the first and the last second of a month by the device's clock."""
    last = calendar.monthrange(year, month)[1]
    return datetime(year, month, 1), datetime(year, month, last, 23, 59, 59)  # noqa: DTZ001


def build_days(
    records: Sequence[DeviceRecord], year: int, month: int, offset: timedelta
) -> tuple[RecordDay, ...]:
    """Return the days of a month, by the device's clock, that recordings touch."""
    first, last = month_span(year, month)
    days: dict[int, bool] = {}
    for record in records:
        day = max(to_wall(record.begin, offset), first)
        # What ends at midnight does not touch the day that begins there.
        end = min(to_wall(record.end, offset) - timedelta(seconds=1), last)
        while day.date() <= end.date():
            days[day.day] = days.get(day.day, False) or record.trigger == "alarm"
            day += timedelta(days=1)
    return tuple(RecordDay(day, days[day]) for day in sorted(days))


def build_codes(motion: Motion) -> dict[str, tuple[str, int, int]]:
    """Return the commands of a motion, by what they move: the code and its two speeds.

    In a diagonal the first speed is the vertical one; all else has its speed in the second.
    """
    codes: dict[str, tuple[str, int, int]] = {}
    aside = "Left" if motion.pan < 0 else "Right" if motion.pan > 0 else ""
    upright = "Down" if motion.tilt < 0 else "Up" if motion.tilt > 0 else ""
    if aside and upright:
        codes["head"] = (aside + upright, _speed(motion.tilt), _speed(motion.pan))
    elif aside or upright:
        codes["head"] = (aside or upright, 0, _speed(motion.pan or motion.tilt))
    for part, value, more, less in (
        ("zoom", motion.zoom, "ZoomTele", "ZoomWide"),
        ("focus", motion.focus, "FocusFar", "FocusNear"),
        ("iris", motion.iris, "IrisLarge", "IrisSmall"),
    ):
        if value:
            codes[part] = (more if value > 0 else less, 0, _speed(value))
    return codes


def build_ptz(action: str, channel: int, code: str, first: int, second: int) -> str:
    """Return the path of a PTZ command; `action` is start or stop."""
    return (
        f"/cgi-bin/ptz.cgi?action={action}&channel={channel}&code={code}"
        f"&arg1={first}&arg2={second}&arg3=0"
    )


def build_switch(what: Switch, channel: int, *, on: bool) -> str:
    """Return the path that switches the wiper or the light."""
    if what is Switch.LIGHT:
        return build_ptz("start", channel, "AuxOn" if on else "AuxOff", 0, 1)
    if on:
        action = f"moveContinuously&channel={channel}&interval={WIPER_PAUSE_S}"
    else:
        action = f"stopMove&channel={channel}"
    return f"/cgi-bin/rainBrush.cgi?action={action}"


def build_list_presets(channel: int) -> str:
    """Return the path that lists the places of a camera."""
    return f"/cgi-bin/ptz.cgi?action=getPresets&channel={channel}"


def build_name_preset(channel: int, number: int, name: str) -> str:
    """Return the path that names a place."""
    words = quote(_name(name), safe="")
    return f"/cgi-bin/ptz.cgi?action=setPreset&channel={channel}&arg1={number}&arg2={words}"


def parse_presets(body: bytes) -> tuple[Preset, ...]:
    """Return the places that are set; a device without any says so with no line at all."""
    if not body.strip() or is_done(body):
        return ()
    places: dict[int, dict[str, str]] = {}
    for key, value in parse_lines(body).items():
        if (found := PRESET.fullmatch(key)) is not None:
            places.setdefault(int(found[1]), {})[found[2]] = value
    presets: dict[int, Preset] = {}
    for place in places.values():
        number = find_preset_number(place.get("Index", ""))
        if number is not None:
            name = _name(place.get("Name", "")) or str(number)
            presets.setdefault(number, Preset(str(number), name))
    return tuple(presets.values())


def find_preset_number(token: str) -> int | None:
    """Return the number that a token stands for; devices have them from 1 to 255."""
    number = _number(token)
    return number if number is not None and 1 <= number <= MAX_PRESETS else None


def find_lock(body: bytes) -> float | None:
    """Return for how many seconds a refusal says the user is locked out, or None."""
    text = _decode(body[:2000])
    if LOCK.search(text) is None:
        return None
    seconds = DEFAULT_LOCK_S
    if (found := LOCK_SECONDS.search(text)) is not None:
        seconds = float(found[1])
    elif (found := LOCK_MINUTES.search(text)) is not None:
        seconds = float(found[1]) * 60
    return seconds if 0 < seconds <= 86_400 else DEFAULT_LOCK_S


def explain(status: int, body: bytes) -> str:
    """Return in words why a device did not do it: `Error` and a line that says why."""
    lines = [line.strip() for line in _decode(body[:2000]).splitlines() if line.strip()]
    said = _name(lines[1]) if len(lines) > 1 and lines[0].lower() == "error" else ""
    return f"it answers {status} ({said})" if said else f"it answers {status}"


def _decode(body: bytes) -> str:
    """Return the text; titles of old firmware come in the letters of its country."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("gb18030", errors="replace")


def _record(item: Mapping[str, str], offset: timedelta) -> DeviceRecord | None:
    """Return a recording of the larger picture; the device's time is that of its own clock."""
    if item.get("Type", "dav") != "dav" or item.get("VideoStream", "Main") != "Main":
        return None
    begin, end = _wall(item.get("StartTime", "")), _wall(item.get("EndTime", ""))
    if begin is None or end is None or begin >= end:
        return None
    first, last = ((wall - offset).replace(tzinfo=UTC) for wall in (begin, end))
    return DeviceRecord(first, last, _trigger(item))


def _trigger(item: Mapping[str, str]) -> RecordTrigger:
    flags = {value.lower() for key, value in item.items() if key.startswith("Flags[")}
    if "event" in flags or any(key.startswith("Events[") for key in item):
        return "alarm"
    return "manual" if "manual" in flags else "schedule"


def _wall(text: str) -> datetime | None:
    found = STAMP.fullmatch(text)
    if found is None:
        return None
    try:
        wall = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    return wall if EARLIEST.year < wall.year < LATEST.year else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _name(text: str) -> str:
    """Return a device's words fit to be shown."""
    return "".join(letter for letter in text if letter.isprintable())[:MAX_NAME_LETTERS].strip()


def _speed(value: float) -> int:
    """Return one of eight steps; the slowest is still a motion."""
    return max(1, round(min(1.0, abs(value)) * SPEED_STEPS))
