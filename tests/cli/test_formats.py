"""Formats for programs: what is written is read back, nothing reaches the terminal, nothing runs in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isthmus.cli.formats import Output, as_csv, as_json, as_tsv, as_yaml, cell
from isthmus.cli.output import print_item, print_list, print_row

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
HOSTILE = "a\x1b[2J\x9b31m\u202eb\u0085c\x7f\u2028\U000e0041\td\ne"


def is_harmless(text: str) -> bool:
    """Whether a terminal would print it and do nothing else."""
    return all(character.isprintable() or character == "\n" for character in text.replace("\r\n", "\n"))


@given(VALUES)
def test_json_and_yaml_give_back_what_there_was(value: object) -> None:
    """Whatever a name holds."""
    assert json.loads(as_json(value)) == value
    assert yaml.safe_load(as_yaml(value)) == value
    assert is_harmless(as_json(value) + as_yaml(value))


@given(st.lists(VALUES, min_size=1))
def test_rows_are_one_harmless_line_of_as_many_cells(values: list[object]) -> None:
    """Also where values hold tabs, line breaks and quotes."""
    tsv, line = as_tsv(values), as_csv(values)
    assert (tsv.count("\n"), tsv.count("\t")) == (1, len(values) - 1)
    assert len(next(csv.reader(io.StringIO(line, newline="")))) == len(values)
    assert line.endswith("\r\n")
    assert is_harmless(tsv.replace("\t", " ") + line)


def test_yaml_is_for_reading() -> None:
    shared = {"k": ["v"]}
    written = as_yaml({"name": "Zürich ✓ 👍", "one": shared, "two": shared, "text": "first\n second\n", "yes": "yes"})
    assert written == "name: Zürich ✓ 👍\none:\n  k:\n  - v\ntwo:\n  k:\n  - v\ntext: |\n  first\n   second\n'yes': 'yes'\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, "true"),
        (-5, "-5"),
        ("-5", "-5"),
        ({"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
        ("a\tb\r\nc", "a b  c"),
    ],
)
def test_cells_of_tsv(value: object, written: str) -> None:
    assert cell(value) == written
    assert as_tsv([value, "x"]) == f"{written}\tx\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "' =1"),
        ("＝1", "'＝1"),
        (-5, "-5"),
        (-1.5, "-1.5"),
        (True, "true"),
        ("", ""),
        ("a=1", "a=1"),
        ('say "x", y', '"say ""x"", y"'),
        (["="], '"[""=""]"'),
    ],
)
def test_cells_of_csv_run_nowhere(value: object, written: str) -> None:
    assert as_csv([value]).removesuffix("\r\n") == (written or '""')


@pytest.mark.parametrize("output", list(Output))
@pytest.mark.parametrize("show", [lambda item, output: print_list([item], {"NAME": "name", "TAGS": "tags"}, output), print_item])
def test_no_format_lets_a_name_move_the_cursor(
    output: Output, show: Callable[[dict[str, object], Output], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show({"name": HOSTILE, HOSTILE: "x", "tags": {HOSTILE: [HOSTILE]}}, output)
    written = capsys.readouterr().out
    assert is_harmless(written.replace("\t", " "))
    assert "a" in written


def test_lists_as_rows(capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"name": "one", "properties": {"n": 1}}, {"name": "two"}]
    columns = {"NAME": "name", "N": "properties.n"}
    print_list(items, columns, Output.TSV)
    print_list(items, columns, Output.CSV)
    print_list([], columns, Output.CSV)
    print_list([], columns, Output.TSV)
    print_list([], columns, Output.YAML)
    assert capsys.readouterr().out == "one\t1\ntwo\t\nNAME,N\r\none,1\r\ntwo,\r\nNAME,N\r\n[]\n"


def test_an_item_as_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"name": "one", "properties": {"n": 1, "m": {"a": [1, 2]}}}
    print_item(item, Output.CSV)
    print_item(item, Output.TSV)
    print_item(item, Output.TSV, {"N": "properties.n"})
    print_row(["x", None], Output.CSV)
    assert capsys.readouterr().out == 'name,n,m.a\r\none,1,"[1,2]"\r\none\t1\t[1,2]\n1\nx,\r\n'
