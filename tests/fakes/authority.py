"""A certificate authority: a root that clients trust, and an intermediate that signs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Issued:
    """What h5sup is given: the leaf with its intermediate, and the key."""

    cert: Path
    key: Path
    serial: int

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the leaf."""
        leaf = x509.load_pem_x509_certificates(self.cert.read_bytes())[0]
        return leaf.fingerprint(hashes.SHA256()).hex()

    @property
    def context(self) -> ssl.SSLContext:
        """Return what a server shows it with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """Issues certificates for 127.0.0.1 and localhost into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._root = sign("root", self._root_key, "root", self._root_key, is_authority=True)
        self._middle_key = ec.generate_private_key(ec.SECP256R1())
        self._middle = sign("middle", self._middle_key, "root", self._root_key, is_authority=True)

    def issue(
        self, name: str = "server", *, begins_days: float = -1, ends_days: float = 30
    ) -> Issued:
        """Write `<name>.pem` and `<name>.key`, in place of those that are there."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = sign(
            name, key, "middle", self._middle_key, begins_days=begins_days, ends_days=ends_days
        )
        issued = Issued(
            self.folder / f"{name}.pem", self.folder / f"{name}.key", leaf.serial_number
        )
        issued.key.write_bytes(key_bytes(key))
        issued.cert.write_bytes(leaf.public_bytes(PEM) + self._middle.public_bytes(PEM))
        return issued

    def write_root(self) -> Path:
        """Write what who trusts this authority has."""
        path = self.folder / "root.pem"
        path.write_bytes(self._root.public_bytes(PEM))
        return path

    def client(self) -> ssl.SSLContext:
        """Return what trusts the root and nothing else."""
        return ssl.create_default_context(cadata=self._root.public_bytes(PEM).decode())


def make_self_signed(folder: Path, name: str = "device") -> Issued:
    """Write a certificate that nobody vouches for, another one each time, as devices have."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = sign(name, key, name, key)
    issued = Issued(folder / f"{name}.pem", folder / f"{name}.key", leaf.serial_number)
    issued.key.write_bytes(key_bytes(key))
    issued.cert.write_bytes(leaf.public_bytes(PEM))
    return issued


def sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool = False,
    begins_days: float = -1,
    ends_days: float = 30,
) -> x509.Certificate:
    """Return a certificate for a key."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins_days))
        .not_valid_after(now + timedelta(days=ends_days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if not is_authority:
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(issuer_key, hashes.SHA256())


def key_bytes(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """Return a key in PEM format, locked if there is a passphrase."""
    lock = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock)
