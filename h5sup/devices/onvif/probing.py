"""A plain call into the IPv4 networks, for cameras that WSDiscovery's call does not find.

TP-Link's answer that one with a fault; others answer by the MessageID of the call, or outside
ProbeMatches, and are dropped there.
"""

from __future__ import annotations

import select
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil

from h5sup.devices.model import DeviceError
from h5sup.devices.onvif.envelope import SoapFaultError, find_child, local_name, parse

PLACE = ("239.255.255.250", 3702)
CALL = (
    '<?xml version="1.0" encoding="UTF-8"?><e:Envelope'
    ' xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="{namespace}">'
    "<e:Header><w:MessageID>uuid:{id}</w:MessageID>"
    '<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>'
    '<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe'
    "</w:Action></e:Header><e:Body><d:Probe><d:Types>dn:{name}</d:Types></d:Probe></e:Body>"
    "</e:Envelope>"
)
CALLS_AT_S = (0.0, 0.25)  # the network may lose one
LOOK_S = 0.1
MAX_BYTES = 65_535
MAX_ANSWERS = 4000

Answer = tuple[list[str], list[str]]


def call(
    types: tuple[tuple[str, str], ...], timeout_s: float, stopping: threading.Event
) -> list[Answer]:
    """Return addresses and scopes of who answers; blocks for that long, or until stopping."""
    answers: list[Answer] = []
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in _open_sockets()]
        began, due = time.monotonic(), list(CALLS_AT_S)
        while (passed_s := time.monotonic() - began) < timeout_s and not stopping.is_set():
            if due and passed_s >= due[0]:
                due.pop(0)
                _send(sockets, types)
            if not sockets:
                stopping.wait(LOOK_S)
                continue
            for ready in select.select(sockets, [], [], LOOK_S)[0]:
                with suppress(OSError):
                    data = ready.recv(MAX_BYTES)
                    if len(answers) < MAX_ANSWERS:
                        answers += read_matches(data)
    return answers


def read_matches(data: bytes) -> list[Answer]:
    """Return addresses and scopes of each match in an answer; none of what makes no sense."""
    try:
        envelope = parse(data)
    except (SoapFaultError, DeviceError):
        return []
    return [
        (_words(match, "XAddrs"), _words(match, "Scopes"))
        for match in envelope.iter()
        if local_name(match) == "ProbeMatch"
    ]


def _words(match: object, name: str) -> list[str]:
    element = find_child(match, name)
    return [] if element is None else str(element.text or "").split()[:64]


def _open_sockets() -> Iterator[socket.socket]:
    """Yield a socket for each address of this machine that can be called from."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family is not socket.AF_INET:
                continue
            outward = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                here = socket.inet_aton(one.address)
                outward.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
                outward.bind((one.address, 0))
            except OSError:
                outward.close()
            else:
                outward.setblocking(False)
                yield outward


def _send(sockets: list[socket.socket], types: tuple[tuple[str, str], ...]) -> None:
    for outward in sockets:
        for namespace, name in types:
            with suppress(OSError):  # a network that is down has no cameras
                text = CALL.format(namespace=namespace, name=name, id=uuid.uuid4())
                outward.sendto(text.encode(), PLACE)
