"""What the rules look at: an account's trust as read, and nothing that decides. Times in seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_RESERVED: Final = "/aws-reserved/"
_SERVICE_LINKED: Final = "/aws-service-role/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role with its trust policy; `longest` is the longest session in seconds."""

    arn: str
    name: str
    path: str = "/"
    trust: Mapping[str, Any] = field(default_factory=dict)
    longest: int = 3600

    @property
    def is_identity_center(self) -> bool:
        """Whether IAM Identity Center made it: nobody in the account can edit it."""
        return self.path.startswith(f"{_RESERVED}sso.amazonaws.com/") or self.name.startswith("AWSReservedSSO_")

    @property
    def is_aws_owned(self) -> bool:
        """Whether AWS writes its trust policy."""
        return self.is_identity_center or self.path.startswith((_RESERVED, _SERVICE_LINKED))


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcProvider:
    """An OIDC provider: its issuer without `https://`, the audiences that it takes, thumbprints of its server's CA."""

    arn: str
    issuer: str
    audiences: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """A certificate that signs SAML assertions. `bits` is the size of an RSA key, 0 for other kinds; `digest` is the hash of its own
    signature (sha256), empty where the kind has none; `fingerprint` is its SHA-256, hexadecimal."""

    subject: str
    expires_at: float
    bits: int = 0
    digest: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamlProvider:
    """A SAML provider with the signing certificates of its metadata; `problem` says why they could not be read, else is empty."""

    arn: str
    certificates: tuple[Certificate, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessKey:
    """An active access key of a user: its number in the credential report, its age's begin, and when it was last used (None: never)."""

    number: int
    made_at: float
    used_at: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user of the credential report; the account's root is one of them."""

    arn: str
    name: str
    has_password: bool = False
    has_mfa: bool = False
    keys: tuple[AccessKey, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether it is the account's root."""
        return self.arn.endswith(":root")


@dataclass(frozen=True, kw_only=True, slots=True)
class Estate:
    """The trust of one account."""

    account: str
    roles: tuple[Role, ...] = ()
    oidc: tuple[OidcProvider, ...] = ()
    saml: tuple[SamlProvider, ...] = ()
    users: tuple[User, ...] = ()
