"""Where the answers of a device are read."""

from __future__ import annotations

import threading

import pytest

from h5sup.config.model import DeviceConfig
from h5sup.devices.answers import SHORT_BYTES
from h5sup.devices.hik.connection import HikConnection
from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.formats.xml import parse_xml


@pytest.mark.parametrize("length", [0, SHORT_BYTES + 1])
async def test_long_answers_are_read_outside_the_event_loop(length: int) -> None:
    connection = HikConnection(DeviceConfig(token="nvr", type="hik", host="nvr", port=8000))
    threads = []

    def parse(body: bytes) -> int:
        threads.append(threading.current_thread())
        return len(body)

    assert await connection.read(parse, b" " * length) == length
    assert (threads == [threading.current_thread()]) is (length == 0)
    with pytest.raises(DeviceError, match="nvr: this is not XML") as caught:
        await connection.read(parse_xml, b"<a>" + b" " * length)
    assert caught.value.failure is DeviceFailure.NOT_UNDERSTOOD
