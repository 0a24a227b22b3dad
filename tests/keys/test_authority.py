"""The local authority makes certificates that strict TLS clients accept, and renews them ahead of time."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from isthmus.arm.errors import ArmError
from isthmus.keys.authority import LocalAuthority

DAY = 86_400.0


def _leaf(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def _connect(authority: LocalAuthority, server_hosts: tuple[str, ...], name: str) -> str:
    client = ssl.create_default_context(cadata=authority.ca_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()
    server = authority.server_context(server_hosts)

    def serve() -> None:
        with there:
            try:
                server.wrap_socket(there, server_side=True).close()
            except (ssl.SSLError, OSError):
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with here, client.wrap_socket(here, server_hostname=name) as connection:
            return str(connection.version())
    finally:
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "issuer.isthmus.test", "10.1.2.3"])
def test_strict_clients_accept_every_name(tmp_path: Path, name: str) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    assert _connect(authority, ("issuer.isthmus.test", "10.1.2.3"), name) == "TLSv1.3"


def test_other_names_and_other_authorities_are_refused(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    with pytest.raises(ssl.SSLCertVerificationError):
        _connect(authority, (), "evil.test")
    other = LocalAuthority(tmp_path / "other", clock=time.time)
    assert other.ca_pem != authority.ca_pem
    client = ssl.create_default_context(cadata=other.ca_pem.decode())
    assert client.get_ca_certs()[0]["subject"] != ssl.create_default_context(cadata=authority.ca_pem.decode()).get_ca_certs()[0]["subject"]


def test_the_leaf_names_loopback_and_the_configured_hosts(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    leaf = _leaf(authority.server_file(["issuer.isthmus.test", "LOCALHOST", ""]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "issuer.isthmus.test"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)


def test_the_leaf_stays_until_it_must_change(tmp_path: Path) -> None:
    now = [time.time()]
    authority = LocalAuthority(tmp_path / "keys", clock=lambda: now[0])
    first = _leaf(authority.server_file(["a.test"])).serial_number
    assert _leaf(LocalAuthority(tmp_path / "keys", clock=lambda: now[0]).server_file(["a.test"])).serial_number == first
    other_host = _leaf(authority.server_file(["b.test"])).serial_number
    assert other_host != first
    now[0] += 216 * DAY
    assert _leaf(authority.server_file(["b.test"])).serial_number == other_host
    now[0] += 2 * DAY
    renewed = _leaf(authority.server_file(["b.test"]))
    assert renewed.serial_number != other_host
    assert renewed.not_valid_after_utc.timestamp() - now[0] == pytest.approx(397 * DAY, abs=2)


def test_a_damaged_leaf_is_replaced(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    path = authority.server_file()
    path.write_bytes(b"rubbish")
    assert _leaf(authority.server_file()).issuer == x509.load_pem_x509_certificate(authority.ca_pem).subject


def test_it_tells_when_its_certificates_end(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    assert [one.file for one in authority.expiries()] == ["ca.pem"]
    path = authority.server_file()
    root, leaf = authority.expiries()
    assert (root.is_root, leaf.is_root) == (True, False)
    assert leaf.ends_at == int(_leaf(path).not_valid_after_utc.timestamp() * 1000)
    path.write_bytes(b"damaged")
    assert [one.file for one in authority.expiries()] == ["ca.pem"], "the next start replaces it"


def test_the_root_is_renewed_with_the_same_key_so_that_old_copies_still_verify(tmp_path: Path) -> None:
    now = [time.time()]
    old = LocalAuthority(tmp_path / "keys", clock=lambda: now[0])
    now[0] += 2900 * DAY
    new = LocalAuthority(tmp_path / "keys", clock=lambda: now[0])
    assert new.ca_pem != old.ca_pem
    root, renewed = x509.load_pem_x509_certificate(old.ca_pem), x509.load_pem_x509_certificate(new.ca_pem)
    assert root.public_key() == renewed.public_key()
    assert root.subject == renewed.subject
    _leaf(new.server_file()).verify_directly_issued_by(root)


def test_a_root_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "keys", clock=time.time)
    (authority.ca_path.parent / "ca.key.pem").write_bytes(b"rubbish")
    with pytest.raises(ArmError, match="UnreadableKeyFile"):
        LocalAuthority(tmp_path / "keys", clock=time.time)
