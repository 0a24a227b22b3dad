"""The token endpoint without HTTP: a form goes in, an answer or an OAuthError comes out.

One grant, client_credentials, with four ways to prove who asks: a client secret, an assertion by the client's registered key (RFC 7523),
a token of an issuer that the client trusts, and an assertion by a machine's registered key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from isthmus.arm.errors import ArmError
from isthmus.identity import oauth
from isthmus.identity.assertions import spender
from isthmus.identity.clients import Client, find_client, is_client_id
from isthmus.identity.documents import ALIASES, token_url
from isthmus.identity.federation import FederatedCredential, IssuerKeys, KeysUnavailable, list_federated
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import Parsed, Refused, VerificationKey, key_of_pem, key_of_pkcs1, keys_of_jwks, parse, signature_holds
from isthmus.identity.oauth import OAuthError, bad_request, unknown_client
from isthmus.identity.secrets import list_secrets, match_secret
from isthmus.identity.trust import CLIENT_ASSERTION, FEDERATED_TOKEN, MACHINE_ASSERTION, Context, verify, verify_with_key
from isthmus.store import Store
from isthmus.store.tables import registrations

LIFETIME = 3600
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# SDKs that were not told our audience ask for Azure's; all of them get a token for this API and for nothing else.
_ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
_IDLE_SCOPES = frozenset({"openid", "profile", "offline_access"})
_NOT_KNOWN = "The client is not known, or did not prove that it is the one it names."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proven:
    """Who proved to be who: the claims of the token are made of this."""

    object_id: str
    client_id: str
    kind: str
    more: Mapping[str, str] = field(default_factory=dict)


class TokenEndpoint:
    """Answers `POST /{tenant}/oauth2/v2.0/token`. `public_url` has no trailing slash and is the audience of every token it gives."""

    def __init__(
        self,
        store: Store,
        issuer: Issuer,
        *,
        tenant: str,
        public_url: str,
        clock: Callable[[], float],
        foreign: IssuerKeys,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._tenant = tenant
        self._public_url = public_url
        self._clock = clock
        self._foreign = foreign
        addresses = (token_url(public_url, segment) for segment in (tenant, *ALIASES))
        self._own_audiences = frozenset((issuer.url, *addresses))

    def answer(self, form: Mapping[str, str], *, asked: str = "") -> dict[str, Any]:
        """token_type, expires_in, ext_expires_in (seconds) and access_token; OAuthError otherwise.

        `form` holds each parameter once: the caller refuses repeated ones (RFC 6749 3.2). `asked` is the tenant segment of the URL.
        """
        self.require_tenant(asked)
        grant = _wanted(form, "grant_type")
        if grant != "client_credentials":
            message = "Clients use the grant type client_credentials. People sign in to the portal, or with 'isthmus login'."
            raise OAuthError("unsupported_grant_type", message, code=oauth.UNSUPPORTED_GRANT)
        self.require_resource(form)
        return self._answered(self._prove(form, _wanted(form, "client_id")))

    def require_tenant(self, asked: str) -> None:
        """OAuthError unless the tenant segment of a URL is empty, ours, or stands for whatever tenant this is."""
        if asked and asked.lower() not in ALIASES | {self._tenant.lower()}:
            raise bad_request(
                f"This installation has one tenant, '{self._tenant}', and it is not the one that was asked for.", oauth.UNKNOWN_TENANT
            )

    def _answered(self, proven: _Proven, lifetime: int = LIFETIME) -> dict[str, Any]:
        claims = {
            "aud": self._public_url,
            "sub": proven.object_id,
            "oid": proven.object_id,
            "tid": self._tenant,
            "azp": proven.client_id,
            "appid": proven.client_id,
            "idtyp": proven.kind,
            "ver": "2.0",
            **proven.more,
        }
        token = self._issuer.mint(claims, lifetime, typ="at+jwt")
        return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def for_person(
        self, object_id: str, name: str, *, client_id: str = "isthmus-link", sign_in: str = "", until: int | None = None
    ) -> dict[str, Any]:
        """The same answer for a person who has signed in by other means (a single-use link, a session); `client_id` says through what,
        `sign_in` by which sign-in of a provider, `until` (ms) when that is over: the token is not good for longer."""
        more = {"preferred_username": name, **({"sid": sign_in} if sign_in else {})}
        lifetime = LIFETIME if until is None else max(0, min(LIFETIME, int(until / 1000 - self._clock())))
        return self._answered(_Proven(object_id=object_id, client_id=client_id, kind="user", more=more), lifetime)

    def require_resource(self, form: Mapping[str, str]) -> None:
        """OAuthError unless a token for this API is wanted, or nothing is said of it.

        `scope` is `<audience>/.default` (an audience ending in a slash gives two), `resource` the older spelling; neither is ours.
        """
        scopes = [scope for scope in form.get("scope", "").split() if scope not in _IDLE_SCOPES]
        if len(scopes) > 1 or any(not scope.endswith("/.default") for scope in scopes):
            message = f"The scope must be one audience followed by '/.default', for example '{self._public_url}/.default'."
            raise OAuthError("invalid_scope", message, code=oauth.BAD_SCOPE)
        wanted = scopes[0].removesuffix("/.default") if scopes else form.get("resource", "")
        accepted = {"", self._public_url, *_ARM_AUDIENCES}
        if wanted.rstrip("/") not in accepted:
            message = f"Tokens are given for '{self._public_url}' only, and another resource was asked for."
            raise OAuthError("invalid_resource", message, code=oauth.UNKNOWN_RESOURCE)

    def _prove(self, form: Mapping[str, str], client_id: str) -> _Proven:
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        if secret and assertion:
            raise bad_request("Send either client_secret or client_assertion, not both.")
        if secret:
            return self._by_secret(client_id, secret)
        if not assertion:
            raise bad_request("client_secret or client_assertion is missing.", oauth.MISSING_PARAMETER)
        if form.get("client_assertion_type") != JWT_BEARER:
            raise bad_request(f"client_assertion_type must be '{JWT_BEARER}'.")
        if not is_client_id(client_id):
            raise unknown_client(_NOT_KNOWN, oauth.BAD_ASSERTION)
        try:
            return self._by_assertion(client_id, assertion, parse(assertion))
        except Refused as error:
            raise unknown_client(f"The client assertion was refused: {error}.", oauth.BAD_ASSERTION) from None
        except ArmError as error:
            if error.status != 401:
                raise
            raise unknown_client(error.message, oauth.BAD_ASSERTION) from None

    def _by_secret(self, client_id: str, text: str) -> _Proven:
        with self._store.read() as connection:
            client = find_client(connection, client_id)
            present = list_secrets(connection, client_id) if client else []
        match = match_secret(present, text)
        if client is None or match is None:
            raise unknown_client(_NOT_KNOWN, oauth.BAD_SECRET)
        if match.expires_at <= self._clock() * 1000:
            raise unknown_client("The client secret has expired. Add a new one to the client.", oauth.EXPIRED_SECRET)
        return _application(client)

    def _by_assertion(self, client_id: str, assertion: str, parsed: Parsed) -> _Proven:
        with self._store.read() as connection:
            client = find_client(connection, client_id)
            machine = _registration(connection, client_id) if client is None else None
            trusted = list_federated(connection, client_id) if client else []
        if machine is not None:
            return self._by_machine(client_id, assertion, parsed, machine)
        if client is None:
            raise unknown_client(_NOT_KNOWN, oauth.BAD_ASSERTION)
        if parsed.claims.get("iss") == client_id:
            return self._by_own_key(client, assertion, parsed)
        return self._by_federation(client, trusted, assertion, parsed)

    def _by_own_key(self, client: Client, assertion: str, parsed: Parsed) -> _Proven:
        keys = _own_keys(client)
        _refuse_strangers(parsed, keys)
        with self._store.begin() as connection:
            again = find_client(connection, client.client_id)
            keys = _own_keys(again) if again else ()
            verify(CLIENT_ASSERTION, assertion, self._about(client.client_id, keys, connection))
        return _application(client)

    def _by_federation(self, client: Client, trusted: list[FederatedCredential], assertion: str, parsed: Parsed) -> _Proven:
        said = (parsed.claims.get("iss"), parsed.claims.get("sub"))
        match = next((credential for credential in trusted if (credential.issuer, credential.subject) == said), None)
        if match is None:
            message = (
                "No federated credential of the client names both the issuer and the subject of the assertion. They are compared exactly."
            )
            raise unknown_client(message, oauth.NO_FEDERATION)
        context = Context(
            now=self._clock(),
            keys=self._foreign_keys(match, str(parsed.header.get("kid", ""))),
            issuer=match.issuer,
            subject=match.subject,
            audiences=frozenset({match.audience}),
        )
        verify(FEDERATED_TOKEN, assertion, context)
        return _application(client)

    def _foreign_keys(self, credential: FederatedCredential, kid: str) -> tuple[VerificationKey, ...]:
        if credential.jwks is not None:
            return keys_of_jwks(_stored(credential.jwks))
        try:
            return self._foreign.keys(credential.issuer, kid)
        except KeysUnavailable as error:
            message = f"The keys of the assertion's issuer are not available: {error}. Try again later."
            raise OAuthError("temporarily_unavailable", message, code=oauth.UNAVAILABLE, status=503) from None

    def _by_machine(self, client_id: str, assertion: str, parsed: Parsed, row: RowMapping) -> _Proven:
        """First use of the next key commits it and forgets the old one, in the transaction that spends the assertion.

        The signature is checked once before, so that strangers never make the database wait.
        """
        _refuse_strangers(parsed, _machine_keys(row))
        with self._store.begin() as connection:
            again = _registration(connection, client_id, locked=True)
            if again is not None and again["state"] in ("removed", "left"):
                # 410 tells the agent, which has just proven its key, to forget this identity instead of asking for ever.
                raise OAuthError("invalid_client", "The machine was removed. Onboard it again.", code=oauth.BAD_ASSERTION, status=410)
            if again is None or again["state"] != "enrolled" or not _is_ahead(again["expires_at"], self._clock()):
                raise unknown_client("The machine is not enrolled, or its registration has expired. Onboard it again.", oauth.BAD_ASSERTION)
            keys = _machine_keys(again)
            _, used = verify_with_key(MACHINE_ASSERTION, assertion, self._about(client_id, keys, connection))
            if used.kid == "next":
                _commit_next_key(connection, again)
        more = {"xms_mirid": str(again["resource_id"])}
        return _Proven(object_id=again["principal_id"], client_id=client_id, kind="machine", more=more)

    def _about(self, client_id: str, keys: tuple[VerificationKey, ...], connection: Connection) -> Context:
        return Context(
            now=self._clock(),
            keys=keys,
            issuer=client_id,
            subject=client_id,
            audiences=self._own_audiences,
            spend=spender(connection, self._clock),
        )


def _wanted(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise bad_request(f"The parameter '{name}' is missing.", oauth.MISSING_PARAMETER)
    return value


def _application(client: Client) -> _Proven:
    return _Proven(object_id=client.object_id, client_id=client.client_id, kind="app", more={"app_displayname": client.name})


def _own_keys(client: Client) -> tuple[VerificationKey, ...]:
    return (key_of_pem(client.public_key),) if client.public_key else ()


def _registration(connection: Connection, client_id: str, *, locked: bool = False) -> RowMapping | None:
    found = select(registrations).where(registrations.c.vm_id == client_id)
    return connection.execute(found.with_for_update() if locked else found).mappings().one_or_none()


def _machine_keys(row: RowMapping) -> tuple[VerificationKey, ...]:
    """Ids tell the two keys apart; they never come from a token."""
    texts = (("current", row["public_key"]), ("next", row["next_public_key"]))
    return tuple(VerificationKey(kid=kid, alg="RS256", key=key_of_pkcs1(text).key) for kid, text in texts if text)


def _commit_next_key(connection: Connection, row: RowMapping) -> None:
    values = {"public_key": row["next_public_key"], "key_hash": row["next_key_hash"], "next_public_key": None, "next_key_hash": None}
    connection.execute(update(registrations).where(registrations.c.vm_id == row["vm_id"]).values(**values))


def _refuse_strangers(parsed: Parsed, keys: tuple[VerificationKey, ...]) -> None:
    if not any(signature_holds(parsed, key) for key in keys):
        raise Refused("its signature does not verify with the registered key")


def _is_ahead(expires_at: int | None, now: float) -> bool:
    return expires_at is not None and expires_at > now * 1000


def _stored(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document
