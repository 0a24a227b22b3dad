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


def test_what_a_mapping_demands_can_be_said_in_the_line(cli: Cli, connector: str) -> None:
    line = ("mapping", "create", "Shells", "--connector", connector, "--group-id", "g-dev", "--machine-tag", "team:red")
    made = cli(*line, "--approvers", "g-lead", "--longest", "2h", "--no-require-mfa", "--description", "Shells of the team")
    assert made.code == 0, made.err
    held = cli.json("mapping", "show", "Shells", "--connector", connector)["properties"]
    assert (held["requiresMfa"], held["machineTag"], held["description"]) == (False, "team:red", "Shells of the team")
    assert held["activation"]["longestSeconds"] == 7_200
    for wrong in ("2 weeks", "4m", "-1"):
        assert cli(*line, "--longest", wrong, "--replace").code == 2


def test_what_goes_with_a_mapping_is_said_before_it_is_deleted(cli: Cli, connector: str) -> None:
    assert cli("mapping", "create", "Reader", "--connector", connector, "--managed-policy", READ, "--group-id", "g-dev").code == 0
    asked = cli("mapping", "delete", "Reader", "--connector", connector, input="n\n")
    assert (asked.code, "people of g-dev hold it" in asked.err, READ in asked.err) == (1, True, True), asked.err
    missing = cli("mapping", "delete", "Missing", "--connector", connector, input="y\n")
    assert (missing.code, "ResourceNotFound" in missing.err, "Delete /" in missing.err) == (1, True, False), missing.err
    assert cli("mapping", "delete", "Reader", "--connector", connector, "--yes").code == 0


@pytest.mark.parametrize("held", [[], "x", None])
def test_a_file_that_holds_no_object_is_refused(cli: Cli, connector: str, tmp_path: Path, held: object) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(held))
    ran = cli("mapping", "create", "Reader", "--connector", connector, "--file", str(file))
    assert (ran.code, "UnreadableFile" in ran.err, "must be a JSON object" in ran.err) == (1, True, True), ran.err


def test_a_file_that_is_not_there_is_refused_by_its_own_code(cli: Cli, connector: str, tmp_path: Path) -> None:
    ran = cli("mapping", "create", "Reader", "--connector", connector, "--file", str(tmp_path / "nowhere"))
    assert (ran.code, "UnreadableFile" in ran.err, "nowhere" in ran.err) == (1, True, True), ran.err


def test_groups_are_listed_with_what_they_give(cli: Cli, connector: str) -> None:
    group = f"g-{uuid.uuid4().hex}"
    line = ("mapping", "create", "Reader", "--connector", connector, "--managed-policy", READ, "--group-id", group)
    assert cli(*line, "--approvers", f"{group}-lead").code == 0
    (row,) = [line.split("\t") for line in cli("mapping", "groups", "-o", "tsv").out.splitlines() if f"\t{group}\t" in line]
    assert (row[0], row[2].endswith(".Reader"), row[3]) == ("not told", True, "")
    (lead,) = [one["properties"] for one in cli.json("mapping", "groups") if one["properties"]["groupId"] == f"{group}-lead"]
    assert (lead["roles"], lead["decidesAbout"]) == ([], [row[2]])
