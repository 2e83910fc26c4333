"""Certificates for HTTPS: made by ourselves, and judged before they are used."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from h5sup.base.errors import ConfigError

VALID_DAYS = 820  # Apple takes no certificate of more than 825 days
CLOCK_SKEW = timedelta(days=1)  # for browsers whose clock is behind ours
COMMON_NAME_LETTERS = 64  # RFC 5280 appendix A.1, ub-common-name
PEM = serialization.Encoding.PEM

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate holds."""

    begins: datetime
    ends: datetime

    def complaint(self, now: datetime) -> str:
        """Return why browsers will not take it now, or nothing."""
        if now >= self.ends:
            return f"expired on {self.ends:%Y-%m-%d %H:%M} UTC"
        if now < self.begins:
            return f"does not hold before {self.begins:%Y-%m-%d %H:%M} UTC: is the clock right?"
        return ""


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate made by ourselves."""

    cert: bytes
    key: bytes
    names: tuple[str, ...]
    ends: datetime
    fingerprint: str


def judge_pair(cert: Path, key: Path, *, keys: tuple[str, str]) -> Validity:
    """Read both files and return when they hold; raises ConfigError that names the key of one.

    `keys` are the JSON paths of certificate and key.
    """
    chain = _read_chain(cert, keys[0])
    public = _read_private(key, keys[1]).public_key()
    if _public_bytes(chain[0].public_key()) != _public_bytes(public):
        raise ConfigError(keys[1], f"{key} is not the key of the first certificate in {cert}")
    return Validity(chain[0].not_valid_before_utc, chain[0].not_valid_after_utc)


def make_self_signed(names: Iterable[str], addresses: Iterable[Address], now: datetime) -> Made:
    """Return a certificate good for these names and addresses, signed by its own key."""
    names, addresses = list(names), list(addresses)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"h5sup on {names[0]}"[:COMMON_NAME_LETTERS])]
    )
    ends = now + timedelta(days=VALID_DAYS)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(address) for address in addresses]
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Made(
        cert=cert.public_bytes(PEM),
        key=key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        names=(*names, *map(str, addresses)),
        ends=ends,
        fingerprint=cert.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def write_self_signed(cert: Path, key: Path) -> Made:
    """Make a certificate for this machine and write both files; raises ConfigError."""
    made = make_self_signed(machine_names(), machine_addresses(), datetime.now(UTC))
    try:
        cert.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, made.key, 0o600)
        _write(cert, made.cert, 0o644)
    except OSError as error:
        raise ConfigError(
            "paths.data", f"{error.filename or cert.parent} can't be written: {error.strerror}"
        ) from error
    return made


def machine_names() -> list[str]:
    """Return what this machine is called, as browsers in its network may write it."""
    name = socket.gethostname().rstrip(".").lower()
    names = [name, f"{name}.local", "localhost"] if "." not in name else [name, "localhost"]
    return [one for one in dict.fromkeys(names) if one.isascii() and one != "localhost.local"]


def machine_addresses() -> list[Address]:
    """Return this machine's addresses, but for those of one cable alone."""
    found = {
        ip_address(each.address)
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6) and "%" not in each.address
    } | {ip_address("127.0.0.1"), ip_address("::1")}
    return sorted(found, key=lambda address: (address.version, int(address)))


def _read_chain(path: Path, key: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path, key))
    except ValueError as error:
        raise ConfigError(key, f"{path} holds no certificate in PEM format") from error


def _read_private(path: Path, key: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read(path, key), None)
    except TypeError as error:
        raise ConfigError(
            key, f"{path} is locked by a passphrase: h5sup starts without anybody to type it"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(key, f"{path} holds no private key in PEM format") from error


def _public_bytes(public: PublicKeyTypes) -> bytes:
    return public.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(key, f"{path} can't be read: {error.strerror}") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file by renaming, so that nobody reads half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    fresh.replace(path)
