"""Programs whose accounts give roles to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.stack import Stack
from tests.support.openid import OpenIdProvider

REGIONS_ONLY = {"Effect": "Allow", "Action": ["ec2:DescribeRegions"], "Resource": ["*"]}
READER = {"groups": ["g-dev"], "statements": [REGIONS_ONLY]}


@contextmanager
def people_estate(
    folder: Path, provider: OpenIdProvider, users: Mapping[str, Any], mappings: Mapping[str, Mapping[str, Any]], **settings: str
) -> Iterator[Stack]:
    """A server whose people are `users` of the provider, and an account whose stack stands, with a role for each mapping. `settings` by
    their names without ISTHMUS_."""
    named = {"OIDC_ISSUER": provider.issuer, "OIDC_CLIENT_ID": "isthmus", "OIDC_CA_FILE": str(provider.ca), **settings}
    variables = {f"ISTHMUS_{name}": value for name, value in named.items()}
    with Stack(folder, estate=False, settings=variables) as stack:
        client = {
            "client_id": "isthmus",
            "redirect_uris": [f"{stack.url}/sign-in/callback"],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": "none",
        }
        provider.set(clients=[client], users=users, thin=False)
        give_roles(stack, {}, mappings)
        yield stack


def give_roles(stack: Stack, settings: Mapping[str, str], mappings: Mapping[str, Mapping[str, Any]]) -> None:
    """Connect the account and bring people in: the solution with its settings, the mappings, and the stack of the template of both."""
    stack.connect()
    stack.configure("access", "Isthmus.Access", settings)
    for name, properties in mappings.items():
        stack.client.put(f"{stack.connector}/providers/Isthmus.Access/roleMappings/{name}", {"properties": dict(properties)})
    stack.deploy(stack.client.post(f"{stack.connector}/explainTemplate").body["text"])
