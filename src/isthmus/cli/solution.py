"""`isthmus solution`: what a connector does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from isthmus.cli.connector import SHORT, solution_type, solutions_known
from isthmus.cli.formats import Column
from isthmus.cli.nouns import CONNECTOR, SOLUTION, Host, Name, app_of, find, hosted, hosted_known, new_app, pair
from isthmus.cli.output import print_item, print_list
from isthmus.cli.session import Session, verb
from isthmus.cli.watch import Interval, Watch, list_of, present

app = app_of(SOLUTION, create=False)

OF = f"--connector {CONNECTOR.example}"
KNOWN = {"name": hosted_known(SOLUTION)}
Settings = Annotated[list[str], typer.Option("--set", help="Setting as name=value; may be repeated.")]
Regions = Annotated[str, typer.Option("--regions", help="AWS regions to look at, separated by commas. Empty: all that are enabled.")]


@verb(
    app,
    "create",
    examples={
        f"solution create {OF} --type inventory": "Read the account",
        f"solution create {OF} --type inventory --regions eu-west-1,eu-central-1 --set periodicSyncTime=4": "Two regions, every four hours",
        f"solution create {OF} --type onboarding": "Make machines of its instances",
        f"solution create {OF} --type access": "Let people take roles in it, see 'isthmus mapping create --help'",
    },
    complete={"type": solutions_known},
)
def create(
    session: Session,
    *,
    connector: Host,
    type: Annotated[str, typer.Option("--type", "-t", help="inventory, onboarding, access, or a full solution type.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the configuration. Empty: the short name of its type.")] = "",
    set: Settings = [],  # noqa: B006 - Typer copies defaults
    regions: Regions = "",
) -> None:
    """Configure a solution; its first sync starts at once."""
    kind = solution_type(type)
    short = next((word for word, full in SHORT.items() if full.lower() == kind.lower()), kind.rpartition(".")[2].lower())
    path = f"{find(session, CONNECTOR, connector)}/providers/{SOLUTION.type}/{name or short}"
    answer = session.client.put(path, {"properties": {"solutionType": kind, "solutionSettings": _settings(set, regions)}})
    print_item(answer.body, session.output, SOLUTION.columns)
    if answer.body["properties"].get("status") == "AuthorizationPending":
        session.say(f"Deploy the account's template now: isthmus connector template {connector} --output-file template.json")


@verb(
    app,
    "update",
    examples={f"solution update inventory {OF} --set periodicSyncTime=8": "Scan every eight hours"},
    complete=KNOWN,
)
def update(session: Session, name: Name, *, connector: Host = "", set: Settings = [], regions: Regions = "") -> None:  # noqa: B006
    """Change settings; the others stay."""
    changed = {"properties": {"solutionSettings": _settings(set, regions)}}
    print_item(session.client.patch(hosted(session, SOLUTION, name, connector), changed).body, session.output, SOLUTION.columns)


@verb(
    app,
    "sync",
    examples={f"solution sync onboarding {OF}": "Do it now", f"solution sync onboarding {OF} --no-wait": "Start it and go on"},
    complete=KNOWN,
)
def sync(
    session: Session,
    name: Name,
    *,
    connector: Host = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end.")] = True,
) -> None:
    """Bring the account and Isthmus in line now."""
    id = hosted(session, SOLUTION, name, connector)
    answer = session.client.post(f"{id}/syncNow")
    if not wait:
        session.say("Started. Follow it with: isthmus operation list")
        return
    with session.progress("Syncing") as progress:
        result = session.client.wait(answer, lambda status: progress.say(f"Syncing: {status.get('status')}"))
    print_item(result, session.output) if result else print_item(session.client.get(id), session.output, SOLUTION.columns)


@verb(
    app,
    "inventory",
    examples={f"solution inventory onboarding {OF} --watch": "Watch instances become machines"},
    complete=KNOWN,
)
def instances(session: Session, name: Name, *, connector: Host = "", watch: Watch = False, interval: Interval = 2.0) -> None:
    """List what a solution knows of each instance: its state, and why it is not connected."""
    columns: dict[str, Column] = {
        "INSTANCE": lambda item: str(item["properties"].get("cloudNativeResourceId", "")).rpartition("/")[2] or item["name"],
        "STATUS": "properties.status",
        "STATE": "properties.state",
        "CODE": "properties.code",
        "DETAILS": "properties.statusDetails",
    }
    path = f"{hosted(session, SOLUTION, name, connector)}/inventory"
    present(session, lambda: list_of(session.client.list(path), columns), watch=watch, interval=interval)


types = new_app("Kinds of solutions, and their settings.")
app.add_typer(types, name="types")


@verb(types, "list", examples={"solution types list": "See what a connector can do"})
def list_types(session: Session) -> None:
    """List the solution types."""
    columns = {"TYPE": "properties.solutionType", "DESCRIPTION": "properties.description"}
    found = session.client.list(f"{session.root}/providers/Microsoft.HybridConnectivity/solutionTypes")
    print_list(found, columns, session.output)


@verb(types, "show", examples={"solution types show inventory": "See its settings"}, complete={"name": solutions_known})
def show_type(
    session: Session, name: Annotated[str, typer.Argument(help="inventory, onboarding, access, or a full solution type.")]
) -> None:
    """Show the settings of a solution type."""
    body = session.client.get(f"{session.root}/providers/Microsoft.HybridConnectivity/solutionTypes/{solution_type(name)}")
    settings: list[dict[str, Any]] = body["properties"]["solutionSettings"]
    columns = {"SETTING": "name", "TYPE": "type", "DEFAULT": "defaultValue", "DESCRIPTION": "description"}
    print_list(settings, columns, session.output)


def _settings(given: list[str], regions: str) -> dict[str, str]:
    settings = dict(pair(entry, "--set") for entry in given)
    return settings | {"cloudProviderRegions": regions, "scanAllAWSRegions": "false"} if regions else settings
