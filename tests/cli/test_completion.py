"""Shell completion, by the protocol that the shells' scripts speak: names from the server, at once or not at all."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from isthmus.cli.completion import fixed
from isthmus.client import Note
from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e

PROGRAM = Path(sys.executable).with_name("isthmus")


def environment(data: Path, home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ISTHMUS_", "_ISTHMUS"))}
    patient = {"ISTHMUS_COMPLETION_SECONDS": "10"}
    return {**kept, **patient, "ISTHMUS_DATA": str(data), "HOME": str(home), "XDG_CACHE_HOME": str(home), **more}


def complete(words: Sequence[str], environ: dict[str, str], shell: str = "bash") -> list[str]:
    """What is offered for the last word; nothing may be said beside it."""
    line = shlex.join(words[:-1]) + " " + words[-1]
    spoken = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    ran = subprocess.run(
        [PROGRAM],
        env={**environ, **spoken, "_ISTHMUS_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.fixture
def connector(cli: Cli) -> Iterator[str]:
    """A connector with an inventory, removed afterwards."""
    name = f"complete-{time.time_ns()}"
    cli.json("connector", "create", "--account", f"{time.time_ns() % 10**12:012d}", "--name", name, "--group", name)
    cli.json("solution", "create", "--connector", name, "--type", "inventory")
    yield name
    cli("connector", "delete", name, "--yes")


@pytest.mark.e2e
def test_names_come_from_the_server(served: Path, tmp_path: Path, connector: str) -> None:
    environ = environment(served, tmp_path)
    assert connector in complete(["isthmus", "connector", "show", "complete-"], environ)
    assert connector in complete(["isthmus", "solution", "list", "--connector", "complete-"], environ)
    assert connector in complete(["isthmus", "machine", "list", "--group", "complete-"], environ)
    assert complete(["isthmus", "solution", "show", "--connector", connector, ""], environ) == ["inventory"]
    assert "ec2VPCs" in complete(["isthmus", "inventory", "list", "--type", "ec2V"], environ)
    assert complete(["isthmus", "solution", "show", ""], environ) == []
    by_option = environment(tmp_path, tmp_path)
    assert connector in complete(["isthmus", "--data", str(served), "connector", "show", "complete-"], by_option)


@pytest.mark.e2e
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_same_names(served: Path, tmp_path: Path, connector: str, shell: str) -> None:
    assert connector in " ".join(complete(["isthmus", "connector", "show", "complete-"], environment(served, tmp_path), shell))


@pytest.mark.e2e
def test_words_of_the_program_need_no_server(tmp_path: Path) -> None:
    environ = environment(tmp_path, tmp_path)
    assert {"connector", "completion"} <= set(complete(["isthmus", "co"], environ))
    assert complete(["isthmus", "connector", "list", "--output", ""], environ) == ["table", "json", "yaml", "tsv", "csv"]
    assert complete(["isthmus", "solution", "create", "--type", "o"], environ) == ["onboarding"]
    assert "--interval" in complete(["isthmus", "connector", "list", "--in"], environ)
    assert complete(["isthmus", "connector", "show", ""], environ) == []


@pytest.mark.e2e
@pytest.mark.parametrize("broken", [{"ISTHMUS_PORT": "many"}, {"ISTHMUS_URL": "http://127.0.0.1"}, {"ISTHMUS_URL": "::"}])
def test_what_is_wrong_is_not_said_while_completing(tmp_path: Path, broken: dict[str, str]) -> None:
    assert complete(["isthmus", "connector", "show", ""], environment(tmp_path, tmp_path, **broken)) == []


@pytest.mark.e2e
def test_a_server_that_is_slow_is_not_waited_for(tmp_path: Path) -> None:
    """It takes connections and says nothing. Completion ends all the same, long before an answer could time out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "keys").mkdir(mode=0o700)
        Note(url=url, pid=1, ca="", issuer="", subscription="").write(tmp_path)
        environ = environment(tmp_path, tmp_path, ISTHMUS_CLIENT_ID="x", ISTHMUS_CLIENT_SECRET="y", ISTHMUS_COMPLETION_SECONDS="0.3")
        started = time.monotonic()
        assert complete(["isthmus", "connector", "show", ""], environ) == []
        assert time.monotonic() - started < 10


@pytest.mark.e2e
def test_bash_completes_with_the_installed_script(tmp_path: Path) -> None:
    """The program finds out that bash asks, writes its script where bash reads it, and bash gets words from it."""
    environ = {**environment(tmp_path, tmp_path), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", "isthmus --install-completion; true"], env=environ, check=True, capture_output=True, timeout=60)
    words = "COMP_WORDS=(isthmus conn); COMP_CWORD=1; _isthmus_completion isthmus"
    asked = f'source "$HOME/.bashrc"; {words}; echo "${{COMPREPLY[*]}}"; complete -p isthmus'
    ran = subprocess.run(["bash", "-c", asked], env=environ, check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines() == ["connector", "complete -o default -F _isthmus_completion isthmus"]


@pytest.mark.parametrize(
    ("shell", "holds"), [("bash", "complete_bash"), ("zsh", "#compdef isthmus"), ("fish", "complete --command isthmus")]
)
def test_scripts_are_printed(cli: Cli, shell: str, holds: str) -> None:
    ran = cli("completion", shell)
    assert (ran.code, holds in ran.out, "_ISTHMUS_COMPLETE" in ran.out) == (0, True, True)


def test_a_few_words_are_chosen_by_their_start() -> None:
    assert fixed("Owner", "Reader")("r") == ["Reader"]
