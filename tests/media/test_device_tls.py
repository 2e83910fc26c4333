"""Devices over HTTPS: which certificates are taken, and that nothing is said to any other."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from h5sup.config.loading import parse_source
from h5sup.devices.hik.api import HikRecorder
from h5sup.devices.model import DeviceError, DeviceFailure, Motion
from h5sup.devices.onvif.api import Onvif
from h5sup.devices.registry import Devices
from h5sup.devices.trust import AUTHORITIES, Trust
from h5sup.events.event import AlarmIn
from h5sup.events.hub import Hub
from h5sup.sources.onvif import address_of
from h5sup.store.store import Store
from tests.fakes.authority import Authority, Issued, make_self_signed
from tests.fakes.clips import Clips
from tests.fakes.hik_recorder import FakeHik, Slot
from tests.fakes.onvif_camera import JPEG, OnvifCamera
from tests.fakes.recorders import make_recorder
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.web_recorder import WebRecorder
from tests.media.conftest import WSDL, StationMaker

pytestmark = pytest.mark.media

Kind = Literal["hik", "dahua", "onvif"]
EACH = pytest.mark.parametrize("kind", ["hik", "dahua", "onvif"])
USER, PASSWORD = "admin", "pass word:@/ü"


@dataclass
class Room:
    """A device of some kind, and what h5sup keeps of its certificate."""

    kind: Kind
    store: Store
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    """How it is configured."""

    def __post_init__(self) -> None:
        self.device: WebRecorder[Any] | OnvifCamera = (
            OnvifCamera() if self.kind == "onvif" else make_recorder(self.kind)
        )

    def show(self, issued: Issued | None) -> None:
        """Have the device show a certificate from its next start on, or none."""
        self.device.tls = issued.context if issued else None

    def show_another(self) -> Issued:
        """Have it show one that nobody vouches for."""
        issued = make_self_signed(self.folder, secrets.token_hex(4))
        self.show(issued)
        return issued

    async def greet(self) -> None:
        """Ask the device something, as after a restart of h5sup. Raises DeviceError."""
        trust = Trust(self.store)
        await trust.start()
        async with asyncio.timeout(20), self.device:
            await (self._greet_camera if self.kind == "onvif" else self._greet_recorder)(trust)

    async def failure(self) -> DeviceError:
        """Return why it was not greeted; it must not have heard a login."""
        self.forget()
        with pytest.raises(DeviceError) as caught:
            await self.greet()
        assert not self.heard
        return caught.value

    def forget(self) -> None:
        """Have the device count anew what it hears."""
        if isinstance(self.device, OnvifCamera):
            self.device.asked.clear()
        else:
            self.device.requests.clear()
            self.device.logins = 0

    @property
    def heard(self) -> bool:
        """Return whether somebody has said something to the device that is for it alone."""
        if isinstance(self.device, OnvifCamera):
            return bool(self.device.asked)
        return bool(self.device.logins)

    async def kept(self) -> list[str]:
        """Return which certificates are in the store."""
        return [raw["certificate"] for raw in await self.store.certificates()]

    async def _greet_camera(self, trust: Trust) -> None:
        assert isinstance(self.device, OnvifCamera)
        given = {"type": "onvif", "token": "front", "host": "127.0.0.1", "https": True}
        given |= {"port": self.device.port, "user": USER, "password": PASSWORD} | self.settings
        onvif = Onvif(book=WSDL, trust=trust)
        try:
            camera = onvif.camera(address_of(parse_source(given)), token="front")
            assert await camera.profiles()
        finally:
            await onvif.close()

    async def _greet_recorder(self, trust: Trust) -> None:
        assert isinstance(self.device, WebRecorder)
        config = self.device.config(**self.settings)
        made = self.device.recorder(config, timeout_s=15, find_timeout_s=5, trust=trust)
        try:
            assert len(await made.channels()) == 1
        finally:
            await made.close()


@pytest.fixture
def room(kind: Kind, store: Store, tmp_path: Path) -> Room:
    return Room(kind, store, tmp_path / "certificates")


@EACH
async def test_the_certificate_of_the_first_contact_has_to_stay(room: Room) -> None:
    first = room.show_another()
    await room.greet()
    assert await room.kept() == [first.fingerprint]
    await room.greet()

    second = room.show_another()
    error = await room.failure()
    assert error.failure is DeviceFailure.CERTIFICATE
    shown = bytes.fromhex(second.fingerprint).hex(":").upper()
    assert f"another certificate than it is known by, of SHA-256 {shown}: if" in str(error)
    assert await room.kept() == [first.fingerprint]

    room.settings["fingerprint"] = shown
    await room.greet()
    room.show(first)
    assert (await room.failure()).failure is DeviceFailure.CERTIFICATE
    del room.settings["fingerprint"]
    await room.greet()


@EACH
async def test_what_the_authorities_vouch_for_is_taken(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(room.folder)
    own = room.show_another()
    await room.greet()

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write_root()))
    room.show(authority.issue("first"))
    await room.greet()
    assert await room.kept() == [AUTHORITIES], "a better certificate is taken for a kept one"
    room.show(authority.issue("second"))
    await room.greet()

    room.show(own)
    error = await room.failure()
    assert error.failure is DeviceFailure.CERTIFICATE
    assert "no authority vouches any more for the certificate of 127.0.0.1 (self" in str(error)
    room.show(authority.issue("old", begins_days=-30, ends_days=-1))
    assert "expired" in str(await room.failure())
    for issued, is_vouched in ((None, False), (authority.issue("third"), True)):
        if issued is not None:
            room.show(issued)
        await room.store.delete_certificates("nvr")
        await room.store.delete_certificates("front")
        await room.greet()
        assert ((await room.kept()) == [AUTHORITIES]) is is_vouched


@EACH
async def test_a_fingerprint_given_beforehand_holds_at_the_first_contact(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(room.folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write_root()))
    wanted = room.show_another()
    room.settings["fingerprint"] = wanted.fingerprint
    room.show(authority.issue())
    assert (await room.failure()).failure is DeviceFailure.CERTIFICATE
    room.show(wanted)
    await room.greet()
    assert await room.kept() == []


@EACH
async def test_nothing_is_said_without_tls_to_who_was_known_by_it(room: Room) -> None:
    room.show_another()
    await room.greet()
    room.show(None)
    error = await room.failure()
    assert error.failure in (DeviceFailure.UNREACHABLE, DeviceFailure.NO_ANSWER)
    if room.kind != "onvif":
        assert "known by HTTPS, so plain HTTP is not tried" in str(error)


@EACH
async def test_a_device_at_another_place_is_another_device(room: Room) -> None:
    room.show_another()
    await room.greet()
    room.device.port = 0
    room.settings["host"] = "localhost"
    second = room.show_another()
    await room.greet()
    assert (await room.kept())[1:] == [second.fingerprint]


async def test_what_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        guard = Trust().guard("nvr", "127.0.0.1", "here")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await guard.ask(listener.getsockname()[1], _nothing)


async def _nothing(demand: object) -> None:
    raise AssertionError(demand)


@asynccontextmanager
async def following(store: Store, hub: Hub) -> AsyncIterator[tuple[Devices, Trust]]:
    """Give the registry of recorders as the server has it."""
    trust = Trust(store)
    await trust.start()
    devices = Devices({"hik": partial(HikRecorder, trust=trust)}, store, hub, trust=trust)
    try:
        yield devices, trust
    finally:
        await devices.aclose()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_recorder_is_deleted_and_added_again_for_a_new_certificate(
    store: Store, tmp_path: Path
) -> None:
    fake = FakeHik(ip=[Slot(1, "Gate")], tls=make_self_signed(tmp_path / "a").context)
    async with following(store, Hub()) as (devices, _), fake:
        await devices.start(())
        device = await devices.add(fake.config())
        await until(lambda: device.state.is_online)
    second = make_self_signed(tmp_path / "b")
    fake.tls = second.context
    async with following(store, Hub()) as (devices, _), fake:
        await devices.start(())
        device = devices.get("nvr")
        await device.first_try(20)
        assert not device.state.is_online
        assert "delete and add it again" in device.state.reason
        assert [one.name for one in device.channels] == ["Gate"]
        await devices.delete("nvr")
        device = await devices.add(fake.config())
        await until(lambda: device.state.is_online)
        (raw,) = await store.certificates()
        assert raw["certificate"] == second.fingerprint

        await devices.delete("nvr")
        assert await store.certificates() == []
        await devices.apply([fake.config()])
        await until(lambda: devices.get("nvr").state.is_online)
        await devices.apply([])
        assert await store.certificates() == []


@pytest.mark.parametrize("wants_digest", [True, False])
async def test_a_camera_of_https_is_watched_heard_and_steered(
    wants_digest: bool, clips: Clips, station: StationMaker, store: Store, tmp_path: Path
) -> None:
    trust = Trust(store)
    context = make_self_signed(tmp_path / "a").context
    async with (
        RtspCamera(clips, ["h264_aac", "h264_mute"], user=USER, password=PASSWORD) as rtsp,
        OnvifCamera(
            rtsp_port=rtsp.port, tls=context, lies_about_address=True, wants_digest=wants_digest
        ) as camera,
        station(trust=trust, linger_s=0.1) as base,
    ):
        heard = base.hub.subscribe(lambda event: isinstance(event.what, AlarmIn))
        where = {"host": "127.0.0.1", "port": camera.port, "user": USER, "password": PASSWORD}
        source = await base.add("front", "", type="onvif", https=True, **where)
        await base.until(lambda: source.is_online)
        assert source.steering is not None
        await source.steering.move(Motion(pan=1))
        assert camera.moving == {"PanTilt": (1.0, 0.0)}
        camera.tell("tns1:Device/Trigger/DigitalInput", "LogicalState", "true")
        async with asyncio.timeout(10):
            assert (await heard.next()).what == AlarmIn("front", "in1", is_on=True)
        assert source.onvif is not None
        assert await source.onvif.picture() == JPEG
        assert len(await store.certificates()) == 1
        await base.registry.delete("front")
        assert await store.certificates() == []


async def test_a_source_whose_camera_shows_another_certificate_says_so(
    station: StationMaker, store: Store, tmp_path: Path
) -> None:
    trust = Trust(store)
    async with station(trust=trust) as base:
        camera = OnvifCamera(tls=make_self_signed(tmp_path / "a").context, has_events=False)
        where = {"host": "127.0.0.1", "user": USER, "password": PASSWORD, "https": True}
        async with camera:
            source = await base.add(
                "front", "", type="onvif", connect="ondemand", port=camera.port, **where
            )
            assert source.onvif is not None
            assert await source.onvif.picture() == JPEG
        camera.tls = make_self_signed(tmp_path / "b").context
        camera.asked.clear()
        source.onvif.camera.forget()  # as after a while
        async with camera:
            lease = base.registry.lease("front")
            await base.until_failed(source, "another certificate than it is known by")
            lease.release()
            assert camera.asked == []


async def test_a_probe_judges_by_what_the_camera_is_known_by(store: Store, tmp_path: Path) -> None:
    room = Room("onvif", store, tmp_path / "certificates")
    room.show_another()
    await room.greet()

    async def probe() -> None:
        assert isinstance(room.device, OnvifCamera)
        given = {"type": "onvif", "token": "x", "host": "127.0.0.1", "port": room.device.port}
        given |= {"https": True, "user": USER, "password": PASSWORD}
        trust = Trust(store)
        await trust.start()
        onvif = Onvif(book=WSDL, trust=trust)
        try:
            async with room.device:
                assert await onvif.probe(address_of(parse_source(given)))
        finally:
            await onvif.close()

    await probe()
    kept = await room.kept()
    room.show_another()
    with pytest.raises(DeviceError, match="another certificate"):
        await probe()
    await store.delete_certificates("front")
    await probe()
    assert (len(kept), await room.kept()) == (1, []), "a probe keeps nothing"


async def test_a_store_that_makes_no_sense_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save_certificate(
        {"key": "nvr x", "token": "nvr", "place": "x", "certificate": "zz"}
    )
    trust = Trust(store)
    await trust.start()
    assert trust.find("nvr", "x") is None
    assert "not known any more" in caplog.text
