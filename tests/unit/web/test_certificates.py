"""Certificates: what is made, and what is said of files that can't be used."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from h5sup.base.errors import ConfigError
from h5sup.config.model import HttpConfig
from h5sup.web.certificates import (
    Validity,
    judge_pair,
    machine_addresses,
    machine_names,
    make_self_signed,
    write_self_signed,
)
from h5sup.web.tls import Tls, find_pair, load_pair, signature_of
from tests.fakes.authority import PEM, Authority, key_bytes, sign

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = ("http.tls_cert", "http.tls_key")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_a_pair_that_belongs_together_is_taken(authority: Authority) -> None:
    issued = authority.issue(ends_days=30)
    validity = judge_pair(issued.cert, issued.key, keys=KEYS)
    assert validity.complaint(datetime.now(UTC)) == ""
    assert load_pair(issued.cert, issued.key).validity == validity


def test_versions_before_tls_1_2_are_off(authority: Authority) -> None:
    issued = authority.issue()
    context = load_pair(issued.cert, issued.key).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_files_that_can_not_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    locked, text = tmp_path / "locked.key", tmp_path / "text"
    locked.write_bytes(key_bytes(ec.generate_private_key(ec.SECP256R1()), b"open sesame"))
    text.write_text("no certificate")
    absent = tmp_path / "absent"
    for cert, key, words in (
        (absent, one.key, f"http.tls_cert: {absent} can't be read: No such file or directory"),
        (tmp_path, one.key, f"http.tls_cert: {tmp_path} can't be read: Is a directory"),
        (text, one.key, f"http.tls_cert: {text} holds no certificate in PEM format"),
        (one.key, one.key, f"http.tls_cert: {one.key} holds no certificate in PEM format"),
        (one.cert, absent, f"http.tls_key: {absent} can't be read: No such file or directory"),
        (one.cert, text, f"http.tls_key: {text} holds no private key in PEM format"),
        (one.cert, locked, f"http.tls_key: {locked} is locked by a passphrase: "),
        (one.cert, other.key, f"http.tls_key: {other.key} is not the key of the first "),
    ):
        with pytest.raises(ConfigError) as caught:
            load_pair(cert, key)
        assert str(caught.value).startswith(words)


def test_what_openssl_will_not_serve_is_named(tmp_path: Path) -> None:
    weak = tmp_path / "weak.pem"
    key = ec.generate_private_key(ec.SECP192R1())
    weak.write_bytes(sign("weak", key, "weak", key).public_bytes(PEM))
    weak_key = tmp_path / "weak.key"
    weak_key.write_bytes(key_bytes(key))
    with pytest.raises(ConfigError, match=r"^http\.tls_cert: .*weak\.pem can't be used: "):
        load_pair(weak, weak_key)


@pytest.mark.parametrize(
    ("days", "complaint"),
    [
        (-1, "does not hold before 2026-03-01 00:00 UTC: is the clock right?"),
        (0, ""),
        (9, ""),
        (10, "expired on 2026-03-11 00:00 UTC"),
    ],
)
def test_it_is_said_when_a_certificate_does_not_hold(days: int, complaint: str) -> None:
    validity = Validity(NOW, NOW + timedelta(days=10))
    assert validity.complaint(NOW + timedelta(days=days)) == complaint


def test_a_self_signed_certificate_is_good_for_its_names_and_as_long_as_apple_takes() -> None:
    made = make_self_signed(["pi", "localhost"], [ip_address("192.0.2.5"), ip_address("::1")], NOW)
    cert = x509.load_pem_x509_certificate(made.cert)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pi", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.5", "::1"]
    assert made.names == ("pi", "localhost", "192.0.2.5", "::1")
    assert cert.not_valid_before_utc < NOW < cert.not_valid_after_utc
    assert cert.not_valid_after_utc - cert.not_valid_before_utc < timedelta(days=825)


def test_a_long_name_makes_no_invalid_certificate() -> None:
    made = make_self_signed(["a" * 63 + ".example"], [], NOW)
    assert x509.load_pem_x509_certificate(made.cert).subject.rfc4514_string().startswith("CN=")


def test_this_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Gate")
    assert machine_names() == ["gate", "gate.local", "localhost"]
    monkeypatch.setattr("socket.gethostname", lambda: "gate.example.")
    assert machine_names() == ["gate.example", "localhost"]
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    assert machine_names() == ["localhost"]
    assert {ip_address("127.0.0.1"), ip_address("::1")} <= set(machine_addresses())


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    cert, key = tmp_path / "data" / "cert", tmp_path / "data" / "key"
    for _ in range(2):  # the second time in place of the first
        write_self_signed(cert, key)
        assert key.stat().st_mode & 0o777 == 0o600
        assert judge_pair(cert, key, keys=KEYS).complaint(datetime.now(UTC)) == ""
    assert sorted(one.name for one in cert.parent.iterdir()) == ["cert", "key"]


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match=r"^paths\.data: .*/data.* can't be written: "):
        write_self_signed(tmp_path / "data" / "cert", tmp_path / "data" / "key")


def test_without_names_the_own_pair_is_used(tmp_path: Path) -> None:
    http = HttpConfig(tls_port=8443)
    with pytest.raises(ConfigError, match=r"http\.tls_cert: .*run\.py --self-signed"):
        find_pair(http, tmp_path, tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tls-cert.pem").touch()
    assert find_pair(http, tmp_path, tmp_path / "data") == (
        tmp_path / "data" / "tls-cert.pem",
        tmp_path / "data" / "tls-key.pem",
    )
    named = HttpConfig(tls_port=8443, tls_cert="a.pem", tls_key="/etc/b.key")
    assert find_pair(named, tmp_path, tmp_path) == (tmp_path / "a.pem", Path("/etc/b.key"))


def test_a_file_that_is_replaced_behind_a_link_shows(tmp_path: Path) -> None:
    """As certbot does it."""
    first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "live"
    first.write_text("one")
    second.write_text("two")
    link.symlink_to(first)
    seen = signature_of(link)
    assert signature_of(link) == seen
    link.unlink()
    assert signature_of(link) == ((0, 0, 0),)
    link.symlink_to(second)
    assert signature_of(link) not in (seen, ((0, 0, 0),))


@pytest.mark.parametrize(
    ("begins_days", "ends_days", "level", "words"),
    [
        (-30, -1, logging.ERROR, "expired on"),
        (1, 30, logging.ERROR, "does not hold before"),
        (-30, 5, logging.WARNING, "renew it"),
    ],
)
async def test_a_certificate_near_or_past_its_end_is_served_and_complained_of_once(
    authority: Authority,
    begins_days: float,
    ends_days: float,
    level: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    issued = authority.issue(begins_days=begins_days, ends_days=ends_days)
    tls = Tls(issued.cert, issued.key, watch_s=0.01)
    await tls.load()
    assert tls.context is not None
    tls.start()
    before = tls.context
    authority.issue(begins_days=begins_days, ends_days=ends_days)
    async with asyncio.timeout(10):
        while tls.context is before:
            await asyncio.sleep(0.01)
    await tls.close()
    said = [one for one in caplog.records if words in one.getMessage()]
    assert {one.levelno for one in said} == {level}
    assert len(said) == 2  # one for each certificate
