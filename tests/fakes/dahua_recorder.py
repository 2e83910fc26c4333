"""A Dahua recorder, or camera, on a real socket: its CGI with digest, as its document has it.

Media it has none: run tests/fakes/rtsp_camera.py beside it, with the `places` and `tracks` of
`rtsp_paths()`, and give it that port as `rtsp_port`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from aiohttp import web

from h5sup.config.model import DeviceConfig, DeviceType
from h5sup.devices.dahua.api import DahuaRecorder
from h5sup.devices.trust import Trust
from tests.fakes.web_recorder import Fault, WebRecorder

SYSTEM_INFO = "/cgi-bin/magicBox.cgi"
TITLES = "ChannelTitle"
STATE = "/cgi-bin/api/LogicDeviceManager/getCameraState"
FINDER = "/cgi-bin/mediaFileFind.cgi"
CODES = frozenset(
    {
        *("Up", "Down", "Left", "Right", "LeftUp", "LeftDown", "RightUp", "RightDown"),
        *("ZoomTele", "ZoomWide", "FocusNear", "FocusFar", "IrisLarge", "IrisSmall"),
        *("GotoPreset", "SetPreset", "ClearPreset", "AuxOn", "AuxOff"),
    }
)


@dataclass
class Slot:
    """A channel's place; `state` None: nothing is said of it."""

    name: str
    state: str | None = "Connected"
    loses_video: bool = False
    has_ptz: bool = True


@dataclass(frozen=True)
class Recorded:
    """A recording by the device's wall clock; `flag` as in its answers: Timing, Event, Manual."""

    begin: datetime
    end: datetime
    flag: str = "Timing"
    video: str = "Main"
    kind: str = "dav"


@dataclass
class Finder:
    """A search that was begun."""

    hits: list[Recorded] = field(default_factory=list)
    position: int = 0
    is_closed: bool = False


@dataclass
class FakeDahua(WebRecorder[DahuaRecorder]):
    """Use it in `async with`; every field may be changed while it runs."""

    device_type: ClassVar[DeviceType] = "dahua"
    sdk_port: ClassVar[int] = 37777

    slots: list[Slot] = field(default_factory=list)
    knows_state: bool = True
    tells_titles: bool = True
    tells_ports: bool = True
    ahead: timedelta = timedelta(hours=8)
    """How far its clock is ahead of UTC."""
    tells_time: bool = True
    recordings: dict[int, list[Recorded]] = field(default_factory=dict)
    """By channel, from 1."""
    page: int = 100
    max_finders: int = 4
    refuses_empty_search: bool = True
    ptz_from: int | None = 1
    """How it counts cameras for PTZ; None: it takes either for its only one."""
    refuses_with: int = 400
    """The status of a refusal; 200 as old firmware has it."""
    names_presets: bool = True
    lock_status: int = 401
    lock_text: str = "User Locked! Please try again after 30 minutes."

    moving: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """By the slot's number from 1: codes and their speeds."""
    switched: dict[tuple[int, str], bool] = field(default_factory=dict)
    presets: dict[tuple[int, int], str] = field(default_factory=dict)
    looks_at: dict[int, int] = field(default_factory=dict)
    finders: dict[str, Finder] = field(default_factory=dict)
    most_finders: int = 0

    def recorder(
        self,
        config: DeviceConfig,
        *,
        timeout_s: float,
        find_timeout_s: float,
        trust: Trust | None = None,
    ) -> DahuaRecorder:
        """Return h5sup's side of it."""
        return DahuaRecorder(
            config, timeout_s=timeout_s, find_timeout_s=find_timeout_s, trust=trust
        )

    def _refusal(self, nonce: str, *, lock: bool) -> web.Response:
        text = self.lock_text if lock else "Invalid Authority!"
        answer = web.Response(
            status=self.lock_status if lock else 401, text=f"Error\r\n{text}\r\n"
        )
        if answer.status == 401:
            answer.headers["WWW-Authenticate"] = (
                f'Digest realm="Login to FAKE0001", qop="auth", nonce="{nonce}", opaque="ab"'
            )
        return answer

    def _answer_badly(self, fault: Fault) -> web.Response:
        return web.Response(
            body={
                Fault.BINARY: bytes(range(256)) * 100,
                Fault.NESTED: b'{"states":' + b"[" * 200_000,
                Fault.EMPTY: b"",
            }[fault]
        )

    def _padding(self) -> bytes:
        return b"serialNumber=1\r\n"

    def _busy(self) -> web.Response:
        return web.Response(status=503, text="Error\r\nDevice is busy\r\n")

    # CGI

    def _answer(self, request: web.BaseRequest, body: str) -> web.Response:
        query = dict(request.query)
        action = query.get("action", "")
        match request.path, action:
            case ("/cgi-bin/magicBox.cgi", "getSystemInfo"):
                return self._system_info()
            case ("/cgi-bin/global.cgi", "getCurrentTime") if self.tells_time:
                return _text(f"result={datetime.now(UTC) + self.ahead:%Y-%m-%d %H:%M:%S}")
            case ("/cgi-bin/configManager.cgi", "getConfig"):
                return self._config_of(query.get("name", ""))
            case ("/cgi-bin/api/LogicDeviceManager/getCameraState", _) if request.method == "POST":
                return self._states(body)
            case ("/cgi-bin/eventManager.cgi", "getEventIndexes"):
                return self._losses()
            case ("/cgi-bin/mediaFileFind.cgi", _):
                return self._find(action, query)
            case ("/cgi-bin/ptz.cgi", _):
                return self._steer(action, query)
            case ("/cgi-bin/rainBrush.cgi", "moveContinuously" | "stopMove"):
                return self._switch("wiper", query, on=action == "moveContinuously")
            case _:
                pass
        return web.Response(status=404, text="<h1>404 Not Found</h1>", content_type="text/html")

    def _system_info(self) -> web.Response:
        return _text(
            "appAutoStart=true", "deviceType=31", "hardwareVersion=1.00", "processor=FAKE",
            "serialNumber=FAKE0001PAZ00001", "updateSerial=DHI-NVR-FAKE",
        )  # fmt: skip

    def _config_of(self, name: str) -> web.Response:
        if name == "RTSP" and self.tells_ports:
            return _text("table.RTSP.Enable=true", f"table.RTSP.Port={self.rtsp_port}")
        if name == TITLES and self.tells_titles:
            return _text(
                *(f"table.ChannelTitle[{n}].Name={slot.name}" for n, slot in enumerate(self.slots))
            )
        return self._no()

    def _states(self, body: str) -> web.Response:
        if not self.knows_state:
            return web.Response(status=404)
        if json.loads(body) != {"uniqueChannels": [-1]}:
            return self._no()
        states = [
            {"channel": number, "connectionState": slot.state}
            for number, slot in enumerate(self.slots)
            if slot.state is not None
        ]
        return web.json_response({"states": states})

    def _losses(self) -> web.Response:
        lost = [n for n, slot in enumerate(self.slots) if slot.loses_video]
        if not lost:
            return web.Response(status=400, text="Error: No Events\r\n")
        return _text(*(f"channels[{n}]={channel}" for n, channel in enumerate(lost)))

    def _find(self, action: str, query: dict[str, str]) -> web.Response:
        """Search with a finder; those that were not closed and destroyed are never freed."""
        if action == "factory.create":
            if len(self.finders) >= self.max_finders:
                return self._no()
            name = secrets.token_hex(4)
            self.finders[name] = Finder()
            self.most_finders = max(self.most_finders, len(self.finders))
            return _text(f"result={name}")
        name = query.get("object", "")
        finder = self.finders.get(name)
        if finder is None:
            return self._no()
        match action:
            case "findFile":
                return self._begin_search(finder, query)
            case "findNextFile":
                return self._next_page(finder, int(query["count"]))
            case "close":
                finder.is_closed = True
                return _text("OK")
            case "destroy" if finder.is_closed:
                del self.finders[name]
                return _text("OK")
        return self._no()

    def _begin_search(self, finder: Finder, query: dict[str, str]) -> web.Response:
        begin, end = (
            datetime.strptime(query[f"condition.{key}"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
            for key in ("StartTime", "EndTime")
        )
        finder.hits = [
            each for each in self.recordings.get(int(query["condition.Channel"]), [])
            if each.begin < end and each.end > begin
        ]  # fmt: skip
        finder.position = 0
        return _text("OK") if finder.hits or not self.refuses_empty_search else self._no()

    def _next_page(self, finder: Finder, count: int) -> web.Response:
        if Fault.SAME_PAGE in self.faults.values():
            finder.position = 0
        hits = finder.hits[finder.position : finder.position + min(count, self.page)]
        finder.position += len(hits)
        found = len(hits) + (Fault.CUT_PAGE in self.faults.values())
        lines = [f"found={found}"]
        for n, each in enumerate(hits):
            lines += [
                f"items[{n}].Channel=1",
                f"items[{n}].EndTime={each.end:%Y-%m-%d %H:%M:%S}",
                f"items[{n}].FilePath=/mnt/dvr/sda0/{each.begin:%Y.%m.%d}/0/dav/{n}.dav",
                f"items[{n}].Flags[0]={each.flag}",
                f"items[{n}].Length=790",
                f"items[{n}].StartTime={each.begin:%Y-%m-%d %H:%M:%S}",
                f"items[{n}].Type={each.kind}",
                f"items[{n}].VideoStream={each.video}",
            ]
        return _text(*lines)

    def _steer(self, action: str, query: dict[str, str]) -> web.Response:
        channel = self._ptz_channel(query)
        if channel is None:
            return self._no()
        if action == "getPresets":
            return self._list_presets(channel)
        if action == "setPreset":
            key = (channel, int(query["arg1"]))
            if not self.names_presets or key not in self.presets:
                return self._no()
            self.presets[key] = query["arg2"]
            return _text("OK")
        code, first, second = query["code"], int(query["arg1"]), int(query["arg2"])
        if code not in CODES or action not in ("start", "stop"):
            return self._no()
        if code in ("AuxOn", "AuxOff"):
            return self._switch("light", query, on=code == "AuxOn")
        if code.endswith("Preset"):
            return self._preset(code, channel, second)
        moving = self.moving.setdefault(channel, {})
        if action == "start":
            if not 1 <= second <= 8:
                return self._no()
            moving[code] = (first, second)
        else:
            moving.pop(code, None)
        return _text("OK")

    def _ptz_channel(self, query: dict[str, str]) -> int | None:
        """Return the slot's number from 1 that is meant, None for one that it has not."""
        given = int(query["channel"])
        if self.ptz_from is None:
            return 1 if given in (0, 1) else None
        number = given + 1 - self.ptz_from
        if not 1 <= number <= len(self.slots) or not self.slots[number - 1].has_ptz:
            return None
        return number

    def _list_presets(self, channel: int) -> web.Response:
        mine = [(number, name) for (of, number), name in self.presets.items() if of == channel]
        if not mine:
            return self._no()
        lines = []
        for n, (number, name) in enumerate(mine):
            lines += [f"presets[{n}].Index={number}", f"presets[{n}].Name={name}"]
        return _text(*lines)

    def _preset(self, code: str, channel: int, number: int) -> web.Response:
        key = (channel, number)
        if code == "SetPreset":
            self.presets[key] = f"Preset{number}"
        elif key not in self.presets:
            return self._no()
        elif code == "ClearPreset":
            del self.presets[key]
        else:
            self.looks_at[channel] = number
        return _text("OK")

    def _switch(self, what: str, query: dict[str, str], *, on: bool) -> web.Response:
        channel = self._ptz_channel(query)
        if channel is None:
            return self._no()
        self.switched[channel, what] = on
        return _text("OK")

    def _no(self) -> web.Response:
        return web.Response(status=self.refuses_with, text="Error\r\nBad Request!\r\n")


def rtsp_paths(channels: Iterable[int], main: str, sub: str) -> dict[str, dict[str, str]]:
    """Return what an RtspCamera beside it shows: live channels, and tracks of what is recorded."""
    channels = tuple(channels)
    live = {f"cam/realmonitor?channel={number}&subtype=0": main for number in channels}
    live |= {f"cam/realmonitor?channel={number}&subtype=1": sub for number in channels}
    return {"places": live, "tracks": {f"cam/playback?channel={n}": main for n in channels}}


def _text(*lines: str) -> web.Response:
    return web.Response(text="".join(f"{line}\r\n" for line in lines))
