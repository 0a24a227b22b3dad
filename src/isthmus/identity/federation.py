"""Federated credentials: a client signs in with a token of an issuer that is not ours, and stores nothing.

A credential names issuer, subject and one audience, all compared exactly. The issuer's keys are stored with it or fetched from the issuer.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, select

from isthmus.arm.errors import ArmError, conflict, invalid
from isthmus.identity.clients import get_client, random_id
from isthmus.identity.jws import VerificationKey, keys_of_jwks, with_kid
from isthmus.store.dialect import insert_new
from isthmus.store.tables import federated_credentials

DEFAULT_AUDIENCE = "api://AzureADTokenExchange"
MAX_CREDENTIALS = 20
_MAX_TEXT = 512
_MAX_DOCUMENT = 262_144

Fetch = Callable[[str], bytes]


class KeysUnavailable(Exception):
    """The issuer's documents could not be fetched or are not what they should be; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FederatedCredential:
    """Whom a client trusts to speak for it. `jwks` is a JWK Set as JSON text, None when the keys are fetched."""

    id: str
    client_id: str
    issuer: str
    subject: str
    audience: str
    jwks: str | None


def add_federated(
    connection: Connection,
    client_id: str,
    *,
    issuer: str,
    subject: str,
    audience: str = DEFAULT_AUDIENCE,
    jwks: Mapping[str, Any] | None = None,
    identifier: Callable[[], str] = random_id,
) -> FederatedCredential:
    """Let tokens of `issuer` about `subject` sign in as the client. ArmError 400 for unusable input, 409 for a double or a 21st."""
    get_client(connection, client_id)
    for name, value in (("issuer", issuer), ("subject", subject), ("audience", audience)):
        if not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
            raise invalid(f"The {name} of a federated credential has 1 to {_MAX_TEXT} printable characters.", target=name)
    if not _is_https(issuer):
        raise invalid("The issuer of a federated credential is an https URL without user, query and fragment.", target="issuer")
    if jwks is not None and not _usable(jwks):
        raise invalid(
            "The keys of a federated credential are a JWK Set with at least one RSA or P-256 key that has a 'kid'.", target="jwks"
        )
    if len(list_federated(connection, client_id)) >= MAX_CREDENTIALS:
        raise conflict(f"Client '{client_id}' has {MAX_CREDENTIALS} federated credentials already.", target=client_id)
    made = FederatedCredential(
        id=identifier(),
        client_id=client_id,
        issuer=issuer,
        subject=subject,
        audience=audience,
        jwks=None if jwks is None else json.dumps(dict(jwks)),
    )
    row = {name: getattr(made, name) for name in ("id", "client_id", "issuer", "subject", "audience", "jwks")}
    if not insert_new(connection, federated_credentials, row):
        raise conflict(f"Client '{client_id}' trusts this subject of this issuer already.", target=client_id, code="CredentialExists")
    return made


def list_federated(connection: Connection, client_id: str) -> list[FederatedCredential]:
    """The federated credentials of a client, by id."""
    chosen = federated_credentials.c.client_id == client_id
    rows = connection.execute(select(federated_credentials).where(chosen).order_by(federated_credentials.c.id)).mappings()
    return [FederatedCredential(**row) for row in rows]


def remove_federated(connection: Connection, client_id: str, credential_id: str) -> None:
    """Remove one; ArmError 404 `CredentialNotFound`."""
    chosen = (federated_credentials.c.client_id == client_id) & (federated_credentials.c.id == credential_id)
    if connection.execute(delete(federated_credentials).where(chosen)).rowcount != 1:
        message = f"Client '{client_id}' has no federated credential '{credential_id}'."
        raise ArmError("CredentialNotFound", message, status=404, target=credential_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    at: float
    keys: tuple[VerificationKey, ...] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    was_sought: bool = False


class IssuerKeys:
    """Documents and keys of foreign issuers, fetched over https and kept for `lifetime` seconds; at most `capacity` issuers.

    `fetch(url)` returns a body or raises OSError; it must verify TLS, follow no redirect, and give up in time. Only issuers that operators
    named are ever asked. An unknown kid asks the issuer again: at once when the keys were fetched for another reason, since a rotation may
    follow any fetch; otherwise an issuer is asked at most once in `patience` seconds. One caller asks at a time: others who need the same
    answer wait for it. `addresses` are key sets that operators named themselves, by issuer: no configuration is read for those.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float],
        *,
        lifetime: float = 3600.0,
        patience: float = 60.0,
        capacity: int = 64,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lifetime = lifetime
        self._patience = patience
        self._capacity = capacity
        self._addresses = dict(addresses or {})
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._flights: dict[str, Future[_Known]] = {}
        self._lock = threading.Lock()

    def keys(self, issuer: str, kid: str) -> tuple[VerificationKey, ...]:
        """The issuer's keys, hopefully with `kid` among them; KeysUnavailable when they cannot be had."""
        return self._find(issuer, kid).keys

    def configuration(self, issuer: str) -> Mapping[str, Any]:
        """The issuer's discovery document (OpenID Connect Discovery 4.2), which names this very issuer; KeysUnavailable otherwise."""
        return self._find(issuer, None).configuration

    def _find(self, issuer: str, kid: str | None) -> _Known:
        with self._lock:
            known = self._known.get(issuer)
            flight, is_mine = None, False
            if known is None or self._is_stale(known, kid):
                is_mine = issuer not in self._flights
                flight = self._flights.setdefault(issuer, Future())
        if flight is not None:
            known = self._lead(issuer, flight, is_sought=known is not None and self._lacks(known, kid)) if is_mine else flight.result()
        assert known is not None
        if known.failure:
            raise KeysUnavailable(known.failure)
        return known

    def _is_stale(self, known: _Known, kid: str | None) -> bool:
        age, lacks = self._clock() - known.at, self._lacks(known, kid)
        if lacks and not known.was_sought:
            return True
        return age >= self._patience and (age >= self._lifetime or bool(known.failure) or lacks)

    @staticmethod
    def _lacks(known: _Known, kid: str | None) -> bool:
        return kid is not None and not known.failure and with_kid(known.keys, kid) is None

    def _lead(self, issuer: str, flight: Future[_Known], *, is_sought: bool) -> _Known:
        """Ask for everybody who waits for the flight."""
        try:
            known = self._ask(issuer, is_sought=is_sought)
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(known)
            return known
        finally:
            with self._lock:
                del self._flights[issuer]

    def _ask(self, issuer: str, *, is_sought: bool) -> _Known:
        try:
            known = replace(self._fetched(issuer), was_sought=is_sought)
        except KeysUnavailable as error:
            known = _Known(at=self._clock(), failure=str(error))
        with self._lock:
            self._known[issuer] = known
            self._known.move_to_end(issuer)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return known

    def _fetched(self, issuer: str) -> _Known:
        document: Mapping[str, Any] = {"jwks_uri": self._addresses[issuer]} if issuer in self._addresses else self._configured(issuer)
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise KeysUnavailable("the issuer's configuration names no keys")
        try:
            return _Known(at=self._clock(), keys=keys_of_jwks(self._document(address)), configuration=document)
        except ValueError as error:
            raise KeysUnavailable("the issuer's keys are not a JWK Set") from error

    def _configured(self, issuer: str) -> Mapping[str, Any]:
        document = self._document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise KeysUnavailable("the issuer's configuration names another issuer")
        return document

    def _document(self, address: str) -> dict[str, Any]:
        if not _is_https(address):
            raise KeysUnavailable("the issuer's documents are not published over https")
        try:
            body = self._fetch(address)
            document = json.loads(body) if len(body) <= _MAX_DOCUMENT else None
        except OSError as error:
            raise KeysUnavailable("the issuer does not answer") from error
        except (ValueError, RecursionError) as error:
            raise KeysUnavailable("the issuer's documents are not JSON") from error
        if not isinstance(document, dict):
            raise KeysUnavailable("the issuer's documents are too large or not JSON objects")
        return document


def _is_https(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None and not parts.fragment and not parts.query
    except ValueError:
        return False


def _usable(jwks: Mapping[str, Any]) -> bool:
    try:
        return bool(keys_of_jwks(jwks)) and len(json.dumps(dict(jwks))) <= _MAX_DOCUMENT
    except (ValueError, TypeError):
        return False
