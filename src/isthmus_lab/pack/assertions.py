"""Verification of a SAML response the way a careful STS does it: nothing is read but the bytes that the provider signed.

One assertion, no document type, no ID twice, RSA with SHA-256, a certificate of the provider's metadata and never one that the response
brings along; the element that was signed is parsed again from its canonical bytes, so a comment cannot cut a value short. Encrypted
assertions are refused: the lab holds no decryption keys.
"""

import base64
import binascii
import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from isthmus_lab.pack.refusals import StsError
from isthmus_lab.pack.saml_metadata import SamlMetadata, SamlMetadataError, parse_xml

SKEW_SECONDS = 60
_REDEEM_SECONDS = 300
_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_AUDIENCES = frozenset({"urn:amazon:webservices", "https://signin.aws.amazon.com/saml"})
_FORMATS = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assertion:
    """What was signed. `subject_type` is the NameID's format without SAML's prefix; `session_until` epoch seconds, None without a limit."""

    id: str
    issuer: str
    subject: str
    subject_type: str
    recipient: str
    attributes: Mapping[str, tuple[str, ...]]
    session_until: float | None

    def only(self, name: str) -> str:
        """The value of an attribute with exactly one; empty when it is missing, StsError when there are more."""
        values = self.attributes.get(name, ())
        if len(values) > 1:
            raise _invalid(f"{name} must have exactly one value")
        return values[0] if values else ""


def verify(response: str, metadata: SamlMetadata, now: float) -> Assertion:
    """Check a base64 SAML response against a provider's metadata at a moment (epoch seconds); StsError for whatever STS refuses."""
    try:
        root = parse_xml(base64.b64decode("".join(response.split()), validate=True))
    except (binascii.Error, ValueError, SamlMetadataError) as error:
        raise _invalid(f"Invalid SAML response: {error}") from error
    _check_shape(root)
    assertion = _signed_assertion(root, metadata.certificates)
    issuer = _text(assertion.find(f"{_SAML}Issuer"))
    if issuer != metadata.entity_id:
        raise _invalid("Issuer not present in specified provider")
    recipient = _check_confirmation(assertion, now)
    _check_conditions(assertion, now)
    name = assertion.find(f"{_SAML}Subject/{_SAML}NameID")
    if name is None or not _text(name):
        raise _invalid("The assertion has no NameID")
    statement = assertion.find(f"{_SAML}AuthnStatement")
    if statement is None:
        raise _invalid("The assertion has no AuthnStatement")
    return Assertion(
        id=str(assertion.get("ID")),
        issuer=issuer,
        subject=_text(name),
        subject_type=str(name.get("Format") or "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified").removeprefix(_FORMATS),
        recipient=recipient,
        attributes=_attributes(assertion),
        session_until=_moment(statement, "SessionNotOnOrAfter", is_needed=False),
    )


def _check_shape(root: etree._Element) -> None:
    """What must hold of the whole document before a signature is looked at."""
    found = [one for one in root.iter() if isinstance(one.tag, str) and etree.QName(one).localname in ("Assertion", "EncryptedAssertion")]
    if root.tag != f"{_PROTOCOL}Response" or len(found) != 1 or found[0].tag != f"{_SAML}Assertion" or found[0].getparent() is not root:
        raise _invalid("A SAML response must hold exactly one assertion, not encrypted")
    ids = Counter(value for one in root.iter() for name, value in one.attrib.items() if str(name).lower() == "id")
    if any(count > 1 for count in ids.values()):
        raise _invalid("An ID stands twice in the SAML response")
    status = root.find(f"{_PROTOCOL}Status/{_PROTOCOL}StatusCode")
    if status is None or status.get("Value") != _SUCCESS:
        raise _invalid("The SAML response does not tell of a success")


def _signed_assertion(root: etree._Element, certificates: Sequence[x509.Certificate]) -> etree._Element:
    """The assertion as it was signed, itself or with the response around it."""
    inner = root.find(f"{_SAML}Assertion/{_SIGNATURE}") is not None
    if not inner and root.find(_SIGNATURE) is None:
        raise _invalid("Response signature invalid: neither response nor assertion is signed")
    problem: Exception | None = None
    for certificate in certificates:
        rule = SignatureConfiguration(
            location=f"./{_SAML}Assertion/" if inner else "./",
            expect_references=1,
            signature_methods=frozenset({SignatureMethod.RSA_SHA256}),
            digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
            # IAM takes no notice of a certificate's expiry.
            verification_time=certificate.not_valid_before_utc,
        )
        try:
            found = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=rule)
        except (SignXMLException, etree.LxmlError, ValueError) as error:
            problem = error
            continue
        node = found.signed_xml if not isinstance(found, list) else None
        assertion = node if node is None or node.tag == f"{_SAML}Assertion" else node.find(f"{_SAML}Assertion")
        whole = root.find(f"{_SAML}Assertion")
        if assertion is None or whole is None or assertion.get("ID") != whole.get("ID") or not assertion.get("ID"):
            raise _invalid("The signature does not cover the assertion")
        return assertion
    raise _invalid("Response signature invalid") from problem


def _check_confirmation(assertion: etree._Element, now: float) -> str:
    """The recipient of the only confirmation."""
    found = assertion.findall(f"{_SAML}Subject/{_SAML}SubjectConfirmation/{_SAML}SubjectConfirmationData")
    if len(found) != 1:
        raise _invalid("The assertion needs exactly one SubjectConfirmationData")
    recipient = str(found[0].get("Recipient"))
    host = recipient.removeprefix("https://").removesuffix("/saml")
    if recipient != f"https://{host}/saml" or not (host == "signin.aws.amazon.com" or _is_regional(host)):
        raise _invalid("The Recipient is no sign-in endpoint of AWS")
    issued, until = _moment(assertion, "IssueInstant"), _moment(found[0], "NotOnOrAfter")
    assert issued is not None
    assert until is not None
    if now >= until + SKEW_SECONDS or now > issued + _REDEEM_SECONDS + SKEW_SECONDS:
        raise StsError("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
    if issued > now + SKEW_SECONDS:
        raise _invalid("The assertion was issued in the future")
    return recipient


def _is_regional(host: str) -> bool:
    region = host.removesuffix(".signin.aws.amazon.com")
    return region != host and region.replace("-", "").isalnum()


def _check_conditions(assertion: etree._Element, now: float) -> None:
    found = assertion.findall(f"{_SAML}Conditions")
    if len(found) != 1:
        raise _invalid("The assertion needs exactly one Conditions")
    start, end = _moment(found[0], "NotBefore", is_needed=False), _moment(found[0], "NotOnOrAfter", is_needed=False)
    if start is not None and start > now + SKEW_SECONDS:
        raise _invalid("The assertion is not valid yet")
    if end is not None and now >= end + SKEW_SECONDS:
        raise StsError("ExpiredTokenException", "The conditions of the assertion are past")
    for restriction in found[0].findall(f"{_SAML}AudienceRestriction"):
        if not any(_text(one) in _AUDIENCES for one in restriction.findall(f"{_SAML}Audience")):
            raise _invalid("The assertion is meant for another audience")


def _attributes(assertion: etree._Element) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in assertion.findall(f"{_SAML}AttributeStatement/{_SAML}Attribute"):
        name = str(one.get("Name"))
        found[name] = (*found.get(name, ()), *(_text(value) for value in one.findall(f"{_SAML}AttributeValue")))
    return found


def _text(element: etree._Element | None) -> str:
    """All text of an element, comments left out and what stands behind them not."""
    return "" if element is None else str(element.xpath("string()")).strip()


def _moment(element: etree._Element, name: str, *, is_needed: bool = True) -> float | None:
    text = element.get(name)
    if text is None and not is_needed:
        return None
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _invalid(f"{name} is missing or no date") from error
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def _invalid(message: str) -> StsError:
    return StsError("InvalidIdentityToken", message)
