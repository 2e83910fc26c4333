"""Cameras that answer a call into the network (WS-Discovery 1.0, ONVIF Core §7).

Everybody in the network may answer, with anything: it is read as bounded text and shown.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from h5sup.devices.onvif.messages import path_of
from h5sup.devices.onvif.probing import call

SCOPE = "onvif://www.onvif.org/"
TYPES = (  # some cameras answer to one of them alone
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
)
MAX_FOUND = 1000
MAX_TEXT = 128
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Found:
    """A camera that answered."""

    host: str
    port: int
    path: str
    model: str
    """Its name and hardware, as it says."""
    is_tls: bool = False
    """It speaks HTTPS there."""


def search(timeout_s: float, stopping: threading.Event) -> list[Found]:
    """Call into every network and return who answers; blocks for that long, or until stopping.

    Both calls go out at once, each repeated as the specification has it; answers are kept until
    they are asked for, which takes one more call, of no type. Meanwhile a plain call finds more.
    """
    from wsdiscovery import QName
    from wsdiscovery.discovery import ThreadedWSDiscovery

    for name in ("threading", "daemon", "wsdiscovery"):  # where it tells of what it can't read
        logging.getLogger(name).setLevel(logging.CRITICAL)
    caller = ThreadedWSDiscovery()
    caller.start()
    try:
        for namespace, name in TYPES:
            caller.searchServices(types=[QName(namespace, name)], timeout=0)
        others = call(TYPES, timeout_s, stopping)
        answers = caller.searchServices(types=None, timeout=0)
        told = [(one.getXAddrs(), one.getScopes()) for one in answers]
        return read_answers([*told, *others])
    finally:
        caller.stop()


def read_answers(answers: Iterable[tuple[Iterable[object], Iterable[object]]]) -> list[Found]:
    """Return the cameras of (addresses, scopes), each once, by their address."""
    found: dict[tuple[str, int], Found] = {}
    for addresses, scopes in answers:
        texts = [str(scope)[:512] for scope in scopes]
        if not any(text.startswith(SCOPE) for text in texts):
            continue
        model = _model(texts)
        for address in sorted(list(addresses)[:8], key=_rank):
            camera = _read_address(str(address), model)
            if camera is not None:
                found.setdefault((camera.host, camera.port), camera)
                break
        if len(found) >= MAX_FOUND:
            break
    return sorted(found.values(), key=lambda one: (_order(one.host), one.port))


def _read_address(address: str, model: str) -> Found | None:
    try:
        parts = urlsplit(address.strip()[:512])
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in PORTS or not host or not address.strip().isprintable():
        return None
    is_tls = parts.scheme == "https"
    return Found(host, port, path_of(address.strip()[:512]), model, is_tls)


def _rank(address: object) -> tuple[bool, bool]:
    """Return which address comes first: none that a camera gave itself, HTTPS after HTTP."""
    text = str(address)
    is_makeshift = "//169.254." in text or "//[fe80:" in text
    return is_makeshift, text.startswith("https:")


def _model(scopes: Iterable[str]) -> str:
    """Return name and hardware of scopes (Core §7.3.2.2), without saying anything twice."""
    words: list[str] = []
    for kind in ("name/", "hardware/"):
        for scope in scopes:
            text = unquote(scope.removeprefix(SCOPE + kind)).strip()
            if scope.startswith(SCOPE + kind) and text.isprintable() and text:
                if not any(text.lower() in word.lower() for word in words):
                    words.append(text)
                break
    return " ".join(words)[:MAX_TEXT]


def _order(host: str) -> tuple[int, tuple[int, ...], str]:
    """Return what sorts addresses as people do."""
    parts = host.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        return 0, tuple(int(part) for part in parts), ""
    return 1, (), host
