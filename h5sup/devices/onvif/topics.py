"""What an ONVIF camera's notices are about (Core §9, Analytics annex A, makers' usage). Pure.

Makers call the same by many names. Those here were seen in what their cameras send: a camera's
cells that move, fields that somebody is in, lines that are crossed, people, vehicles and animals
all count as motion. What is wrong with the picture (tampering, blur, darkness), sound and counts
do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from h5sup.devices.onvif.envelope import find_child, local_name

MESSAGES = 32  # of one answer
MAX_TOPIC = 256
MAX_SOURCE = 64
MAX_ITEMS = 8
YES = frozenset({"true", "1", "on", "active"})
NO = frozenset({"false", "0", "off", "inactive"})
MOTIONS = frozenset(
    {
        "motion",  # CellMotionDetector, MotionRegionDetector: most makers
        "motionalarm",  # VideoSource
        "motiondetection",  # VideoAnalytics of Axis
        "pir",  # Device/Sensor of Axis
        "vmd3_video_1",  # RuleEngine/VMD3 of Axis, before the applications below
        "objectsinside",  # FieldDetector: Hikvision, Dahua, Bosch
        "intrusion",  # TP-Link, in several detectors, as the next two
        "linecross",
        "people",
        "tpsmartevent",
        "peopledetect",  # MyRuleDetector of Reolink, as those below
        "persondetect",
        "humandetect",
        "facedetect",
        "vehicledetect",
        "dogcatdetect",
    }
)
BRIEF = frozenset({"crossed"})  # LineDetector: Hikvision, Dahua, Bosch; it has no end
AXIS_PLATFORM = "cameraapplicationplatform"
AXIS_APPLICATIONS = frozenset({"vmd", "objectanalytics"})
# one topic of TP-Link's for all that it can tell apart, sound too
OF_MANY = {"tpsmartevent": frozenset({"ispeople", "isperson", "isvehicle", "ispet"})}

Kind = Literal["motion", "input"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What can begin and end at a camera."""

    kind: Kind
    source: str
    """Which input, or where the rule looks."""
    rule: str
    """The topic, with the name of what it tells."""
    is_brief: bool = False
    """It only happens: nobody will say that it is over."""


def read_notices(answer: Any) -> list[tuple[Notice, bool]]:
    """Return what PullMessages brought of motion and inputs, oldest first, and which is on."""
    found: list[tuple[Notice, bool]] = []
    for message in islice(() if answer is None else answer, MESSAGES + 2):
        if local_name(message) == "NotificationMessage":
            found += _read_notice(message)
    return found


def kind_of(topic: str) -> Kind | None:
    """Return what a topic is about."""
    steps = _steps(topic)
    if "digitalinput" in steps:
        return "input"
    is_application = AXIS_PLATFORM in steps and not AXIS_APPLICATIONS.isdisjoint(steps)
    if steps[-1] in MOTIONS | BRIEF or is_application:
        return "motion"
    return None


def _read_notice(message: Any) -> Iterator[tuple[Notice, bool]]:
    element = find_child(message, "Topic")
    topic = "" if element is None else str(element.text or "").strip()[:MAX_TOPIC]
    kind = kind_of(topic)
    told = find_child(find_child(message, "Message"), "Message")
    if kind is None or told is None:
        return
    source = "/".join(value for _, value in _items(find_child(told, "Source")))[:MAX_SOURCE]
    source = source if source.isprintable() else ""
    is_gone = told.get("PropertyOperation") == "Deleted"
    last = _steps(topic)[-1]
    names = OF_MANY.get(last)
    has_state = False
    for name, value in _items(find_child(told, "Data")):
        # a number tells which object it is, not whether there is one
        if value.lower() not in YES | NO or name.lower().endswith("id"):
            continue
        has_state = True
        if names is None or name.lower() in names:
            rule = f"{topic} {name}"[:MAX_TOPIC]
            yield Notice(kind, source, rule), value.lower() in YES and not is_gone
        if names is None:
            return  # what else it says is about the same
    if last in BRIEF and not has_state and not is_gone:
        yield Notice(kind, source, topic, is_brief=True), True


def _steps(topic: str) -> list[str]:
    return [step.rpartition(":")[2].lower() for step in topic.strip().split("/")]


def _items(element: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of an element's simple items."""
    for child in islice(() if element is None else element, MAX_ITEMS):
        if local_name(child) == "SimpleItem":
            yield str(child.get("Name") or ""), str(child.get("Value") or "").strip()
