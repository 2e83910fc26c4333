"""What a request about a source that may not be seen becomes."""

from __future__ import annotations

import pytest

from h5sup.api.subject import AllSources, CallToken, InPath, InQuery, veil, veil_call
from h5sup.api.target import Target
from h5sup.auth.guard import Identity
from h5sup.auth.sessions import Sessions
from h5sup.auth.visit import Visit
from h5sup.base.errors import ForbiddenError

FRED = Identity("fred", "Viewer", sources=("front", "nvr--*"))
VERA = Identity("vera", "Viewer")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/hls/v2/front/hls.m3u8", "/hls/v2/front/hls.m3u8"),
        ("/hls/v2/nvr--3/hls.m3u8", "/hls/v2/nvr--3/hls.m3u8"),
        ("/hls/v2/back/hls.m3u8", "/hls/v2/*/hls.m3u8"),
        ("/hls/v2/back", "/hls/v2/*"),
        ("/hls/v2/", "/hls/v2/*"),
        ("/hls/v2", "/hls/v2"),
        ("/hls/", "/hls/"),
    ],
)
def test_path_that_names_an_invisible_source_names_none(path: str, seen: str) -> None:
    target = Target(path, {"token": "back"})

    assert veil(target, InPath(2), FRED) == Target(seen, {"token": "back"})
    assert veil(target, InPath(2), VERA) == target


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/api/v1/playback/front.m3u8", "/api/v1/playback/front.m3u8"),
        ("/api/v1/playback/back.m3u8", "/api/v1/playback/*.m3u8"),
        # a source may be called front.m3u8, and is another one
        ("/api/v1/playback/front.m3u8.m3u8", "/api/v1/playback/*.m3u8"),
        ("/api/v1/playback/front.m3u8/init1.mp4", "/api/v1/playback/*/init1.mp4"),
        ("/api/v1/playback/front.m3u8/", "/api/v1/playback/*/"),
        ("/api/v1/playback/front/init1.mp4", "/api/v1/playback/front/init1.mp4"),
        ("/api/v1/playback/back", "/api/v1/playback/*"),
        ("/api/v1/playback/.m3u8", "/api/v1/playback/*.m3u8"),
    ],
)
def test_path_whose_end_names_an_invisible_source_names_none(path: str, seen: str) -> None:
    target = Target(path, {})

    assert veil(target, InPath(3, ".m3u8"), FRED) == Target(seen, {})
    assert veil(target, InPath(3, ".m3u8"), VERA) == target


@pytest.mark.parametrize(
    ("token", "seen"), [("front", "front"), ("nvr--3", "nvr--3"), ("back", "*"), ("*", "*")]
)
def test_query_that_names_an_invisible_source_names_none(token: str, seen: str) -> None:
    target = Target("/h5swsapi", {"token": token, "profile": "sub"})

    assert veil(target, InQuery(), FRED).parameters == {"token": seen, "profile": "sub"}
    assert veil(target, InQuery(), VERA) == target
    assert veil_call(target.parameters, CallToken.SOURCE, FRED)["token"] == seen


def test_query_without_a_token_stays_so() -> None:
    target = Target("/h5seventapi", {"x": "1"})

    assert veil(target, InQuery(), FRED) == target
    assert veil_call({"x": "1"}, CallToken.SOURCE, FRED) == {"x": "1"}


def test_what_shows_every_source_is_for_who_sees_all() -> None:
    target = Target("/metrics", {})

    assert veil(target, AllSources(), VERA) == target
    with pytest.raises(ForbiddenError, match="every source"):
        veil(target, AllSources(), FRED)


def test_source_outside_the_list_can_not_be_made() -> None:
    for token in ({"token": "back"}, {}):
        with pytest.raises(ForbiddenError, match="may not make it"):
            veil_call(token, CallToken.NEW, FRED)

    for identity, one in ((FRED, "front"), (VERA, "back")):
        assert veil_call({"token": one}, CallToken.NEW, identity) == {"token": one}


def test_token_of_something_else_is_left_to_the_handler() -> None:
    assert veil_call({"token": "nvr"}, CallToken.OTHER, FRED) == {"token": "nvr"}


def test_output_that_shows_several_asks_for_each() -> None:
    visit = Visit(FRED, Sessions(600))

    assert [visit.may_see(one) for one in ("front", "nvr--1", "back")] == [True, True, False]
