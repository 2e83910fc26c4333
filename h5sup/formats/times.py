"""The times that H5Stream's clients send, in all the ways in which they write them.

`2018-03-07T120101+08`, `2019-10-14T02:00:00.000Z`, `2021-09-29T06:17:39.000Z08:00` (what follows
the Z means nothing), `2020-3-9T0:5:7+08:00`, and a `+` that arrives as a blank.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from h5sup.base.errors import InvalidError

MAX_LENGTH = 64
TIME = re.compile(
    r"""
    (?P<year>\d{4}) - (?P<month>\d{1,2}) - (?P<day>\d{1,2})
    (?: [T\ ]
        (?: (?P<hour>\d{1,2}) : (?P<minute>\d{1,2}) (?: : (?P<second>\d{1,2}) )?
          | (?P<digits>\d{6})
        )
        (?: [.,] (?P<fraction>\d{1,9}) )?
    )?
    (?: (?P<utc>[Zz]) .*
      | (?P<sign>[+\-\ ]) (?P<zone_hours>\d{1,2}) (?: :? (?P<zone_minutes>\d{2}) )?
    )?
    """,
    re.VERBOSE | re.ASCII,
)


def parse_time(name: str, text: str, zone: tzinfo) -> datetime:
    """Return the moment in its own zone, `zone` where it names none.

    Raises InvalidError for the parameter `name`.
    """
    found = TIME.fullmatch(text.strip()[:MAX_LENGTH])
    try:
        if found is not None:
            return _build(found, zone)
    except (ValueError, OverflowError):  # a 13th month, or a moment before the first year
        pass
    raise InvalidError(name, "must be a time such as 2019-10-14T02:00:00Z")


def _build(found: re.Match[str], zone: tzinfo) -> datetime:
    digits = found["digits"]
    clock = (found["hour"], found["minute"], found["second"])
    hour, minute, second = (digits[:2], digits[2:4], digits[4:]) if digits else clock
    moment = datetime(
        int(found["year"]),
        int(found["month"]),
        int(found["day"]),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        int((found["fraction"] or "").ljust(6, "0")[:6]),
        tzinfo=_zone(found) or zone,
    )
    moment.astimezone(UTC)  # raises at either end of time, here rather than in who compares
    return moment


def _zone(found: re.Match[str]) -> tzinfo | None:
    if found["utc"]:
        return UTC
    if not found["zone_hours"]:
        return None
    offset = timedelta(hours=int(found["zone_hours"]), minutes=int(found["zone_minutes"] or 0))
    return timezone(-offset if found["sign"] == "-" else offset)
