"""Directories that vouch for people in an account itself, without our tokens: what a template has to know of one.

Sources: Entra ID, "Access tokens" (issuers of versions 1 and 2, and that `amr` stands in the former alone) and "SAML tokens"; IAM, "Create
OIDC and SAML identity providers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

OIDC, SAML, CLAIMS = "oidc", "saml", "claims"
"""Tokens of the directory, assertions of it, and tokens into which Isthmus put groups, roles and identity while they were issued."""
Mode = Literal["oidc", "saml", "claims"]

_TENANT: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ENTRA: Final = re.compile(
    r"https://(?:login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn)|sts\.windows\.net)(?:/.*)?", re.IGNORECASE
)
_VERSION_2: Final = re.compile(rf"https://login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn)/{_TENANT}/v2\.0")
_VERSION_1: Final = re.compile(rf"https://sts\.windows\.net/{_TENANT}/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """One directory. `issuer_url` is what its tokens name, to the last slash; `entity_id` and `metadata` (distilled) are of SAML;
    `client_id` is the application of all roles and `audience` that of the directory's calls to us, in the mode claims alone.

    Raises ValueError for an issuer that IAM would not take, or that no token of Entra names.
    """

    mode: Mode
    issuer_url: str = ""
    client_id: str = ""
    entity_id: str = ""
    metadata: str = ""
    audience: str = ""

    def __post_init__(self) -> None:
        if self.mode == SAML:
            if not self.entity_id or not self.metadata:
                raise ValueError("The mode saml needs the metadata of the directory.")
            return
        check_directory_issuer(self.issuer_url)
        if self.mode == CLAIMS and not self.client_id:
            raise ValueError("The mode claims needs the client id of the application by which people come.")

    @property
    def issuer(self) -> str:
        """The issuer as condition keys begin: without its scheme."""
        return self.issuer_url.removeprefix("https://")

    @property
    def is_entra(self) -> bool:
        """Whether it is a tenant of Entra ID."""
        return _ENTRA.fullmatch(self.issuer_url) is not None

    @property
    def tells_methods(self) -> bool:
        """Whether tokens say how somebody signed in (`amr`): Entra's do in version 1 alone, SAML has no such key."""
        return self.mode != SAML and not _VERSION_2.fullmatch(self.issuer_url)


def check_issuer(url: str) -> None:
    """IAM's rules for a provider URL: https, no port, no query, at most 255 characters. ValueError."""
    parts = urlsplit(url)
    plain = re.fullmatch(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/-]*)?", url)
    if not plain or parts.port or len(url) > 255:
        raise ValueError(f"AWS takes an https issuer URL without port and query, at most 255 characters; got {url[:300]!r}.")


def check_directory_issuer(url: str) -> None:
    """As `check_issuer`; of Entra only what its tokens can name, since a slash too many lets nobody in. ValueError."""
    check_issuer(url)
    if _ENTRA.fullmatch(url) and not _VERSION_1.fullmatch(url) and not _VERSION_2.fullmatch(url):
        raise ValueError(
            "Entra's issuers are https://login.microsoftonline.com/TENANT/v2.0 without a slash at the end (version 2) and "
            f"https://sts.windows.net/TENANT/ with one (version 1), TENANT being the tenant's id in lower case; got {url[:300]!r}."
        )
