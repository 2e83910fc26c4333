"""Whatever a recorder that is asked over HTTP does, of whichever maker: login, ports, bounds."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from h5sup.devices.model import DeviceError, DeviceFailure
from tests.fakes import dahua_recorder
from tests.fakes.recorders import Maker, make_recorder
from tests.fakes.web_recorder import Fault, failure, opened

pytestmark = [pytest.mark.media, pytest.mark.parametrize("maker", ["hik", "dahua"])]

HANGS_S = 1.0  # for a device that hangs; time enough for one that doesn't, on a busy machine
BEGIN = datetime(2026, 11, 23, 16, tzinfo=UTC)
INFO: Mapping[Maker, str] = {
    "hik": "/ISAPI/System/deviceInfo",
    "dahua": dahua_recorder.SYSTEM_INFO,
}
CHANNELS: Mapping[Maker, str] = {
    "hik": "/ISAPI/ContentMgmt/InputProxy/channels",
    "dahua": dahua_recorder.TITLES,
}


async def test_http_is_found_at_the_port_that_was_given(maker: Maker) -> None:
    async with make_recorder(maker) as fake, opened(fake, port=fake.port, http_port=0) as recorder:
        assert len(await recorder.channels()) == 1


async def test_a_wrong_password_is_tried_once(maker: Maker) -> None:
    async with make_recorder(maker) as fake, opened(fake, password="wrong") as recorder:
        for _ in range(5):
            with pytest.raises(DeviceError, match="refuses the user name or the password") as e:
                await recorder.channels()
            assert e.value.failure is DeviceFailure.WRONG_PASSWORD
        with pytest.raises(DeviceError, match="password"):
            await recorder.search(1, BEGIN, BEGIN + timedelta(days=1))
        with pytest.raises(DeviceError, match="password"):
            await recorder.steering(1).stop()
        assert fake.wrong_logins == 1


async def test_a_login_computed_too_long_ago_is_computed_anew(maker: Maker) -> None:
    async with make_recorder(maker, closes_each=True) as fake, opened(fake) as recorder:
        await recorder.channels()
        fake.expire_nonces()
        assert len(await recorder.channels()) == 1


@pytest.mark.parametrize("paths", [INFO, CHANNELS])
@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (Fault.SILENT, DeviceFailure.NO_ANSWER, "no answer|takes longer"),
        (Fault.SLOW, DeviceFailure.NO_ANSWER, "no answer|takes longer"),
        (Fault.HUGE, DeviceFailure.NOT_UNDERSTOOD, "more than 1 MB"),
        (Fault.REDIRECTS, DeviceFailure.NOT_UNDERSTOOD, "redirects"),
        (Fault.BUSY, DeviceFailure.NO_ANSWER, r"503 \((deviceBusy|Device is busy)\)"),
        (Fault.CLOSES, DeviceFailure.UNREACHABLE, "closed"),
    ],
)
async def test_misbehaviour_gets_a_sentence(
    maker: Maker, fault: Fault, kind: DeviceFailure, sentence: str, paths: Mapping[Maker, str]
) -> None:
    async with make_recorder(maker, faults={paths[maker]: fault}) as fake:
        began = time.monotonic()
        hangs = fault in (Fault.SILENT, Fault.SLOW)
        async with opened(fake, timeout_s=HANGS_S if hangs else 20) as recorder:
            with pytest.raises(DeviceError, match=sentence) as caught:
                await recorder.channels()
            assert caught.value.failure is kind
            assert time.monotonic() - began < 15
            fake.faults.clear()
            assert len(await recorder.channels()) == 1, "it goes on when the device does"


@pytest.mark.parametrize("where", ["127.0.0.1", "169.254.169.254", "[::1]"])
async def test_no_redirect_is_followed(maker: Maker, where: str) -> None:
    async with make_recorder(maker) as elsewhere:
        location = f"http://{where}:{elsewhere.port}/latest/meta-data/"
        async with make_recorder(maker, location=location, is_behind_redirect=True) as fake:
            assert (await failure(fake)).failure is DeviceFailure.NOT_UNDERSTOOD
        faults = {INFO[maker]: Fault.REDIRECTS}
        async with make_recorder(maker, location=location, faults=faults) as fake:
            assert "redirects" in str(await failure(fake))
        assert elsewhere.requests == []
        assert elsewhere.wrong_logins == 0


async def test_what_never_answers_and_what_is_gone(maker: Maker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        told = await failure(make_recorder(maker, port=port), find_timeout_s=HANGS_S)
        assert told.failure is DeviceFailure.NO_ANSWER
    told = await failure(make_recorder(maker, port=port))
    assert told.failure is DeviceFailure.UNREACHABLE
    assert "can't connect" in str(told)
