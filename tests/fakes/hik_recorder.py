"""A Hikvision recorder, or camera, on a real socket: ISAPI with digest, as its guide has it.

Media it has none: run tests/fakes/rtsp_camera.py beside it, with the `places` and `tracks` of
`rtsp_paths()`, and give it that port as `rtsp_port`.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from xml.sax.saxutils import escape, unescape

from aiohttp import web

from h5sup.config.model import DeviceConfig, DeviceType
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.trust import Trust
from tests.fakes.web_recorder import Fault, WebRecorder

NAMESPACE = 'version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"'
HEAD = '<?xml version="1.0" encoding="UTF-8" ?>\n'
BOMB = HEAD + (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<DeviceInfo><deviceName>&b;</deviceName></DeviceInfo>"
)
EXTERNAL = HEAD + (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    "<DeviceInfo><deviceName>&x;</deviceName></DeviceInfo>"
)


@dataclass
class Slot:
    """A channel; `is_online` None: it says nothing of that."""

    number: int | str
    name: str
    is_online: bool | None = True


@dataclass(frozen=True)
class Recorded:
    """A recording by the device's wall clock; `kind` as in its metadata: timing, motion ..."""

    begin: datetime
    end: datetime
    kind: str = "timing"


@dataclass
class FakeHik(WebRecorder[HikRecorder]):
    """Use it in `async with`; every field may be changed while it runs."""

    device_type: ClassVar[DeviceType] = "hik"
    sdk_port: ClassVar[int] = 8000

    kind: str = "NVR"
    ip: list[Slot] | None = field(default_factory=list)
    """None: it has no such list, as a camera."""
    analog: list[Slot] | None = None
    streams: list[int] = field(default_factory=list)
    """What it lists as sent: 101, 102 ..."""
    knows_status: bool = True
    tells_ports: bool = True
    zone: str = "CST-8:00:00"
    local_time: str = "2026-11-24T10:00:00+08:00"
    tells_time: bool = True
    recordings: dict[int, list[Recorded]] = field(default_factory=dict)
    """By track: 101, 201 ..."""
    page: int = 40
    steers: str = "PTZCtrlProxy"
    """By which way it can be steered: PTZCtrlProxy, PTZCtrl or neither."""
    moving_lists: dict[str, list[int]] = field(default_factory=dict)
    """Which cameras it lists as moving, by the same ways; it has no other list."""
    refuses_with: int = 403
    """What it says of the other way."""
    schemes: tuple[str, ...] = ("Digest",)
    """Which logins it offers, in this order: Digest, old Digest, Basic."""

    moving: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    focus: dict[int, int] = field(default_factory=dict)
    iris: dict[int, int] = field(default_factory=dict)
    switched: dict[tuple[int, str], str] = field(default_factory=dict)
    presets: dict[tuple[int, int], str] = field(default_factory=dict)
    """By channel and number."""
    looks_at: dict[int, int] = field(default_factory=dict)

    def recorder(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float,
        find_timeout_s: float,
        trust: Trust | None = None,
    ) -> HikRecorder:
        """Return h5sup's side of it."""
        return HikRecorder(config, timeout_s=timeout_s, find_timeout_s=find_timeout_s, trust=trust)

    def _refusal(self, nonce: str, *, lock: bool) -> web.Response:
        left = max(0, self.lock_after - self.wrong_logins)
        body = (
            f"{HEAD}<userCheck {NAMESPACE}><statusValue>401</statusValue>"
            "<statusString>Unauthorized</statusString>"
            f"<lockStatus>{'lock' if lock else 'unlock'}</lockStatus>"
            f"<unlockTime>{1791 if lock else 0}</unlockTime>"
            f"<retryLoginTime>{left}</retryLoginTime></userCheck>"
        )
        answer = web.Response(status=401, text=body, content_type="application/xml")
        challenges = {
            "Digest": f'Digest qop="auth", realm="DS-FAKE", nonce="{nonce}", stale="FALSE"',
            "old Digest": f'Digest realm="DS-FAKE", domain="::", qop="auth", nonce="{nonce}", '
            'opaque="", algorithm="MD5", stale="FALSE"',
            "Basic": 'Basic realm="DS-FAKE"',
        }
        for scheme in self.schemes:
            answer.headers.add("WWW-Authenticate", challenges[scheme])
        return answer

    def _answer_badly(self, fault: Fault) -> web.Response:
        if fault is Fault.PACKED:
            packed = gzip.compress(b"<a>" + b" " * 2_000_000)
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        half = f"{HEAD}<DeviceInfo><model>DS"
        return _xml({Fault.BROKEN_XML: half, Fault.BOMB: BOMB, Fault.EXTERNAL: EXTERNAL}[fault])

    def _busy(self) -> web.Response:
        return _status(503, "Device Busy", "deviceBusy")

    # ISAPI

    def _answer(self, request: web.BaseRequest, body: str) -> web.Response:
        method, path = request.method, request.path
        fixed = {
            "/ISAPI/System/deviceInfo": self._device_info,
            "/ISAPI/System/time": self._time,
            "/ISAPI/Security/adminAccesses": self._ports,
            "/ISAPI/ContentMgmt/InputProxy/channels": self._ip_channels,
            "/ISAPI/ContentMgmt/InputProxy/channels/status": self._ip_status,
            "/ISAPI/System/Video/inputs/channels": self._analog_channels,
            "/ISAPI/Streaming/channels": self._streams,
        }
        if method == "GET" and path in fixed:
            return fixed[path]()
        if (method, path) == ("POST", "/ISAPI/ContentMgmt/search"):
            return self._search(body)
        if found := re.fullmatch(
            r"/ISAPI/ContentMgmt/record/tracks/(\d+)/dailyDistribution", path
        ):
            return self._calendar(int(found[1]), body)
        if found := re.fullmatch(r"/ISAPI/(?:ContentMgmt/)?(PTZCtrl\w*)/channels", path):
            return self._moving_list(found[1])
        if found := re.fullmatch(
            r"/ISAPI/(?:ContentMgmt/)?(PTZCtrl\w*)/channels/(\d+)(/.*)", path
        ):
            return self._steer(method, found[1], int(found[2]), found[3], body)
        lens = r"/ISAPI/(System/Video/inputs|ContentMgmt/InputProxy)/channels/(\d+)(?:/video)?/"
        if found := re.fullmatch(lens + "(focus|iris)", path):
            way = "PTZCtrl" if found[1].startswith("System") else "PTZCtrlProxy"
            return self._set_lens(way, int(found[2]), found[3], body)
        return _not_found()

    def _device_info(self) -> web.Response:
        return _xml(
            f"{HEAD}<DeviceInfo {NAMESPACE}><deviceName>Network Video Recorder</deviceName>"
            "<deviceID>48443030-3830-3235-3432-4c1111111111</deviceID><model>DS-FAKE</model>"
            "<serialNumber>DS-FAKE0120260101</serialNumber><firmwareVersion>V4.30</firmwareVersion>"
            f"<deviceType>{self.kind}</deviceType></DeviceInfo>"
        )

    def _time(self) -> web.Response:
        if not self.tells_time:
            return _not_found()
        zone = f"<timeZone>{self.zone}</timeZone>" if self.zone else ""
        local = f"<localTime>{self.local_time}</localTime>"
        return _xml(f"{HEAD}<Time {NAMESPACE}><timeMode>NTP</timeMode>{local}{zone}</Time>")

    def _ports(self) -> web.Response:
        if not self.tells_ports:
            return _status(403, "Invalid Operation", "lowPrivilege")
        ports = [
            ("HTTP", self.port),
            ("HTTPS", 443),
            ("RTSP", self.rtsp_port),
            ("DEV_MANAGE", 8000),
        ]
        listed = "".join(
            f"<AdminAccessProtocol><id>{index}</id><enabled>true</enabled>"
            f"<protocol>{name}</protocol><portNo>{port}</portNo></AdminAccessProtocol>"
            for index, (name, port) in enumerate(ports, 1)
        )
        return _xml(
            f"{HEAD}<AdminAccessProtocolList {NAMESPACE}>{listed}</AdminAccessProtocolList>"
        )

    def _ip_channels(self) -> web.Response:
        if self.ip is None:
            return _status(403, "Invalid Operation", "notSupport")
        listed = "".join(
            f"<InputProxyChannel><id>{slot.number}</id><name>{escape(slot.name)}</name>"
            "<sourceInputPortDescriptor><proxyProtocol>HIKVISION</proxyProtocol>"
            "<ipAddress>192.0.2.7</ipAddress><managePortNo>8000</managePortNo>"
            "<srcInputPort>1</srcInputPort></sourceInputPortDescriptor></InputProxyChannel>"
            for slot in self.ip
        )
        return _xml(f"{HEAD}<InputProxyChannelList {NAMESPACE}>{listed}</InputProxyChannelList>")

    def _ip_status(self) -> web.Response:
        if self.ip is None or not self.knows_status:
            return _not_found()
        listed = "".join(
            f"<InputProxyChannelStatus><id>{slot.number}</id>{_online(slot.is_online)}"
            "</InputProxyChannelStatus>"
            for slot in self.ip
        )
        name = "InputProxyChannelStatusList"
        return _xml(f"{HEAD}<{name} {NAMESPACE}>{listed}</{name}>")

    def _analog_channels(self) -> web.Response:
        if self.analog is None:
            return _status(403, "Invalid Operation", "notSupport")
        listed = "".join(
            f"<VideoInputChannel><id>{slot.number}</id><inputPort>{slot.number}</inputPort>"
            f"<videoInputEnabled>{'false' if slot.is_online is None else 'true'}"
            f"</videoInputEnabled><name>{escape(slot.name)}</name><videoFormat>PAL</videoFormat>"
            f"<resDesc>{'1080P25' if slot.is_online else 'NO VIDEO'}</resDesc>"
            "</VideoInputChannel>"
            for slot in self.analog
        )
        return _xml(f"{HEAD}<VideoInputChannelList {NAMESPACE}>{listed}</VideoInputChannelList>")

    def _streams(self) -> web.Response:
        listed = "".join(
            f"<StreamingChannel><id>{number}</id><channelName>Lobby</channelName>"
            "<enabled>true</enabled></StreamingChannel>"
            for number in self.streams
        )
        return _xml(f"{HEAD}<StreamingChannelList {NAMESPACE}>{listed}</StreamingChannelList>")

    def _search(self, body: str) -> web.Response:
        """Answer in pages; a position is read as firmware spells it, and counts from 0."""
        track, first, last = (
            _read(body, "trackID"),
            _read(body, "startTime"),
            _read(body, "endTime"),
        )
        begin, end = (datetime.fromisoformat(text.removesuffix("Z")) for text in (first, last))
        position = int(_read(body, "searchResultPostion") or 0)
        if Fault.SAME_PAGE in self.faults.values():
            position = 0
        size = min(self.page, int(_read(body, "maxResults")))
        hits = [
            each for each in self.recordings.get(int(track), [])
            if each.begin < end and each.end > begin
        ]  # fmt: skip
        shown = hits[position : position + size]
        more = len(hits) > position + size
        items = "".join(self._item(track, each) for each in shown)
        status = "MORE" if more else "OK" if shown else "NO MATCHES"
        return _xml(
            f"{HEAD}<CMSearchResult {NAMESPACE}><searchID>{{{_read(body, 'searchID').lower()}}}"
            f"</searchID><responseStatus>true</responseStatus>"
            f"<responseStatusStrg>{status}</responseStatusStrg>"
            f"<numOfMatches>{len(shown)}</numOfMatches><matchList>{items}</matchList>"
            "</CMSearchResult>"
        )

    def _item(self, track: str, each: Recorded) -> str:
        """Return a hit; its playbackURI names a host and a port of another network."""
        stamps = f"starttime={each.begin:%Y%m%dT%H%M%SZ}&amp;endtime={each.end:%Y%m%dT%H%M%SZ}"
        return (
            "<searchMatchItem><sourceID>{00000000-0000-0000-0000-000000000000}</sourceID>"
            f"<trackID>{track}</trackID><timeSpan><startTime>{each.begin:%Y-%m-%dT%H:%M:%SZ}"
            f"</startTime><endTime>{each.end:%Y-%m-%dT%H:%M:%SZ}</endTime></timeSpan>"
            "<mediaSegmentDescriptor><contentType>video</contentType><codecType>H.264-BP</codecType>"
            f"<playbackURI>rtsp://192.0.2.99:80/Streaming/tracks/{track}/?{stamps}&amp;"
            "name=00000004667000100&amp;size=1400788</playbackURI></mediaSegmentDescriptor>"
            "<metadataMatches><metadataDescriptor>recordType.meta.hikvision.com/"
            f"{each.kind}</metadataDescriptor></metadataMatches></searchMatchItem>"
        )

    def _calendar(self, track: int, body: str) -> web.Response:
        year, month = int(_read(body, "year")), int(_read(body, "monthOfYear"))
        days: dict[int, str] = {}
        for each in self.recordings.get(track, []):
            if (each.begin.year, each.begin.month) == (year, month):
                kind = "time" if each.kind == "timing" else "event"
                days[each.begin.day] = (
                    "event" if "event" in (kind, days.get(each.begin.day)) else kind
                )
        listed = "".join(
            f"<day><id>{day}</id><dayOfMonth>{day}</dayOfMonth><record>"
            + (
                f"true</record><recordType>{days[day]}</recordType>"
                if day in days
                else "false</record>"
            )
            + "</day>"
            for day in range(1, 32)
        )
        name = "trackDailyDistribution"
        return _xml(f"{HEAD}<{name} {NAMESPACE}><dayList>{listed}</dayList></{name}>")

    def _steer(self, method: str, way: str, channel: int, rest: str, body: str) -> web.Response:
        if way != self.steers:
            return _status(self.refuses_with, "Invalid Operation", "notSupport")
        if rest == "/continuous":
            pan, tilt, zoom = (int(_read(body, key)) for key in ("pan", "tilt", "zoom"))
            self.moving[channel] = (pan, tilt, zoom)
            return _ok()
        if rest == "/capabilities":
            return _xml(
                f"{HEAD}<PTZChanelCap {NAMESPACE}><ContinuousPanTiltSpace/></PTZChanelCap>"
            )
        if rest == "/auxcontrols/1":
            if "xmlns" in body:
                return _status(400, "Invalid XML Content", "badXmlContent")
            self.switched[channel, _read(body, "type")] = _read(body, "status")
            return _ok()
        if rest == "/presets" and method == "GET":
            return self._presets(channel)
        if found := re.fullmatch(r"/presets/(\d+)(/goto)?", rest):
            return self._preset(method, channel, int(found[1]), bool(found[2]), body)
        return _not_found()

    def _moving_list(self, way: str) -> web.Response:
        """Answer a list; those below 0 are said to have nothing that moves."""
        if way not in self.moving_lists:
            return _not_found()
        listed = "".join(
            f"<PTZChannel><id>{abs(number)}</id><enabled>true</enabled>"
            f"<videoInputID>{abs(number)}</videoInputID>"
            + "".join(
                f"<{part}Support>{str(number > 0).lower()}</{part}Support>"
                for part in ("pan", "tilt", "zoom")
            )
            + "</PTZChannel>"
            for number in self.moving_lists[way]
        )
        return _xml(f"{HEAD}<PTZChannelList {NAMESPACE}>{listed}</PTZChannelList>")

    def _presets(self, channel: int) -> web.Response:
        listed = "".join(
            f"<PTZPreset><enabled>{str((channel, number) in self.presets).lower()}</enabled>"
            f"<id>{number}</id><presetName>"
            + escape(self.presets.get((channel, number), f"Preset {number}"))
            + "</presetName></PTZPreset>"
            for number in range(1, 257)
        )
        return _xml(f"{HEAD}<PTZPresetList {NAMESPACE}>{listed}</PTZPresetList>")

    def _preset(
        self, method: str, channel: int, number: int, is_goto: bool, body: str
    ) -> web.Response:
        if method == "PUT" and not is_goto:
            self.presets[channel, number] = _read(body, "presetName")
            return _ok()
        if (channel, number) not in self.presets:
            return _status(400, "Invalid Operation", "presetNotSet")
        if method == "DELETE":
            del self.presets[channel, number]
        else:
            self.looks_at[channel] = number
        return _ok()

    def _set_lens(self, way: str, channel: int, part: str, body: str) -> web.Response:
        if way != self.steers:
            return _status(self.refuses_with, "Invalid Operation", "notSupport")
        (self.focus if part == "focus" else self.iris)[channel] = int(_read(body, part))
        return _ok()


def rtsp_paths(channels: Iterable[int], main: str, sub: str) -> dict[str, dict[str, str]]:
    """Return what an RtspCamera beside it shows: live channels, and tracks of what is recorded."""
    live = {f"Streaming/Channels/{number}01": main for number in channels}
    live |= {f"Streaming/Channels/{number}02": sub for number in channels}
    return {"places": live, "tracks": {f"Streaming/tracks/{n}01": main for n in channels}}


def _online(state: bool | None) -> str:
    return "" if state is None else f"<online>{str(state).lower()}</online>"


def _read(body: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", body)
    return unescape(found[1]) if found else ""


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/xml")


def _ok() -> web.Response:
    return _status(200, "OK", "ok")


def _not_found() -> web.Response:
    """What old firmware says of a path it doesn't know: a page, not XML."""
    return web.Response(
        status=404, text="<html><br>Document Error: Not Found", content_type="text/html"
    )


def _status(status: int, words: str, code: str) -> web.Response:
    text = (
        f"{HEAD}<ResponseStatus {NAMESPACE}><statusCode>{1 if status == 200 else 4}</statusCode>"
        f"<statusString>{words}</statusString><subStatusCode>{code}</subStatusCode></ResponseStatus>"
    )
    return web.Response(status=status, text=text, content_type="application/xml")
