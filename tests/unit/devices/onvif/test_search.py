"""Cameras found in a network of the test's own, and what strangers may answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time

import psutil
import pytest

from h5sup.base.errors import UnavailableError
from h5sup.devices.onvif import api, probing
from h5sup.devices.onvif.api import MAX_SEARCHES, Onvif
from h5sup.devices.onvif.probing import read_matches
from h5sup.devices.onvif.search import Found, read_answers

SCOPE = "onvif://www.onvif.org/hardware/IPC-1"
OWN_NETWORK = ["unshare", "--net", *(["--map-root-user"] if os.geteuid() else [])]


async def test_cameras_of_both_types_are_found_once_each() -> None:
    child = await asyncio.create_subprocess_exec(
        *OWN_NETWORK, sys.executable, "-m", "tests.fakes.discovery", "0.8",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        output, _ = await child.communicate()
    assert json.loads(output) == [
        {
            "host": "192.0.2.7",
            "port": 80,
            "path": "/onvif/device_service",
            "model": "Front door IPC-1",
            "is_tls": False,
        },
        {
            "host": "192.0.2.11",
            "port": 8000,
            "path": "/onvif/service?a=1",
            "model": "NVR-9",
            "is_tls": False,
        },
        {  # it answers by the call's own id, and outside ProbeMatches
            "host": "192.0.2.12",
            "port": 80,
            "path": "/onvif",
            "model": "Clumsy",
            "is_tls": False,
        },
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<no",
        b"\xff" * 100,
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a><ProbeMatch/></a>",
        b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault/></e:Body>'
        b"</e:Envelope>",
    ],
)
def test_what_is_no_answer_is_passed_over(data: bytes) -> None:
    assert read_matches(data) == []


def test_a_machine_without_a_network_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    assert probing.call((("urn:x", "y"),), 0.05, threading.Event()) == []


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://192.0.2.7/a", Found("192.0.2.7", 80, "/a", "IPC-1")),
        ("http://[2001:db8::1]:81/a", Found("2001:db8::1", 81, "/a", "IPC-1")),
        ("http://169.254.1.2/a", Found("169.254.1.2", 80, "/a", "IPC-1")),
        ("http://h/a\nb", None),
        ("https://192.0.2.7/a", Found("192.0.2.7", 443, "/a", "IPC-1", is_tls=True)),
        ("ftp://192.0.2.7:21/a", None),
        ("http://192.0.2.7:0x/a", None),
        ("http://192.0.2.7:99999/a", None),
        ("http://[::1/a", None),
        ("http:///a", None),
        ("", None),
    ],
)
def test_addresses_are_judged(address: str, found: Found | None) -> None:
    assert read_answers([([address], [SCOPE])]) == ([found] if found else [])


def test_https_is_taken_where_nothing_else_is_told() -> None:
    both = ["https://192.0.2.7/a", "http://192.0.2.7/a"]
    assert [one.is_tls for one in read_answers([(both, [SCOPE]), (both[:1], [SCOPE])])] == [
        False, True
    ]  # fmt: skip


def test_a_flood_of_answers_is_bounded_and_sorted() -> None:
    flood = (([f"http://10.0.{n // 250}.{n % 250}/"], [SCOPE]) for n in range(100_000))
    found = read_answers(flood)
    assert len(found) == 1000
    assert [one.host for one in found[:3]] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]


def test_a_name_that_says_the_hardware_is_said_once() -> None:
    scopes = [SCOPE, "onvif://www.onvif.org/name/Maker%20IPC-1", "x" * 10_000]
    (found,) = read_answers([(["http://h/"], scopes)])
    assert found.model == "Maker IPC-1"


async def test_searches_follow_one_another_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, most = 0, 0
    go_on = threading.Event()

    def slow(timeout_s: float, stopping: threading.Event) -> list[Found]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        go_on.wait(5)
        running -= 1
        return []

    monkeypatch.setattr(api, "search", slow)
    onvif = Onvif()
    waiting = [asyncio.create_task(onvif.search(1)) for _ in range(MAX_SEARCHES)]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError, match="too many searches"):
        await onvif.search(1)
    go_on.set()
    await asyncio.gather(*waiting)
    assert most == 1
    await onvif.close()


async def test_a_search_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def patient(timeout_s: float, stopping: threading.Event) -> list[Found]:
        stopping.wait(timeout_s)
        return []

    monkeypatch.setattr(api, "search", patient)
    onvif = Onvif()
    searching = asyncio.create_task(onvif.search(60))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await onvif.close()
    await searching
    assert time.monotonic() - began < 5


async def test_a_network_that_can_not_be_searched_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(timeout_s: float, stopping: threading.Event) -> list[Found]:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(api, "search", fail)
    onvif = Onvif()
    with pytest.raises(UnavailableError, match="can't be searched: Address already in use"):
        await onvif.search(1)
    await onvif.close()
