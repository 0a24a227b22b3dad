"""STS sessions: ministack's records of them, and what our STS remembers beside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam, sts

from isthmus_lab.world import Principal, RoleCredentials

ORIGIN = "IsthmusOrigin"
"""Our member of ministack's session records: the session's `Origin`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a session came from. `keys` are lower-case condition keys that every later call of the session carries; `transitive` are the
    tags that sessions chained from it inherit; `provider` is the ARN of the identity provider that vouched for it; `is_chained` says that
    a session of a role opened it."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    source_identity: str = ""
    transitive: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    is_chained: bool = False


_PLAIN = Origin()


class Sessions:
    """Opens sessions and says whose they are."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        plain = iam_evaluator._principal_keys

        def with_origin(credential: Any) -> dict[str, Any]:
            return {**plain(credential), **self.origin(credential.access_key_id).keys}

        iam_evaluator._principal_keys = sts._principal_keys = with_origin

    def origin(self, access_key: str) -> Origin:
        """Where the session of an access key came from; an empty one for any other key."""
        session = sts._sessions.get(access_key)
        found: Origin = (session or {}).get(ORIGIN, _PLAIN)
        return found

    def open(
        self,
        role: Mapping[str, Any],
        session_name: str,
        seconds: float,
        *,
        origin: Origin = _PLAIN,
        tags: Mapping[str, str] | None = None,
        policies: tuple[str, Sequence[str]] = ("", ()),
    ) -> RoleCredentials:
        """Register a session of a role; `policies` are the session policy and the ARNs of managed ones."""
        credentials = RoleCredentials(
            access_key=iam._gen_session_access_key(),
            secret_key=iam._gen_secret(),
            token=iam._gen_session_token(),
            expires_at=self._clock() + seconds,
        )
        account = role["Arn"].split(":")[4]
        record = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            "Expiration": credentials.expires_at,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            "SessionTags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
            ORIGIN: origin,
        }
        if any(policies):
            record["SessionPolicies"] = {"Policy": policies[0], "PolicyArns": list(policies[1])}
        sts.register_session(credentials.access_key, record)
        return credentials

    def open_secrets(self) -> list[dict[str, str]]:
        """Secret key and token of every session that is open: a search for what must be stored nowhere needs the real ones."""
        return [{"secret": str(one["SecretAccessKey"]), "token": str(one["SessionToken"])} for one in sts._sessions.values()]

    def secrets_of(self, access_key: str) -> tuple[str, str] | None:
        """Secret key and token of a session that is open, None for any other key."""
        session = sts._sessions.get(access_key)
        return None if session is None or sts._session_expired(session) else (session["SecretAccessKey"], session["SessionToken"])

    def expiry(self, access_key: str) -> float | None:
        """When a session ends (epoch seconds), None for a key that is no session's."""
        session = sts._sessions.get(access_key)
        return None if session is None else float(session["Expiration"])

    def copy(self, access_key: str, until: float) -> RoleCredentials | None:
        """Another key for what a session is, its issue time included; None when the session is over."""
        session = sts._sessions.get(access_key)
        if session is None or sts._session_expired(session):
            return None
        made = RoleCredentials(
            access_key=iam._gen_session_access_key(), secret_key=iam._gen_secret(), token=iam._gen_session_token(), expires_at=until
        )
        own = {"SecretAccessKey": made.secret_key, "SessionToken": made.token, "Expiration": until}
        sts.register_session(made.access_key, {**session, **own})
        return made

    def principal(self, access_key: str, account: str) -> Principal | None:
        """Who stands behind an access key in an account, None for a key that nobody has; a session that is over still has one."""
        session = sts._sessions.get(access_key)
        if session is None:
            found = iam_evaluator.resolve_credential(access_key, account)
            if isinstance(found, iam_evaluator.CredentialResolutionError):
                return None
            return Principal(kind=found.principal_type, arn=found.principal_arn, id=found.principal_id, account=account, key=access_key)
        issued = session.get("IssuedAt")
        own: Origin = session.get(ORIGIN, _PLAIN)
        return Principal(
            kind=str(session.get("PrincipalType", "")),
            arn=str(session.get("Arn", "")),
            id=str(session.get("UserId", "")),
            account=str(session.get("AccountId") or account),
            key=access_key,
            issued_at=float(issued) if issued is not None else None,
            role_arn=self._role_arn(str(session.get("Arn", ""))),
            source_identity=own.source_identity,
            provider=own.provider,
        )

    @staticmethod
    def _role_arn(arn: str) -> str:
        """A role's path stands in its own ARN only."""
        if ":assumed-role/" not in arn:
            return ""
        account, name = arn.split(":")[4], arn.split("/")[1]
        role = iam._roles.get_scoped(account, None, name)
        return str(role["Arn"]) if role else f"arn:aws:iam::{account}:role/{name}"
