"""Addresses with logins in them, references to oneself, files, durations."""

from __future__ import annotations

import pytest

from h5sup.importers.addresses import (
    Address,
    find_restream,
    find_scheme,
    parse_duration_s,
    place_file,
    split_credentials,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("rtsp://cam/live", Address("rtsp://cam/live")),
        ("rtsp://cam:554/live@2", Address("rtsp://cam:554/live@2")),
        ("rtsp://u:p@cam:554/a?b=c", Address("rtsp://cam:554/a?b=c", "u", "p")),
        ("rtsp://u%40x:p%2Fw@cam/", Address("rtsp://cam/", "u@x", "p/w")),
        ("rtsp://u@cam/", Address("rtsp://cam/", "u")),
        ("rtsp://u:a@b@cam/", Address("rtsp://cam/", "u", "a@b")),
        ("rtsp://u:pa#ss/w?@cam:554/live", Address("rtsp://cam:554/live", "u", "pa#ss/w?")),
        ("rtsp://u:a:b@cam/", Address("rtsp://cam/", "u", "a:b")),
        ("rtsp://u:${PW}@cam/", Address("rtsp://cam/", "u", "${PW}")),
        ("rtsp://[2001:db8::1]/live", Address("rtsp://[2001:db8::1]/live")),
        ("no address", Address("no address")),
    ],
)
def test_login_is_taken_out_of_an_address(text: str, address: Address) -> None:
    assert split_credentials(text) == address


def test_login_is_put_back_encoded_but_for_variables() -> None:
    assert Address("rtsp://cam/a", "u@x", "${PW}/#").joined == "rtsp://u%40x:${PW}%2F%23@cam/a"
    assert Address("rtsp://cam/a").joined == "rtsp://cam/a"


def test_login_shows_in_no_repr() -> None:
    assert "secret" not in repr(Address("rtsp://cam/?password=secret", "secret", "secret"))


@pytest.mark.parametrize(
    ("text", "scheme"), [("RTSP://a", "rtsp"), ("exec:x", "exec"), ("a b:", ""), ("/a:b", "")]
)
def test_scheme_stands_before_the_first_colon(text: str, scheme: str) -> None:
    assert find_scheme(text) == scheme


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rtsp://127.0.0.1:8554/front?video=copy", "front"),
        ("rtsp://localhost:8554/front%20door", "front door"),
        ("rtsp://[::1]:8554/a/b", "a/b"),
        ("rtsp://127.0.0.1:554/front", None),
        ("rtsp://192.0.2.1:8554/front", None),
        ("http://127.0.0.1:8554/front", None),
        ("rtsp://127.0.0.1:x/front", None),
        ("rtsp://[127.0.0.1:8554/front", None),
    ],
)
def test_own_output_is_recognised(text: str, name: str | None) -> None:
    assert find_restream(text) == name


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("demo.mp4", "demo.mp4"),
        ("./a/b.mp4", "a/b.mp4"),
        ("a\\b.mp4", "a/b.mp4"),
        ("/srv/films/b.mp4", "b.mp4"),
        ("C:\\h5ss\\b.mp4", "b.mp4"),
        ("../../etc/b.mp4", "b.mp4"),
    ],
)
def test_file_gets_a_place_below_the_media_folder(text: str, place: str) -> None:
    assert place_file(text) == place


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("200ms", 0.2), ("1s", 1.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("5", None), ("1s x", None)],
)
def test_duration_is_read_as_go_writes_it(text: str, duration_s: float | None) -> None:
    assert parse_duration_s(text) == duration_s
