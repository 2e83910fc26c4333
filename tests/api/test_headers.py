"""What browsers are told, and what other sites may read."""

from __future__ import annotations

import pytest

from tests.api.conftest import TRUSTED, Backend


@pytest.mark.parametrize("path", ["/", "/api/v1/GetSrc", "/hls/v1/front/hls.m3u8", "/nowhere"])
async def test_every_answer_carries_the_safety_headers(backend: Backend, path: str) -> None:
    headers = (await backend.get(path)).headers

    policy = headers["Content-Security-Policy"]
    for rule in (
        "default-src 'self'",
        "media-src 'self' blob:",
        "img-src 'self' data: blob:",
        "connect-src 'self' ws: wss:",
        "object-src 'none'",
        f"frame-ancestors 'self' {TRUSTED}",
    ):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "h5sup"


async def test_output_says_itself_what_may_be_kept(backend: Backend) -> None:
    cookie = f"h5s_session={backend.sign_in()}"

    response = await backend.get("/hls/v1/front/hls.m3u8", Cookie=cookie)

    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/api/v1/GetSrc", "//api/v1/GetSrc", "/hls/v1/a/hls.m3u8"])
async def test_preflight_of_a_listed_origin_permits(backend: Backend, path: str) -> None:
    response = await backend.request(
        "OPTIONS",
        path,
        Origin=TRUSTED,
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="authorization",
    )

    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == TRUSTED
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "GET" in response.headers["Access-Control-Allow-Methods"]
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://dashboard.example.evil"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
async def test_other_origins_are_permitted_nothing(
    backend: Backend, method: str, origin: str
) -> None:
    response = await backend.request(
        method, f"/api/v1/GetSrc?session={backend.sign_in()}", Origin=origin
    )

    assert "Access-Control-Allow-Origin" not in response.headers


async def test_listed_origin_may_read_answers_without_the_cookie(backend: Backend) -> None:
    response = await backend.get(f"/api/v1/GetSrc?session={backend.sign_in()}", Origin=TRUSTED)

    assert response.headers["Access-Control-Allow-Origin"] == TRUSTED
    assert "Access-Control-Allow-Credentials" not in response.headers
