"""Lines of standard error: bounded, whatever comes, and without secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from h5sup.ffmpeg.lines import (
    MAX_LINE_BYTES,
    MAX_LINES_PER_CHUNK,
    LineSplitter,
    build_redactor,
)


@given(st.lists(st.binary(max_size=40)))
def test_cuts_do_not_matter(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()
    whole = LineSplitter()
    assert lines == whole.feed(b"".join(chunks)) + whole.end()


def test_long_line_loses_its_end_and_not_the_next_line() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(100) for line in splitter.feed(b"x" * 1000)]
    assert lines == []
    assert splitter.feed(b"\nnext\n") == ["x" * MAX_LINE_BYTES, "next"]


def test_of_a_flood_the_newest_lines_are_kept() -> None:
    lines = LineSplitter().feed(b"".join(b"%d\n" % number for number in range(5000)))
    assert len(lines) == MAX_LINES_PER_CHUNK
    assert lines[-1] == "4999"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert LineSplitter().feed(b"a\xff\xfe\0b\n") == ["a\ufffd\ufffd\0b"]


def test_secrets_vanish_wherever_they_stand() -> None:
    redact = build_redactor(["admin", "p@ss/w", "p%40ss%2Fw", ""])
    line = "rtsp://admin:p%40ss%2Fw@cam/ said p@ss/w is wrong for admin"
    assert redact(line) == "rtsp://***:***@cam/ said *** is wrong for ***"


def test_short_secret_is_hidden_as_a_word_only() -> None:
    assert build_redactor(["ab"])("ab cable ab.") == "*** cable ***."


def test_passwords_in_addresses_vanish_without_being_known() -> None:
    assert build_redactor([])("rtsp://u:pw@cam/x?key=1") == "rtsp://u:***@cam/x?key=***"
