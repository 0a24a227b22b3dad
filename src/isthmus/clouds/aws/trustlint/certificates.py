"""Signing certificates in the metadata of a SAML provider. Source: SAML 2.0 Metadata, `KeyDescriptor` (without `use` it signs too)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from isthmus.clouds.aws.trustlint.estate import Certificate, SamlProvider

_NAMES: Final[Mapping[str, str]] = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}
_SIGNING: Final = ".//md:IDPSSODescriptor/md:KeyDescriptor"


def saml_provider(arn: str, metadata: str) -> SamlProvider:
    """A provider with what its metadata holds; what cannot be read is its `problem`."""
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(metadata.encode(), parser)
        keys = [key for key in root.findall(_SIGNING, dict(_NAMES)) if key.get("use", "signing") == "signing"]
        found = [read_certificate(node.text or "") for key in keys for node in key.iterfind(".//ds:X509Certificate", dict(_NAMES))]
    except (etree.XMLSyntaxError, ValueError) as error:
        return SamlProvider(arn=arn, problem=f"{type(error).__name__}: {str(error)[:200]}")
    if not found:
        return SamlProvider(arn=arn, problem="It names no certificate for signing.")
    return SamlProvider(arn=arn, certificates=tuple(found))


def read_certificate(text: str) -> Certificate:
    """A certificate from the base64 text of an X509Certificate element. ValueError for what is none that can be read."""
    try:
        made = x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
        key, digest = made.public_key(), made.signature_hash_algorithm
        return Certificate(
            subject=made.subject.rfc4514_string() or "nobody",
            expires_at=made.not_valid_after_utc.timestamp(),
            bits=key.key_size if isinstance(key, RSAPublicKey) else 0,
            digest=digest.name if digest else "",
            fingerprint=made.fingerprint(SHA256()).hex(),
        )
    except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise ValueError(f"it is no certificate that can be read ({type(error).__name__})") from error
