"""The log as it is set up: one handler, no secret in any line, no scanner in it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from aiohttp.http_exceptions import BadStatusLine

from h5sup.base.logs import redact, set_up_logging, source_logger


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Return what is logged, and leave logging as it was."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    handlers, level, filters = root.handlers[:], root.level, server.filters[:]
    target = io.StringIO()
    set_up_logging("INFO", target)
    yield target
    root.handlers[:], server.filters[:] = handlers, filters
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel(logging.NOTSET)


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
