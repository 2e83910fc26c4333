"""Where a file lies below mediastore, and which file a client means. Pure.

`record/<token>/<YYYY-MM-DD>TZ<zone>/<HH-MM-SS>/<file>`, date and time those of the zone. `TZ08` is
eight hours east of Greenwich, `TZ-05` five hours west, `TZ05-30` five and a half hours east,
`TZ-03-30` three and a half hours west. Clients also write it as H5Stream's manual does, without
leading zeros: `2018-3-29TZ8/20-3-29`.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import get_args

from h5sup.base.errors import InvalidError
from h5sup.store.media_records import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
EXTENSIONS: dict[Kind, str] = {"record": ".mp4", "snapshot": ".jpg", "archive": ".mp4"}
WEB_ROOT = "mediastore"  # what the API's addresses begin with, wherever the folder lies

MAX_PATH = 1024
MAX_ZONE = timedelta(hours=14)  # Kiribati
# Longest is a token of a device's channel, `--` and a 36 letter id: file systems take 255 bytes.
FILE_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,192}", re.ASCII)
NAME_ON_DISK = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,250}", re.ASCII)
ZONE = re.compile(
    r"(?P<sign>[+\-\ ]?) (?P<hours>\d{1,2}) (?: [:\-]? (?P<minutes>\d{2}) )?",
    re.VERBOSE | re.ASCII,
)
DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
TIME = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPath:
    """A path below mediastore, read."""

    kind: Kind
    token: str
    moment: datetime
    """With the path's own zone."""
    filename: str

    def __str__(self) -> str:
        """Return the path as it lies on disk and stands in the index."""
        return build_path(self.kind, self.token, self.moment, self.filename, self.moment.tzinfo)


def build_path(
    kind: Kind, token: str, moment: datetime, filename: str, zone: tzinfo | None = None
) -> str:
    """Return the path of a file below mediastore; `zone` is the server's own unless given."""
    local = moment.astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None  # astimezone() makes it aware
    day = f"{local.year:04}-{local.month:02}-{local.day:02}TZ{build_zone(offset)}"
    return f"{kind}/{token}/{day}/{local:%H-%M-%S}/{filename}"


def build_zone(offset: timedelta) -> str:
    """Return how a zone is written in a path: `08`, `-05`, `05-30`."""
    minutes = round(offset / timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else ""
    return f"{sign}{hours:02}-{rest:02}" if rest else f"{sign}{hours:02}"


def build_name(kind: Kind, token: str) -> str:
    """Return a name that no file has yet."""
    return f"{token}-{uuid.uuid4()}{EXTENSIONS[kind]}"


def check_name(parameter: str, text: str, kind: Kind) -> str:
    """Return a caller's file name with its extension; raises InvalidError for `parameter`."""
    extension = EXTENSIONS[kind]
    name = text.removesuffix(extension)
    if FILE_NAME.fullmatch(name) is None:
        raise InvalidError(
            parameter, "must be 1 to 192 letters, digits, _ . or -, and not . or .. alone"
        )
    return name + extension


def parse_zone(parameter: str, text: str) -> timezone:
    """Return the zone of a `tz` such as `8`, `-8` or `5:30`; raises InvalidError."""
    zone = _find_zone(text.removeprefix("TZ"))
    if zone is None:
        raise InvalidError(parameter, "must be hours from Greenwich such as 8, -8 or 5:30")
    return zone


def parse_moment(
    day: tuple[str, str], time: tuple[str, str], zone: tzinfo | None = None
) -> datetime:
    """Return the moment of `2018-3-29` and `20-3-29`, in the server's own zone unless given.

    Each text comes with its parameter's name; raises InvalidError.
    """
    for (parameter, text), form, example in ((day, DATE, "2018-3-29"), (time, TIME, "20-3-29")):
        if form.fullmatch(text.strip()) is None:
            raise InvalidError(parameter, f"must be written as {example}")
    moment = _find_moment(day[1].strip(), time[1].strip(), zone)
    if moment is None:
        raise InvalidError(day[0], f"there is no {day[1].strip()} {time[1].strip()}")
    return moment


def find_path(text: str) -> StoredPath | None:
    """Return what a client's path means, however it pads; None for what can't be one of ours.

    It may begin with `/mediastore/`. That such a file exists, only the index knows.
    """
    parts = text[: MAX_PATH + 1].strip("/").split("/")
    if parts[0] == WEB_ROOT:
        del parts[0]
    if len(text) > MAX_PATH or len(parts) != 5 or parts[0] not in KINDS:
        return None
    kind, token, day, time, filename = parts
    date, _, zone_text = day.partition("TZ")
    zone = _find_zone(zone_text)
    if zone is None or not all(map(NAME_ON_DISK.fullmatch, (token, filename))):
        return None
    moment = _find_moment(date, time, zone)
    if moment is None:
        return None
    return StoredPath(kind=_kind(kind), token=token, moment=moment, filename=filename)


def _kind(text: str) -> Kind:
    return KINDS[KINDS.index(text)]


def _find_zone(text: str) -> timezone | None:
    found = ZONE.fullmatch(text)
    if found is None:
        return None
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    if offset > MAX_ZONE or int(found["minutes"] or 0) > 59:
        return None
    return timezone(-offset if found["sign"] == "-" else offset)


def _find_moment(day: str, time: str, zone: tzinfo | None) -> datetime | None:
    date, clock = DATE.fullmatch(day), TIME.fullmatch(time)
    if date is None or clock is None:
        return None
    numbers = [int(number) for number in (*date.groups(), *clock.groups())]
    try:
        moment = datetime(*numbers, tzinfo=zone)  # type: ignore[arg-type, misc]  # six of them
        moment.astimezone(UTC)  # raises at either end of time
        return moment if zone is not None else moment.astimezone()
    except (ValueError, OverflowError):
        return None
