"""The log as it is set up: one handler, no secret in any line, no scanner in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from aiohttp.http_exceptions import BadStatusLine

from h5sup.base.logs import RecentLines, redact, set_up_logging, source_logger


@pytest.fixture
def make_logs() -> Iterator[Callable[..., tuple[io.StringIO, RecentLines]]]:
    """Return what sets up logging into a text, and leave logging as it was."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    handlers, level, filters = root.handlers[:], root.level, server.filters[:]

    def make(**options: Any) -> tuple[io.StringIO, RecentLines]:
        target = io.StringIO()
        return target, set_up_logging("INFO", target, **options)

    yield make
    root.handlers[:], server.filters[:] = handlers, filters
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel(logging.NOTSET)


@pytest.fixture
def written(make_logs: Callable[..., tuple[io.StringIO, RecentLines]]) -> io.StringIO:
    """Return what is logged as text."""
    return make_logs()[0]


def test_secrets_are_taken_out_of_lines_and_tracebacks(written: io.StringIO) -> None:
    try:
        int("rtsp://ann:hunter2@cam/x?session=abc123 Authorization: token abc123")
    except ValueError:
        source_logger("front").exception("at %s", "http://ann:hunter2@cam/")
    text = written.getvalue()
    assert "h5sup.source.front: at http://ann:***@cam/" in text
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "abc123" not in text


@pytest.mark.parametrize(
    ("line", "written_as"),
    [
        ("rtsp://ann:s3cret@cam/x", "rtsp://ann:***@cam/x"),
        ("rtsp://ann:s3:c/ret@cam", "rtsp://ann:s3:c/ret@cam"),  # no address: a slash ends a host
        (
            "/AddSrc?url=rtsp%3A%2F%2Fann%3As3cret%40cam&a=1",
            "/AddSrc?url=rtsp%3A%2F%2Fann%3A***%40cam&a=1",
        ),
        ("url=http%3A%2F%2Fcam%2Fx&mail=a%40b", "url=http%3A%2F%2Fcam%2Fx&mail=a%40b"),
        ("?password=s3cret&token=front", "?password=***&token=front"),
        ("Cookie: h5s_session=s3cret; a=1", "Cookie: h5s_session=*** a=1"),
        ("monkey=banana", "monkey=banana"),
        ("{'password': 's3cret', 'a': 1}", "{'password': '***', 'a': 1}"),
        ('{"strSession": "s3cret", "a": 1}', '{"strSession": "***", "a": 1}'),
        ('{"metrics_key":"s3\\"cret"}', '{"metrics_key":"***"}'),
        ("Authorization: Bearer s3cret", "Authorization: Bearer ***"),
    ],
)
def test_each_place_of_a_secret_is_known(line: str, written_as: str) -> None:
    assert redact(line) == written_as


def test_one_camera_can_be_set_to_debug(written: io.StringIO) -> None:
    source_logger("front").setLevel(logging.DEBUG)
    source_logger("front").debug("detail of one")
    source_logger("back").debug("detail of another")
    source_logger("front").setLevel(logging.NOTSET)
    assert "detail of one" in written.getvalue()
    assert "detail of another" not in written.getvalue()


def test_requests_that_are_no_http_leave_no_line(written: io.StringIO) -> None:
    logger = logging.getLogger("aiohttp.server")
    logger.error("Error handling request", exc_info=BadStatusLine("\x16\x03\x01"))
    logger.error("Error handling request", exc_info=ZeroDivisionError("a bug"))
    assert written.getvalue().count("Error handling request") == 1
    assert "a bug" in written.getvalue()


def test_json_is_an_object_a_line_with_the_token_and_no_secret(
    make_logs: Callable[..., tuple[io.StringIO, RecentLines]],
) -> None:
    written, _ = make_logs(log_format="json")
    source_logger("front.door").warning("at %s\nnext line", "rtsp://ann:hunter2@cam/")
    try:
        int("session=abc123")
    except ValueError:
        logging.getLogger("h5sup.app").exception('it "failed"')

    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "level": "WARNING",
        "logger": "h5sup.source.front.door",
        "token": "front.door",
        "message": "at rtsp://ann:***@cam/\nnext line",
    }
    assert "token" not in second
    assert second["message"].startswith('it "failed"\nTraceback')
    assert "abc123" not in second["message"]


def test_newest_lines_are_kept_within_bounds(
    make_logs: Callable[..., tuple[io.StringIO, RecentLines]],
) -> None:
    _, recent = make_logs()
    for number in range(700):
        logging.getLogger("h5sup").info("line %d password=hunter2", number)
    logging.getLogger("h5sup").info("x" * 100_000)

    assert len(recent.lines) == 500
    assert "line 699 password=***" in recent.lines[-2]
    assert len(recent.lines[-1]) == 2000
