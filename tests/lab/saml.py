"""A SAML identity provider for tests: builds responses, signs them, and forges others."""

import base64
import datetime
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod, XMLSigner

ISSUER = "https://sts.windows.net/11111111-2222-3333-4444-555555555555/"
RECIPIENT = "https://signin.aws.amazon.com/saml"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
GROUPS = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"
NS = {"a": "urn:oasis:names:tc:SAML:2.0:assertion", "p": "urn:oasis:names:tc:SAML:2.0:protocol", "d": "http://www.w3.org/2000/09/xmldsig#"}


class Key:
    """A signing key with a certificate of its own; `is_expired` makes one that is long over."""

    def __init__(self, *, is_expired: bool = False) -> None:
        self._is_expired = is_expired

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        """Made when first asked for: whoever only collects tests needs none."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=-30 if self._is_expired else 30)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.private.public_key())
        builder = (
            builder.serial_number(x509.random_serial_number()).not_valid_before(end - datetime.timedelta(days=60)).not_valid_after(end)
        )
        return builder.sign(self.private, hashes.SHA256())

    @property
    def bare(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()

    def pem(self) -> tuple[str, str]:
        """Private key and certificate."""
        kind = serialization.Encoding.PEM
        private = self.private.private_bytes(kind, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return private.decode(), self.certificate.public_bytes(kind).decode()


def metadata(*keys: Key, entity_id: str = ISSUER) -> str:
    """Metadata with the certificate of each key, as long as IAM wants it."""
    info = "".join(
        f'<KeyDescriptor use="signing"><KeyInfo xmlns="{NS["d"]}"><X509Data><X509Certificate>{key.bare}</X509Certificate>'
        "</X509Data></KeyInfo></KeyDescriptor>"
        for key in keys
    )
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity_id}"><IDPSSODescriptor'
        f' protocolSupportEnumeration="{NS["p"]}">{info}<SingleSignOnService'
        ' Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/"/></IDPSSODescriptor></EntityDescriptor>'
    )


def stamp(seconds: float = 0) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion(attributes: Mapping[str, Sequence[str]], **changes: Any) -> str:
    """An assertion without signature. Changes: `id`, `issuer`, `subject`, `recipient`, `audience`, `confirmations` (their number), and
    seconds from now: `issued`, `starts`, `until`, `session_until`."""
    given = {"id": "_a1", "issuer": ISSUER, "subject": "alice@corp.test", "recipient": RECIPIENT, "audience": "urn:amazon:webservices"}
    given |= {"issued": 0, "starts": -10, "until": 300, "confirmations": 1, "session_until": None, **changes}
    until, over = stamp(given["until"]), given["session_until"]
    said = "".join(
        f'<a:Attribute Name="{name}">' + "".join(f"<a:AttributeValue>{value}</a:AttributeValue>" for value in values) + "</a:Attribute>"
        for name, values in attributes.items()
    )
    data = f'<a:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{given["recipient"]}"/>'
    confirmation = f'<a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">{data}</a:SubjectConfirmation>'
    name_id = f'<a:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{given["subject"]}</a:NameID>'
    restriction = f"<a:AudienceRestriction><a:Audience>{given['audience']}</a:Audience></a:AudienceRestriction>"
    session = f' SessionNotOnOrAfter="{stamp(over)}"' if over is not None else ""
    return (
        f'<a:Assertion xmlns:a="{NS["a"]}" ID="{given["id"]}" IssueInstant="{stamp(given["issued"])}" Version="2.0">'
        f"<a:Issuer>{given['issuer']}</a:Issuer>"
        f"<a:Subject>{name_id}{confirmation * given['confirmations']}</a:Subject>"
        f'<a:Conditions NotBefore="{stamp(given["starts"])}" NotOnOrAfter="{until}">{restriction}</a:Conditions>'
        f"<a:AttributeStatement>{said}</a:AttributeStatement>"
        f'<a:AuthnStatement AuthnInstant="{stamp()}"{session}/></a:Assertion>'
    )


def sign(
    text: str, key: Key, *, method: SignatureMethod = SignatureMethod.RSA_SHA256, digest: DigestAlgorithm = DigestAlgorithm.SHA256
) -> str:
    """An element with an ID, signed as SAML has it: the signature stands behind the issuer and covers the element."""
    root = etree.fromstring(text)
    place = etree.SubElement(root, f"{{{NS['d']}}}Signature", Id="placeholder", nsmap={"ds": NS["d"]})
    issuer = root.find("a:Issuer", NS)
    if issuer is not None:
        issuer.addnext(place)
    signer = XMLSigner(signature_algorithm=method, digest_algorithm=digest, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    signed = signer.sign(root, key=key.private, cert=[key.certificate], reference_uri=f"#{root.get('ID')}", id_attribute="ID")
    return etree.tostring(signed).decode()


def response(*parts: str, more: str = "") -> str:
    """A whole response around assertions."""
    status = '<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>'
    head = f'<p:Response xmlns:p="{NS["p"]}" ID="_r1" IssueInstant="{stamp()}" Version="2.0" Destination="{RECIPIENT}">'
    return f'{head}<a:Issuer xmlns:a="{NS["a"]}">{ISSUER}</a:Issuer>{status}{"".join(parts)}{more}</p:Response>'


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
