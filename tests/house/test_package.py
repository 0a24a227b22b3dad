"""What is shipped, what is locked, and that declared commands exist."""

from __future__ import annotations

import importlib
import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.house.tree import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEEL: dict[str, Any] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org"}
COMMANDS = {**PROJECT["project"]["scripts"], **PROJECT["project"]["entry-points"]["isthmus.commands"]}
# Folders whose every file the program reads at run time.
DATA = ("src/isthmus/clouds/aws/wire/plans", "src/isthmus/store/migrations", "src/isthmus/clouds/aws/template")


@pytest.fixture(scope="module")
def shipped() -> set[str]:
    """Paths inside the wheel."""
    return {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}


@pytest.mark.parametrize("folder", DATA)
def test_the_wheel_holds_what_the_program_reads(shipped: set[str], folder: str) -> None:
    """Compiled plans, migrations and the scripts of the template."""
    wanted = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / folder).rglob("*") if _is_shipped(path)}
    assert wanted
    assert not wanted - shipped


def _is_shipped(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def test_the_wheel_holds_its_marks_and_nothing_else(shipped: set[str]) -> None:
    """`py.typed` in each package; no tests, no caches, no keys."""
    assert {f"{package}/py.typed" for package in ("isthmus", "isthmus_agent", "isthmus_lab")} <= shipped
    assert {path.partition("/")[0] for path in shipped} == {"isthmus", "isthmus_agent", "isthmus_lab"}
    assert not [path for path in shipped if path.endswith((".pyc", ".pem", ".db"))]


def test_man_pages_are_installed_where_man_looks() -> None:
    """The folder goes to `share/man/man1` below the prefix, and holds nothing else."""
    assert WHEEL["shared-data"] == {"docs/man": "share/man/man1"}
    assert {path.suffix for path in (ROOT / "docs/man").iterdir()} == {".1"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_declared_commands_can_be_imported(name: str) -> None:
    """Scripts and the lab's entry point."""
    assert callable(EntryPoint(name=name, value=COMMANDS[name], group="").load())


def test_versions_agree() -> None:
    """The package says what its metadata says."""
    assert importlib.import_module("isthmus").__version__ == PROJECT["project"]["version"]


def test_the_lock_names_public_hosts_only() -> None:
    """Whoever locked behind a mirror left no trace of it; nothing comes from a folder of somebody's computer."""
    lock = (ROOT / "uv.lock").read_text()
    assert {host.lower() for host in re.findall(r"[a-z+]+://([^/\"\s]+)", lock)} == PUBLIC_HOSTS
    sources = [package["source"] for package in tomllib.loads(lock)["package"]]
    assert {key for source in sources for key in source} <= {"registry", "editable"}
    assert {source["registry"] for source in sources if "registry" in source} == {"https://pypi.org/simple"}
    assert [source["editable"] for source in sources if "editable" in source] == ["."]
    assert not re.search(r"\bpath = |registry = \"/", lock)


def test_the_lock_holds_every_requirement() -> None:
    """A dependency that was added without locking would be missing from a fresh clone."""
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    names = {re.split(r"[\[<>=~! ]", requirement)[0].lower() for group in groups for requirement in group}
    assert not names - locked
