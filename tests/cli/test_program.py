"""The program as a whole: commands of other packages, options before and after the command, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from isthmus.cli import app, program


def greet(name: str, loud: bool = False) -> None:
    """Say hello."""
    typer.echo(f"hello {name}{'!' if loud else ''}")


@pytest.fixture(autouse=True)
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """One package that is complete and one that lacks what it needs."""
    found = [
        EntryPoint("greet", f"{__name__}:greet", program.PLUGINS),
        EntryPoint("fly", "no_such_package_of_ours.command:fly", program.PLUGINS),
    ]
    monkeypatch.setattr(program, "_points", lambda: found)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[greet.__module__])


def test_commands_of_other_packages_are_commands() -> None:
    ran = CliRunner().invoke(app, ["greet", "you", "--loud"])
    assert (ran.exit_code, ran.stdout) == (0, "hello you!\n")


def test_a_command_whose_packages_are_missing_is_not_listed_and_says_why() -> None:
    told = CliRunner().invoke(app, ["--help"])
    assert "greet" in told.stdout
    assert "fly" not in told.stdout
    ran = CliRunner().invoke(app, ["fly"])
    assert (ran.exit_code, "pip install 'isthmus[lab]'" in ran.stderr) == (2, True)


def test_options_hold_before_and_after_the_command() -> None:
    for arguments in (["--output", "json", "version"], ["version", "--output", "json"], ["--output", "table", "version", "-o", "json"]):
        ran = CliRunner().invoke(app, arguments)
        assert (ran.exit_code, ran.stdout[0]) == (0, "{"), ran.stderr


def test_an_option_before_the_command_counts_more_than_the_environment(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for arguments in (["--data", str(here), "group", "list"], ["group", "list", "--data", str(here)]):
        ran = CliRunner().invoke(app, arguments, env={"ISTHMUS_DATA": str(there), "ISTHMUS_URL": ""})
        assert (ran.exit_code, str(here) in ran.stderr, str(there) in ran.stderr) == (1, True, False), ran.stderr
    ran = CliRunner().invoke(app, ["group", "list"], env={"ISTHMUS_DATA": str(there), "ISTHMUS_URL": ""})
    assert str(there) in ran.stderr


@pytest.mark.slow
def test_every_command_has_help() -> None:
    root = typer.main.get_command(app)

    def leaves(command: object, path: list[str]) -> list[list[str]]:
        inner = getattr(command, "commands", {})
        return [leaf for name, child in inner.items() for leaf in leaves(child, [*path, name])] or [path]

    for path in leaves(root, []):
        ran = CliRunner().invoke(app, [*path, "--help"])
        assert (ran.exit_code, "--output" in ran.stdout) == (0, True), path


def test_commands_start_without_the_server_inside() -> None:
    script = "import sys, isthmus.cli; print([name for name in ('isthmus.app', 'dbos', 'aiohttp', 'sqlalchemy') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
