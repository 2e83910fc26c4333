"""Media2 (Media 2 Service Specification §5): its questions and answers, without zeep.

onvif-zeep has no WSDL files of it. What h5sup asks is three questions with texts in them, and the
answers become dicts and lists as zeep would make them, but for numbers, which stay texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from h5sup.devices.onvif.envelope import (
    SOAP_ENVELOPE,
    find_child,
    local_name,
    not_understood,
)

MEDIA2 = "media2"
NAMESPACE = "http://www.onvif.org/ver20/media/wsdl"


def build_envelope(operation: str, parameters: Mapping[str, str]) -> tuple[Any, str]:
    """Return a question and its SOAP action; parameters in the order of the specification."""
    from lxml import etree

    envelope = etree.Element(f"{{{SOAP_ENVELOPE}}}Envelope")
    body = etree.SubElement(envelope, f"{{{SOAP_ENVELOPE}}}Body")
    call = etree.SubElement(body, f"{{{NAMESPACE}}}{operation}", nsmap={None: NAMESPACE})
    for name, text in parameters.items():
        etree.SubElement(call, f"{{{NAMESPACE}}}{name}").text = text
    return envelope, f"{NAMESPACE}/{operation}"


def read_answer(envelope: Any, operation: str) -> Any:
    """Return what an envelope answers to a question; raises DeviceError."""
    answer = find_child(find_child(envelope, "Body"), f"{operation}Response")
    if answer is None:
        raise not_understood(f"it is no answer to {operation}")
    return _plain(answer)


def _plain(element: Any) -> Any:
    """Return an element as a text, or as a dict of its attributes and children by local names.

    What comes more than once is a list. lxml lets elements be 256 deep.
    """
    found: dict[str, Any] = {str(name): str(value) for name, value in element.attrib.items()}
    for child in element:
        name, value = local_name(child), _plain(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    return found if found and not (text and len(element) == 0) else text
