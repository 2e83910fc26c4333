"""Frigate's config.yml: its cameras, and the go2rtc inside it that they read from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from h5sup.importers.addresses import Address, find_restream, split_credentials
from h5sup.importers.draft import Draft, Environment
from h5sup.importers.go2rtc import (
    choose_producer,
    import_entries,
    import_settings,
)
from h5sup.importers.go2rtc import translate as translate_go2rtc
from h5sup.importers.place import Place, Tree

VARIABLE = re.compile(r"\{(FRIGATE_[A-Za-z0-9_]+)\}")
MAIN_ROLES = ("record", "restream", "rtmp", "detect")
NOT_YET = {
    "onvif": "a source of type onvif has PTZ: add the camera as one if you need it",
    "mqtt": "events are not taken over",
}


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a camera: where it stands, which roles it has, and its keys of a source."""

    place: Place
    roles: frozenset[str]
    fields: dict[str, object]


def is_frigate(root: Place) -> bool:
    """Return whether this is Frigate's file."""
    tree: Tree = root.value
    return isinstance(tree, dict) and isinstance(tree.get("cameras"), dict)


def translate(text: str, environment: Environment) -> str:
    """Turn `{FRIGATE_NAME}` into `${FRIGATE_NAME}`, and go2rtc's variables as it does."""
    return translate_go2rtc(VARIABLE.sub(r"${\1}", text), environment)


def import_frigate(root: Place, draft: Draft) -> None:
    """Carry over cameras, and the entries of go2rtc that no camera reads."""
    restream = root.get("go2rtc")
    import_settings(restream, draft)
    used: set[str] = set()
    for name, camera in root.get("cameras").entries():
        _import_camera(name, camera, root, used, draft)
    import_entries(restream.get("streams"), draft, kept_on=set(), used=frozenset(used))
    _import_retention(root.get("record"), draft)
    if not (place := root.get("mqtt")).is_blank:
        draft.leave(place, NOT_YET["mqtt"])
    if not (place := root.get("auth")).is_blank:
        draft.leave(place, "Frigate's users are in its database: add them by hand")


def _import_camera(name: str, camera: Place, root: Place, used: set[str], draft: Draft) -> None:
    if not camera.get("enabled").flag(default=True):
        draft.leave(camera, "it is switched off")
        return
    section = camera.get("ffmpeg").get("inputs")
    found = [_resolve(place, root, used, draft) for place in section.items()]
    inputs = [each for each in found if each is not None]
    if not inputs:
        draft.leave(camera, "none of its inputs can be a source")
        return
    main = min(inputs, key=_rank)
    sub = next((each for each in inputs if each is not main and _may_be_sub(each, main)), None)
    fields = _fields_of(main, sub) | {"connect": "always"}
    if udp := _find_transport(main.place, camera, root):
        fields |= udp
    if label := camera.get("friendly_name").text or camera.get("name").text:
        fields["name"] = label
    for each in inputs:
        if each is not main and each is not sub:
            draft.leave(each.place, "a source has a main and a sub input, no more")
    fields |= _find_recording(camera, root, draft)
    draft.add_source(camera, name, fields)
    for key, reason in NOT_YET.items():
        if not (place := camera.get(key)).is_blank:
            draft.leave(place, reason)


def _find_recording(camera: Place, root: Place, draft: Draft) -> dict[str, object]:
    """Return whether a camera is recorded always; what records events alone is reported."""
    own, common = camera.get("record"), root.get("record")
    holder = common if own.is_blank else own
    is_on = own.get("enabled").flag(default=common.get("enabled").flag())
    days = _find_days(own) or _find_days(common)
    own.settle()
    if not is_on:
        return {}
    if not days:
        draft.leave(holder, "it records events alone: `record` of the source has all or none")
        return {}
    modes = [one.get("retain").get("mode").text for one in (own, common)]
    if (next(filter(None, modes), "all")) != "all":
        draft.change(holder, "everything is recorded, not what moves alone")
    return {"record": "always"}


def _find_days(record: Place) -> int:
    """Return how long Frigate keeps all it records: `continuous` since 0.17, `retain` before."""
    for section in ("continuous", "retain"):
        text = record.get(section).get("days").text
        if re.fullmatch(r"\d{1,5}(\.\d+)?", text) and float(text):
            return math.ceil(float(text))
    return 0


def _import_retention(record: Place, draft: Draft) -> None:
    if days := _find_days(record):
        draft.set(record, "recording.max_days", days)
    record.settle()


def _resolve(place: Place, root: Place, used: set[str], draft: Draft) -> Input | None:
    """Return an input with the camera's own address, also where it reads from go2rtc."""
    text = place.get("path").text
    roles = frozenset(role.text for role in place.get("roles").items())
    place.get("input_args").settle()
    entry_name = find_restream(text)
    if entry_name is None:
        fields: dict[str, object] = {"type": "rtsp"} | split_credentials(text).fields
        return Input(place, roles, fields)
    section = root.get("go2rtc").get("streams")
    names = {name for name, _ in section.entries()}
    if entry_name not in names:
        draft.leave(place, "it reads an entry of go2rtc that is not in this file")
        return None
    used.add(entry_name)
    chosen = choose_producer(section.get(entry_name), names, draft)
    return None if chosen is None else Input(place, roles, dict(chosen.fields))


def _rank(each: Input) -> int:
    """Return how likely an input is the full picture: what is recorded is."""
    return next((i for i, role in enumerate(MAIN_ROLES) if role in each.roles), len(MAIN_ROLES))


def _may_be_sub(each: Input, main: Input) -> bool:
    return "detect" in each.roles and each.fields["type"] == main.fields["type"] == "rtsp"


def _login(each: Input) -> Address:
    url, user, password = (str(each.fields.get(key, "")) for key in ("url", "user", "password"))
    return Address(url, user, password)


def _fields_of(main: Input, sub: Input | None) -> dict[str, object]:
    """Return the keys of a source with one input or two.

    Its user and password are for both inputs, so two logins must stand in the addresses.
    """
    if sub is None:
        return dict(main.fields)
    first, second = _login(main), _login(sub)
    if (first.user, first.password) == (second.user, second.password):
        return main.fields | {"sub": {"url": second.url}}
    apart = {key: main.fields[key] for key in main.fields if key not in ("user", "password")}
    return apart | {"url": first.joined, "sub": {"url": second.joined}}


def _find_transport(place: Place, camera: Place, root: Place) -> dict[str, object]:
    """Return UDP where the arguments for ffmpeg ask for it, nearest first."""
    for holder in (place, camera.get("ffmpeg"), root.get("ffmpeg")):
        arguments = holder.get("input_args")
        words = [word for item in arguments.items() for word in item.text.split()]
        if words:
            udp = "preset-rtsp-udp" in words or " -rtsp_transport udp " in f" {' '.join(words)} "
            return {"transport": "udp"} if udp else {}
    return {}
