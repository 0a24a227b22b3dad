"""Printing: nothing from elsewhere moves the cursor, nothing is cut, errors carry what to do."""

from __future__ import annotations

import json

import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.output import Output, Progress, clean, flat, print_error, print_item, print_list

LONG = "x" * 500


def test_values_are_one_printable_line() -> None:
    assert clean("a\x1b[31mb\nc\u202e") == "a [31mb c "
    assert [clean(None), clean(True), clean(3), clean({"a": [1]})] == ["", "yes", "3", '{"a": [1]}']


def test_lists_are_whole_and_missing_parts_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([{"a": {"b": LONG}, "c": "[bold]"}, {}], {"B": "a.b", "C": "c", "N": lambda item: len(item)}, Output.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["B", "C", "N"], [LONG, "[bold]", "2"], ["0"]]
    print_list(iter([{"a": 1}]), {}, Output.JSON)
    assert json.loads(capsys.readouterr().out) == [{"a": 1}]


def test_an_item_is_flattened(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"name": "n", "properties": {"p": {"q": 1}, "empty": {}}, "tags": {"t": "v"}}
    assert dict(flat(item)) == {"name": "n", "p.q": 1, "empty": {}, "tags.t": "v"}
    print_item(item, Output.TABLE)
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "n"]


def test_errors_show_details_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    detail = ArmError("InvalidParameter", "Must be text.", target="properties.x")
    print_error(ArmError("AuthorizationPending", "Not yet.", details=[detail, ArmError("Same", "Not yet.")]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["error: Not yet. [AuthorizationPending]", "  properties.x: Must be text."]
    assert "isthmus connector template" in lines[2]
    assert len(lines) == 3


def test_progress_without_a_terminal_is_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with Progress("Scanning", clock=lambda: now) as progress:
        progress.say("Scanning: 1")
        now = 16.0
        progress.say("Scanning: 2")
        progress.say("Scanning: 3")
    assert capsys.readouterr().err.splitlines() == ["Scanning", "Scanning: 2"]


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "The client 'Ann' ('a-1') does not have authorization to perform action 'Isthmus.Access/revocations/read' over scope '/'.",
            "isthmus role assign --principal a-1 --role Reader --scope /",
        ),
        (
            "The client 'Ann' ('a-1') does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write' over "
            "scope '/subscriptions/s'.",
            "isthmus role assign --principal a-1 --role Owner --scope /subscriptions/s",
        ),
        ("Only a reader of the tenant ('/') asks about others.", "isthmus role assign --principal a-1 --role Reader --scope /"),
        ("A machine may not do that.", ""),
    ],
)
def test_who_is_refused_is_told_what_an_owner_would_run(message: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ArmError("AuthorizationFailed", message, status=403), principal="a-1")
    told = capsys.readouterr().err
    assert "…" not in told
    assert (f"Ask an owner: {remedy}" in told) if remedy else len(told.splitlines()) == 1


def test_lines_of_a_table_end_where_their_text_ends(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([{"a": "x", "b": LONG}, {"a": "long one", "b": "y"}], {"A": "a", "B": "b"}, Output.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[2] == "long one  y"
