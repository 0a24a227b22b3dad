"""Certificates of directories with a chosen end, and metadata that names them."""

from __future__ import annotations

import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ENTITY = "https://sts.windows.net/11111111-2222-3333-4444-555555555555/"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(days: float, *, now: float, name: str = "idp") -> str:
    """Base64 of a certificate that ends in some days, negative for one that has ended."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.datetime.fromtimestamp(now, datetime.UTC) + datetime.timedelta(days=days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(_KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    made = builder.not_valid_before(end - datetime.timedelta(days=400)).not_valid_after(end).sign(_KEY, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def of_no_version(text: str) -> str:
    """A certificate with a version that there is none of."""
    der = base64.b64decode(text)
    assert der.count(b"\xa0\x03\x02\x01\x02") == 1
    return base64.b64encode(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")).decode()


def metadata(*certificates: str, entity: str = ENTITY, more: str = "") -> str:
    """Metadata as providers write it, with parts that AWS does not read."""
    keys = "".join(
        f'<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{one}'
        "</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
        for one in certificates
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="_1" entityID="{entity}">'
        f'{more}<RoleDescriptor/><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}'
        '<SingleLogoutService Binding="urn:x" Location="https://idp.test/out"/>'
        '<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/saml2?a=1&amp;b=2"/>'
        "</IDPSSODescriptor></EntityDescriptor>"
    )
