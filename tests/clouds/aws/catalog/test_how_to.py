"""The walk-through of adding a type is true: its example is the catalog's entry, and the files it names exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from isthmus.clouds.aws.catalog import TYPES, AwsType, Detail

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "how-to" / "add-an-aws-type.md").read_text()


def test_the_example_is_the_entry() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    told = eval(code, {"AwsType": AwsType, "Detail": Detail})
    real = TYPES[told.arm]
    assert {each.name: getattr(told, each.name) for each in fields(AwsType)} == {
        each.name: getattr(real, each.name) for each in fields(AwsType)
    }


def test_every_type_and_member_that_is_named_exists() -> None:
    examples = set(re.findall(r"\(`([a-z][A-Za-z0-9]+)`\)", PAGE))
    assert examples
    assert examples <= set(TYPES)
    members = {each.name for each in fields(AwsType)} | {each.name for each in fields(Detail)}
    named = {name for row in re.findall(r"^\| (`[^|]+) \|", PAGE, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named
    assert named <= members


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"(?:src|tests)/[\w/]+\.py", PAGE):
        assert (ROOT / name).is_file(), name
