"""OIDC providers of IAM by AWS's rules, for the IAM API and for CloudFormation."""

from typing import Any

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.pack.issuers import provider_url_problem

_PROVIDERS, _CLIENTS, _PRINTS = 100, 100, 5


class ProviderError(ValueError):
    """IAM refuses; with its error code and HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Providers:
    """The providers of all accounts. The ARN keeps a trailing slash of the URL, since the issuer is compared exactly."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def create(self, account: str, url: str, clients: list[str], prints: list[str], tags: list[dict[str, str]]) -> str:
        """Create a provider, answer its ARN; raises ProviderError."""
        if problem := provider_url_problem(url):
            raise ProviderError(400, "InvalidInput", problem)
        _check_lists(clients, prints)
        existing = self._adapter.iam.oidc_providers(account)
        arn = f"arn:aws:iam::{account}:oidc-provider/{url.removeprefix('https://')}"
        if arn in existing:
            raise ProviderError(409, "EntityAlreadyExists", f"Provider with url {url} already exists.")
        if len(existing) >= _PROVIDERS:
            raise ProviderError(409, "LimitExceeded", f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {_PROVIDERS}")
        record = {
            "Url": url,
            "ClientIDList": clients,
            "ThumbprintList": prints,
            "Arn": arn,
            "CreateDate": self._adapter.iam.now_text(),
            "Tags": tags,
        }
        self._adapter.iam.put_oidc_provider(account, arn, record)
        return arn

    def change(self, account: str, arn: str, clients: list[str], prints: list[str], tags: list[dict[str, str]]) -> None:
        """Replace what may change of a provider; raises ProviderError."""
        _check_lists(clients, prints)
        self._adapter.iam.put_oidc_provider(
            account, arn, {**self._get(account, arn), "ClientIDList": clients, "ThumbprintList": prints, "Tags": tags}
        )

    def add_client(self, account: str, arn: str, client: str) -> None:
        """Add an audience; adding one that is there changes nothing. Raises ProviderError."""
        record = self._get(account, arn)
        clients = [*record["ClientIDList"], *([] if client in record["ClientIDList"] else [client])]
        self.change(account, arn, clients, record["ThumbprintList"], record["Tags"])

    def delete(self, account: str, arn: str) -> None:
        """Delete a provider; a missing one is fine, as for IAM."""
        self._adapter.iam.delete_oidc_provider(account, arn)

    def for_issuer(self, account: str, issuer: str) -> dict[str, Any] | None:
        """The provider whose URL equals the issuer to the last slash."""
        return next((record for record in self._adapter.iam.oidc_providers(account).values() if record["Url"] == issuer), None)

    def _get(self, account: str, arn: str) -> dict[str, Any]:
        record = self._adapter.iam.oidc_providers(account).get(arn)
        if record is None:
            raise ProviderError(404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
        return record


def _check_lists(clients: list[str], prints: list[str]) -> None:
    if len(clients) > _CLIENTS:
        raise ProviderError(409, "LimitExceeded", f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_CLIENTS}")
    if len(prints) > _PRINTS:
        raise ProviderError(400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
    if any(not 1 <= len(client) <= 255 for client in clients):
        raise ProviderError(400, "InvalidInput", "A client id must have 1 to 255 characters.")
    if any(len(one) != 40 for one in prints):
        raise ProviderError(400, "InvalidInput", "A thumbprint must have 40 characters.")
