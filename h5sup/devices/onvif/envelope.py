"""SOAP envelopes as cameras send them (SOAP 1.2 part 1 §5): parsed within bounds, faults named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from h5sup.devices.model import DeviceError, DeviceFailure

SOAP_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
MAX_REASON = 200
LOGIN_WORDS = (  # of faults without a code of WS-Security or ONVIF
    "not authorized", "unauthorized", "authority failure", "authentication", "password",
)  # fmt: skip


class SoapFaultError(Exception):
    """The camera understood and would not."""

    def __init__(self, codes: Sequence[str], reason: str) -> None:
        super().__init__(reason)
        self.codes = frozenset(codes)
        """Local names, from the code down to the innermost subcode."""
        self.reason = reason

    @property
    def is_refused_login(self) -> bool:
        """Whether it says that the name, the password or their signature are wrong."""
        words = self.reason.lower()
        return bool(
            self.codes
            & {"NotAuthorized", "FailedAuthentication", "FailedCheck", "InvalidSecurity"}
        ) or any(word in words for word in LOGIN_WORDS)

    @property
    def is_unknown_operation(self) -> bool:
        """Whether it says that it has not got that; gSOAP's own words have no code."""
        return "ActionNotSupported" in self.codes or "not implemented" in self.reason.lower()

    @property
    def is_about_time(self) -> bool:
        """Whether it says that the signature's time does not suit it."""
        words = self.reason.lower()
        return bool(self.codes & {"MessageExpired", "InvalidTimeStamp"}) or any(
            word in words for word in ("timestamp", "expired", "clock", "created time")
        )

    @property
    def is_lock(self) -> bool:
        """Whether it says that the name or our address is locked."""
        return "lock" in self.reason.lower().replace("clock", "")


def parse(body: bytes) -> Any:
    """Return an answer's envelope as SOAP 1.2; raises SoapFaultError, DeviceError.

    Entities are neither declared nor expanded nor fetched, whatever the encoding hides them in.
    Small faults are forgiven: cameras write `&` into names.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        if b"<!DOCTYPE" in body:
            raise not_understood("it declares a document type, which SOAP forbids")
        envelope = etree.fromstring(body, parser)
        if envelope is not None and envelope.getroottree().docinfo.doctype:
            raise not_understood("it declares a document type, which SOAP forbids")
    except (etree.XMLSyntaxError, ValueError) as error:
        raise not_understood() from error
    if envelope is not None and len(parser.error_log):
        _forget_prefixes(envelope)
    found = None if envelope is None else find_child(find_child(envelope, "Body"), "Fault")
    if found is not None:
        raise _read_fault(found)
    if envelope is None or envelope.tag != f"{{{SOAP_ENVELOPE}}}Envelope":
        raise not_understood()
    if find_child(envelope, "Body") is None:
        raise not_understood()
    return envelope


def not_understood(why: str = "it is no SOAP message") -> DeviceError:
    """Return the error for an answer that makes no sense."""
    return DeviceError(
        DeviceFailure.NOT_UNDERSTOOD, f"its answer can't be read: {why}. Is it an ONVIF camera?"
    )


def mend_answer(envelope: Any, name: str) -> None:
    """Give an answer the name it must have, `{namespace}name`, where it has another prefix.

    Some cameras use none, or those of other services. What is inside is found by its local name
    anyway.
    """
    answer = find_child(find_child(envelope, "Body"), name.rpartition("}")[2])
    if answer is not None:
        answer.tag = name


def find_child(element: Any, name: str) -> Any:
    """Return the first child of a local name, whatever its namespace, or None."""
    if element is None:
        return None
    return next((child for child in element if local_name(child) == name), None)


def local_name(element: Any) -> str:
    """Return an element's name without namespace."""
    return str(element.tag).rpartition("}")[2]


def _forget_prefixes(envelope: Any) -> None:
    """Leave the local names of elements whose prefixes are declared nowhere."""
    for element in envelope.iter():
        if "}" not in element.tag and ":" in element.tag:
            with suppress(ValueError):  # what is left is no name
                element.tag = element.tag.rpartition(":")[2]


def _read_fault(fault: Any) -> SoapFaultError:
    """Return what a fault says (SOAP 1.2 part 1 §5.4, SOAP 1.1 §4.4)."""
    codes = [
        str(element.text).strip().rpartition(":")[2]
        for element in fault.iter()
        if local_name(element) in ("Value", "faultcode") and element.text
    ]
    words = [
        str(element.text).strip()
        for element in fault.iter()
        if local_name(element) in ("Text", "faultstring") and element.text
    ]
    return SoapFaultError(codes[:8], " ".join(" ".join(words).split())[:MAX_REASON])
