"""What install.sh asks before and after it starts h5sup: is the port free, does it serve?"""

from __future__ import annotations

import argparse
import errno
import ipaddress
import json
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parent.parent
READY = re.compile(r"h5sup ready on (http://\S+) (?:and https://\S+ )?\(pid \d+\)")
ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, never bound)
READY_TIMEOUT_S = 60.0  # a Raspberry Pi on a slow card needs 20 s for its imports
POLL_S = 0.2


def main() -> None:
    """Run the question named on the command line; a failure is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    questions = parser.add_subparsers(dest="question", required=True)
    questions.add_parser("port-is-free", help="can http.port of config.json be listened on?")
    wait = questions.add_parser("wait", help="wait until h5sup serves and print its addresses")
    wait.add_argument("--log", type=Path, help="find the ready line in this file")
    wait.add_argument("--begin", type=int, default=0, help="read the log from this byte on")
    given = parser.parse_args()
    host, port = read_http()
    if given.question == "port-is-free":
        check_port(host, port)
        return
    where = str(given.log or "journalctl -u h5sup")
    if not given.log and port == 0:
        sys.stdout.write(f"      h5sup took a free port, its ready line says which: {where}\n")
        return
    url = wait_for_ready_line(given.log, given.begin) if given.log else build_url(host, port)
    wait_for_health(url, where)
    for line in describe(url, host):
        sys.stdout.write(f"      {line}\n")


def fail(sentence: str) -> NoReturn:
    """End with one sentence."""
    sys.stderr.write(f"install.sh: {sentence}\n")
    sys.exit(1)


def read_http() -> tuple[str, int]:
    """Return http.host and http.port; `run.py --check` has judged the file before."""
    raw = json.loads((ROOT / "config.json").read_text(encoding="utf-8")).get("http", {})
    return str(raw.get("host", "0.0.0.0")), int(raw.get("port", 8080))  # noqa: S104


def build_url(host: str, port: int) -> str:
    """Return the address that this machine reaches h5sup at."""
    if host in ANY_ADDRESS:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_port(host: str, port: int) -> None:
    """Fail when another program listens where h5sup wants to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            fail(explain(error, host, port))


def explain(error: OSError, host: str, port: int) -> str:
    """Say why the port can't be had and what to change."""
    change = "stop it or set http.port in config.json to another port"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by {find_listener(port)}: {change}"
    if error.errno == errno.EACCES:
        return f"port {port} needs root: set http.port in config.json to 1024 or above"
    return f"http.host {host!r} can't be listened on: {error.strerror or error}"


def find_listener(port: int) -> str:
    """Name the program that listens on `port`, as far as this user may know it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"


def wait_for_ready_line(log: Path, begin: int) -> str:
    """Return the address of the first ready line after byte `begin`."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if found := READY.search(read_from(log, begin)):
            return found[1]
        time.sleep(POLL_S)
    last = read_from(log, begin).splitlines()[-1:] or ["it wrote nothing"]
    fail(f"h5sup did not get ready in {READY_TIMEOUT_S:.0f} s: {last[0][:200]} (log: {log})")


def read_from(log: Path, begin: int) -> str:
    """Return the log from byte `begin` on; from the start when it was rotated since."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return ""
    return data[begin if begin <= len(data) else 0 :].decode(errors="replace")


def wait_for_health(url: str, where: str) -> None:
    """Wait for GET /healthz to answer 200; `where` is said when it doesn't."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):  # noqa: S310 (our own)
                return
        except urllib.error.HTTPError as error:
            reason = error.read(300).decode(errors="replace").strip() or str(error)
        except OSError as error:
            reason = str(error)
        time.sleep(POLL_S)
    fail(f"h5sup does not serve: {url}/healthz says {reason} (log: {where})")


def describe(url: str, host: str) -> list[str]:
    """Return what a person opens: the address here and those in the local network."""
    lines = [f"h5sup runs: {url}"]
    if host in ANY_ADDRESS:
        port = urlsplit(url).port
        lines += [f"in the local network: http://{each}:{port}" for each in local_addresses()]
    return lines


def local_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces that are up."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if name in up and each.family == socket.AF_INET:
                parsed = ipaddress.ip_address(each.address)
                if not (parsed.is_loopback or parsed.is_link_local):
                    found.append(each.address)
    return found


if __name__ == "__main__":
    main()
