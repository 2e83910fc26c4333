"""RTSP messages and what is interleaved with them on one connection (RFC 2326).

Read from strangers within bounds, without I/O: bytes as they came go in, and out come messages and
whole runs of interleaved frames, which are not looked into.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from h5sup.base.errors import MediaFormatError

VERSION = "RTSP/1.0"
MAX_HEAD_BYTES = 16_384
MAX_HEADERS = 64
MAX_BODY_BYTES = 65_536
DOLLAR = 0x24  # §10.12
FRAME_HEAD_BYTES = 4
NOT_RTSP = "what comes is no RTSP"

STATUS = re.compile(r"RTSP/1\.\d (\d{3})(?: ([^\r\n]*))?", re.ASCII)
REQUEST = re.compile(r"([A-Z_]{3,32}) ([!-~]{1,2048}) RTSP/1\.\d", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
SESSION = re.compile(r"\s*([^\s;]{1,256})\s*(?:;\s*timeout\s*=\s*(\d{1,6}))?", re.ASCII)
INTERLEAVED = re.compile(r"(?i)interleaved\s*=\s*(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
NUMBER = re.compile(r"\d{1,9}(?:\.\d{0,9})?", re.ASCII)
CLOCK = re.compile(r"(\d{8})T(\d{6})(\.\d{1,9})?Z?", re.ASCII)
RTP_INFO = re.compile(r"(?i)(url|seq|rtptime)\s*=\s*(?:\"([^\"]*)\"|([^;,\s]*))")


@dataclass(frozen=True, slots=True)
class Message:
    """What all messages have: headers by their name in small letters, in the order they came."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    def find(self, name: str) -> str | None:
        """Return the first header of a name."""
        return next((value for key, value in self.headers if key == name), None)

    def find_all(self, name: str) -> list[str]:
        """Return all headers of a name."""
        return [value for key, value in self.headers if key == name]

    @property
    def sequence(self) -> int | None:
        """Return its CSeq; None where that can't be told."""
        told = self.find("cseq") or ""
        return int(told) if told.isascii() and told.isdecimal() and len(told) < 10 else None


@dataclass(frozen=True, slots=True)
class Response(Message):
    """An answer."""

    status: int

    @property
    def is_ok(self) -> bool:
        """Return whether what was asked for was done."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Request(Message):
    """A request."""

    method: str
    url: str


class RtspReader:
    """Cuts what comes on one connection. It is of no use any more after it has raised."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | Response | Request]:
        """Yield what is whole: frames that follow each other as one run, and messages.

        Raises MediaFormatError.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at = 0
        while at < len(data):
            if data[at] == DOLLAR:
                end = _find_frames_end(data, at)
                if end == at:
                    break
                yield data[at:end]
                at = end
            elif data[at] in b"\r\n":
                at += 1  # some put an empty line after a body
            else:
                found = _read_message(data, at)
                if found is None:
                    break
                message, at = found
                yield message
        self._rest = data[at:]


def _find_frames_end(data: bytes, at: int) -> int:
    """Return where the whole frames end that begin here."""
    size = len(data) - FRAME_HEAD_BYTES
    while at <= size and data[at] == DOLLAR:
        end = at + FRAME_HEAD_BYTES + (data[at + 2] << 8 | data[at + 3])
        if end > len(data):
            break
        at = end
    return at


def list_frames(run: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the channel of each frame of a run, and where what it carries begins and ends."""
    at = 0
    while at < len(run):
        end = at + FRAME_HEAD_BYTES + (run[at + 2] << 8 | run[at + 3])
        yield run[at + 1], at + FRAME_HEAD_BYTES, end
        at = end


def _read_message(data: bytes, at: int) -> tuple[Response | Request, int] | None:
    """Return a message and where it ends; None while it is not whole."""
    if not 0x41 <= data[at] <= 0x5A:
        raise MediaFormatError(NOT_RTSP)
    head_end = data.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
    if head_end < 0:
        if len(data) - at >= MAX_HEAD_BYTES:
            raise MediaFormatError(f"an RTSP message has more than {MAX_HEAD_BYTES} bytes of head")
        return None
    first, *lines = data[at:head_end].decode("utf-8", "replace").split("\r\n")
    headers = _parse_headers(lines)
    begin = head_end + 4
    end = begin + _body_length(headers)
    if end > len(data):
        return None
    body = data[begin:end]
    if (status := STATUS.fullmatch(first)) is not None:
        return Response(headers, body, int(status[1])), end
    if (asked := REQUEST.fullmatch(first)) is not None:
        return Request(headers, body, asked[1], asked[2]), end
    raise MediaFormatError(NOT_RTSP)


def _parse_headers(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if len(lines) > MAX_HEADERS:
        raise MediaFormatError(f"an RTSP message has more than {MAX_HEADERS} headers")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:  # a folded one
            name, value = headers.pop()
            headers.append((name, f"{value} {UNSAFE.sub('', line).strip()}"))
            continue
        name, _, value = line.partition(":")
        if NAME.fullmatch(name.strip()):  # whatever else it is, nobody needs it
            headers.append((name.strip().lower(), UNSAFE.sub("", value).strip()))
    return tuple(headers)


def _body_length(headers: Sequence[tuple[str, str]]) -> int:
    told = next((value for name, value in headers if name == "content-length"), "0")
    if not (told.isascii() and told.isdecimal()) or len(told) > 9:
        raise MediaFormatError(f"an RTSP message's length is {told[:20]!r}")
    if int(told) > MAX_BODY_BYTES:
        raise MediaFormatError(f"an RTSP message has more than {MAX_BODY_BYTES} bytes")
    return int(told)


def build_request(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """Return a request without a body; what would end a line is left out of it."""
    return _build(f"{method} {url} {VERSION}", headers, b"")


def build_response(
    status: int, reason: str, headers: Mapping[str, str], body: bytes = b""
) -> bytes:
    """Return an answer."""
    length = {"Content-Length": str(len(body))} if body else {}
    return _build(f"{VERSION} {status} {reason}", {**headers, **length}, body)


def _build(first: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(UNSAFE.sub("", line) for line in lines)
    return head.encode() + b"\r\n\r\n" + body


# headers


def parse_session(value: str) -> tuple[str, int | None]:
    """Return a session's name and after how many seconds it ends (§12.37).

    Raises MediaFormatError.
    """
    found = SESSION.match(value)
    if found is None:
        raise MediaFormatError("an RTSP session without a name")
    return found[1], int(found[2]) if found[2] else None


def parse_interleaved(transport: str) -> tuple[int, int] | None:
    """Return the channels of media and its RTCP of a Transport header (§12.39), if it has any."""
    found = INTERLEAVED.search(transport)
    if found is None or int(found[1]) > 254:
        return None
    return int(found[1]), min(255, int(found[2] or int(found[1]) + 1))


def parse_scale(value: str | None) -> float:
    """Return what a Scale header grants (§12.34); 1 where it says nothing of use."""
    try:
        scale = float(value or "1")
    except ValueError:
        return 1.0
    return scale if math.isfinite(scale) and scale > 0 else 1.0


@dataclass(frozen=True, slots=True)
class PlayRange:
    """Where a Range header begins (§12.29), in one of its units."""

    npt_s: float | None = None
    clock: datetime | None = None


def parse_range(value: str | None) -> PlayRange | None:
    """Return where a Range header or the `a=range` of an SDP begins; None where it can't be told.

    Hours of `npt` and fractions of `clock` are understood; `smpte` is not.
    """
    unit, _, rest = (value or "").strip().partition("=" if "=" in (value or "") else ":")
    begin = rest.partition(";")[0].partition("-")[0].strip()
    unit = unit.strip().lower()
    if unit == "clock":
        found = CLOCK.fullmatch(begin)
        if found is None:
            return None
        try:
            clock = datetime.strptime(found[1] + found[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        return PlayRange(clock=clock + timedelta(seconds=float(found[3] or 0)))
    if unit != "npt":
        return None
    parts = begin.split(":")
    if len(parts) > 3 or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    return PlayRange(npt_s=seconds)


def build_clock_range(begin: datetime) -> str:
    """Return a Range from a moment on, in UTC or what a device takes for it."""
    fraction = f".{begin.microsecond // 1000:03d}" if begin.microsecond else ""
    return f"clock={begin:%Y%m%dT%H%M%S}{fraction}Z-"


def build_npt_range(seconds: float) -> str:
    """Return a Range from so many seconds after the beginning on."""
    return f"npt={seconds:.3f}-"


def parse_rtp_info(value: str | None) -> list[tuple[str, int]]:
    """Return each track's address and the timestamp at which the Range begins (§12.33)."""
    found: list[tuple[str, int]] = []
    for part in re.split(r",\s*(?=url)", value or "", flags=re.IGNORECASE):
        given = {name.lower(): quoted or plain for name, quoted, plain in RTP_INFO.findall(part)}
        told = given.get("rtptime", "")
        if told.isascii() and told.isdecimal() and len(told) < 11:
            found.append((given.get("url", ""), int(told) & 0xFFFFFFFF))
    return found
