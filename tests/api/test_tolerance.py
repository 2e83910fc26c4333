"""Every way in which real dashboards write a URL reaches its call."""

from __future__ import annotations

import pytest

from tests.api.conftest import Backend


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/GetSrc?session={}",
        "//api/v1/GetSrc?session={}",
        "///api//v1///GetSrc?session={}",
        "/api/v1//GetSrc?session={}",
        "/api/v1/GetSrc/?session={}",
        "/api/v1/GetSrc&session={}",
        "/api/v1/GetSrc&type=H5_FILE&session={}",
        "/api/v1/GetSrc?&session={}",
        "/api/v1/GetSrc?&%20session={}",
        "/api/v1/GetSrc?+session={}",
        "/api/v1/GetSrc?%20session%20={}",
        "/api/v1/getsrc?SESSION={}",
        "/API/V1/GETSRC?Session={}",
        "/api/v1/GetSrc?session=old&session={}",
        "/api/v1/GetSrc?session={}&session=",
        "/api/v1/GetSrc?session={}&_=1571068800&callback",
        "/api/v1/Get%53rc?session={}",
    ],
)
async def test_spelling_reaches_getsrc(backend: Backend, path: str) -> None:
    response = await backend.get(path.format(backend.sign_in("vera")))

    assert response.status == 200
    assert "clip" in [one["strToken"] for one in (await response.json())["src"]]


async def test_authorization_header_is_a_session(backend: Backend) -> None:
    session = backend.sign_in("vera")

    for value in (f"token {session}", f"Token {session}", f"Bearer {session}"):
        assert "src" in await backend.call("/api/v1/GetSrc", Authorization=value)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/h5swsapi?token=front&profile=sub&session={}",
        "//api/v1/h5swsapi?token=front&profile=sub&session={}",
        "/api/v1//h5swsapi?token=front&profile=sub&session={}",
        "/api/v1/h5swsapi&token=front&profile=sub&session={}",
        "/api/v1/h5swsapi?&%20token=front&profile=sub&%20session={}",
        "/api/v1/H5SWSAPI?token=front&profile=sub&session={}",
        "/h5swsapi?token=front&profile=sub&session={}",
    ],
)
async def test_spelling_reaches_the_socket(backend: Backend, path: str) -> None:
    session = backend.sign_in("vera")

    async with backend.connect(path.format(session)) as socket:
        assert await socket.receive_str() == "hello front"
    (_, query) = backend.seen[0]
    assert query == {"token": "front", "profile": "sub", "session": session}


@pytest.mark.parametrize("path", ["/hls/v1/front/hls.m3u8", "//hls//v1/front/hls.m3u8"])
async def test_spelling_reaches_the_prefix(backend: Backend, path: str) -> None:
    session = backend.sign_in("vera")

    response = await backend.get(path, Cookie=f"h5s_session={session}")

    assert await response.text() == "media"
    assert backend.seen == [("/hls/v1/front/hls.m3u8", {})]


async def test_query_beyond_all_reason_is_refused_in_words(backend: Backend) -> None:
    session = backend.sign_in()
    many = "&".join(f"a{index}=1" for index in range(70))

    assert await backend.call(f"/api/v1/GetSrc?session={session}&{many}") == {
        "bStatus": False,
        "strCode": "query: must not hold more than 64 parameters",
    }
    assert await backend.call(f"/api/v1/GetSrc?session={session}&a={'x' * 8000}") == {
        "bStatus": False,
        "strCode": "query: must not be longer than 8000 characters",
    }


async def test_bytes_that_are_no_text_are_only_an_unknown_token(backend: Backend) -> None:
    session = backend.sign_in()

    for token in ("%ff%fe", "%ed%a0%80", "%F0%9F%8E%A5", "%E5%89%8D"):
        answer = await backend.call(f"/api/v1/GetSrc?session={session}&token={token}")
        assert answer == {"bStatus": False, "strCode": "there is no source with this token"}


async def test_control_characters_are_refused_wherever_they_stand(backend: Backend) -> None:
    session = backend.sign_in()

    for name in ("a%0d%0ab", "a%00b", "a%1b[2Jb"):
        answer = await backend.call(
            f"/api/v1/AddSrcFile?session={session}&token=t&name={name}&url=demo.mp4"
        )
        assert answer == {"bStatus": False, "strCode": "name: must not hold control characters"}
