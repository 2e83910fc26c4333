"""SOAP 1.2 as the fake camera reads and writes it, and what is no SOAP at all."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "timg": "http://www.onvif.org/ver20/imaging/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "tns1": "http://www.onvif.org/ver10/topics",
}
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + f"]><s:Envelope {DECLARED}><s:Body><tds:B>&a9;</tds:B></s:Body></s:Envelope>"
)
ENTITY = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    f"<s:Envelope {DECLARED}><s:Body><tds:B>&x;</tds:B></s:Body></s:Envelope>"
)


class FaultError(Exception):
    """What is answered instead."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def envelope(inner: str) -> str:
    """Return an answer."""
    return f'<?xml version="1.0"?><s:Envelope {DECLARED}><s:Body>{inner}</s:Body></s:Envelope>'


def fault(error: FaultError) -> str:
    """Return what a fault says, to be put into an envelope."""
    return (
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>"
        f"{error.code}</s:Value></s:Subcode></s:Code><s:Reason>"
        f'<s:Text xml:lang="en">{escape(str(error))}</s:Text></s:Reason></s:Fault>'
    )


def text_of(call: ElementTree.Element, name: str) -> str:
    """Return the text of the first element of a local name; empty for none."""
    for element in call.iter():
        if element.tag.rpartition("}")[2] == name:
            return element.text or ""
    return ""
