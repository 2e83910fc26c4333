"""Which way media takes to a browser, and when a browser is given up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from h5sup.formats.rtcp import Feedback, build_pli
from h5sup.formats.stun import build_binding_request
from h5sup.outputs.rtc.dtls import Certificate
from h5sup.outputs.rtc.endpoint import Endpoint
from h5sup.outputs.rtc.keys import Keys
from h5sup.outputs.rtc.paths import Path
from h5sup.outputs.rtc.peer import CONNECT_WITHIN_S, GONE_AFTER_S, PATH_SILENT_S, Peer
from tests.fakes.rtc_parts import Browser, ClearPath, Clock, FakeCertificate, FakeDtls

FINGERPRINTS = [FakeCertificate.fingerprint]


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.connected: list[tuple[Keys, Path]] = []
        self.paths: list[Path] = []
        self.feedback: list[Feedback] = []
        self.gone: list[str] = []

    def on_connected(self, keys: Keys, path: Path) -> None:
        self.connected.append((keys, path))

    def on_path(self, path: Path) -> None:
        self.paths.append(path)

    def on_feedback(self, feedback: Feedback) -> None:
        self.feedback.append(feedback)

    def on_gone(self, reason: str) -> None:
        self.gone.append(reason)


class Rig:
    def __init__(self) -> None:
        self.endpoint = Endpoint(0, connections=1)
        self.certificate = FakeCertificate()
        self.owner = Owner()
        self.clock = Clock()
        self.peer = Peer(self.endpoint, cast(Certificate, self.certificate), self.owner)
        self.peer._loop = self.clock  # type: ignore[assignment]  # only its time is asked for
        self.peer._opened_at = self.peer._heard_at = self.clock.now_s
        self.endpoint.add(self.peer)
        self.browser = Browser()  # before the handshake nobody decrypts anything

    def path(self, *, is_udp: bool = True) -> ClearPath:
        return ClearPath(self.browser, is_udp=is_udp)

    def check(self, path: ClearPath, *, nominates: bool = False) -> None:
        """Have a check come in on a path."""
        data = build_binding_request(
            secrets.token_bytes(12),
            username=f"{self.peer.ufrag}:them",
            key=self.peer.key,
            priority=1,
            tie_breaker=1,
            use_candidate=nominates,
        )
        assert self.endpoint.take(data, path, path)

    async def connect(self, path: ClearPath) -> FakeDtls:
        """Go all the way to the keys."""
        self.check(path, nominates=True)
        self.peer.accept("server", FINGERPRINTS)
        await until(lambda: FakeDtls.HELLO in path.other)
        self.endpoint.take(FakeDtls.FINISHED, path, path)
        await until(lambda: self.owner.connected)
        dtls = self.certificate.opened[0]
        path.browser = self.browser = dtls.browser
        return dtls


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.peer.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("first", ["check", "answer"])
async def test_the_handshake_begins_when_check_and_answer_are_there(first: str) -> None:
    """A browser checks as soon as it has our offer; its answer may take longer, or be sooner."""
    async with rig() as made:
        path = made.path()
        steps: list[Callable[[], None]] = [
            lambda: made.check(path),
            lambda: made.peer.accept("client", FINGERPRINTS),
        ]
        if first == "answer":
            steps.reverse()
        steps[0]()
        await asyncio.sleep(0)
        assert made.certificate.opened == []
        steps[1]()
        await until(lambda: FakeDtls.HELLO in path.other)
        made.check(path)
        (dtls,) = made.certificate.opened
        assert (dtls.role, dtls.fingerprints) == ("client", FINGERPRINTS)
        made.endpoint.take(FakeDtls.FINISHED, path, path)
        await until(lambda: made.owner.connected)
        assert made.owner.connected == [(dtls.browser.keys, path)]


async def test_names_and_passwords_are_never_the_same() -> None:
    made = [Rig().peer for _ in range(50)]
    assert len({one.ufrag for one in made}) == len({one.pwd for one in made}) == 50
    assert all(len(one.pwd) >= 22 and len(one.ufrag) >= 4 for one in made)  # RFC 8839 §5.4


async def test_the_path_that_the_handshake_takes_is_the_one() -> None:
    async with rig() as made:
        one, other = made.path(), made.path()
        made.check(one)
        made.check(other)
        made.peer.accept("server", FINGERPRINTS)
        await until(lambda: FakeDtls.HELLO in one.other)
        made.endpoint.take(FakeDtls.FINISHED, other, other)
        await until(lambda: made.owner.connected)
        assert made.owner.connected[0][1] is made.peer.path is other


async def test_media_moves_when_the_browser_says_so() -> None:
    async with rig() as made:
        one, other = made.path(), made.path()
        await made.connect(one)
        made.check(other)
        assert made.peer.path is one
        made.check(other, nominates=True)
        assert made.peer.path is other
        assert made.owner.paths == [other]
        made.check(other, nominates=True)
        assert made.owner.paths == [other]


async def test_udp_takes_over_from_tcp_and_keeps_it() -> None:
    async with rig() as made:
        tcp, udp = made.path(is_udp=False), made.path()
        await made.connect(tcp)
        made.check(udp, nominates=True)
        made.check(tcp, nominates=True)
        assert made.peer.path is udp
        assert made.owner.paths == [udp]


async def test_tcp_takes_over_from_udp_that_has_fallen_silent() -> None:
    async with rig() as made:
        udp, tcp = made.path(), made.path(is_udp=False)
        await made.connect(udp)
        made.clock.now_s += PATH_SILENT_S - 1
        made.check(udp)
        made.clock.now_s += PATH_SILENT_S - 1
        made.check(tcp, nominates=True)
        assert made.peer.path is udp
        made.clock.now_s += 2
        made.check(tcp)
        assert made.peer.path is udp
        made.check(tcp, nominates=True)
        assert made.peer.path is tcp


async def test_who_never_comes_is_given_up() -> None:
    async with rig() as made:
        assert made.peer.ailment(made.clock.now_s + CONNECT_WITHIN_S) == ""
        late_s = made.clock.now_s + CONNECT_WITHIN_S + 0.1
        assert "rtc.port blocked" in made.peer.ailment(late_s)


async def test_checks_alone_are_no_connection() -> None:
    async with rig() as made:
        path = made.path()
        made.clock.now_s += CONNECT_WITHIN_S + 0.1
        made.check(path)
        assert "no connection came about" in made.peer.ailment(made.clock.now_s)


async def test_who_checks_no_more_has_gone() -> None:
    async with rig() as made:
        path = made.path()
        await made.connect(path)
        for _ in range(10):
            made.clock.now_s += GONE_AFTER_S - 1
            assert made.peer.ailment(made.clock.now_s) == ""
            made.check(path)
        assert made.peer.ailment(made.clock.now_s + GONE_AFTER_S + 1) == "the viewer has gone"


async def test_a_handshake_that_fails_ends_it() -> None:
    async with rig() as made:
        path = made.path()
        made.check(path)
        made.peer.accept("server", FINGERPRINTS)
        await until(lambda: FakeDtls.HELLO in path.other)
        made.endpoint.take(FakeDtls.REFUSED, path, path)
        await until(lambda: made.owner.gone)
        assert made.owner.gone == ["the encryption could not be agreed on"]
        assert made.owner.connected == []


async def test_a_goodbye_ends_it_once() -> None:
    async with rig() as made:
        path = made.path()
        await made.connect(path)
        made.endpoint.take(FakeDtls.GOODBYE, path, path)
        assert made.owner.gone == ["the viewer has left"]
        await made.peer.close()
        made.certificate.opened[0]._on_close()
        assert made.owner.gone == ["the viewer has left"]


async def test_feedback_arrives_and_garbage_is_counted() -> None:
    async with rig() as made:
        path = made.path()
        made.check(path)
        made.endpoint.take(b"\x80\xc9" + bytes(30), path, path)  # before there are keys
        assert made.peer.garbage == 0
        dtls = await made.connect(path)
        made.endpoint.take(dtls.browser.say(build_pli(1, 2)), path, path)
        assert [one.picture_losses for one in made.owner.feedback] == [[2]]
        cut = dtls.browser.say(b"\x81\xce\x00\x09" + bytes(8))
        for garbage in (b"\x80\xc9" + bytes(30), b"\x80\xc9" + bytes(2000), b"\x80", cut):
            made.endpoint.take(garbage, path, path)
        assert made.peer.garbage == 4
        assert len(made.owner.feedback) == 1


async def test_reports_go_out_encrypted_and_only_with_keys() -> None:
    async with rig() as made:
        path = made.path()
        made.peer.send_rtcp(build_pli(1, 2))
        made.check(path)
        made.peer.send_rtcp(build_pli(1, 2))
        assert path.rtcp == []
        await made.connect(path)
        made.peer.send_rtcp(build_pli(1, 2))
        assert path.rtcp == [build_pli(1, 2)]


@pytest.mark.parametrize("state", ["new", "checked", "shaking hands", "connected"])
async def test_closing_leaves_nothing_in_any_state(state: str) -> None:
    before = asyncio.all_tasks()
    made = Rig()
    path = made.path()
    if state != "new":
        made.check(path)
    if state == "shaking hands":
        made.peer.accept("server", FINGERPRINTS)
        await until(lambda: FakeDtls.HELLO in path.other)
    if state == "connected":
        await made.connect(path)
    await made.peer.close()
    assert asyncio.all_tasks() == before
    assert (made.endpoint.agents, made.endpoint.paths) == (0, 0)
    assert all(one.is_closed for one in made.certificate.opened)
    assert (FakeDtls.GOODBYE in path.other) == (state in ("shaking hands", "connected"))
