"""`isthmus mapping`: which people hold which role of an account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError, conflict
from isthmus.cli.durations import seconds_of
from isthmus.cli.formats import Column
from isthmus.cli.nouns import CONNECTOR, Host, Noun, Place, app_of, find, read_object, rows_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

COLUMNS: dict[str, Column] = {
    "NAME": "name",
    "ACCOUNT": "properties.accountId",
    "GROUPS": lambda item: ", ".join(item["properties"].get("groups", ())),
    "MFA": "properties.requiresMfa",
    "ACTIVATION": "properties.activation.mode",
    "ROLE": "properties.roleName",
}
GROUPS: dict[str, Column] = {
    "NAME": lambda item: item["properties"]["displayName"] or "not told",
    "GROUP ID": "properties.groupId",
    "ROLES": lambda item: ", ".join(item["properties"]["roles"]),
    "DECIDES ABOUT": lambda item: ", ".join(item["properties"]["decidesAbout"]),
}
MAPPING = Noun(
    word="mapping",
    many="role mappings",
    type="Isthmus.Access/roleMappings",
    help="Role mappings: which groups hold which role of an account.",
    example="Reader",
    columns=COLUMNS,
    place=Place.CONNECTOR,
    loss=lambda properties: f"{_loss(properties)}. Their grants of it end, and accounts deny its sessions",
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
        f"mapping create Shells {OF} --group-id GROUP-ID --machine-tag team:red --approvers LEADS-ID --longest 2h": (
            "Shells on some machines, on request, for two hours at most"
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
    require_mfa: Annotated[
        bool | None, typer.Option("--require-mfa/--no-require-mfa", help="Whether a second factor is demanded. Default: it is.")
    ] = None,
    longest: Annotated[str, typer.Option("--longest", help="How long a request may give the role: seconds, or 30m, 2h.")] = "",
    machine_tag: Annotated[str, typer.Option("--machine-tag", help="Machines on which it opens shells, as key:value of their tag.")] = "",
    description: Annotated[str, typer.Option("--description", help="What the role is for.")] = "",
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
    if longest:
        properties["activation"] = {**properties.get("activation", {}), "longestSeconds": seconds_of(longest, "--longest", least=300)}
    given = {"requiresMfa": require_mfa, "machineTag": machine_tag or None, "description": description or None}
    properties |= {name: value for name, value in given.items() if value is not None}
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


@verb(app, "groups", examples={"mapping groups": "See which group gives what, by name where the directory tells it"})
def groups(session: Session) -> None:
    """List the groups that mappings name, with what the directory calls them and which roles they give."""
    print_list(rows_of(session, "/providers/Isthmus.Access/groups"), GROUPS, session.output)


def _exists(session: Session, path: str, name: str) -> ArmError:
    """The refusal to write over a mapping, with what would have been lost."""
    told = _loss(session.client.get(path)["properties"])
    return conflict(
        f"There is a mapping '{name}' already: {told}. Nothing was changed. --replace puts this one in its place.",
        code="MappingExists",
        target=path,
    )


def _loss(held: Mapping[str, Any]) -> str:
    """Who holds what by a mapping."""
    who = [*held.get("groups", ()), *(f"{claim}={value}" for claim, values in held.get("claims", {}).items() for value in values)]
    what = [*held.get("managedPolicyArns", ()), *([f"{len(held['statements'])} statements"] if held.get("statements") else ())]
    what += [f"shells on {held['machineTag']}"] if held.get("machineTag") else []
    return f"people of {', '.join(who)} hold it, with {', '.join(what)}; activation {held['activation']['mode']}"
