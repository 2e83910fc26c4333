"""SOAP 1.2 as ONVIF has it (Core specification §5), written and read by onvif-zeep's WSDL files.

Media2, of which it has none, is written and read without (media2.py), but signed alike.

Nothing here opens a connection: bytes go out, objects come in. zeep is imported when the first
message is written, for it takes 25 MB; all here is called from threads, never from the loop.
"""

from __future__ import annotations

import gc
import logging
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from h5sup.devices.model import DeviceError, DeviceFailure
from h5sup.devices.onvif.envelope import find_child, mend_answer, not_understood, parse
from h5sup.devices.onvif.media2 import MEDIA2, build_envelope, read_answer

EVENTS = "http://www.onvif.org/ver10/events/wsdl"
SERVICES: Mapping[str, tuple[str, str, str]] = {
    "device": ("http://www.onvif.org/ver10/device/wsdl", "devicemgmt.wsdl", "DeviceBinding"),
    "media": ("http://www.onvif.org/ver10/media/wsdl", "media.wsdl", "MediaBinding"),
    "ptz": ("http://www.onvif.org/ver20/ptz/wsdl", "ptz.wsdl", "PTZBinding"),
    "imaging": ("http://www.onvif.org/ver20/imaging/wsdl", "imaging.wsdl", "ImagingBinding"),
    "events": (EVENTS, "events.wsdl", "EventBinding"),
    "pullpoint": (EVENTS, "events.wsdl", "PullPointSubscriptionBinding"),
    "subscription": (EVENTS, "events.wsdl", "SubscriptionManagerBinding"),
}
ADDRESSED = frozenset({"events", "pullpoint", "subscription"})  # WS-BaseNotification wants it


@dataclass(frozen=True, slots=True)
class Login:
    """A name and password, and what time it is at the camera."""

    user: str
    password: str
    now: datetime

    def __repr__(self) -> str:  # the password must not reach a log by way of a traceback
        return "Login()"


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    body: bytes
    content_type: str


def find_wsdl_folder() -> Path:
    """Return where onvif-zeep's WSDL files lie; raises DeviceError.

    Its setup.py puts them beside site-packages of the interpreter, where Debian has none.
    """
    spec = find_spec("onvif")
    places = [Path(sysconfig.get_path("purelib")) / "wsdl"]
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        places = [package.parent / "wsdl", package / "wsdl", *places]
    data, version = sysconfig.get_path("data"), sysconfig.get_python_version()
    places.append(Path(data) / "lib" / f"python{version}" / "site-packages" / "wsdl")
    for place in places:
        if (place / "devicemgmt.wsdl").is_file():
            return place
    raise DeviceError(
        DeviceFailure.UNSUPPORTED, "onvif-zeep's WSDL files are missing: run ./install.sh"
    )


class Book:
    """The WSDL files, each read when it is first needed: a tenth of a second and some MB."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._documents: dict[str, Any] = {}

    def encode(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        address: str,
        login: Login | None,
        headers: Sequence[Any] = (),
    ) -> Message:
        """Return a request, signed unless there is no login (WS-Security UsernameToken 1.1)."""
        from lxml import etree
        from zeep.wsa import WsAddressingPlugin
        from zeep.wsdl.utils import get_or_create_header
        from zeep.wsse.username import UsernameToken

        if service == MEDIA2:
            envelope, action = build_envelope(operation, parameters)
        else:
            found = self._operation(service, operation)
            envelope, action = found.create(**parameters).content, found.soapaction
            if service in ADDRESSED:
                WsAddressingPlugin().egress(envelope, {}, found, {"address": address})
                get_or_create_header(envelope).extend(deepcopy(one) for one in headers)
        if login is not None:
            token = UsernameToken(
                login.user, login.password, use_digest=True, created=login.now, zulu_timestamp=True
            )
            token.apply(envelope, {})
        body = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
        kind = f'application/soap+xml; charset=utf-8; action="{action}"'
        return Message(body, kind)

    def decode(self, service: str, operation: str, body: bytes) -> Any:
        """Return an answer as dicts and lists; raises SoapFaultError, DeviceError.

        What PullMessages brings comes as an element: zeep loses the topics in it.
        """
        import zeep.exceptions
        from zeep.helpers import serialize_object

        envelope = parse(body)
        if operation == "PullMessages":
            return find_child(find_child(envelope, "Body"), "PullMessagesResponse")
        if service == MEDIA2:
            return read_answer(envelope, operation)
        try:
            found = self._operation(service, operation)
            mend_answer(envelope, str(found.output.body.qname))
            answer = found.process_reply(envelope)
        except (
            zeep.exceptions.Error,
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
        ) as error:
            raise not_understood() from error
        return serialize_object(answer, dict)

    def _operation(self, service: str, operation: str) -> Any:
        namespace, file, binding = SERVICES[service]
        return self._document(file).bindings[f"{{{namespace}}}{binding}"].get(operation)

    def _document(self, file: str) -> Any:
        with self._lock:
            if file not in self._documents:
                from zeep import Settings
                from zeep.transports import Transport
                from zeep.wsdl import Document

                # it writes whole answers there, with a trace for each odd value in them
                logging.getLogger("zeep").setLevel(logging.CRITICAL)
                self._folder = self._folder or find_wsdl_folder()
                settings = Settings(strict=False, forbid_external=True)
                with _kept_for_good():
                    self._documents[file] = Document(
                        str(self._folder / file), Transport(), settings=settings
                    )
            return self._documents[file]


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Have the garbage collector never look at what is made now, nor at all there is besides.

    What zeep makes of the WSDL files are some 60,000 objects that stay. Each full collection went
    through them, and everything stood still for a tenth of a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
