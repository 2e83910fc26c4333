"""WS-Discovery in a network of its own: cameras that answer, and h5sup's search for them.

Run as a program in a fresh network namespace, where the loopback gets an address that does not
look like one. Prints what the search found, as JSON.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict

from h5sup.devices.onvif.search import search

ADDRESS = "10.9.0.1"
GROUP, PORT = "239.255.255.250", 3702
ANSWER = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">
<s:Header><a:MessageID>urn:uuid:{id}</a:MessageID><a:RelatesTo>{to}</a:RelatesTo>
<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>
<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>
<d:AppSequence InstanceId="{instance}" MessageNumber="{number}"/></s:Header>
<s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:{epr}</a:Address>
</a:EndpointReference><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes>
<d:XAddrs>{addresses}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch>
</d:ProbeMatches></s:Body></s:Envelope>"""
CLUMSY = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">
<s:Header><a:MessageID>{to}</a:MessageID>
<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatch</a:Action></s:Header>
<s:Body><d:ProbeMatch><d:Scopes>
 onvif://www.onvif.org/hardware/Clumsy
</d:Scopes><d:XAddrs>http://192.0.2.12/onvif</d:XAddrs></d:ProbeMatch></s:Body></s:Envelope>"""
SCOPES = (
    "onvif://www.onvif.org/Profile/Streaming onvif://www.onvif.org/name/Front%20door "
    "onvif://www.onvif.org/hardware/IPC-1"
)
HARDWARE = "onvif://www.onvif.org/hardware/{}"
CAMERAS = (  # which type it answers to, its scopes, its addresses
    ("NetworkVideoTransmitter", SCOPES, "http://192.0.2.7/onvif/device_service"),
    ("NetworkVideoTransmitter", SCOPES, "http://192.0.2.7/onvif/device_service"),  # two interfaces
    (
        "Device",
        HARDWARE.format("NVR-9"),
        "http://169.254.3.4/x http://192.0.2.11:8000/onvif/service?a=1",
    ),
    ("NetworkVideoTransmitter", "ldap:///printer", "http://192.0.2.9/wsd"),
    ("NetworkVideoTransmitter", HARDWARE.format("liar"), "file:///etc/passwd rtsp://h/"),
    ("NetworkVideoTransmitter", HARDWARE.format("bad"), "http://192.0.2.99:99999/x"),
)


def answer_probes(inbox: socket.socket) -> None:
    """Answer each call as all cameras of its type would, and with what nobody can read."""
    number = 0
    while True:
        data, sender = inbox.recvfrom(65536)
        text = data.decode(errors="replace")
        called = re.search(r"MessageID>([^<]+)<", text)
        if "Probe" not in text or called is None:
            continue
        inbox.sendto(b"\xff<no xml", sender)
        inbox.sendto(CLUMSY.format(to=called[1]).encode(), sender)
        for index, (kind, scopes, addresses) in enumerate(CAMERAS):
            if kind not in text:
                continue
            number += 1
            prefix = "tds" if kind == "Device" else "dn"
            said = ANSWER.format(
                id=f"00000000-0000-0000-0000-{number:012d}",
                to=called[1],
                instance=index + 1,
                number=number,
                epr=f"11111111-0000-0000-0000-{index:012d}",
                types=f"{prefix}:{kind}",
                scopes=scopes,
                addresses=addresses,
            )
            inbox.sendto(said.encode(), sender)


def enter(command: Sequence[str]) -> None:
    """Run a command that makes up the network."""
    subprocess.run(command, check=True)


def main() -> None:
    """Make up the network, search it and tell what was found."""
    enter(["ip", "link", "set", "lo", "up", "multicast", "on"])
    enter(["ip", "address", "add", f"{ADDRESS}/24", "dev", "lo"])
    inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inbox.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    inbox.bind(("", PORT))
    member = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(ADDRESS))
    inbox.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    threading.Thread(target=answer_probes, args=(inbox,), daemon=True).start()
    found = search(float(sys.argv[1]), threading.Event())
    sys.stdout.write(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
