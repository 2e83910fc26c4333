"""go2rtc.yaml: what its addresses with `ffmpeg:` in front and `#options` behind come to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from h5sup.config.checks import SCHEMES
from h5sup.config.loading import VARIABLE
from h5sup.importers.addresses import (
    find_restream,
    find_scheme,
    place_file,
    split_credentials,
)
from h5sup.importers.draft import Draft, Environment
from h5sup.importers.place import Place, Tree

VARIABLE_WITH_DEFAULT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}")
COMMANDS = frozenset({"exec", "echo", "expr"})
RENAMED = {"rtspx": "rtsps"}
UDP_INPUTS = frozenset({"rtsp/udp"})
# Options that h5sup needs no word for: it copies what can be copied and transcodes on demand.
NEEDLESS = frozenset({"backchannel", "hardware", "input", "audio", "video", "media", "async"})
HTTP_PORT = 80
MEDIA_FILE = re.compile(r"[^\s:?]+\.(mp4|mkv|ts|mov|flv|avi|webm)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Producer:
    """One address of go2rtc as keys of a source, and the options that are lost with it."""

    fields: dict[str, object] = field(repr=False)
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an address can't be a source."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An address that names another entry of the same file, or its own one."""

    name: str


def is_go2rtc(root: Place) -> bool:
    """Return whether this is go2rtc's file."""
    tree: Tree = root.value
    return isinstance(tree, dict) and isinstance(tree.get("streams"), dict)


def translate(text: str, environment: Environment) -> str:
    """Turn `${NAME:default}` into `${NAME}`, or its default where NAME is not set."""
    return VARIABLE_WITH_DEFAULT.sub(lambda match: _variable(match, environment), text)


def import_go2rtc(root: Place, draft: Draft) -> None:
    """Carry over the entries of `streams` and the settings that have a counterpart."""
    import_settings(root, draft)
    import_entries(root.get("streams"), draft, kept_on=set(_preloaded(root)))


def import_settings(root: Place, draft: Draft) -> None:
    """Carry over WebRTC and the login; Frigate has the same keys under `go2rtc`."""
    _import_api(root.get("api"), draft)
    _import_webrtc(root.get("webrtc"), draft)
    for key in ("rtsp", "rtmp"):
        if not (place := root.get(key)).is_blank:
            draft.leave(place, "there is no such output yet")
    if not (place := root.get("publish")).is_blank:
        draft.leave(place, "pushing to other servers is not there yet")
    for key in ("log", "ffmpeg", "srtp"):
        if not (place := root.get(key)).is_blank:
            draft.leave(place, "h5sup decides this by itself")


def import_entries(
    section: Place, draft: Draft, *, kept_on: set[str], used: frozenset[str] = frozenset()
) -> None:
    """Carry over each entry of `streams` but those in `used`."""
    names = {name for name, _ in section.entries()}
    for name, entry in section.entries():
        if name in used:
            continue
        chosen = choose_producer(entry, names, draft)
        if chosen is None:
            continue
        connect = "always" if name in kept_on else "ondemand"
        draft.add_source(entry, name, chosen.fields | {"connect": connect})


def choose_producer(entry: Place, names: set[str], draft: Draft) -> Producer | None:
    """Return the first address of an entry that can be a source; report all others."""
    chosen: Producer | None = None
    places = entry.items()
    if not places or isinstance(entry.value, dict):
        draft.leave(entry, "it has no address")
        return None
    for place in places:
        found = parse_producer(place.text, names)
        if isinstance(found, Producer) and chosen is None:
            chosen = found
            _report_options(place, found, draft)
        else:
            draft.leave(place, _reason(found, has_source=chosen is not None))
    return chosen


def parse_producer(text: str, names: set[str]) -> Producer | Rejection | Reference:
    """Parse one address; `names` are the entries it may refer to."""
    address, *options = text.split("#")
    is_ffmpeg = address.startswith("ffmpeg:")
    address = address.removeprefix("ffmpeg:").strip()
    name = find_restream(address) or re.split(r"[?/]", address, maxsplit=1)[0]
    if name in names:
        return Reference(name)
    if "${" in VARIABLE.sub("", address):
        return Rejection("it has a variable whose name config.json does not take")
    scheme = find_scheme(address)
    if scheme in SCHEMES or scheme in RENAMED:
        return _network_producer(address, scheme, options, is_ffmpeg=is_ffmpeg)
    if scheme == "onvif":
        return _onvif_producer(address, options)
    if is_ffmpeg and (MEDIA_FILE.fullmatch(address) or address.startswith("/")):
        fields: dict[str, object] = {"type": "file", "url": place_file(address)}
        return _with_options(fields, options, ("copy the file below paths.media_root",), is_ffmpeg)
    return Rejection(_unknown_reason(scheme))


def _network_producer(
    address: str, scheme: str, options: list[str], *, is_ffmpeg: bool
) -> Producer | Rejection:
    remarks: tuple[str, ...] = ()
    if scheme in RENAMED:
        address = RENAMED[scheme] + address[len(scheme) :]
        remarks = (f"{scheme} is {RENAMED[scheme]} here",)
    if any(option.startswith("transport=ws") for option in options):
        return Rejection("RTSP over WebSocket can't be opened")
    fields: dict[str, object] = {"type": "rtsp"} | split_credentials(address).fields
    return _with_options(fields, options, remarks, is_ffmpeg)


def _onvif_producer(address: str, options: list[str]) -> Producer | Rejection:
    """Return a camera that is asked for its addresses, with the profile that is named if any."""
    camera = split_credentials(address)
    try:
        parts = urlsplit(camera.url)
        port = parts.port or HTTP_PORT
    except ValueError:
        return Rejection("its host or port is none")
    query = parse_qs(parts.query, keep_blank_values=True)
    if "snapshot" in query:
        return Rejection("it is a picture and no video: a source gives pictures by GetImage")
    fields = {"type": "onvif", "host": parts.hostname or "", "port": port} | camera.fields
    del fields["url"]
    if parts.path.strip("/"):
        fields["onvif_addr"] = parts.path
    remarks: tuple[str, ...] = ()
    wanted = query.get("subtype", ["0"])[0]
    if not wanted.isdecimal():
        fields["onvif_profile_main"] = wanted
    elif int(wanted[:6]):
        remarks = (
            "the place of a profile in the camera's list is not kept: it shows its largest, "
            "unless onvif_profile_main names another",
        )
    return _with_options(fields, options, remarks, is_ffmpeg=False)


def _with_options(
    fields: dict[str, object], options: list[str], remarks: tuple[str, ...], is_ffmpeg: bool
) -> Producer:
    """Return a producer whose options are followed as far as config.json has keys for them."""
    pairs = [option.partition("=")[::2] for option in options if option]
    asked = {key for key, _ in pairs}
    fields["audio"] = not (
        ("media", "video") in pairs or (is_ffmpeg and "video" in asked and "audio" not in asked)
    )
    transports = {value for key, value in pairs if key == "transport"} & {"tcp", "udp"}
    if {value for key, value in pairs if key == "input"} & UDP_INPUTS:
        transports = {"udp"}
    if transports:
        fields["transport"] = transports.pop()
    if any(key == "video" and value != "copy" for key, value in pairs):
        remarks = (*remarks, "video is transcoded only for those who need it")
    known = NEEDLESS | ({"transport"} if "transport" in fields else set())
    lost = tuple(sorted({key for key in asked if key not in known and key.isidentifier()}))
    return Producer(fields, lost, remarks)


def _report_options(place: Place, producer: Producer, draft: Draft) -> None:
    for remark in producer.remarks:
        draft.change(place, remark)
    if producer.lost:
        shown = ", ".join(f"#{name[:32]}" for name in producer.lost)
        draft.change(place, f"without {shown}, which config.json has nothing for")


def _reason(found: Producer | Rejection | Reference, *, has_source: bool) -> str:
    match found:
        case Rejection(reason):
            return reason
        case Reference():
            return "it is an entry of this file in another form, which h5sup makes when needed"
        case Producer():
            assert has_source
            return "a source has one address: add this one as a source of its own if you need it"


def _unknown_reason(scheme: str) -> str:
    if scheme in COMMANDS:
        return "h5sup runs no commands"
    if scheme:
        return f"addresses that begin with {scheme}: can't be opened"
    return "it is neither an address nor a file"


def _variable(match: re.Match[str], environment: Environment) -> str:
    name, default = match[1], match[2]
    if default is None or name in environment:
        return f"${{{name}}}"
    environment.defaulted.add(name)
    return default


def _preloaded(root: Place) -> list[str]:
    return [name for name, _ in root.get("preload").entries()]


def _import_api(api: Place, draft: Draft) -> None:
    name, password = api.get("username"), api.get("password")
    if not name.is_blank:
        draft.add_user(name, name=name.text, password=password.text, role="Administrator")
    if not (listen := api.get("listen")).is_blank:
        draft.leave(listen, "the API is another one: it stays at http.port")
    origin = api.get("origin")
    if origin.text == "*":
        draft.leave(origin, "name the pages that may call, in http.cors_origins")
    elif not origin.is_blank:
        draft.set(origin, "http.cors_origins", [origin.text])


def _import_webrtc(webrtc: Place, draft: Draft) -> None:
    listen = webrtc.get("listen")
    if not listen.is_blank:
        port = listen.text.split("/")[0].rpartition(":")[2]
        draft.set(listen, "rtc.port", int(port) if port.isdecimal() and len(port) < 6 else port)
    import_public_addresses(webrtc.get("candidates"), draft, _host_of_candidate)
    servers = webrtc.get("ice_servers")
    if not servers.is_blank:
        draft.set(servers, "rtc.ice_servers", [_ice_server(place) for place in servers.items()])
    if not (filters := webrtc.get("filters")).is_blank:
        draft.leave(filters, "h5sup offers the addresses of this machine by itself")


def import_public_addresses(section: Place, draft: Draft, host_of: Callable[[str], str]) -> None:
    """Set rtc.public_ips from a list in which names and STUN servers occur too."""
    found: list[str] = []
    for place in section.items():
        host = host_of(place.text)
        if re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", host):
            found.append(host)
        else:
            draft.leave(place, "rtc.public_ips takes addresses alone, no names and no STUN")
    if found:
        draft.set(section, "rtc.public_ips", found)


def _host_of_candidate(text: str) -> str:
    """Return the host of `192.0.2.1:8555` or `[2001:db8::1]:8555`."""
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def _ice_server(place: Place) -> dict[str, object]:
    server: dict[str, object] = {"urls": [url.text for url in place.get("urls").items()]}
    for key in ("username", "credential"):
        if text := place.get(key).text:
            server[key] = text
    return server
