"""Writes `docs/reference/` (settings, commands, error codes, types, rules) and `docs/man/`, each derived from where it is declared.

`python -m isthmus.cli.reference [folder]` writes both below `folder`, `docs` by default; a test holds the committed pages to what this
would write.
"""

from __future__ import annotations

import ast
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import isthmus
from isthmus.arm.types import Registry, ResourceType
from isthmus.cli import manual, roff
from isthmus.clouds.aws.catalog import TYPES
from isthmus.clouds.aws.trustlint import RULES
from isthmus.engine import Engine, Lookup
from isthmus.metrics import METRICS, PROCESS
from isthmus.providers import Ground, registry
from isthmus.settings import Settings
from isthmus.solutions import access, inventory, onboarding
from isthmus.solutions.onboard.codes import CODES
from isthmus.store import Store

SOURCE = Path(isthmus.__file__).parent
FOLDER = SOURCE.parents[1] / "docs"
# Functions of `arm.errors` that make an error, with the code they give unless told another.
_MAKERS = {
    "invalid": "InvalidRequestContent",
    "not_found": "ResourceNotFound",
    "conflict": "Conflict",
    "precondition_failed": "PreconditionFailed",
    "unavailable": "ServiceUnavailable",
}
_ERROR = re.compile(r"[A-Z][a-z]\w+")
_CLASSES = {
    "N": "no failure",
    "T": "soon",
    "E": "every 15 minutes, then less often",
    "U": "every 6 hours",
    "S": "never: it needs a decision",
}
_HEAD = "<!-- Written by `make reference` from the source. Do not edit. -->\n"


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "settings.md": settings_page(),
        "cli.md": f"{_HEAD}\n{manual.markdown()}",
        "errors.md": errors_page(),
        "types.md": types_page(),
        "metrics.md": metrics_page(),
        "trust-rules.md": trust_rules_page(),
    }


def settings_page() -> str:
    """Every setting."""
    rows = [
        (f"`ISTHMUS_{name.upper()}`", f"`{field.default}`" if field.default not in (None, "") else "", field.description)
        for name, field in Settings.model_fields.items()
    ]
    intro = (
        "Environment variables of `isthmus serve`. AWS is reached by AWS's own variables (`AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`).\n"
        "The command line also knows `ISTHMUS_URL`, `ISTHMUS_SUBSCRIPTION_ID`, `ISTHMUS_CLIENT_ID`, `ISTHMUS_CLIENT_SECRET`,\n"
        "`ISTHMUS_FEDERATED_TOKEN_FILE`, `ISTHMUS_CA_FILE` and, for `isthmus db copy`,\n"
        "`ISTHMUS_TARGET_DATABASE_URL`.\n"
    )
    return f"{_HEAD}\n# Settings\n\n{intro}\n{_table(('Variable', 'Default', 'Meaning'), rows)}"


def errors_page() -> str:
    """Every error code with the HTTP statuses it is given, and every code of an instance that is not connected."""
    found: dict[str, set[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        for code, status in error_codes(ast.parse(file.read_text())):
            found.setdefault(code, set()).add(status)
    errors = [(f"`{code}`", ", ".join(sorted(found[code]))) for code in sorted(found)]
    instances = [(f"`{code.name}`", _CLASSES[code.kind], code.remedy) for code in sorted(CODES.values(), key=lambda code: code.name)]
    intro = (
        "Answers carry `error.code`, `error.message` and often `error.target` and `error.details`. The message says what to do.\n"
        "The token endpoint answers with OAuth's own errors (RFC 6749).\n"
    )
    instance_intro = "Why an EC2 instance is not connected (`isthmus solution inventory`), and what to do. Braces hold what was seen.\n"
    return (
        f"{_HEAD}\n# Error codes\n\n{intro}\n{_table(('Code', 'Status'), errors)}"
        f"\n## Instances\n\n{instance_intro}\n{_table(('Code', 'Tried again', 'What to do'), instances)}"
    )


def error_codes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Code and status of every error that a module makes with a literal code."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if name == "ArmError" and node.args:
            for code in _literals(node.args[0]):
                yield code, _status(keywords.get("status"))
        elif name in _MAKERS:
            code_node = keywords.get("code")
            status = {"invalid": "400", "not_found": "404", "conflict": "409", "precondition_failed": "412", "unavailable": "503"}[name]
            for code in [_MAKERS[name]] if code_node is None else _literals(code_node):
                yield code, status
        elif "code" in keywords:
            # Functions of our own that take the code of the error they raise.
            for code in _literals(keywords["code"]):
                yield code, "varies"


def types_page() -> str:
    """Every resource type with its api-versions, and every AWS type with what it takes to read it."""
    rows = [
        (f"`{row.name}`", ", ".join(sorted(scope.value for scope in row.scopes)), _verbs(row), _versions(row))
        for row in sorted(table().rows.values(), key=lambda row: row.name.lower())
        if not row.name.startswith("Microsoft.AwsConnector/") and not row.name.endswith("/register")
    ]
    aws = [
        (f"`{entry.arm}`", f"`{entry.cfn}`" if entry.cfn else "", f"`{entry.service}`", ", ".join(f"`{name}`" for name in entry.operations))
        for entry in sorted(TYPES.values(), key=lambda entry: entry.arm.lower())
    ]
    projected = table().rows[f"microsoft.awsconnector/{next(iter(TYPES)).lower()}"]
    return (
        f"{_HEAD}\n# Types\n\n## Resource types\n\n{_table(('Type', 'Lies in', 'Verbs', 'api-versions'), rows)}"
        f"\n## AWS types\n\nProjections are `Microsoft.AwsConnector/<type>`, api-versions {_versions(projected)}.\n\n"
        f"{_table(('Type', 'CloudFormation', 'Service key', 'Operations'), aws)}"
    )


def metrics_page() -> str:
    """Every metric that `/metrics` may show."""

    def rows(*, whole: bool) -> list[tuple[str, ...]]:
        chosen = [one for one in METRICS if one.whole is whole]
        return [(f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help) for one in chosen]

    head = ("Name", "Kind", "Labels", "Meaning")
    process: list[tuple[str, ...]] = [
        (f"`{name}`", "counter" if name.endswith("_total") else "gauge", "", text) for name, text in PROCESS.items()
    ]
    intro = (
        "`GET /metrics` of every process, in Prometheus' text format; durations in seconds, sizes in bytes. Histograms have `_bucket`,\n"
        "`_sum` and `_count`. A dashboard for Grafana lies in `deploy/grafana/isthmus.json`.\n"
    )
    whole = "Read from the shared database, at most every ten seconds: every process says the same, so take the maximum over processes.\n"
    return (
        f"{_HEAD}\n# Metrics\n\n{intro}\n## Of one process\n\nSum them over processes; the scraper's `instance` label tells them apart.\n\n"
        f"{_table(head, rows(whole=False) + process)}\n## Of the installation\n\n{whole}\n{_table(head, rows(whole=True))}"
    )


def trust_rules_page() -> str:
    """Every rule of `isthmus access lint`."""
    intro = (
        "What `isthmus access lint` asks of an account, and why. An Error makes the command end with code 1.\n"
        "How to use it: [Lint trust](../how-to/lint-trust.md).\n"
    )
    rules = "".join(
        f"\n## {rule.id}\n\n**{rule.severity}.** {rule.asks}\n\n- Otherwise: {rule.because}\n- Remedy: {rule.remedy}\n" for rule in RULES
    )
    return f"{_HEAD}\n# Rules of trust\n\n{intro}{rules}"


def table() -> Registry:
    """The rows of the product over an empty store that is never asked."""
    store = Store(f"sqlite:///{Path(tempfile.gettempdir()) / 'isthmus-reference-never-opened.db'}")
    lookup = Lookup(store)
    engine = Engine(store, _Nothing(), clock=time.time, new_guid=lambda: "")
    solutions = {kind.id: kind for kind in (inventory.SOLUTION, onboarding.SOLUTION, access.SOLUTION)}
    ground = Ground(
        engine=engine,
        lookup=lookup,
        tenant="",
        public_url="",
        issuer_url="",
        solutions=solutions,
        ledger=lambda _solution: (),
        work=_Nothing(),
        broker=_Nothing(),  # type: ignore[arg-type] # rows are listed, none is asked
        requests=_Nothing(),  # type: ignore[arg-type] # nor here
        group_names=lambda _groups: {},
        certificates=lambda: (),
        rotation=_Nothing(),  # type: ignore[arg-type] # nor here
    )
    return registry(ground)


class _Nothing:
    """Takes no jobs and has none."""

    def _never(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    enqueue = list = counts = find = retry = _never


def _verbs(row: ResourceType) -> str:
    verbs = ["GET"] if row.read or row.put or row.patch or row.show else []
    verbs += ["list"] * bool(row.lists or row.enumerate or row.window)
    verbs += [verb for verb, hook in (("PUT", row.put), ("PATCH", row.patch), ("DELETE", row.delete)) if hook]
    return ", ".join(verbs + [f"POST `{action.name}`" for action in row.actions])


def _versions(row: ResourceType) -> str:
    return ", ".join(row.versions) or "any"


def _status(node: ast.expr | None) -> str:
    return "400" if node is None else str(node.value) if isinstance(node, ast.Constant) else "varies"


def _literals(node: ast.expr) -> list[str]:
    """The codes that an expression can give: a literal, or either side of a choice between literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if _ERROR.fullmatch(node.value) else []
    return [*_literals(node.body), *_literals(node.orelse)] if isinstance(node, ast.IfExp) else []


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [tuple(head)]
    lines += [tuple("-" * 3 for _ in lines[0])]
    lines += [tuple(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(folder: Path) -> None:
    """Write every page; man pages of commands that are gone go too."""
    for part, found in (("reference", pages()), ("man", roff.pages())):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            (folder / part / name).write_text(text)
    for old in (folder / "man").glob("*.1"):
        if old.name not in roff.pages():
            old.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
