"""Which instance a person means, where it is, and by which role it is reached."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from isthmus.arm.errors import ArmError, invalid
from isthmus.cli.labels import ROLES
from isthmus.cli.nouns import MACHINE, find
from isthmus.cli.session import Session

INSTANCE: Final = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_ARN: Final = re.compile(r"arn:[a-z-]+:ec2:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):instance/(?P<instance>i-[0-9a-f]+)")
_BY_REGION: Final = "An instance that is in no inventory of yours is named with its region: --region eu-west-1"
_PROJECTION = "providers/Microsoft.AwsConnector/ec2Instances/default"

Where = Annotated[str, typer.Option("--region", help="Region of an instance named by its id, for who may not look it up in the inventory.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the account's own records; the grant stands there anyhow.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An instance, and the role by which it is reached. `addresses` are its public one and its private one, as far as they are known."""

    instance: str
    region: str
    role: str
    addresses: tuple[str, ...] = ()


def find_target(session: Session, name: str, *, role: str, region: str) -> Target:
    """An instance by its id, or by the name or id of its machine. ArmError as the inventory refuses; 409 `RoleNotClear`."""
    if region:
        if not INSTANCE.fullmatch(name):
            raise invalid(
                f"--region goes with the id of an instance (i-…), not with '{name[:100]}'.", target="region", code="InvalidTarget"
            )
        return Target(instance=name, region=region, role=role or choose_role(_offered(session), ""))
    try:
        shown = session.client.get(f"{find(session, MACHINE, name)}/{_PROJECTION}")["properties"]
    except ArmError as error:
        if not INSTANCE.fullmatch(name) or error.status not in (403, 404):
            raise
        raise ArmError(error.code, f"{error.message} {_BY_REGION}", status=error.status, target=error.target) from error
    arn = _ARN.fullmatch(str(shown.get("arn")))
    if arn is None:
        raise ArmError("InvalidTarget", f"'{name[:100]}' is no EC2 instance.", status=400, target=name[:100])
    chosen = role or choose_role(_offered(session), arn["account"])
    return Target(instance=arn["instance"], region=arn["region"], role=chosen, addresses=_addresses(shown.get("awsProperties") or {}))


def choose_role(offered: Sequence[dict[str, Any]], account: str) -> str:
    """The only role that opens shells, in the account where one is named. ArmError 409 `RoleNotClear`."""
    opening = [one for one in offered if one["properties"].get("machineTag") and account in ("", one["properties"]["accountId"])]
    fitting = [str(one["name"]) for one in opening if one["properties"]["state"] == "Available"]
    if len(fitting) == 1:
        return fitting[0]
    where = f" in account {account}" if account else ""
    if fitting:
        raise ArmError("RoleNotClear", f"Several roles open shells{where}: {', '.join(fitting)}. Name one: --role", status=409)
    if opening:
        told = " ".join(f"{one['name']}: {one['properties']['stateDetails']}" for one in opening)
        raise ArmError("RoleNotClear", f"No role that you may take now opens shells{where}. {told}", status=409)
    raise ArmError("RoleNotClear", f"No role that you may take opens shells{where}. See yours: isthmus aws roles", status=409)


def require_available(session: Session, role: str) -> None:
    """ArmError 409 `RoleNotClear` for a role of one's own that cannot be taken now; one that is not listed is refused where it is taken."""
    for one in _offered(session):
        if str(one["name"]).lower() == role.lower() and one["properties"]["state"] != "Available":
            raise ArmError("RoleNotClear", f"{one['name']} cannot be taken now. {one['properties']['stateDetails']}", status=409)


def _offered(session: Session) -> list[dict[str, Any]]:
    return list(session.client.list(ROLES))


def _addresses(properties: dict[str, Any]) -> tuple[str, ...]:
    """What AWS told of them; nothing that is no address ever reaches a command line."""
    found = []
    for member in ("publicIpAddress", "privateIpAddress"):
        try:
            found.append(str(ipaddress.ip_address(str(properties.get(member)))))
        except ValueError:
            continue
    return tuple(found)
