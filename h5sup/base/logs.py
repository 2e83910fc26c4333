"""Logging set up once, with every secret taken out of every line."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections import deque
from datetime import UTC, datetime
from typing import Literal, TextIO

from h5sup.base.clock import iso_ms

SOURCE_PREFIX = "h5sup.source."
RECENT_LINES = 500
MAX_LINE_LENGTH = 2000

LogFormat = Literal["text", "json"]

USERINFO = re.compile(r"(?<=://)([^:/@\s\"']*):[^/\s\"']*(?=@)")
# An address inside another one's query: rtsp%3A%2F%2Fuser%3Apassword%40camera
QUOTED_USERINFO = re.compile(
    r"(?i)(%3A(?:%2F){2}(?:(?!%3A|%40|%2F)[^&\s\"'])*%3A)[^&\s\"']*?(?=%40)"
)
HIDDEN = (
    "session|strSession|password|passwd|pass|pwd|token_secret|oldpassword|newpassword|"
    "credential|key"
)
QUERY_SECRET = re.compile(rf"(?i)(?<![a-z0-9])({HIDDEN})=[^&\s\"']+")
JSON_SECRET = re.compile(rf"""(?i)(["'](?:\w+_)?(?:{HIDDEN})["']\s*:\s*)(["']).*?(?<!\\)\2""")
AUTHORIZATION = re.compile(r"(?i)\b(authorization:?\s*)(\S+)\s+\S+")


def redact(text: str) -> str:
    """Return `text` with passwords in URLs, session ids and credentials replaced by `***`."""
    text = USERINFO.sub(r"\1:***", text)
    text = QUOTED_USERINFO.sub(r"\1***", text)
    text = QUERY_SECRET.sub(r"\1=***", text)
    text = JSON_SECRET.sub(r"\1\2***\2", text)
    return AUTHORIZATION.sub(r"\1\2 ***", text)


class RedactingFormatter(logging.Formatter):
    """Formats as usual and redacts the finished line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for log collectors; `token` where a line is about one source."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        fields = {
            "time": iso_ms(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(super().format(record)),
        }
        if record.name.startswith(SOURCE_PREFIX):
            fields["token"] = record.name.removeprefix(SOURCE_PREFIX)
        return json.dumps(fields, ensure_ascii=False)


class RecentLines(logging.Handler):
    """Keeps the newest lines in memory, for the support bundle."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=RECENT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(self.format(record)[:MAX_LINE_LENGTH])


def source_logger(token: str) -> logging.Logger:
    """Return the logger of one source, so that one camera can be set to DEBUG."""
    return logging.getLogger(SOURCE_PREFIX + token)


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return False for requests that are not HTTP: port scanners would fill the log."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not kind.__module__.startswith("aiohttp.http")


def set_up_logging(
    level: str, target: TextIO = sys.stderr, *, log_format: LogFormat = "text"
) -> RecentLines:
    """Send every logger's lines to `target`, redacted; returns where the newest are kept."""
    text = RedactingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    recent = RecentLines()
    recent.setFormatter(text)
    root = logging.getLogger()
    root.handlers[:] = [handler, recent]
    root.setLevel(level)
    logging.getLogger("aiohttp.server").addFilter(is_worth_a_line)
    # One line per request is noise on a gateway: players poll.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    return recent
