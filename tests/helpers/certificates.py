"""Keys and certificates made for a test: an authority, and what it signs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Authority:
    """Signs certificates for 127.0.0.1 and for clients."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(f"test authority {self.folder.name}")
        builder = self._begin(self.name, self.key, dt.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = self.folder / "ca.pem"
        self.file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(PEM))

    def _begin(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, valid: dt.timedelta) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - dt.timedelta(days=2)).not_valid_after(now + valid)

    def sign(self, name: str, valid: dt.timedelta = dt.timedelta(days=1)) -> tuple[Path, Path]:
        """Certificate and key, as files that replace those of the same name."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = self._begin(named(name), key, valid).add_extension(alternative, critical=False)
        kind = serialization.PrivateFormat.PKCS8
        written = {
            f"{name}.key": key.private_bytes(PEM, kind, serialization.NoEncryption()),
            f"{name}.pem": builder.sign(self.key, hashes.SHA256()).public_bytes(PEM),
        }
        for file, content in written.items():
            (self.folder / f"{file}.new").write_bytes(content)
            (self.folder / f"{file}.new").rename(self.folder / file)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"
