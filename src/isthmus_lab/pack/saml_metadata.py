"""Metadata of SAML identity providers, as IAM accepts it: one entity, and the certificates that it signs with."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from lxml import etree

MOST_PROVIDERS = 100
_LEAST, _MOST = 1_000, 10_000_000
_METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_MOST_KEYS = 10


class SamlMetadataError(ValueError):
    """IAM would refuse the document, with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamlMetadata:
    """`entity_id` is the issuer; several certificates let a provider change its key without a gap."""

    entity_id: str
    certificates: tuple[x509.Certificate, ...]


def parse_xml(text: bytes) -> etree._Element:
    """A document without a DTD, entities or anything from outside; SamlMetadataError for any other."""
    try:
        root = etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SamlMetadataError("The document is not well-formed XML") from error
    about: Any = root.getroottree().docinfo
    if about.doctype or about.internalDTD is not None:
        raise SamlMetadataError("The document has a document type declaration")
    return root


def read_metadata(document: str) -> SamlMetadata:
    """What STS needs of a provider's metadata; SamlMetadataError where IAM refuses it."""
    if not _LEAST <= len(document) <= _MOST:
        raise SamlMetadataError(f"The metadata document must have {_LEAST} to {_MOST} characters")
    root = parse_xml(document.encode())
    if root.tag != f"{_METADATA}EntityDescriptor" or not root.get("entityID"):
        raise SamlMetadataError("The document is no EntityDescriptor with an entityID")
    keys = [key for key in root.findall(f"{_METADATA}IDPSSODescriptor/{_METADATA}KeyDescriptor") if key.get("use", "signing") == "signing"]
    if not 1 <= len(keys) <= _MOST_KEYS:
        raise SamlMetadataError(f"The document needs 1 to {_MOST_KEYS} signing keys")
    return SamlMetadata(entity_id=str(root.get("entityID")), certificates=tuple(_certificate(key) for key in keys))


def _certificate(key: etree._Element) -> x509.Certificate:
    found = next(key.iter(_CERTIFICATE), None)
    try:
        return x509.load_der_x509_certificate(
            base64.b64decode("".join((found.text or "").split()) if found is not None else "", validate=True)
        )
    except (ValueError, binascii.Error, x509.InvalidVersion) as error:
        raise SamlMetadataError("A signing key has no X.509 certificate that can be read") from error
