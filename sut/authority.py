"""A certificate authority for one run of the sample: its own key, and certificates for the servers.

Pure: PEM in, PEM out. Keys are of P-256: a handshake costs a fraction of what RSA takes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The harness reaches every published port here.
_LOOPBACK = ipaddress.ip_address("127.0.0.1")
#: Valid since so long: a drill may set a server's or a client's clock back.
_SINCE = timedelta(days=7)
_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Authority:
    """The authority's key and certificate, in PEM."""

    key: str
    certificate: str

    @classmethod
    def make(cls, name: str) -> Authority:
        """A new authority of that name."""
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SINCE)
            .not_valid_after(now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(_key_pem(key), _pem(made))

    def issue(
        self, names: Iterable[str], *, valid: timedelta, since: timedelta = _SINCE, client: bool = False
    ) -> str:
        """Key and certificate, in one PEM, of a server of these names; the first is its subject.

        It is valid for `valid` from now; where that is negative, it has expired so long ago. With `client`
        it is good for calling others as well.
        """
        names = tuple(names)
        now = datetime.now(UTC)
        issuer = x509.load_pem_x509_certificate(self.certificate.encode())
        signing = serialization.load_pem_private_key(self.key.encode(), password=None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        known = [
            *(x509.DNSName(name) for name in names),
            x509.DNSName("localhost"),
            x509.IPAddress(_LOOPBACK),
        ]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + min(valid, timedelta(0)) - since)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(known), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(signing, hashes.SHA256())
        )
        return _key_pem(key) + _pem(made)


def der(pem: str) -> bytes:
    """The certificate of a PEM that `issue` made, as a handshake shows it."""
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
