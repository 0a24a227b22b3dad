"""Who may import, catch and print what."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from tests.house.tree import Module, functions, imported, modules, said

# Where everything may be caught, and whose border that is. The line itself says why.
BROAD = {
    "src/isthmus/api/frame.py": "a request",
    "src/isthmus/portal/site.py": "a request",
    "src/isthmus/work/attempts.py": "a job",
    "src/isthmus/work/worker.py": "a job",
    "src/isthmus/clouds/aws/scan.py": "one cell of a scan",
    "src/isthmus/clouds/aws/template/assign_profile.py": "a request: CloudFormation waits an hour for its answer",
    "src/isthmus_lab/machines/zygote.py": "a forked process",
    "src/isthmus_lab/machines/supervisor.py": "a job",
    "src/isthmus_lab/ssm/running.py": "a job",
}
# Functions that are embedded in the template as text and run in AWS Lambda, where boto3 is at home.
LAMBDA = {"src/isthmus/clouds/aws/template/assign_profile.py"}
COMPILER = ("src/isthmus/clouds/aws/wire/compile/", "src/isthmus/clouds/aws/usage/compile.py")
PRINTS = ("src/isthmus/cli/", "src/isthmus_lab/demo/")
LAB = re.compile(r"isthmus_lab|ministack|\bmoto\b|\b4566\b|issuer\.isthmus\.test", re.IGNORECASE)
# The default of a setting is a public fact that the lab was made to fit.
LAB_ALLOWED = {"src/isthmus/settings.py": "issuer.isthmus.test"}


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds)


def _cleans_up(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends by raising what it caught: that hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def broad(module: Module) -> Iterator[int]:
    """Lines of handlers that catch everything and keep it."""
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node) and not _cleans_up(node):
            yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "suppress":
            names = {kind.id for kind in node.args if isinstance(kind, ast.Name)}
            if names & {"Exception", "BaseException"}:
                yield node.lineno


def test_everything_is_caught_at_named_borders_only() -> None:
    """A request, a job, one cell of a scan; a comment in the line says why."""
    found = []
    for module in modules("src"):
        for line in broad(module):
            reasoned = len(module.lines[line - 1].partition("  # ")[2].removeprefix("noqa: BLE001").split()) > 3
            if module.path not in BROAD or not reasoned:
                found.append(f"{module.path}:{line} {module.lines[line - 1].strip()}")
    assert not found, said(found)


def test_no_imports_inside_functions() -> None:
    """What a module needs stands at its top."""
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules()
        for function in functions(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not found, said(found)


def test_only_the_command_line_prints() -> None:
    """Everything else logs, or answers."""
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules("src")
        if not module.path.startswith(PRINTS)
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not found, said(found)


def _importers(*packages: str) -> list[tuple[str, int]]:
    names = set(packages)
    return [(module.path, line) for module in modules("src") for line, name in imported(module) if name.partition(".")[0] in names]


def test_only_work_imports_the_engine_of_jobs() -> None:
    """DBOS can be replaced by changing one package."""
    assert not [place for place in _importers("dbos") if not place[0].startswith("src/isthmus/work/")]


def test_the_product_reaches_aws_by_its_own_caller() -> None:
    """botocore's models are read when plans are compiled, not when the product runs."""
    product = [place for place in _importers("boto3", "botocore", "aiobotocore") if place[0].startswith("src/isthmus/")]
    assert not [place for place in product if place[0] not in LAMBDA and not place[0].startswith(COMPILER)]


def test_the_agent_needs_the_standard_library_and_cryptography() -> None:
    """So that it runs wherever Python does."""
    allowed = {*sys.stdlib_module_names, "cryptography", "isthmus_agent"}
    found = [f"{module.path}:{line} {name}" for module in modules("src/isthmus_agent") for line, name in imported(module)]
    assert not [line for line in found if line.split()[1].partition(".")[0] not in allowed]


@pytest.mark.parametrize("folder", ["src/isthmus", "src/isthmus_agent"])
def test_the_product_does_not_know_the_lab(folder: str) -> None:
    """What works on the lab works on AWS because nothing can tell them apart."""
    found = [
        f"{module.path}:{number} {line.strip()}"
        for module in modules(folder)
        for number, line in enumerate(module.lines, 1)
        for match in LAB.finditer(line)
        if LAB_ALLOWED.get(module.path) != match.group()
    ]
    assert not found, said(found)


def test_the_lab_uses_the_public_client_alone() -> None:
    """The lab is AWS and a user of the product; it looks into nothing."""
    allowed = ("isthmus.client",)
    found = [
        f"{module.path}:{line} {name}"
        for module in modules("src/isthmus_lab")
        for line, name in imported(module)
        if name.partition(".")[0] == "isthmus" and not name.startswith(allowed)
    ]
    assert not found, said(found)


def test_only_dialect_knows_which_database_it_is() -> None:
    """Differences of SQLite and PostgreSQL stand in one file; the engine of jobs has its own in `work/engine.py` and `work/claims.py`."""
    homes = ("src/isthmus/store/", "src/isthmus/work/engine.py", "src/isthmus/work/claims.py")
    found = [
        f"{module.path}:{line} {name}"
        for module in modules("src/isthmus")
        for line, name in imported(module)
        if name.startswith(("sqlalchemy.dialects", "psycopg", "sqlite3")) and not module.path.startswith(homes)
    ]
    assert not found, said(found)
