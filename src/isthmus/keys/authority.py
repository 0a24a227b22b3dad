"""The local certificate authority: one ECDSA P-256 root for this installation and one server certificate below it.

Files in the key folder: `ca.pem` (public: give it to clients, `ISTHMUS_CA_FILE`) and `ca.key.pem`; in the folder of the
process itself, which is the same unless several processes share the keys: `server.pem` with key, certificate and chain.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isthmus.arm.errors import ArmError
from isthmus.keys.files import KeyFolder

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SERVER = "server.pem"
_CA, _CA_KEY = "ca.pem", "ca.key.pem"
_CA_LIFE, _CA_RENEW = dt.timedelta(days=3650), dt.timedelta(days=800)
# A server certificate may live 397 days in browsers' rules; half a year before its end it is replaced at the next start.
_LEAF_LIFE, _LEAF_RENEW = dt.timedelta(days=397), dt.timedelta(days=180)
_BACKDATED, _NONE = dt.timedelta(hours=1), dt.timedelta()


@dataclass(frozen=True, kw_only=True, slots=True)
class Expiry:
    """A certificate of this installation: the file that holds it, whether it is the root, and its end in epoch milliseconds."""

    file: str
    is_root: bool
    ends_at: int


class LocalAuthority:
    """The authority in `folder`, made at first use. Its root is renewed with the same key, so that pinned copies hold to their end.

    `own` is where the certificate of this very server is kept: processes that share the authority may serve under other names.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float], own: Path | None = None) -> None:
        self._folder = KeyFolder(folder)
        self._own = KeyFolder(own or folder)
        self._clock = clock
        with self._folder.lock():
            self._key = self._load_key()
            self._root = self._load_root()

    @property
    def ca_pem(self) -> bytes:
        """The root certificate: public."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    @property
    def ca_path(self) -> Path:
        """The file with the root certificate."""
        return self._folder.path / _CA

    def server_file(self, hosts: Sequence[str] = ()) -> Path:
        """PEM file with key, certificate and chain for loopback and `hosts` (names or addresses).

        The certificate is replaced when it names other hosts, comes from another root, or is within 180 days of its end.
        """
        names = tuple(dict.fromkeys((*LOOPBACK, *(host.strip("[]").lower() for host in hosts if host))))
        with self._own.lock():
            present = self._own.read(SERVER)
            if present is None or not self._serves(present, names):
                self._own.write(SERVER, self._issue_server(names))
        return self._own.path / SERVER

    def expiries(self) -> tuple[Expiry, ...]:
        """When the root and the server's certificate end; a server's file that cannot be read is left out, the next start replaces it."""
        found = [Expiry(file=_CA, is_root=True, ends_at=_end_of(self._root))]
        served = self._own.read(SERVER)
        try:
            leaves = x509.load_pem_x509_certificates(served)[:1] if served is not None else []
        except ValueError:
            leaves = []
        return tuple(found + [Expiry(file=SERVER, is_root=False, ends_at=_end_of(leaf)) for leaf in leaves])

    def server_context(self, hosts: Sequence[str] = ()) -> ssl.SSLContext:
        """A TLS server context (1.2 and later) with the certificate of `server_file`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server_file(hosts))
        return context

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(int(self._clock()), dt.UTC)

    def _load_key(self) -> ec.EllipticCurvePrivateKey:
        pem = self._folder.read(_CA_KEY)
        if pem is None:
            made = ec.generate_private_key(ec.SECP256R1())
            self._folder.write(_CA_KEY, _private_pem(made))
            return made
        message = f"'{self._folder.path / _CA_KEY}' does not hold an EC key. Restore it, or delete it to have a new authority made."
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise ArmError("UnreadableKeyFile", message, status=500, target=_CA_KEY) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ArmError("UnreadableKeyFile", message, status=500, target=_CA_KEY)
        return key

    def _load_root(self) -> x509.Certificate:
        present = self._folder.read(_CA)
        if present is not None:
            root = x509.load_pem_x509_certificate(present)
            left = root.not_valid_after_utc - self._now()
            # Who may only read goes on with what there is, and leaves the renewal to who keeps the folder.
            if root.public_key() == self._key.public_key() and (left > _CA_RENEW or (left > _NONE and not self._folder.is_writable)):
                return root
        root = self._issue_root()
        self._folder.write(_CA, root.public_bytes(serialization.Encoding.PEM))
        return root

    def _issue_root(self) -> x509.Certificate:
        public = self._key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        # The name carries the key, so that the roots of two installations are never taken for one another.
        name = _name(f"Isthmus local CA {identifier.digest.hex()[:8]}")
        builder = self._certificate(name, name, public, self._now() + _CA_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _issue_server(self, names: Sequence[str]) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(self._now() + _LEAF_LIFE, self._root.not_valid_after_utc)
        builder = self._certificate(_name("Isthmus"), self._root.subject, key.public_key(), until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        return _private_pem(key) + leaf.public_bytes(serialization.Encoding.PEM) + self.ca_pem

    def _certificate(
        self, subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, until: dt.datetime
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(self._now() - _BACKDATED).not_valid_after(until)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        return builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)

    def _serves(self, pem: bytes, names: Sequence[str]) -> bool:
        try:
            leaf = x509.load_pem_x509_certificates(pem)[0]
            leaf.verify_directly_issued_by(self._root)
            present = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, IndexError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return list(present) == [_alternative(name) for name in names] and leaf.not_valid_after_utc - self._now() > _LEAF_RENEW


def _end_of(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp() * 1000)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Isthmus"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
