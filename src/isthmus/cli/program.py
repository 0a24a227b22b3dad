"""The whole command line: nouns, verbs, and the commands that other packages add (entry points `isthmus.commands`)."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from isthmus.cli import (
    access,
    audit,
    aws,
    client,
    connector,
    container,
    database,
    inventory,
    issuer,
    machine,
    mapping,
    operation,
    role,
    solution,
)
from isthmus.cli.aws.ssh import ssh
from isthmus.cli.aws.ssm import ssm
from isthmus.cli.backup import backup, restore
from isthmus.cli.completion import completion
from isthmus.cli.doctor import doctor
from isthmus.cli.login import login, logout, whoami
from isthmus.cli.nouns import connectors_known
from isthmus.cli.scan import scan
from isthmus.cli.serve import serve
from isthmus.cli.session import remember, verb
from isthmus.cli.settings import settings
from isthmus.cli.version import version

PLUGINS = "isthmus.commands"


class Program(TyperGroup):
    """Our own commands first, then those of other packages; they are loaded when they are asked for, and listed when they load."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name."""
        return super().get_command(ctx, cmd_name) or _plugin(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        if ctx.resilient_parsing:  # Completion: loading a package for its name's sake would take longer than people wait.
            return [*super().list_commands(ctx), *(point.name for point in _points())]
        return [*super().list_commands(ctx), *(point.name for point in _points() if _load(point) is not None)]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As always, with one more sentence for a command whose package is not complete."""
        if args and super().get_command(ctx, args[0]) is None:
            point = next((point for point in _points() if point.name == args[0]), None)
            if point is not None and _load(point) is None:
                ctx.fail(f"'{point.name}' needs packages that are not installed. Run: pip install 'isthmus[lab]'")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="isthmus",
    cls=Program,
    help="Isthmus: AWS estates on an Azure-style control plane.",
    epilog=(
        "\b\nExit status: 0 done; 1 refused or failed; 2 wrong usage; 130 interrupted.\n"
        "Every command shows examples: isthmus connector create --help\nWhat is wrong? isthmus doctor"
    ),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(remember)

verb(
    app,
    "serve",
    examples={"serve": "Start on the usual port", "serve --port 9443 --exact-port --log-file isthmus.log": "On that port or not at all"},
    codes={0: "Told to end, by Ctrl-C or SIGTERM.", 130: "Not used: Ctrl-C ends the server in order."},
    environment={"AWS_ENDPOINT_URL, AWS_CA_BUNDLE": "Where AWS is and whom to trust for it; all settings: isthmus settings."},
)(serve)
verb(
    app,
    "login",
    examples={
        "login": "With the browser of this computer",
        "login --device-code": "With a browser elsewhere",
        "login -": "Paste a link",
        "login --link": "Make one, as the owner of the data folder",
    },
    environment={"BROWSER, DISPLAY, WAYLAND_DISPLAY": "Without any of them (and elsewhere than on macOS) no browser is opened."},
)(login)
verb(app, "logout", examples={"logout": "End it"})(logout)
verb(app, "whoami", examples={"whoami": "See who you are", "whoami --output json": "With everything the provider vouched for"})(whoami)
verb(
    app,
    "scan",
    examples={
        "scan aws-123456789012": "Read the account and wait",
        "scan aws-123456789012 --watch": "See how far each region is",
        "scan aws-123456789012 --output json": "With every gap, for a program",
    },
    complete={"name": connectors_known},
)(scan)
_AWS = "Where AWS is, and whom to trust for it."
verb(
    app,
    "ssm",
    examples={
        "ssm i-0123456789abcdef0": "With the one role that opens shells there",
        "ssm web-1 --role 123456789012.Operator --reason 'disk full'": "By the name of a machine, with a role and a reason",
        "ssm i-0123456789abcdef0 --region eu-west-1": "Without the inventory",
    },
    codes={0: "What the session itself ends with."},
    environment={"AWS_ENDPOINT_URL, AWS_CA_BUNDLE": _AWS},
)(ssm)
verb(
    app,
    "ssh",
    examples={
        "ssh alice@i-0123456789abcdef0": "Straight to its address",
        "ssh alice@web-1 --via ssm": "Through Session Manager, where no network leads there",
        "ssh alice@web-1 -- uptime": "One command",
    },
    codes={0: "What ssh itself ends with."},
    environment={"AWS_ENDPOINT_URL, AWS_CA_BUNDLE": _AWS},
)(ssh)
verb(
    app,
    "doctor",
    examples={
        "doctor": "Look at everything",
        "doctor --offline": "Ask nothing outside this computer",
        "doctor --output json": "For a program",
    },
    codes={0: "Nothing failed; there may be warnings.", 1: "Something failed."},
    environment={"AWS_ENDPOINT_URL, AWS_CA_BUNDLE, HTTPS_PROXY": "Looked at as the server would; so is every setting."},
)(doctor)
verb(app, "settings", examples={"settings": "See them", "settings --output csv": "For a spreadsheet"})(settings)
verb(
    app,
    "completion",
    examples={"completion bash": "See the script", "completion fish": "The one of fish"},
    environment={"ISTHMUS_COMPLETION_SECONDS": "How long completion may ask the server for names, 0 to 10. Default: 0.3."},
)(completion)
verb(
    app,
    "backup",
    examples={
        "backup isthmus.backup": "Everything, the keys sealed with a passphrase that is asked for",
        "backup isthmus.backup --without-keys": "Without the keys; a restore makes new ones",
    },
)(backup)
verb(
    app,
    "restore",
    examples={"restore isthmus.backup --passphrase-file passphrase.txt": "Bring it back, to an empty data folder and an empty database"},
)(restore)
verb(app, "version", examples={"version": "See them", "version --output json": "For a program"})(version)

for noun, commands in (
    ("connector", connector.app),
    ("solution", solution.app),
    ("inventory", inventory.app),
    ("machine", machine.app),
    ("operation", operation.app),
    ("role", role.app),
    ("access", access.app),
    ("client", client.app),
    ("issuer", issuer.app),
    ("subscription", container.subscriptions),
    ("group", container.groups),
    ("mapping", mapping.app),
    ("aws", aws.app),
    ("audit", audit.app),
    ("db", database.app),
):
    app.add_typer(commands, name=noun)


def main() -> None:
    """Run a command line; the process ends with its exit code."""
    try:
        app(prog_name="isthmus")
    except BrokenPipeError:
        # Whoever read the output has heard enough.
        sys.stderr.close()
        raise SystemExit(1) from None


def _points() -> list[EntryPoint]:
    return sorted(entry_points(group=PLUGINS), key=lambda point: point.name)


def _load(point: EntryPoint) -> Any:
    """The function behind an entry point; None when a package that it needs is missing."""
    try:
        return point.load()
    except ModuleNotFoundError:
        return None


def _plugin(name: str) -> Any:
    found = next((point for point in _points() if point.name == name), None)
    function = _load(found) if found else None
    if function is None:
        return None
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name)(function)
    return typer.main.get_command(single)
