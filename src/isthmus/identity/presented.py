"""Secrets presented as bearer tokens, `<client id>.<secret>`: for directories, which keep one for months and know no token endpoint.

A secret is slow to check (`isthmus.identity.secrets`), and a directory sends thousands of requests in a row. Which secret a presented text
belongs to is therefore remembered, in memory and as a keyed hash; that the client still has that secret is read for each request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from isthmus.arm.errors import ArmError
from isthmus.identity.clients import find_client, is_client_id
from isthmus.identity.principal import Principal
from isthmus.identity.secrets import PREFIX, Secret, list_secrets, match_secret
from isthmus.store import Store

_REMEMBERED = 256


class PresentedSecrets:
    """Recognises clients by the secret they present."""

    def __init__(self, store: Store, *, tenant: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._tenant = tenant
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def caller(self, token: str) -> Principal:
        """The application behind a token; ArmError 401 for an unknown client, a wrong, removed or expired secret."""
        client_id, _, text = token.rpartition(".")
        with self._store.read() as connection:
            client = find_client(connection, client_id)
            present = list_secrets(connection, client_id) if client else []
        match = self._match(token, text, present)
        if client is None or match is None:
            raise _refused("The client is not known, or this is not its secret. Give <client id>.<secret>.")
        if match.expires_at <= self._clock() * 1000:
            raise _refused("The client secret has expired. Add a new one to the client.")
        return Principal(object_id=client.object_id, kind="application", name=client.name, tenant=self._tenant, client_id=client.client_id)

    def _match(self, token: str, text: str, present: list[Secret]) -> Secret | None:
        digest = hmac.new(self._key, token.encode(errors="surrogatepass"), hashlib.sha256).digest()
        with self._lock:
            known = self._known.get(digest)
        if known is not None:
            return next((secret for secret in present if secret.id == known), None)
        match = match_secret(present, text)
        if match is not None:
            with self._lock:
                self._known[digest] = match.id
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return match


def is_presented(token: str) -> bool:
    """Whether a bearer token has the form of a presented secret; access tokens have another."""
    client_id, _, text = token.rpartition(".")
    return text.startswith(PREFIX) and is_client_id(client_id)


def _refused(message: str) -> ArmError:
    return ArmError("AuthenticationFailed", message, status=401)
