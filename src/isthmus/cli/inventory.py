"""`isthmus inventory`: what AWS resources are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.completion import offering
from isthmus.cli.formats import Column
from isthmus.cli.nouns import Group, group_of, near, new_app, pair, rows_of
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb

app = new_app("AWS resources, as they were last seen.")

NAMESPACE = "Microsoft.AwsConnector"
Account = Annotated[str, typer.Option("--account", help="AWS account id. Empty: every account.")]


def _types(session: Session, _given: dict[str, Any]) -> list[str]:
    return _known(session)


def _names(session: Session, given: dict[str, Any]) -> Iterator[str]:
    return (str(one["name"]) for one in _everything(session, given.get("account") or "", given["type"]))


resources_known = offering(_names)
Type = Annotated[
    str, typer.Option("--type", "-t", help="Resource type, as 'isthmus inventory types' names it.", autocompletion=offering(_types))
]


COLUMNS: dict[str, Column] = {
    "NAME": "name",
    "TYPE": lambda item: item["type"].rpartition("/")[2],
    "ACCOUNT": lambda item: group_of(item).removeprefix("aws_"),
    "LOCATION": "location",
    "ID": "id",
}


@verb(app, "types", examples={"inventory types": "What there is", "inventory types --all --output tsv": "Every type by name"})
def types(
    session: Session,
    *,
    account: Account = "",
    all: Annotated[bool, typer.Option("--all", help="Also types of which there is none.")] = False,
) -> None:
    """Count resources by type."""
    counts: Counter[str] = Counter()
    spelling = {kind.lower(): kind for kind in _known(session)}
    for item in _everything(session, account, ""):
        counts[item["type"].rpartition("/")[2].lower()] += 1
    rows = [{"type": spelling.get(kind, kind), "resources": counts[kind]} for kind in sorted({*counts, *(spelling if all else ())})]
    print_list(rows, {"TYPE": "type", "RESOURCES": "resources"}, session.output)


@verb(
    app,
    "list",
    examples={
        "inventory list --type ec2VPCs --account 123456789012": "One type of one account",
        "inventory list --tag team=core --output csv": "What a team has, for a spreadsheet",
    },
)
def listing(
    session: Session,
    *,
    type: Type = "",
    account: Account = "",
    group: Group = "",
    tag: Annotated[str, typer.Option("--tag", help="Only those with this tag, as name=value.")] = "",
) -> None:
    """List resources."""
    print_list(_everything(session, account, type, group=group, tag=tag), COLUMNS, session.output)


@verb(
    app,
    "show",
    examples={"inventory show vpc-0abc12de --type ec2VPCs --account 123456789012": "See one resource as AWS described it"},
    complete={"name": resources_known},
)
def show(
    session: Session,
    name: Annotated[str, typer.Argument(help="Full id, or a name together with --type and --account.")],
    *,
    type: Type = "",
    account: Account = "",
) -> None:
    """Show one resource."""
    if name.startswith("/"):
        print_item(session.client.get(name), session.output, COLUMNS)
        return
    found = [item for item in _everything(session, account, type) if item["name"].lower() == name.lower()]
    if len(found) != 1:
        problem = f"There are {len(found)} resources of the name '{name}'" if found else f"There is no resource '{name}'"
        raise ArmError(
            "NameNotUnique" if found else "ResourceNotFound",
            f"{problem} here. Find its id with 'isthmus inventory list' and give that.",
            status=404,
        )
    print_item(session.client.get(found[0]["id"]), session.output, COLUMNS)


def _known(session: Session) -> list[str]:
    """Every type that Isthmus can read, as the provider declares them."""
    declared = session.client.get(f"{session.root}/providers/{NAMESPACE}")
    return [kind["resourceType"] for kind in declared["resourceTypes"]]


def _everything(session: Session, account: str, type: str, *, group: str = "", tag: str = "") -> Iterator[dict[str, Any]]:
    """Projections, of one type or of all that are there; instances extend machines and are found behind them."""
    chosen = group or (f"aws_{account}" if account else "")
    scope = f"{session.root}/resourceGroups/{chosen}" if chosen else session.root
    wanted = pair(tag, "--tag") if tag else None
    if type:
        kinds = {kind.lower(): kind for kind in _known(session)}
        if type.lower() not in kinds:
            raise ArmError(
                "InvalidResourceType",
                f"'{type}' is not a type of the inventory.{near(type, kinds.values())} List them: isthmus inventory types --all",
                status=404,
            )
        sources = [f"{scope}/providers/{NAMESPACE}/{kinds[type.lower()]}"]
    else:
        sources = [f"{scope}/resources", f"{scope}/providers/{NAMESPACE}/ec2Instances", f"{scope}/providers/{NAMESPACE}/eksClusters"]
    for source in sources:
        for item in rows_of(session, source):
            ours = item["type"].lower().startswith(NAMESPACE.lower() + "/")
            if ours and (wanted is None or _tags(item).get(wanted[0]) == wanted[1]):
                yield item


def _tags(item: dict[str, Any]) -> dict[str, str]:
    found = item.get("tags") or item.get("properties", {}).get("awsTags") or {}
    return dict(found) if isinstance(found, dict) else {}
