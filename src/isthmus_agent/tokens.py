"""Access tokens by private_key_jwt (RFC 7523 section 2.2), and the renewal of the key that signs for them.

A renewal has two phases. The new key is written beside the old one and announced, signed by both; both stay until the control
plane has accepted the new key at the token endpoint. Whatever breaks off in between, one of the two keys on disk is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.keys import Key
from isthmus_agent.plane import Answer, Caller
from isthmus_agent.store import Connection, Store, not_renewing, promoted, renewing

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RENEW_KIND = "isthmus-renew+jwt"
REKEY_KIND = "isthmus-rekey+jwt"
MARGIN = 60.0
"""Seconds before a token's end at which it is no longer used."""


class Gone(AgentError):
    """The control plane removed this machine: the identity is worth nothing any more."""

    def __init__(self, message: str) -> None:
        super().__init__(Exit.IDENTITY, message)


class Refused(AgentError):
    """The control plane does not accept the key."""

    def __init__(self, message: str) -> None:
        super().__init__(Exit.IDENTITY, message)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    text: str = field(repr=False)
    key: str
    expires_at: float


class Tokens:
    """Tokens of one machine, kept in memory until shortly before their end."""

    def __init__(self, store: Store, plane: Caller, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._plane = plane
        self._clock = clock
        self._kept: _Token | None = None

    def token(self, connection: Connection) -> str:
        """A token for the connection's identity key. Raises Refused, Gone, or AgentError 26."""
        kept = self._kept
        if kept and kept.key == connection.identity_key and kept.expires_at - MARGIN > self._clock():
            return kept.text
        self._kept = self._request(connection, connection.identity_key)
        return self._kept.text

    def forget(self) -> None:
        """Do not use the kept token again."""
        self._kept = None

    def settled(self, connection: Connection) -> Connection:
        """Make sure that there is a token, finishing a renewal that broke off; the connection as it is now.

        The caller holds the store's lock. When the old key is refused while a next one exists, the control plane has accepted the next
        one already and only its answer, or our note of it, was lost.
        """
        try:
            self.token(connection)
        except Refused:
            if not connection.next_key:
                raise
            return self._promote(connection)
        return connection

    def renew(self, connection: Connection) -> Connection:
        """Replace the identity key; the new connection. Repeating it after any failure continues where it broke off.

        The caller holds the store's lock. A control plane that finds it too early knows nothing of the next key: the connection stays
        as it was, and a later renewal makes a new one.
        """
        if not connection.next_key:
            name = self._store.save_key(Key.generate())
            connection = renewing(connection, name)
            self._store.save(connection)
        key = self._store.key(connection.next_key)
        audience = f"{connection.endpoint}/agent/v1/renew"
        now, subject, present = self._clock(), connection.client_id, self._store.key(connection.identity_key)
        leave = {"spki_sha256": key.spki_sha256}
        body = {
            "publicKey": key.public,
            "statement": key.statement(kind=RENEW_KIND, subject=subject, audience=audience, now=now),
            "authorization": present.statement(kind=REKEY_KIND, subject=subject, audience=audience, now=now, extra=leave),
        }
        answer = self._plane.post(audience, body, bearer=self.token(connection))
        if answer.status == 409 and answer.code == "RenewalNotDue":
            connection = not_renewing(connection)
            self._store.save(connection)
            self._store.sweep()
            return connection
        if not answer.ok:
            raise failure(answer, "renew its registration")
        return self._promote(connection)

    def _promote(self, connection: Connection) -> Connection:
        token = self._request(connection, connection.next_key)
        connection = promoted(connection)
        self._store.save(connection)
        self._store.sweep()
        self._kept = token
        return connection

    def _request(self, connection: Connection, name: str) -> _Token:
        now = self._clock()
        endpoint = connection.token_endpoint
        key = self._store.key(name)
        form = {
            "grant_type": "client_credentials",
            "client_id": connection.client_id,
            "client_assertion_type": ASSERTION,
            "client_assertion": key.statement(kind="JWT", subject=connection.client_id, audience=endpoint, now=now),
            "scope": f"{connection.endpoint}/.default",
        }
        answer = self._plane.post(endpoint, form, form=True)
        text = answer.body.get("access_token")
        if not answer.ok or not isinstance(text, str):
            raise failure(answer, "get a token")
        try:
            seconds = float(answer.body.get("expires_in", 0))
        except (TypeError, ValueError):
            seconds = 0.0
        return _Token(text=text, key=name, expires_at=now + seconds)


def failure(answer: Answer, purpose: str) -> AgentError:
    """The error that an answer other than success stands for."""
    text = f"The machine could not {purpose} ({answer.status} {answer.code}): {answer.message}".rstrip(": ")
    if answer.status == 410:
        return Gone(text)
    if answer.code in ("invalid_client", "unauthorized_client") or answer.status in (401, 403):
        return Refused(text)
    return AgentError(Exit.NETWORK if answer.transient else Exit.UNSPECIFIED, text)
