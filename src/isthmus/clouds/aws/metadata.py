"""Metadata of SAML identity providers: checked as IAM does and more strictly, and distilled to what AWS reads of it.

What is distilled fits a CloudFormation template, which whole metadata of Entra (with WS-Federation's parts and a signature) often does not.
Sources: IAM API, CreateSAMLProvider (1,000 to 10,000,000 characters, 10 keys); SAML 2.0 Metadata, 2.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from isthmus.clouds.aws.trustlint.certificates import read_certificate
from isthmus.clouds.aws.trustlint.estate import Certificate

LEAST, MOST = 1_000, 10_000_000
MOST_KEYS: Final = 10
_MD: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
_LONGEST_ID: Final = 1_024


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A signing certificate as base64 without blanks, and what stands in it."""

    text: str
    certificate: Certificate


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """One identity provider. `endpoints` are (binding, location) of its sign-in."""

    entity_id: str
    keys: tuple[SigningKey, ...]
    endpoints: tuple[tuple[str, str], ...]

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The signing certificates, in the document's order."""
        return tuple(key.certificate for key in self.keys)


def read_metadata(document: str) -> Metadata:
    """What a document holds. ValueError with a sentence for what IAM would refuse, and for document types and unreadable certificates."""
    if not LEAST <= len(document) <= MOST:
        raise ValueError(f"SAML metadata has {LEAST:,} to {MOST:,} characters; this has {len(document):,}.")
    root = _root(document)
    if root.tag == f"{{{_MD}}}EntitiesDescriptor":
        raise ValueError("The document describes several providers; AWS takes one EntityDescriptor.")
    entity_id = (root.get("entityID") or "").strip()
    if root.tag != f"{{{_MD}}}EntityDescriptor" or not entity_id or len(entity_id) > _LONGEST_ID:
        raise ValueError("The document is no EntityDescriptor of SAML 2.0 with an entityID.")
    described = root.findall(f"{{{_MD}}}IDPSSODescriptor")
    if len(described) != 1:
        raise ValueError("The document needs exactly one IDPSSODescriptor: the metadata of an identity provider.")
    found = [key for key in described[0].findall(f"{{{_MD}}}KeyDescriptor") if key.get("use", "signing") == "signing"]
    keys = tuple({key.certificate.fingerprint: key for one in found for key in _keys(one)}.values())
    if not keys:
        raise ValueError("The document names no certificate for signing.")
    if len(keys) > MOST_KEYS:
        raise ValueError(f"The document has {len(keys)} signing certificates, AWS takes {MOST_KEYS}.")
    endpoints = tuple((one.get("Binding", ""), one.get("Location", "")) for one in described[0].findall(f"{{{_MD}}}SingleSignOnService"))
    if not endpoints or not all(binding and location.startswith(("https://", "http://")) for binding, location in endpoints):
        raise ValueError("The document needs a SingleSignOnService with a Binding and a Location that is an address.")
    return Metadata(entity_id=entity_id, keys=keys, endpoints=endpoints)


def written(entity_id: str, keys: Sequence[SigningKey], endpoints: Sequence[tuple[str, str]]) -> str:
    """The shortest document that says this, as long as IAM wants it; reading and writing it again changes nothing."""
    own: Any = {None: _MD}
    signed: Any = {None: _DS}
    root = etree.Element(f"{{{_MD}}}EntityDescriptor", nsmap=own, entityID=entity_id)
    below = etree.SubElement(root, f"{{{_MD}}}IDPSSODescriptor", protocolSupportEnumeration=_PROTOCOL)
    for key in keys:
        holder = etree.SubElement(below, f"{{{_MD}}}KeyDescriptor", use="signing")
        info = etree.SubElement(holder, f"{{{_DS}}}KeyInfo", nsmap=signed)
        etree.SubElement(etree.SubElement(info, f"{{{_DS}}}X509Data"), f"{{{_DS}}}X509Certificate").text = key.text
    for binding, location in endpoints:
        etree.SubElement(below, f"{{{_MD}}}SingleSignOnService", Binding=binding, Location=location)
    lacks = LEAST - len(etree.tostring(root, encoding="unicode"))
    below.tail = " " * lacks if lacks > 0 else None
    return etree.tostring(root, encoding="unicode")


def distilled(document: str) -> str:
    """A document reduced to what AWS reads. ValueError as `read_metadata`."""
    found = read_metadata(document)
    return written(found.entity_id, found.keys, found.endpoints)


def joined(present: str, coming: str) -> str:
    """Metadata with the certificates of both documents, the present ones first; sign-in is where the coming one says.

    ValueError where they are of different providers, or have more certificates than AWS takes.
    """
    old, new = read_metadata(present), read_metadata(coming)
    if old.entity_id != new.entity_id:
        raise ValueError(f"The metadata is of another provider: its entityID is {new.entity_id}, not {old.entity_id}.")
    keys = tuple({key.certificate.fingerprint: key for key in (*old.keys, *new.keys)}.values())
    if len(keys) == len(old.keys):
        raise ValueError("The metadata brings no certificate that is not there already.")
    if len(keys) > MOST_KEYS:
        raise ValueError(f"Together these are {len(keys)} signing certificates, AWS takes {MOST_KEYS}; retire one first.")
    return written(old.entity_id, keys, new.endpoints)


def without(document: str, fingerprint: str) -> str:
    """Metadata without a certificate, by its SHA-256 in hexadecimal, colons and case ignored. ValueError where it is not there, or is the
    last one."""
    found, wanted = read_metadata(document), fingerprint.replace(":", "").strip().lower()
    kept = [key for key in found.keys if key.certificate.fingerprint != wanted]
    if len(kept) == len(found.keys):
        known = ", ".join(key.certificate.fingerprint for key in found.keys)
        raise ValueError(f"No certificate has the fingerprint '{fingerprint[:100]}'. There are: {known}.")
    if not kept:
        raise ValueError("It is the only certificate: without it nobody signs in. Add the next one first.")
    return written(found.entity_id, kept, found.endpoints)


def _root(document: str) -> etree._Element:
    try:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
        )
        root = etree.fromstring(document.strip().encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ValueError(f"The document is no well-formed XML: {str(error)[:200]}") from error
    about: Any = root.getroottree().docinfo
    if about.doctype or about.internalDTD is not None:
        raise ValueError("The document has a DOCTYPE, which metadata never needs.")
    return root


def _keys(descriptor: etree._Element) -> list[SigningKey]:
    found = []
    for node in descriptor.iterfind(f".//{{{_DS}}}X509Certificate"):
        text = "".join((node.text or "").split())
        try:
            found.append(SigningKey(text=text, certificate=read_certificate(text)))
        except ValueError as error:
            raise ValueError("A signing certificate of the document cannot be read.") from error
    if not found:
        raise ValueError("A signing key of the document has no certificate.")
    return found
