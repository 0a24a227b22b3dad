"""`isthmus mapping`: which people hold which role of an account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError, conflict
from isthmus.cli.formats import Column
from isthmus.cli.nouns import CONNECTOR, Host, Noun, Place, app_of, find, read_object
from isthmus.cli.output import print_item
from isthmus.cli.session import Session, verb

COLUMNS: dict[str, Column] = {
    "NAME": "name",
    "ACCOUNT": "properties.accountId",
    "GROUPS": lambda item: ", ".join(item["properties"].get("groups", ())),
    "MFA": "properties.requiresMfa",
    "ACTIVATION": "properties.activation.mode",
    "ROLE": "properties.roleName",
}
MAPPING = Noun(
    word="mapping",
    many="role mappings",
    type="Isthmus.Access/roleMappings",
    help="Role mappings: which groups hold which role of an account.",
    example="Reader",
    columns=COLUMNS,
    place=Place.CONNECTOR,
)
app = app_of(MAPPING, create=False)
OF = f"--connector {CONNECTOR.example}"

Groups = Annotated[list[str], typer.Option("--group-id", help="Object id of a group whose members hold the role; may be repeated.")]
Policies = Annotated[list[str], typer.Option("--managed-policy", help="ARN of a managed policy of the role; may be repeated.")]
Approvers = Annotated[
    list[str], typer.Option("--approvers", help="Group that approves requests; may be repeated. Empty: no request needed.")
]


@verb(
    app,
    "create",
    examples={
        f"mapping create Reader {OF} --group-id GROUP-ID --managed-policy arn:aws:iam::aws:policy/ReadOnlyAccess": (
            "Members of a group may read the account"
        ),
        f"mapping create Operator {OF} --file operator.json": "With statements, conditions and approvals of your own",
        f"mapping create Operator {OF} --file operator.json --replace": "In place of the one that there is",
    },
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the mapping: 2 to 32 letters and digits. It stands in the role's name.")],
    *,
    connector: Host,
    group_id: Groups = [],  # noqa: B006 - Typer copies defaults
    managed_policy: Policies = [],  # noqa: B006
    approvers: Approvers = [],  # noqa: B006
    file: Annotated[Path | None, typer.Option("--file", "-f", help="JSON file with properties; options are added to it.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a mapping of this name; nothing of it is kept.")] = False,
) -> None:
    """Map people to a role; the account gets it with the next version of its template."""
    properties: dict[str, Any] = read_object(file) if file else {}
    if group_id:
        properties["groups"] = [*properties.get("groups", []), *group_id]
    if managed_policy:
        properties["managedPolicyArns"] = [*properties.get("managedPolicyArns", []), *managed_policy]
    if approvers:
        properties["activation"] = {**properties.get("activation", {}), "mode": "Request", "approverGroups": list(approvers)}
    path = f"{find(session, CONNECTOR, connector)}/providers/{MAPPING.type}/{name}"
    try:
        made = session.client.put(path, {"properties": properties}, is_new=not replace)
    except ArmError as error:
        if replace or error.code != "PreconditionFailed":
            raise
        raise _exists(session, path, name) from error
    print_item(made.body, session.output, COLUMNS)
    if made.status == 200:
        session.say(f"Mapping '{name}' was there and is replaced.")
    session.say(f"Update the account's stack now: isthmus connector template {connector} --output-file template.json")


def _exists(session: Session, path: str, name: str) -> ArmError:
    """The refusal to write over a mapping, with what would have been lost."""
    held = session.client.get(path)["properties"]
    who = [*held.get("groups", ()), *(f"{claim}={value}" for claim, values in held.get("claims", {}).items() for value in values)]
    what = [*held.get("managedPolicyArns", ()), *([f"{len(held['statements'])} statements"] if held.get("statements") else ())]
    what += [f"shells on {held['machineTag']}"] if held.get("machineTag") else []
    told = f"people of {', '.join(who)} hold it, with {', '.join(what)}; activation {held['activation']['mode']}"
    return conflict(
        f"There is a mapping '{name}' already: {told}. Nothing was changed. --replace puts this one in its place.",
        code="MappingExists",
        target=path,
    )
