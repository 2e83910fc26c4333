"""A camera asked over real sockets: what it offers, and each way it can fail."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.onvif.camera import Camera
from h5sup.devices.onvif.connection import Address
from tests.fakes.onvif.soap import BOMB, ENTITY
from tests.fakes.onvif_camera import JPEG, SERVICE, FakeProfile, OnvifCamera


def address(camera: OnvifCamera, password: str | None = None) -> Address:
    return Address(
        host="127.0.0.1",
        port=camera.port,
        path=SERVICE,
        user=camera.user,
        password=camera.password if password is None else password,
    )


async def refused(camera: Camera) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        await camera.profiles()
    return caught.value


@pytest.mark.parametrize(
    "manners",
    [
        {},
        {"wants_digest": True},
        {"wants_digest": True, "offers_basic": True},
        {"skew": timedelta(hours=3)},
        {"skew": timedelta(days=-9000)},  # it has started without a battery
        {"skew": timedelta(hours=-3), "wants_digest": True, "hides_clock": True},
        {"lies_about_address": True},
        {"password": "ü:@/ %41&<>\"'"},
        {"user": "", "password": ""},
    ],
    ids=str,
)
async def test_a_camera_tells_its_profiles(onvif: Onvif, manners: dict[str, Any]) -> None:
    async with OnvifCamera(rtsp_port=8554, **manners) as camera:
        large, small, still = await onvif.probe(address(camera))
    assert (large.token, large.codec, large.width, large.height) == (
        "Profile_1", "H264", 1920, 1080,
    )  # fmt: skip
    assert (large.fps, large.bitrate_kbps) == (25, 2048)
    assert large.url == "rtsp://127.0.0.1:8554/h264_aac"
    assert small.url == "rtsp://127.0.0.1:8554/h264_mute"
    assert still.url == ""  # one that can't be had does not hide the others
    assert camera.refused == 0


@pytest.mark.parametrize(
    ("manners", "failure", "words"),
    [
        ({"answer_with": BOMB.encode()}, DeviceFailure.NOT_UNDERSTOOD, "document type"),
        ({"answer_with": BOMB.encode("utf-16")}, DeviceFailure.NOT_UNDERSTOOD, "document type"),
        ({"answer_with": ENTITY.encode()}, DeviceFailure.NOT_UNDERSTOOD, "document type"),
        ({"answer_with": b"<html>Welcome"}, DeviceFailure.NOT_UNDERSTOOD, "no SOAP message"),
        ({"answer_with": b""}, DeviceFailure.NOT_UNDERSTOOD, "no SOAP message"),
        ({"answer_with": b"\x00" * 100}, DeviceFailure.NOT_UNDERSTOOD, "no SOAP message"),
        ({"answer_with": b"<a>" * 100_000}, DeviceFailure.NOT_UNDERSTOOD, "no SOAP message"),
        ({"is_huge": True}, DeviceFailure.NOT_UNDERSTOOD, "too long"),
        ({"redirects_to": "http://169.254.169.254/"}, DeviceFailure.NOT_UNDERSTOOD, "elsewhere"),
        ({"profiles": ()}, DeviceFailure.NOT_UNDERSTOOD, "no video profile"),
        (
            {"skew": timedelta(hours=3), "hides_clock": True},
            DeviceFailure.CLOCK,
            "which it does not tell",
        ),
        ({"says_wrong_time": True}, DeviceFailure.CLOCK, "which says different times"),
        (
            {
                "faults": dict.fromkeys(
                    ("GetSystemDateAndTime", "GetProfiles"), ("ter:NotAuthorized", "")
                )
            },
            DeviceFailure.CLOCK,
            "which HTTP alone tells",
        ),
        (
            {"faults": {"GetServices": ("ter:Sender", "Timestamp of the token has expired")}},
            DeviceFailure.CLOCK,
            "too old or too new",
        ),
        (
            {"faults": {"GetProfiles": ("ter:NotAuthorized", "User is locked for 30 minutes")}},
            DeviceFailure.LOCKED_OUT,
            "has locked this login: User is locked for 30 minutes",
        ),
        ({"lacks": frozenset({"Media"})}, DeviceFailure.UNSUPPORTED, "no media service"),
        (
            {"faults": {"GetProfiles": ("ter:ActionNotSupported", "no")}},
            DeviceFailure.UNSUPPORTED,
            "does not know GetProfiles",
        ),
        (
            {
                "faults": {
                    "GetProfiles": ("", "Method 'GetProfiles' not implemented: no such name")
                }
            },
            DeviceFailure.UNSUPPORTED,
            "does not know GetProfiles",
        ),
        (
            {"faults": {"GetProfiles": ("ter:Busy", "")}},
            DeviceFailure.NOT_UNDERSTOOD,
            "refuses GetProfiles: it does not say why",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_each_failure_has_a_kind_and_a_sentence(
    onvif: Onvif, manners: dict[str, Any], failure: DeviceFailure, words: str
) -> None:
    async with OnvifCamera(**manners) as camera:
        error = await refused(onvif.camera(address(camera)))
    assert error.failure is failure
    assert words in str(error)
    assert camera.password not in str(error)


async def test_who_hangs_up_and_who_is_not_there_are_told_apart(onvif: Onvif) -> None:
    async with OnvifCamera() as camera:
        pass
    error = await refused(onvif.camera(address(camera)))
    assert error.failure is DeviceFailure.UNREACHABLE
    assert str(error) == f"127.0.0.1:{camera.port} can't be reached: connection refused"

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        camera.port = server.sockets[0].getsockname()[1]
        error = await refused(onvif.camera(address(camera)))
    assert error.failure is DeviceFailure.NO_ANSWER
    assert "closed the connection" in str(error)


async def test_what_is_no_http_is_named(onvif: Onvif) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-camera\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        camera = OnvifCamera(port=server.sockets[0].getsockname()[1])
        error = await refused(onvif.camera(address(camera)))
    assert error.failure is DeviceFailure.NOT_UNDERSTOOD
    assert "no HTTP" in str(error)


async def test_one_that_never_answers_is_given_up(hasty: Onvif) -> None:
    async with OnvifCamera(is_silent=True) as camera:
        error = await refused(hasty.camera(address(camera)))
    assert error.failure is DeviceFailure.NO_ANSWER
    assert str(error) == f"127.0.0.1:{camera.port} did not answer within 0.2 s"


async def test_one_that_drips_is_cut_off(hasty: Onvif) -> None:
    """Each byte comes in time and the answer never does."""
    cut_off = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        cut_off.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        camera = OnvifCamera(port=server.sockets[0].getsockname()[1])
        error = await refused(hasty.camera(address(camera)))
        async with asyncio.timeout(5):
            await cut_off.wait()
    assert error.failure is DeviceFailure.NO_ANSWER


@pytest.mark.parametrize(
    "manners",
    [
        {"skew": timedelta(hours=3)},
        {"wants_digest": True, "hides_clock": True},
        {"wants_digest": True, "says_wrong_time": True},
    ],
    ids=str,
)
async def test_a_wrong_password_is_told_from_a_wrong_clock(
    onvif: Onvif, manners: dict[str, Any]
) -> None:
    """The signature has the camera's own time, and digest has none."""
    async with OnvifCamera(**manners) as fake:
        error = await refused(onvif.camera(address(fake, "wrong")))
    assert error.failure is DeviceFailure.WRONG_PASSWORD


async def test_a_nonce_is_used_where_it_came_from_alone(onvif: Onvif) -> None:
    async with OnvifCamera(wants_digest=True, binds_nonces=True) as fake:
        camera = onvif.camera(address(fake))
        assert await camera.profiles()
        await camera.picture("Profile_1")
        await camera.ask("ptz", "GetNodes")
        assert await camera.profiles()
        assert fake.refused == 0


async def test_one_that_wants_a_login_says_so(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        where = Address(host="127.0.0.1", port=fake.port, path=SERVICE, user="", password="")
        error = await refused(onvif.camera(where))
    assert error.failure is DeviceFailure.WRONG_PASSWORD
    assert "wants a user name and a password" in str(error)


async def test_a_lock_is_waited_for(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        fake.faults["GetProfiles"] = ("ter:NotAuthorized", "account locked")
        camera = onvif.camera(address(fake), locked_s=0.1)
        for _ in range(3):
            assert (await refused(camera)).failure is DeviceFailure.LOCKED_OUT
        assert fake.asked.count("GetProfiles") == 1
        fake.faults.clear()
        await asyncio.sleep(0.15)
        assert await camera.profiles()


async def test_a_wrong_path_is_named(onvif: Onvif) -> None:
    async with TestServer(web.Application()) as server:
        fake = OnvifCamera(port=server.port or 0)
        error = await refused(onvif.camera(address(fake)))
    assert "nothing at /onvif/device_service (HTTP 404)" in str(error)


async def test_a_picture_that_is_refused_is_asked_for_once(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        camera = onvif.camera(address(fake))
        await camera.profiles()
        fake.is_picture_closed = True
        for _ in range(3):
            with pytest.raises(DeviceError, match="no picture to this login") as caught:
                await camera.picture("Profile_1")
            assert caught.value.failure is DeviceFailure.WRONG_PASSWORD
        assert fake.refused == 1
        assert await camera.known_profiles()  # the rest of the camera is not given up for it


@pytest.mark.parametrize("wants_digest", [False, True])
async def test_a_refused_login_is_tried_once(onvif: Onvif, *, wants_digest: bool) -> None:
    async with OnvifCamera(wants_digest=wants_digest) as fake:
        camera = onvif.camera(address(fake, "wrong"))
        for _ in range(5):
            error = await refused(camera)
            assert error.failure is DeviceFailure.WRONG_PASSWORD
            assert "refuses the user name or the password" in str(error)
        assert fake.refused == 1


async def test_a_login_that_was_good_is_tried_again_later(onvif: Onvif) -> None:
    """A camera that starts refuses everybody for a while."""
    async with OnvifCamera() as fake:
        camera = onvif.camera(address(fake), forgiven_after_s=0.1)
        await camera.profiles()
        camera.forget()
        right, fake.password = fake.password, "changed"
        assert (await refused(camera)).failure is DeviceFailure.WRONG_PASSWORD
        fake.password = right
        assert (await refused(camera)).failure is DeviceFailure.WRONG_PASSWORD
        assert fake.refused == 1
        await asyncio.sleep(0.15)
        assert await camera.profiles()


async def test_a_clock_that_is_set_is_read_again(onvif: Onvif) -> None:
    async with OnvifCamera(skew=timedelta(hours=5)) as fake:
        camera = onvif.camera(address(fake))
        await camera.profiles()
        camera.forget()
        fake.skew = timedelta()
        assert await camera.profiles()


async def test_main_and_sub_input_ask_once(onvif: Onvif) -> None:
    async with OnvifCamera() as fake:
        camera = onvif.camera(address(fake))
        await asyncio.gather(camera.profiles(), camera.profiles())
        assert fake.asked.count("GetProfiles") == 1


async def test_a_camera_with_very_many_profiles_is_bounded(onvif: Onvif) -> None:
    many = tuple(FakeProfile(f"p{number}", codec="JPEG") for number in range(100))
    async with OnvifCamera(profiles=many) as fake:
        assert len(await onvif.probe(address(fake))) == 32


@pytest.mark.parametrize("lies", [False, True])
async def test_a_camera_gives_a_picture_by_its_own_address(onvif: Onvif, *, lies: bool) -> None:
    async with OnvifCamera(lies_about_address=lies) as fake:
        assert await onvif.camera(address(fake)).picture("Profile_1") == JPEG


async def test_what_is_no_jpeg_is_no_picture(onvif: Onvif) -> None:
    async with OnvifCamera(jpeg=b"<html>") as fake:
        with pytest.raises(DeviceError, match="no JPEG"):
            await onvif.camera(address(fake)).picture("Profile_1")


async def test_a_name_that_leads_nowhere_is_named(onvif: Onvif) -> None:
    where = Address(host="no-such.invalid", port=80, path=SERVICE, user="a", password="b")
    error = await refused(onvif.camera(where))
    assert error.failure in (DeviceFailure.UNREACHABLE, DeviceFailure.NO_ANSWER)
