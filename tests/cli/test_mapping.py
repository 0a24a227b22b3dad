"""`isthmus mapping create` against a real server: nothing is written over without a word, and files are read before anything is sent."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e
READ = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def connector(cli: Cli) -> str:
    """A connector with the access solution."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    cli.json("connector", "create", "--account", f"{uuid.uuid4().int % 10**12:012d}", "--name", name, "--group", f"g-{name}")
    cli.json("solution", "create", "--connector", name, "--type", "access")
    return name


def test_a_mapping_is_replaced_only_where_that_is_said(cli: Cli, connector: str) -> None:
    line = ("mapping", "create", "Reader", "--connector", connector, "--managed-policy", READ)
    made = cli(*line, "--group-id", "g-dev", "--approvers", "g-lead")
    assert (made.code, "replaced" in made.err) == (0, False), made.err
    again = cli(*line, "--group-id", "g-other")
    assert (again.code, "MappingExists" in again.err, "--replace" in again.err) == (1, True, True), again.err
    assert all(part in again.err for part in ("g-dev", READ, "activation Request"))
    assert cli.json("mapping", "show", "Reader", "--connector", connector)["properties"]["groups"] == ["g-dev"]
    replaced = cli(*line, "--group-id", "g-other", "--replace")
    assert (replaced.code, "is replaced" in replaced.err) == (0, True), replaced.err
    assert cli.json("mapping", "show", "Reader", "--connector", connector)["properties"]["groups"] == ["g-other"]
    fresh = cli("mapping", "create", "Other", "--connector", connector, "--managed-policy", READ, "--group-id", "g", "--replace")
    assert (fresh.code, "replaced" in fresh.err) == (0, False), fresh.err


@pytest.mark.parametrize("held", [[], "x", None])
def test_a_file_that_holds_no_object_is_refused(cli: Cli, connector: str, tmp_path: Path, held: object) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(held))
    ran = cli("mapping", "create", "Reader", "--connector", connector, "--file", str(file))
    assert (ran.code, "UnreadableFile" in ran.err, "must be a JSON object" in ran.err) == (1, True, True), ran.err


def test_a_file_that_is_not_there_is_refused_by_its_own_code(cli: Cli, connector: str, tmp_path: Path) -> None:
    ran = cli("mapping", "create", "Reader", "--connector", connector, "--file", str(tmp_path / "nowhere"))
    assert (ran.code, "UnreadableFile" in ran.err, "nowhere" in ran.err) == (1, True, True), ran.err
