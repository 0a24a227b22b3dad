"""What all operations that assume a role share: parameters, the target role, permissions of stamps, and the session that they open."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.adapter.sessions import Origin
from isthmus_lab.pack.forms import Form, members
from isthmus_lab.pack.refusals import StsError
from isthmus_lab.world import RoleCredentials

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?:[\x21-\x7e]*/)?(?P<name>[\w+=,.@-]{1,64})", re.ASCII
)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_LENGTHS = {
    "RoleArn": (20, 2048),
    "PrincipalArn": (20, 2048),
    "WebIdentityToken": (4, 20_000),
    "SAMLAssertion": (4, 100_000),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The role that a request names; `role` is ministack's record, None where the account has no such role."""

    arn: str
    account: str
    role: Mapping[str, Any] | None


class Assuming:
    """Parameters in, sessions out."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def target(self, form: Form) -> Target:
        """The role of the request; StsError where its ARN is none."""
        arn = form["RoleArn"]
        found = _ROLE_ARN.fullmatch(arn)
        if found is None:
            raise StsError("ValidationError", f"{arn} is invalid")
        role = self.adapter.iam.role(found["account"], found["name"])
        return Target(arn=arn, account=found["account"], role=role if role is not None and role["Arn"] == arn else None)

    def duration(self, form: Form, role: Mapping[str, Any]) -> int:
        """Seconds asked for, 3600 by default; StsError above the role's maximum."""
        seconds = int(form.get("DurationSeconds") or 3600)
        if seconds > int(role.get("MaxSessionDuration") or 3600):
            raise StsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        return seconds

    def open(
        self, form: Form, role: Mapping[str, Any], session_name: str, seconds: float, origin: Origin, tags: Mapping[str, str]
    ) -> RoleCredentials:
        """The session, narrowed by the policies of the request; StsError where they are malformed."""
        policy, arns = form.get("Policy", ""), members(form, "PolicyArns.member", ".arn")
        if problem := self.adapter.iam.policy_problem(policy, arns, role["Arn"].split(":")[4]):
            raise StsError("MalformedPolicyDocument" if policy else "ValidationError", problem)
        return self.adapter.sessions.open(role, session_name, seconds, origin=origin, tags=tags, policies=(policy, arns))


def check_parameters(form: Form, *needed: str, names_session: bool = True) -> None:
    """StsError for the first constraint of the API's parameters that the request breaks; `needed` are those with a length."""
    for name in needed:
        least, most = _LENGTHS[name]
        if not least <= len(form.get(name, "")) <= most:
            raise _broken(name, None, f"Member must have length between {least} and {most}")
    session_name, duration = form.get("RoleSessionName", ""), form.get("DurationSeconds", "")
    if names_session and not _SESSION_NAME.fullmatch(session_name):
        raise _broken("RoleSessionName", session_name, "Member must have 2 to 64 characters and satisfy the pattern: [\\w+=,.@-]*")
    if duration and not (duration.isdecimal() and 900 <= int(duration) <= 43_200):
        raise _broken("DurationSeconds", duration, "Member must have value between 900 and 43200")
    if len(form.get("Policy", "")) > 2048:
        raise _broken("Policy", None, "Member must have length less than or equal to 2048")


def is_session_name(text: str) -> bool:
    """Whether a text may name a session or be a source identity."""
    return _SESSION_NAME.fullmatch(text) is not None


def _broken(name: str, value: str | None, constraint: str) -> StsError:
    shown = "" if value is None else f" '{value}'"
    message = f"1 validation error detected: Value{shown} at '{name[0].lower() + name[1:]}' failed to satisfy constraint: {constraint}"
    return StsError("ValidationError", message)


def answer(credentials: RoleCredentials, role: Mapping[str, Any], session_name: str) -> dict[str, Any]:
    """The members that every such operation answers."""
    account = role["Arn"].split(":")[4]
    return {
        "Credentials": {
            "AccessKeyId": credentials.access_key,
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            "Expiration": int(credentials.expires_at),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role['RoleId']}:{session_name}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
        },
        "PackedPolicySize": 0,
    }
