"""h5ss.conf, the configuration of H5Stream."""

from __future__ import annotations

import re

from h5sup.importers.addresses import place_file, split_credentials
from h5sup.importers.draft import Draft
from h5sup.importers.place import Place, Tree

CONNECT = {"H5_ALWAYS": "always", "H5_ONDEMAND": "ondemand", "H5_AUTO": "auto"}
TRANSPORTS = {
    "H5_RTSP_TCP": "tcp",
    "H5_RTSP_UDP": "udp",
    "H5_RTSP_HTTP": "http",
    "H5_RTSP_HTTPS": "https",
    "H5_RTSP_AUTO": "auto",
}
DEVICES = {"H5_DEV_HIK": "hik", "H5_DEV_DH": "dahua"}
ROLES = {role.lower(): role for role in ("Administrator", "Operator", "Viewer")}
MD5_HEX = re.compile(r"[0-9A-Fa-f]{32}")
LONGEST_PRE_ROLL_S = 120
NO_OUTPUT = "there is no such output yet"
NO_SOURCE = {
    "H5_RTMP_PUSH": "pushed sources are not there yet",
    "H5_CLOUD": "sources of a cluster are not there yet",
    "H5_CH_DEV": "channels of devices come by themselves",
    "H5_CH_GB": "channels of GB28181 are not there yet",
}
ONVIF_KEYS = ("strOnvifAddr", "strOnvifProfileMain", "strOnvifProfileSub", "bOnvifProfileAuto")
ADDRESS_KEYS = ("strSrcIpAddress", "strSrcPort", *ONVIF_KEYS)  # strUrl says all of a stream
SECTIONS = ("http", "source", "user", "webrtc", "gb28181", "system", "hls")


def is_h5ss(root: Place) -> bool:
    """Return whether this is H5Stream's file: its keys tell their type by a first letter."""
    return any(
        re.match(r"(n|b|str)[A-Z]", key) or key == "src"
        for section in SECTIONS
        for key in _keys(root, section)
    )


def import_h5ss(root: Place, draft: Draft) -> None:
    """Carry over every section of h5ss.conf."""
    _import_http(root.get("http"), draft)
    _import_outputs(root, draft)
    _import_hls(root.get("hls"), draft)
    _import_webrtc(root.get("webrtc"), draft)
    _import_system(root.get("system"), draft)
    _import_users(root.get("user"), draft)
    _import_sources(root.get("source"), draft)
    for place in root.get("device").get("dev").items():
        _import_device(place, draft)
    for section, what in (("cloud", "clusters are"), ("gb28181", "GB28181 is")):
        place = root.get(section)
        if place.get("bEnable").flag():
            draft.leave(place, f"{what} not there yet")
        else:
            place.settle()


def _keys(root: Place, section: str) -> list[str]:
    tree: Tree = root.value
    value = tree.get(section) if isinstance(tree, dict) else None
    return list(value) if isinstance(value, dict) else []


def _import_http(http: Place, draft: Draft) -> None:
    port = http.get("nHTTPPort")
    if not port.is_blank:
        draft.set(port, "http.port", port.number)
    draft.leave_if_set(
        http.get("nHTTPSPort"), "HTTPS needs a certificate of yours: switch it on by hand"
    )
    if not http.get("bAuth").flag(default=True):
        draft.leave(
            http.get("bAuth"), "a login stays necessary; auth.enabled false would do without"
        )


def _import_outputs(root: Place, draft: Draft) -> None:
    for section, switch in (("rtsp", "bRTSPSink"), ("rtmp", "bRTMPSink"), ("flv", "bFLVSink")):
        place = root.get(section)
        if place.get(switch).flag():
            draft.leave(place, NO_OUTPUT)
        else:
            place.settle()


def _import_hls(hls: Place, draft: Draft) -> None:
    kind = hls.get("nHLSSinkType")
    if not kind.is_blank:
        draft.set(kind, "hls.ts", kind.text == "H5_HLS_V1")
    if kind.text == "H5_HLS_NONE":
        draft.change(kind, "HLS v2 stays: it costs nothing until somebody asks")
    if not (count := hls.get("nHLSSegmentNum")).is_blank:
        draft.set(count, "hls.segments", count.number)
    if not (length := hls.get("nHLSDuration")).is_blank:
        draft.set(length, "hls.segment_s", length.number)


def _import_webrtc(webrtc: Place, draft: Draft) -> None:
    lowest, highest = webrtc.get("nPortRangeMin"), webrtc.get("nPortRangeMax")
    if not webrtc.get("bWebRTCSink").flag(default=True):
        draft.set(webrtc.get("bWebRTCSink"), "rtc.port", 0)
    elif not lowest.is_blank:
        draft.set(lowest, "rtc.port", lowest.number)
        if not highest.is_blank:
            draft.change(highest, "all viewers share the one port rtc.port, UDP and TCP")
    address = webrtc.get("strRelatedPublicIp")
    if not address.is_blank:
        draft.set(address, "rtc.public_ips", [address.text])


def _import_system(system: Place, draft: Draft) -> None:
    timeout = system.get("nLoginTimeout")
    if not timeout.is_blank:
        draft.set(timeout, "auth.session_timeout_s", timeout.number)
    for key, ours in (
        ("nRecordInDay", "recording.max_days"),
        ("nSnapshotInDay", "recording.snapshot_days"),
    ):
        if not (days := system.get(key)).is_blank:
            draft.set(days, ours, days.number)
    draft.leave_if_set(
        system.get("nDiskAutoDelPercent"), "recording.keep_free_bytes says how much stays free"
    )


def _import_users(user: Place, draft: Draft) -> None:
    if not user.get("bTokenAuth").flag(default=True):
        draft.leave(
            user.get("bTokenAuth"), "a login stays necessary; auth.enabled false would do without"
        )
    anonymous = user.get("bAnonymousView")
    if anonymous.flag():
        draft.set(anonymous, "auth.anonymous_view", value=True)
    for place in user.get("users").items():
        _import_user(place, draft)


def _import_user(place: Place, draft: Draft) -> None:
    name, given = place.get("strUser").text, place.get("strUserType")
    password = place.get("strPasswd").text
    role = ROLES.get(given.text.lower())
    if role is None:
        draft.change(given, "no role of that name is known: made a Viewer")
    if not MD5_HEX.fullmatch(password):
        draft.leave(place, "strPasswd is no MD5 of 32 digits: add the user by hand")
        return
    draft.add_user(place, name=name, password=password.lower(), role=role or "Viewer")


def _import_sources(section: Place, draft: Draft) -> None:
    pre_roll = _find_pre_roll(section, draft)
    defaults = {key: section.get(key).text for key in ("nConnectType", "nRTSPType")}
    seen: set[str] = set()
    for place in section.get("src").items():
        token = place.get("strToken").text
        if token and token in seen:
            draft.leave(place, "the token stands further up, and the first one wins")
            continue
        seen.add(token)
        _import_source(place, draft, defaults, pre_roll)


def _find_pre_roll(section: Place, draft: Draft) -> dict[str, object]:
    """Return the key of each source that what was seen before goes into recordings."""
    length = section.get("nPreRecordLength")
    length.settle()
    if not section.get("bEnablePreRecord").flag() or not length.number:
        return {}
    draft.change(
        section.get("bEnablePreRecord"), "pre_record_s of each camera: it stays connected for that"
    )
    return {"pre_record_s": min(length.number, LONGEST_PRE_ROLL_S)}


def _import_source(
    place: Place, draft: Draft, defaults: dict[str, str], pre_roll: dict[str, object]
) -> None:
    kind = place.get("nType").text
    if kind not in ("H5_FILE", "H5_STREAM", "H5_ONVIF"):
        draft.leave(place, NO_SOURCE.get(kind, "nType is none that is known"))
        return
    address = place.get("strUrl")
    name = place.get("strName").text
    fields: dict[str, object] = {"name": name} if name else {}
    if kind == "H5_FILE":
        fields |= {"type": "file", "url": place_file(address.text)}
    elif kind == "H5_ONVIF":
        fields |= {"type": "onvif"} | _onvif_fields(place, draft, defaults) | pre_roll
    else:
        fields |= {"type": "rtsp"} | _network_fields(place, draft, defaults) | pre_roll
    fields["connect"] = _choose(place, "nConnectType", defaults, CONNECT, draft) or "auto"
    fields["audio"] = place.get("bEnableAudio").flag()
    token = place.get("strToken").text or name
    for key in ADDRESS_KEYS:
        place.get(key).settle()
    if draft.add_source(place, token, fields) and kind == "H5_FILE":
        draft.change(address, "copy the file below paths.media_root, see its url")


def _network_fields(place: Place, draft: Draft, defaults: dict[str, str]) -> dict[str, object]:
    found = split_credentials(place.get("strUrl").text).fields
    for key, ours in (("strUser", "user"), ("strPasswd", "password")):
        if text := place.get(key).text:
            found[ours] = text
    found["transport"] = _choose(place, "nRTSPType", defaults, TRANSPORTS, draft) or "auto"
    return found


def _onvif_fields(place: Place, draft: Draft, defaults: dict[str, str]) -> dict[str, object]:
    """Return what an ONVIF camera is asked by; its strUrl is only what it told H5Stream last."""
    found: dict[str, object] = _network_fields(place, draft, defaults)
    found.pop("url", None)
    found["host"] = place.get("strSrcIpAddress").text
    port = place.get("strSrcPort")
    if not port.is_blank:
        found["port"] = port.number
    if path := place.get("strOnvifAddr").text:
        found["onvif_addr"] = path
    if not place.get("bOnvifProfileAuto").flag():
        for key, ours in (("Main", "onvif_profile_main"), ("Sub", "onvif_profile_sub")):
            if token := place.get(f"strOnvifProfile{key}").text:
                found[ours] = token
    return found


def _import_device(place: Place, draft: Draft) -> None:
    kind = DEVICES.get(place.get("nType").text)
    if kind is None:
        draft.leave(place, "nType is none of H5_DEV_HIK and H5_DEV_DH: there is no such device")
        return
    fields: dict[str, object] = {
        "type": kind,
        "host": place.get("strDevIpAddress").text,
        "port": place.get("strDevPort").number,
        "audio": place.get("bEnableAudio").flag(),
    }
    for key, ours in (("strName", "name"), ("strUser", "user"), ("strPasswd", "password")):
        if text := place.get(key).text:
            fields[ours] = text
    draft.add_device(place, place.get("strToken").text or str(fields.get("name", "")), fields)


def _choose(
    place: Place, key: str, defaults: dict[str, str], known: dict[str, str], draft: Draft
) -> str | None:
    """Return our word for a choice: the source's own, else that of the whole section."""
    given = place.get(key)
    text = given.text or defaults[key]
    if text and text not in known:
        draft.change(given, f"{key} is none that is known: the default stands")
    return known.get(text)
