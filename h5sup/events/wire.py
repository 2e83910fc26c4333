"""Events as pages, webhooks and MQTT get them: JSON in H5Stream's words."""

from __future__ import annotations

import json
from collections.abc import Mapping

from h5sup.base.clock import iso_ms
from h5sup.base.logs import redact
from h5sup.events.event import (
    AlarmIn,
    DiskLow,
    Event,
    LoginFailed,
    Motion,
    Offline,
    Online,
    RecordStart,
    RecordStop,
    What,
)

PREFIX = "H5S_EVENT_"
NAMES: Mapping[type[What], str] = {
    Online: "ONLINE",
    Offline: "OFFLINE",
    RecordStart: "RECORD_START",
    RecordStop: "RECORD_STOP",
    DiskLow: "DISK_LOW",
    LoginFailed: "LOGIN_FAILED",
    Motion: "MOTION",
    AlarmIn: "ALARM_IN",
}


def name_of(event: Event) -> str:
    """Return the event's name without prefix, as config.json has it."""
    return NAMES[type(event.what)]


def encode(event: Event) -> str:
    """Return the event as JSON, without secrets."""
    fields: dict[str, object] = {
        "type": PREFIX + name_of(event),
        "strToken": event.token,
        "strTime": iso_ms(event.at),
        "strUUID": event.uuid,
    }
    return json.dumps(fields | _details(event.what), ensure_ascii=False)


def _details(what: What) -> dict[str, object]:
    match what:
        case Online():
            return {}
        case Offline(reason=reason):
            return {"strReason": redact(reason)}
        case RecordStart(filename=filename, trigger=trigger):
            return {"strFileName": filename, "strTrigger": trigger}
        case RecordStop(filename=filename, trigger=trigger, reason=reason):
            return {
                "strFileName": filename,
                "strTrigger": trigger,
                "strReason": redact(reason),
            }
        case DiskLow(disk=disk, free_bytes=free, total_bytes=total):
            return {"strDisk": disk, "nFreeBytes": free, "nTotalBytes": total}
        case LoginFailed(user=user, address=address, faults=faults, unreported=unreported):
            return {
                "strUser": user,
                "strAddress": address,
                "nFaultTimes": faults,
                "nUnreported": unreported,
            }
        case Motion(is_on=is_on):
            return {"strState": _state(is_on=is_on)}
        case AlarmIn(name=name, is_on=is_on):
            return {"strState": _state(is_on=is_on), "strInput": name}


def _state(*, is_on: bool) -> str:
    return "on" if is_on else "off"
