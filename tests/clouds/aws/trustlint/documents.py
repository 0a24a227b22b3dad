"""Estates with one thing in them, for tables of good and bad ones."""

from __future__ import annotations

import base64
import datetime as dt
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from isthmus.clouds.aws.trustlint.certificates import saml_provider
from isthmus.clouds.aws.trustlint.estate import AccessKey, Estate, OidcProvider, Role, User

ACCOUNT, OTHER = "111122223333", "999988887777"
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC).timestamp()
DAY = 86_400
GITHUB, PRIVATE = "token.actions.githubusercontent.com", "id.example.com"
TENANT = "0f0a5b7e-94c3-4c3e-8b5c-7d3d1c1f9a01"
ENTRA = f"login.microsoftonline.com/{TENANT}/v2.0"
CLIENT = "5b1c2f44-0000-4000-8000-00000000c11e"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/Entra"

Conditions = dict[str, Any]


def oidc_arn(issuer: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"


def role(*statements: Any, name: str = "R", path: str = "/", longest: int = 3600) -> Role:
    return Role(
        arn=f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        name=name,
        path=path,
        trust={"Version": "2012-10-17", "Statement": list(statements)},
        longest=longest,
    )


def web(issuer: str, condition: Conditions | None = None, *, effect: str = "Allow", action: Any = "sts:AssumeRoleWithWebIdentity") -> Any:
    made = {"Effect": effect, "Principal": {"Federated": oidc_arn(issuer)}, "Action": action}
    return made if condition is None else {**made, "Condition": condition}


def stamps(issuer: str) -> Any:
    return web(issuer, {"StringLike": {"sts:SourceIdentity": "?*"}}, action=["sts:TagSession", "sts:SetSourceIdentity"])


def saml(condition: Conditions | None = None, *, stamped: bool = True) -> Any:
    action = ["sts:AssumeRoleWithSAML", *(["sts:TagSession", "sts:SetSourceIdentity"] if stamped else [])]
    audience = {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}
    return {"Effect": "Allow", "Principal": {"Federated": SAML}, "Action": action, "Condition": {**audience, **(condition or {})}}


def aws(principal: Any, condition: Conditions | None = None, **more: Any) -> Any:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition or {}, **more}


def estate(*roles: Role, **more: Any) -> Estate:
    return Estate(account=ACCOUNT, roles=roles, **more)


def github(sub: Any, operator: str = "StringLike") -> Estate:
    return estate(role(web(GITHUB, {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}, operator: {f"{GITHUB}:sub": sub}})))


def private(condition: Conditions, *more: Any) -> Estate:
    """A role for people that the issuer `id.example.com` opens."""
    return estate(role(web(PRIVATE, condition), stamps(PRIVATE), *more))


def people(**changed: Any) -> Conditions:
    """Everything that a role for people should demand, with operators replaced or (None) left out."""
    made = {
        "StringEquals": {f"{PRIVATE}:aud": "aws"},
        "StringLike": {f"{PRIVATE}:sub": "user:*"},
        "ForAnyValue:StringEquals": {f"{PRIVATE}:amr": "mfa"},
        "Bool": {"sts:RoleAuthorizedByIdp": "true"},
    }
    made |= {name.replace("__", ":"): value for name, value in changed.items()}
    return {operator: keys for operator, keys in made.items() if keys is not None}


def user(*keys: AccessKey, name: str = "robot", **more: Any) -> Estate:
    return estate(users=(User(arn=f"arn:aws:iam::{ACCOUNT}:user/{name}", name=name, keys=keys, **more),))


def key(days: float, used: float | None = 1) -> AccessKey:
    return AccessKey(number=1, made_at=NOW - days * DAY, used_at=None if used is None else NOW - used * DAY)


@cache
def _signer(bits: int) -> Any:
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits) if bits else ec.generate_private_key(ec.SECP256R1())


def certificate(days: float, *, bits: int = 2048, now: float = NOW, subject: str = "idp") -> str:
    """A signing certificate in base64 that is good for so many days more; `bits` 0 makes an elliptic one."""
    signer = _signer(bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    end = dt.datetime.fromtimestamp(now + days * DAY, dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(signer.public_key())
    built = builder.serial_number(7).not_valid_before(end - dt.timedelta(days=1000)).not_valid_after(end).sign(signer, hashes.SHA256())
    return base64.encodebytes(built.public_bytes(serialization.Encoding.DER)).decode()


def metadata(*certificates: str, use: str = ' use="signing"') -> str:
    """A provider's metadata. IAM takes 1,000 characters and more."""
    keys = "".join(
        f"<KeyDescriptor{use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{one}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>"
        for one in certificates
    )
    return (
        '<?xml version="1.0"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
        f'entityID="https://sts.windows.net/{TENANT}/"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"{keys}</IDPSSODescriptor></EntityDescriptor>"
    )


def with_saml(*certificates: str) -> Estate:
    return estate(saml=(saml_provider(SAML, metadata(*certificates)),))


def unreadable(text: str) -> Estate:
    return estate(saml=(saml_provider(SAML, text),))


def with_oidc(issuer: str, *thumbprints: str) -> Estate:
    return estate(oidc=(OidcProvider(arn=oidc_arn(issuer), issuer=issuer, audiences=("aws",), thumbprints=thumbprints),))
