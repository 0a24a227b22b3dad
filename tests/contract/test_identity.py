"""azure-identity signs in with a secret and with a foreign issuer's token; role assignments decide what the token may do."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.identity import ClientAssertionCredential, ClientSecretCredential
from joserfc import jwt
from joserfc.jwk import RSAKey

from isthmus.keys import LocalAuthority
from tests.contract.server import Server

pytestmark = pytest.mark.e2e

DIRECTORY = "2026-11-01"
READER, CONTRIBUTOR = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c"


def sent(server: Server, method: str, path: str, body: Any = None, *, version: str = "2022-04-01", credential: Any = None) -> HttpResponse:
    """One request through the raw pipeline of a management client."""
    client = server.resources(credential)
    joined = f"{server.url}{path}{'&' if '?' in path else '?'}api-version={version}"
    return client.send_request(HttpRequest(method, joined, json=body))


def application(server: Server) -> tuple[str, str]:
    """Client id and object id of a new application."""
    made = sent(server, "POST", "/providers/Isthmus.Identity/clients", {"name": "app"}, version=DIRECTORY).json()["properties"]
    return made["clientId"], made["objectId"]


def secret_of(server: Server, client: str) -> ClientSecretCredential:
    """A credential of an application with a fresh secret."""
    text = sent(server, "POST", f"/providers/Isthmus.Identity/clients/{client}/addSecret", {}, version=DIRECTORY).json()["secret"]
    return ClientSecretCredential(server.tenant, client, text, **server.identity_options)


@dataclass
class Issuer:
    """A third party's OIDC issuer: documents over HTTPS under a CA of its own, tokens about one subject."""

    url: str
    key: RSAKey

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        standard = {
            "iss": self.url,
            "sub": "repo:acme/app",
            "aud": "api://AzureADTokenExchange",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, {**standard, **claims}, self.key)


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """The issuer, trusted by this process as a public one would be."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    authority = LocalAuthority(tmp_path / "issuer", clock=time.time)
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server_context().wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_address[1]}"
    documents["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/keys"}
    documents["/keys"] = {"keys": [key.as_dict(private=False)]}
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Issuer(url, key)
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_secret_signs_in_until_it_is_removed(server: Server) -> None:
    client, _ = application(server)
    credential = secret_of(server, client)
    token = credential.get_token(f"{server.url}/.default")
    assert token.expires_on > time.time() + 600
    (kept,) = sent(server, "GET", f"/providers/Isthmus.Identity/clients/{client}", version=DIRECTORY).json()["properties"]["secrets"]
    assert (
        sent(
            server, "POST", f"/providers/Isthmus.Identity/clients/{client}/removeSecret", {"id": kept["id"]}, version=DIRECTORY
        ).status_code
        == 204
    )
    fresh = ClientSecretCredential(server.tenant, client, credential._client_credential, **server.identity_options)
    with pytest.raises(ClientAuthenticationError, match="did not prove"):
        fresh.get_token(f"{server.url}/.default")


@pytest.mark.parametrize("scope", ["https://management.azure.com/.default", "{url}/.default", "{url}//.default"])
def test_the_scopes_that_clients_ask_for(server: Server, scope: str) -> None:
    assert server.credential.get_token(scope.replace("{url}", server.url)).token.count(".") == 2


def test_scopes_of_others_and_wrong_secrets_are_refused(server: Server) -> None:
    with pytest.raises(ClientAuthenticationError):
        server.credential.get_token("https://graph.microsoft.com/.default")
    wrong = ClientSecretCredential(server.tenant, server.client_id, "guessed", **server.identity_options)
    with pytest.raises(ClientAuthenticationError, match="did not prove"):
        wrong.get_token(f"{server.url}/.default")


@pytest.mark.parametrize("keys", ["fetched", "stored"])
def test_a_foreign_token_signs_in_without_any_secret(server: Server, issuer: Issuer, keys: str) -> None:
    client, principal = application(server)
    trusted = {"issuer": issuer.url, "subject": "repo:acme/app"}
    if keys == "stored":
        trusted["jwks"] = {"keys": [issuer.key.as_dict(private=False)]}  # type: ignore[assignment]
    added = sent(server, "POST", f"/providers/Isthmus.Identity/clients/{client}/addFederatedCredential", trusted, version=DIRECTORY)
    assert added.status_code == 200, added.text()
    group = server.group()
    scope = f"/subscriptions/{server.subscription}/resourceGroups/{group}"
    assign(server, scope, READER, principal)
    credential = ClientAssertionCredential(server.tenant, client, issuer.token, **server.identity_options)
    assert server.resources(credential).resource_groups.get(group).name == group
    for claims in ({"sub": "repo:acme/other"}, {"aud": "somebody"}, {"exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200}):
        stranger = ClientAssertionCredential(server.tenant, client, lambda claims=claims: issuer.token(**claims), **server.identity_options)
        with pytest.raises(ClientAuthenticationError):
            stranger.get_token(f"{server.url}/.default")


def assign(server: Server, scope: str, role: str, principal: str) -> str:
    """The id of a new role assignment."""
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    definition = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    made = sent(server, "PUT", path, {"properties": {"roleDefinitionId": definition, "principalId": principal}})
    assert made.status_code == 201, made.text()
    assert made.json()["id"] == path
    return path


def test_role_assignments_open_and_close_doors(server: Server) -> None:
    client, principal = application(server)
    limited = server.resources(secret_of(server, client))
    mine, other = server.group(), server.group()
    scope = f"/subscriptions/{server.subscription}/resourceGroups/{mine}"
    with pytest.raises(HttpResponseError) as stranger:
        limited.resource_groups.get(mine)
    assert (stranger.value.status_code, stranger.value.error.code) == (403, "AuthorizationFailed")
    assignment = assign(server, scope, READER, principal)
    assert limited.resource_groups.get(mine).name == mine
    for call in (lambda: limited.resource_groups.get(other), lambda: limited.resource_groups.update(mine, {"tags": {}})):
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.error.code == "AuthorizationFailed"
    assign(server, scope, CONTRIBUTOR, principal)
    assert limited.resource_groups.update(mine, {"tags": {"a": "b"}}).tags == {"a": "b"}

    listed = sent(server, "GET", f"{scope}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '{principal}'").json()[
        "value"
    ]
    assert {one["properties"]["roleDefinitionId"].rpartition("/")[2] for one in listed} == {READER, CONTRIBUTOR}
    assert sent(server, "GET", assignment).json()["properties"]["scope"] == scope
    again = sent(
        server,
        "PUT",
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}",
        {"properties": {"roleDefinitionId": READER, "principalId": principal}},
    )
    assert again.status_code == 409
    for one in listed:
        assert sent(server, "DELETE", one["id"]).status_code == 200
    assert sent(server, "DELETE", assignment).status_code == 204
    with pytest.raises(HttpResponseError):
        limited.resource_groups.get(mine)


def test_role_definitions_are_listed(server: Server) -> None:
    base = f"/subscriptions/{server.subscription}/providers/Microsoft.Authorization/roleDefinitions"
    roles = {one["properties"]["roleName"]: one["name"] for one in sent(server, "GET", base).json()["value"]}
    assert (roles["Reader"], roles["Contributor"]) == (READER, CONTRIBUTOR)
    (one,) = sent(server, "GET", f"{base}?$filter=roleName eq 'Reader'").json()["value"]
    assert one["name"] == READER
    assert sent(server, "GET", f"{base}/{READER}").json()["properties"]["roleName"] == "Reader"
