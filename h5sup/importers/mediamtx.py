"""mediamtx.yml, the configuration of MediaMTX (once rtsp-simple-server)."""

from __future__ import annotations

import math
import re

from h5sup.config.checks import SCHEMES
from h5sup.importers.addresses import find_scheme, parse_duration_s, split_credentials
from h5sup.importers.draft import Draft
from h5sup.importers.go2rtc import import_public_addresses
from h5sup.importers.place import Place, Tree

TELLTALES = (
    "paths",
    "pathDefaults",
    "rtspAddress",
    "authInternalUsers",
    "hlsAddress",
    "authMethod",
)
TRANSPORTS = {"automatic": "auto", "udp": "udp", "tcp": "tcp"}
TUNNELS = {"rtsp+http": ("rtsp", "http"), "rtsps+http": ("rtsp", "https")}
EVERY_PATH = frozenset({"all", "all_others", "any"})
HASHES = ("sha256:", "argon2:")
OWN_LOGIN = re.compile(r"(read|publish)(User|Pass|IPs)")  # before 1.6
# How recordings, commands, and sources that are not taken over go about it.
DETAIL = re.compile(
    r"(rpiCamera|whep|record|alwaysAvailable|srt)[A-Z].*|runOn\w+(Restart|Timeout|After)"
)
HOOK = re.compile(r"runOn(?!\w+(Restart|Timeout|After)$)\w+")
PATH_VARIABLE = re.compile(r"\$(MTX_[A-Z_]+|G\d+)")
ALL_CAN_READ = "anybody could watch: auth.anonymous_view true would allow that here"
EQUALLY_LONG = "recordings of all sources are kept equally long: recording.max_days"
DAY_S = 86_400
NO_OUTPUT = "there is no such output yet"


def is_mediamtx(root: Place) -> bool:
    """Return whether this is MediaMTX's file."""
    tree: Tree = root.value
    return isinstance(tree, dict) and any(key in tree for key in TELLTALES)


def import_mediamtx(root: Place, draft: Draft) -> None:
    """Carry over paths that are pulled, users, and the settings of HLS and WebRTC."""
    _import_hls(root, draft)
    _import_webrtc(root, draft)
    _import_users(root, draft)
    for key in ("runOnConnect", "runOnDisconnect"):
        draft.leave_if_set(root.get(key), "h5sup runs no commands")
    for key in ("rtsp", "rtmp", "srt"):
        draft.leave_if_set(root.get(key), NO_OUTPUT)
    defaults = root.get("pathDefaults")
    _leave_hooks(defaults, draft)
    records = [
        _import_path(name, path, defaults, draft) for name, path in root.get("paths").entries()
    ]
    if any(records):
        _import_recording(defaults, draft)


def _import_path(name: str, path: Place, defaults: Place, draft: Draft) -> bool:
    """Carry over a path; return whether it is recorded."""
    source = _own_or_default(path, defaults, "source")
    reason = _find_obstacle(name, source.text)
    if reason is not None:
        draft.leave(path, reason)
        return False
    fields = _source_fields(source.text) | {
        "connect": "ondemand"
        if _own_or_default(path, defaults, "sourceOnDemand").flag()
        else "always"
    }
    transport = _own_or_default(path, defaults, "rtspTransport")
    if transport.is_blank:
        transport = _own_or_default(path, defaults, "sourceProtocol")  # before 1.0
    if transport.text in TRANSPORTS:
        fields.setdefault("transport", TRANSPORTS[transport.text])
    elif not transport.is_blank:
        draft.change(transport, "that transport is not there: the default stands")
    is_recorded = _own_or_default(path, defaults, "record").flag()
    if is_recorded:
        fields["record"] = "always"
    if not draft.add_source(path, name, fields):
        return False
    _leave_hooks(path, draft)
    draft.leave_if_set(path.get("recordDeleteAfter"), EQUALLY_LONG)
    return is_recorded


def _find_obstacle(name: str, source: str) -> str | None:
    """Return why a path can't be a source, or None."""
    if name.startswith("~") or name in EVERY_PATH:
        return "it stands for many paths: a source has one fixed token"
    if source in ("", "publisher"):
        return "pushed sources are not there yet, and h5sup runs no commands that would push"
    if source in ("redirect", "rpiCamera"):
        return f"{source} can't be a source"
    if PATH_VARIABLE.search(source):
        return "its address depends on who watches"
    scheme = find_scheme(source)
    if scheme in SCHEMES or scheme in TUNNELS:
        return None
    return (
        f"addresses that begin with {scheme}: can't be opened" if scheme else "it has no address"
    )


def _source_fields(source: str) -> dict[str, object]:
    scheme = find_scheme(source)
    if scheme not in TUNNELS:
        return {"type": "rtsp"} | split_credentials(source).fields
    ours, transport = TUNNELS[scheme]
    address = split_credentials(ours + source[len(scheme) :])
    return {"type": "rtsp", "transport": transport} | address.fields


def _own_or_default(path: Place, defaults: Place, key: str) -> Place:
    own, default = path.get(key), defaults.get(key)
    return default if own.is_blank else own


def _import_recording(defaults: Place, draft: Draft) -> None:
    """Carry over how recordings are cut and kept, of what holds for all paths."""
    length, kept = defaults.get("recordSegmentDuration"), defaults.get("recordDeleteAfter")
    if (length_s := parse_duration_s(length.text)) is not None:
        draft.set(length, "recording.segment_s", round(length_s))
    if (kept_s := parse_duration_s(kept.text)) is not None:
        draft.set(kept, "recording.max_days", math.ceil(kept_s / DAY_S))


def _leave_hooks(path: Place, draft: Draft) -> None:
    for key in path.value if isinstance(path.value, dict) else ():
        if OWN_LOGIN.fullmatch(key):
            draft.leave_if_set(path.get(key), "a path has no login of its own here: add a user")
        elif HOOK.fullmatch(key):
            draft.leave_if_set(path.get(key), "h5sup runs no commands")
        elif DETAIL.fullmatch(key):
            path.get(key).settle()


def _import_users(root: Place, draft: Draft) -> None:
    method, users = root.get("authMethod"), root.get("authInternalUsers")
    if method.text not in ("", "internal"):
        draft.leave(method, "another server says who may come in, which is not there: add users")
        users.settle()
        return
    for place in users.items():
        _import_user(place, draft)


def _import_user(place: Place, draft: Draft) -> None:
    name, password = place.get("user").text, place.get("pass").text
    permissions = place.get("permissions").items()
    actions = {permission.get("action").text for permission in permissions}
    if name == "any":
        draft.leave(place, ALL_CAN_READ if "read" in actions else "it needs no password")
    elif name.startswith(HASHES) or password.startswith(HASHES):
        draft.leave(place, "its hash is of another kind: add the user with a new password")
    elif any(not permission.get("path").is_blank for permission in permissions):
        draft.leave(place, "it may see some paths alone: add it by hand")
    elif not place.get("ips").is_blank:
        draft.leave(place, "it may come from some addresses alone, which is not there")
    elif "read" not in actions and "api" not in actions:
        draft.leave(place, "it may neither watch nor administer")
    else:
        role = "Administrator" if "api" in actions else "Viewer"
        draft.add_user(place, name=name, password=password, role=role)


def _import_hls(root: Place, draft: Draft) -> None:
    count = root.get("hlsSegmentCount")
    if not count.is_blank:
        draft.set(count, "hls.segments", count.number)
    for key, ours in (("hlsSegmentDuration", "hls.segment_s"), ("hlsPartDuration", "hls.part_s")):
        length = root.get(key)
        if not length.is_blank:
            draft.set(length, ours, parse_duration_s(length.text))


def _import_webrtc(root: Place, draft: Draft) -> None:
    listen = root.get("webrtcLocalUDPAddress")
    if not root.get("webrtc").flag(default=True):
        draft.set(root.get("webrtc"), "rtc.port", 0)
    elif not listen.is_blank:
        port = listen.text.rpartition(":")[2]
        draft.set(listen, "rtc.port", int(port) if port.isdecimal() and len(port) < 6 else port)
    import_public_addresses(root.get("webrtcAdditionalHosts"), draft, str)
    servers = root.get("webrtcICEServers2").items()
    if servers:
        _import_ice_servers(root.get("webrtcICEServers2"), servers, draft)


def _import_ice_servers(section: Place, servers: list[Place], draft: Draft) -> None:
    found: list[dict[str, object]] = []
    for place in servers:
        server: dict[str, object] = {"urls": [place.get("url").text]}
        name, password = place.get("username").text, place.get("password").text
        if name == "AUTH_SECRET":
            draft.leave(place, "a shared secret of TURN would be told to viewers")
            continue
        if name:
            server |= {"username": name, "credential": password}
        found.append(server)
    if found:
        draft.set(section, "rtc.ice_servers", found)
