"""WHEP as players and other sites meet it: statuses, sentences, and who may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from h5sup.formats.sdp.parse import parse_description
from h5sup.outputs.rtc import whep as whep_module
from tests.api.conftest import TRUSTED, MakeBackend
from tests.api.rtc_rig import Rig, rtc_rig, until

OFFER = (Path(__file__).parents[1] / "data" / "sdp" / "chromium_offer.sdp").read_bytes()
FRAGMENT = (
    b"a=ice-ufrag:abcd\r\na=ice-pwd:pppppppppppppppppppppp\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\n"
    b"a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
)
SDP, SDPFRAG = "application/sdp", "application/trickle-ice-sdpfrag"


async def post(
    rig: Rig, path: str = "/whep/front", *, offer: bytes = OFFER, **headers: str
) -> ClientResponse:
    headers = {"Content_Type": SDP} | headers
    return await rig.backend.request("POST", path, data=offer, **headers)


def bearer(rig: Rig, user: str = "vera") -> str:
    return f"Bearer {rig.backend.sign_in(user)}"


async def assert_refused(response: ClientResponse, status: int, *words: str) -> str:
    """A refusal is a status and one sentence."""
    assert response.status == status
    assert response.content_type == "application/json"
    said = await response.json()
    assert said["bStatus"] is False
    sentence: str = said["strCode"]
    assert sentence
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    assert response.headers["Cache-Control"] == "private, no-store"
    return sentence


async def test_an_offer_is_answered(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        response = await post(rig, Authorization=bearer(rig))
        assert response.status == 201
        assert response.content_type == SDP
        answer = parse_description(await response.text())
        assert [one.kind for one in answer.media] == ["video", "audio"]
        location = response.headers["Location"]
        assert location.startswith("/whep/front/")
        assert len(location) > len("/whep/front/") + 20  # nobody guesses it
        assert response.headers["ETag"] == f'"{answer.media[0].ufrag}"'
        assert response.headers["Accept-Patch"] == SDPFRAG
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers.getall("Link") == [
            '<stun:stun.example:3478>; rel="ice-server"',
            '<turn:turn.example:3478>; rel="ice-server"; username="olga"; credential="secret"; '
            'credential-type="password"',
            '<turns:turn.example:5349>; rel="ice-server"; username="olga"; credential="secret"; '
            'credential-type="password"',
        ]
        assert rig.leases.asked == [("front", "main", True, False)]
        await rig.connect(answer)
        (figures,) = rig.rtc.figures
        assert (figures.token, figures.address, figures.is_udp) == ("front", "127.0.0.1", True)


async def test_the_profile_is_asked_for(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        session = rig.backend.sign_in()
        assert (await post(rig, f"/whep/front?profile=sub&session={session}")).status == 201
        assert rig.leases.asked[0][:2] == ("front", "sub")


async def test_a_viewing_ends_once(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        authorization = bearer(rig)
        viewing = (await post(rig, Authorization=authorization)).headers["Location"]
        other = (await post(rig, Authorization=authorization)).headers["Location"]
        assert len(rig.leases.held) == 2
        first = await rig.backend.request("DELETE", viewing, Authorization=authorization)
        assert first.status == 200
        await until(lambda: len(rig.leases.held) == 1)
        again = await rig.backend.request("DELETE", viewing, Authorization=authorization)
        assert again.status == 200  # clients end what the goodbye of DTLS has ended already
        late = await rig.backend.request("PATCH", viewing, Authorization=authorization)
        await assert_refused(late, 404, "has ended")
        assert (await rig.backend.request("DELETE", other, Authorization=authorization)).ok
        await rig.assert_empty()


async def test_a_viewing_is_found_under_its_own_source_alone(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        authorization = bearer(rig)
        viewing = (await post(rig, Authorization=authorization)).headers["Location"]
        for path in (viewing.replace("front", "back"), f"{viewing}x", "/whep/front/x/y"):
            response = await rig.backend.request("DELETE", path, Authorization=authorization)
            await assert_refused(response, 404)
        assert len(rig.leases.held) == 1


async def test_candidates_may_follow(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        authorization = bearer(rig)
        viewing = (await post(rig, Authorization=authorization)).headers["Location"]

        async def patch(data: bytes, kind: str = SDPFRAG) -> ClientResponse:
            return await rig.backend.request(
                "PATCH", viewing, data=data, Authorization=authorization, Content_Type=kind
            )

        assert (await patch(FRAGMENT)).status == 204
        assert (await patch(b"")).status == 204
        await assert_refused(await patch(b"a=candidate:nonsense"), 400, "ICE candidate")
        await assert_refused(await patch(FRAGMENT, SDP), 415, SDPFRAG)
        await assert_refused(await patch(b"x" * 70_000), 413)
        assert len(rig.leases.held) == 1


@pytest.mark.parametrize(
    ("offer", "status", "word"),
    [
        (b"", 400, "offer"),
        (b"{}", 400, "v=0"),
        (b"\xff\xfe\x00", 400, "offer"),
        (OFFER[:300], 400, "offer"),
        (OFFER.replace(b"a=ice-ufrag", b"a=x"), 400, "a=ice-ufrag"),
        (OFFER.replace(b"a=fingerprint", b"a=x"), 400, "a=fingerprint"),
        (OFFER.replace(b"a=mid:0", b"a=mid:x\ry"), 400, "can't be a line"),
        (OFFER.replace(b"H264", b"H263"), 406, "takes no H264"),
        (OFFER.replace(b"m=video 9", b"m=video 0"), 406, "takes no H264"),
        (OFFER + b"a=x\r\n" * 20_000, 413, "65536 bytes"),
    ],
)
async def test_offers_that_are_no_use(
    make_backend: MakeBackend, offer: bytes, status: int, word: str
) -> None:
    async with rtc_rig(make_backend) as rig:
        response = await post(rig, offer=offer, Authorization=bearer(rig))
        await assert_refused(response, status, word)
        assert "Location" not in response.headers
        await rig.assert_empty()


async def test_another_type_of_body_is_refused(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        for kind in ("application/json", "text/plain", ""):
            response = await post(rig, Content_Type=kind, Authorization=bearer(rig))
            await assert_refused(response, 415, SDP)
        response = await post(
            rig, Content_Type="application/sdp; charset=utf-8", Authorization=bearer(rig)
        )
        assert response.status == 201


async def test_a_source_that_is_not_there(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        for path in ("/whep/nowhere", "/whep/", "/whep/%0d%0aX:%20y"):
            await assert_refused(await post(rig, path, Authorization=bearer(rig)), 404)


async def test_a_source_without_a_picture(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("h5sup.outputs.rtc.live.READY_WITHIN_S", 0.01)
    async with rtc_rig(make_backend) as rig:
        rig.leases.channel.end("x")
        rig.leases.channel.set_state("BACKOFF", "the camera refuses the password")
        response = await post(rig, Authorization=bearer(rig))
        await assert_refused(response, 503, "the camera refuses the password")
        assert response.headers["Retry-After"] == "2"
        await rig.assert_empty()


async def test_one_viewer_too_many(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend, viewers=1) as rig:
        assert (await post(rig, Authorization=bearer(rig))).status == 201
        response = await post(rig, Authorization=bearer(rig))
        await assert_refused(response, 503, "limits.viewers")


async def test_switched_off(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend, port=0) as rig:
        response = await post(rig, Authorization=bearer(rig))
        await assert_refused(response, 503, "rtc.port")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/whep/front"),
        ("PUT", "/whep/front"),
        ("PATCH", "/whep/front"),
        ("DELETE", "/whep/front"),
        ("POST", "/whep/front/viewing"),
        ("GET", "/whep/front/viewing"),
    ],
)
async def test_methods_that_mean_nothing_here(
    make_backend: MakeBackend, method: str, path: str
) -> None:
    async with rtc_rig(make_backend) as rig:
        response = await rig.backend.request(method, path, Authorization=bearer(rig))
        await assert_refused(response, 405, "POST" if path == "/whep/front" else "DELETE")
        assert "POST" in response.headers["Allow"] or "DELETE" in response.headers["Allow"]


async def test_an_offer_that_never_comes(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whep_module, "READ_WITHIN_S", 0.05)
    async with rtc_rig(make_backend) as rig:
        url = rig.backend.client.make_url("/")
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = (
            f"POST /whep/front HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer(rig)}\r\n"
            f"Content-Type: {SDP}\r\nContent-Length: 500\r\n\r\nv=0\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(5):
            assert b" 400 " in await reader.readline()
        writer.close()
        await rig.assert_empty()


async def test_who_may_watch(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        await assert_refused(await post(rig), 401)
        await assert_refused(await post(rig, Authorization="Bearer nonsense"), 401)
        cookie = f"h5s_session={rig.backend.sign_in('vera')}"
        url = rig.backend.client.make_url("/")
        for origin in ("https://evil.example", TRUSTED, "null"):
            await assert_refused(await post(rig, Cookie=cookie, Origin=origin), 401)
        await assert_refused(await post(rig, Cookie=cookie), 401)
        await rig.assert_empty()
        ours = f"http://{url.host}:{url.port}"
        assert (await post(rig, Cookie=cookie, Origin=ours)).status == 201


async def test_nobody_ends_another_ones_viewing_without_a_session(
    make_backend: MakeBackend,
) -> None:
    async with rtc_rig(make_backend) as rig:
        viewing = (await post(rig, Authorization=bearer(rig))).headers["Location"]
        await assert_refused(await rig.backend.request("DELETE", viewing), 401)
        assert len(rig.leases.held) == 1


async def test_listed_sites_may_and_read_where_the_viewing_is(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        asked = await rig.backend.request(
            "OPTIONS",
            "/whep/front",
            Origin=TRUSTED,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization,content-type",
        )
        assert asked.status == 204
        assert asked.headers["Access-Control-Allow-Origin"] == TRUSTED
        for method in ("POST", "PATCH", "DELETE"):
            assert method in asked.headers["Access-Control-Allow-Methods"]
        allowed = asked.headers["Access-Control-Allow-Headers"]
        assert {"Authorization", "Content-Type", "If-Match"} <= set(allowed.split(", "))
        response = await post(rig, Origin=TRUSTED, Authorization=bearer(rig))
        assert response.status == 201
        assert response.headers["Access-Control-Allow-Origin"] == TRUSTED
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Location", "ETag", "Link"} <= set(exposed)


async def test_other_sites_are_told_nothing(make_backend: MakeBackend) -> None:
    async with rtc_rig(make_backend) as rig:
        for method in ("OPTIONS", "POST"):
            response = await rig.backend.request(
                method, "/whep/front", data=OFFER, Origin="https://evil.example", Content_Type=SDP
            )
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Access-Control-Expose-Headers" not in response.headers
