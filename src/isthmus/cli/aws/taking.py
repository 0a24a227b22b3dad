"""Taking a role from the server, for a use that the session's record names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.cache import Credentials
from isthmus.cli.completion import offering
from isthmus.cli.labels import ROLES, suggesting
from isthmus.cli.session import Session

SESSIONS = "/providers/Isthmus.Access/sessions"


def _roles(session: Session, _given: Mapping[str, Any]) -> Iterable[str]:
    return (str(one["name"]) for one in session.client.list(ROLES))


Role = Annotated[str, typer.Option("--role", "-r", help="Role, as 'isthmus aws roles' names it.", autocompletion=offering(_roles))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A role that was taken: its credentials, its ARN, and the grant that it was given on."""

    credentials: Credentials
    role_arn: str
    grant: str

    @property
    def partition(self) -> str:
        """The partition of AWS that the role is in."""
        return self.role_arn.split(":")[1]

    def call(self, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
        """One call as the role; see `calls.call`. What speaks to AWS is loaded only here, so that other commands start quickly."""
        answer: dict[str, Any] = import_module("isthmus.cli.aws.calls").call(self.credentials, operation, params, region=region)
        return answer


def take(session: Session, role: str, *, use: str = "credentials", region: str = "") -> Taken:
    """Take a role. `use` is credentials, console, or shell with its region. ArmError as the server refuses."""
    if "/" in role or not role:
        raise ArmError("RoleNotFound", f"'{role[:100]}' names no role. List yours: isthmus aws roles.", status=404, target=role[:100])
    with suggesting(session, role):
        made = session.client.post(f"{ROLES}/{role}/credentials", {"use": use, **({"region": region} if region else {})}).body
    return Taken(credentials=Credentials.of(made), role_arn=str(made["roleArn"]), grant=str(made["grant"]))
