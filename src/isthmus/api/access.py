"""Who may do what: bearer tokens become principals, stored role assignments decide. Fails closed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from isthmus.access.rights import assignments_of
from isthmus.access.standing import standing_of
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.documents import bearer_challenge
from isthmus.identity.principal import Principal
from isthmus.identity.roles import RoleAssignment, allows
from isthmus.store import Store

_KINDS = {"user": "User", "application": "Application", "machine": "ManagedIdentity", "system": "Application"}


class Access:
    """Authentication of requests, and the decision over role assignments, read for each request: a removed role ends at once, and so does
    a sign-in that was ended, whatever its tokens say."""

    def __init__(self, store: Store, verifier: BearerVerifier, *, public_url: str, tenant: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._verifier = verifier
        self._public_url = public_url
        self._tenant = tenant
        self._clock = clock

    def caller(self, authorization: str | None) -> Principal:
        """The person or application of an Authorization header; raises ArmError 401 with a challenge."""
        return self.verified(authorization, self._verifier.caller)

    def require_standing(self, caller: Principal) -> None:
        """Raises ArmError 403 `AccessRevoked` for people whose access was taken away, whatever sign-in they come by; 401 `SignInNeeded`
        when a token outlived the sign-in that it came from (who came by a link has none)."""
        if caller.kind != "user":
            return
        with self._store.read() as connection:
            standing = standing_of(connection, caller.object_id, caller.sign_in, int(self._clock() * 1000))
        if standing.is_revoked:
            message = "Your access was taken away, and signing in again would be refused. Ask whoever runs access here."
            raise ArmError("AccessRevoked", message, status=403)
        if standing.lives:
            return
        message = f"The sign-in of '{caller.name}' behind this token has ended. Sign in again: isthmus login."
        challenge = {"WWW-Authenticate": bearer_challenge(self._public_url, self._tenant, message)}
        raise ArmError("SignInNeeded", message, status=401, headers=challenge)

    def machine(self, authorization: str | None) -> Principal:
        """The machine of an Authorization header; raises ArmError 401 with a challenge."""
        return self.verified(authorization, self._verifier.machine)

    def verified(self, authorization: str | None, verify: Callable[[str], Principal]) -> Principal:
        """Whoever `verify` sees in the bearer token of an Authorization header; raises ArmError 401 with a challenge."""
        scheme, _, token = (authorization or "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token.strip():
                raise ArmError(
                    "AuthenticationFailed",
                    "Authentication failed. The 'Authorization' header is missing or holds no bearer token. Sign in and send one.",
                    status=401,
                )
            return verify(token.strip())
        except ArmError as error:
            error.headers.setdefault("WWW-Authenticate", bearer_challenge(self._public_url, self._tenant, error.message))
            raise

    def assignments(self, principal: str) -> list[RoleAssignment]:
        """Every assignment of a principal."""
        with self._store.read() as connection:
            return assignments_of(connection, principal)

    def permits(self, caller: Principal, action: str, scope: str) -> bool:
        """Whether the caller may do this there."""
        return allows(self.assignments(caller.object_id), caller.object_id, action, scope)

    def judge(self, caller: Principal) -> Callable[[str, str], bool]:
        """`permits` for one request: the caller's assignments are read once, when they are first asked about."""
        held = cache(lambda: self.assignments(caller.object_id))
        return lambda action, scope: allows(held(), caller.object_id, action, scope)

    def require(self, caller: Principal, action: str, scope: str) -> None:
        """Raises ArmError 403 `AuthorizationFailed` that names action and scope."""
        if not self.permits(caller, action, scope):
            raise ArmError(
                "AuthorizationFailed",
                f"The client '{caller.name}' ('{caller.object_id}') does not have authorization to perform action '{action}' over scope "
                f"'{scope}'. Ask an owner of that scope for a role assignment.",
                status=403,
            )


def actor_of(caller: Principal, correlation: str) -> Actor:
    """The caller as the engine records it."""
    return Actor(id=caller.object_id, kind=_KINDS[caller.kind], name=caller.name, correlation=correlation, sign_in=caller.sign_in)
