"""Reading the access token of a request."""

from __future__ import annotations

from collections.abc import Callable

from isthmus.identity.issuer import Issuer
from isthmus.identity.principal import Principal, principal_of
from isthmus.identity.trust import API_TOKEN, MACHINE_TOKEN, Context, verify


class BearerVerifier:
    """Verifies our own access tokens. `audience` is the API's one audience (its public URL). ArmError 401 for anything else.

    The two methods are two rights: a machine's token opens the machine API and nothing else, an API token never opens the machine API.
    """

    def __init__(self, issuer: Issuer, *, tenant: str, audience: str, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._tenant = tenant
        self._audiences = frozenset({audience})
        self._clock = clock

    def caller(self, token: str) -> Principal:
        """The person or application behind an API token."""
        return self._principal(API_TOKEN, token)

    def machine(self, token: str) -> Principal:
        """The machine behind a machine token; `client_id` is its vmId, `resource_id` its ARM id."""
        return self._principal(MACHINE_TOKEN, token)

    def _principal(self, kind: str, token: str) -> Principal:
        context = Context(
            now=self._clock(),
            keys=self._issuer.verification_keys(),
            issuer=self._issuer.url,
            audiences=self._audiences,
            tenant=self._tenant,
        )
        return principal_of(verify(kind, token, context))
