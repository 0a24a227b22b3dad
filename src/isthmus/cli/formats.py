"""How results are written for programs: JSON, YAML, tab-separated and comma-separated text. Pure; nothing here moves a terminal's cursor.

What a terminal would obey (control characters, also those of Unicode that reorder or hide text) is escaped where the format has escapes
(JSON, YAML), so that programs read back what there was, and becomes a space where it has none (TSV, CSV).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import yaml

Column = str | Callable[[Mapping[str, Any]], object]
_ONE_LINE = 1_000_000
_SPREADSHEET = "=+-@＝＋－＠"
"""What makes a cell a formula; the wide forms do so in some locales (OWASP, CSV Injection)."""


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    TSV = "tsv"
    CSV = "csv"

    @property
    def is_for_people(self) -> bool:
        """Whether programs are not expected to read it."""
        return self is Output.TABLE

    @property
    def is_tree(self) -> bool:
        """Whether it keeps objects inside objects."""
        return self in (Output.JSON, Output.YAML)


def pick(item: Mapping[str, Any], column: Column) -> object:
    """A column of an item: a dotted path (missing parts give nothing), or a function."""
    if not isinstance(column, str):
        return column(item)
    found: Any = item
    for part in column.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def one_line(text: str) -> str:
    """A text as one printable line."""
    return "".join(character if character.isprintable() else " " for character in text)


def cell(value: object) -> str:
    """A value between tabs or commas: nothing for null, `true` and `false`, objects and lists as compact JSON, always one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple)):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return one_line(str(value))


def as_json(value: object, *, indent: int | None = 2) -> str:
    """JSON with a line break at its end. Characters that do not print are `\\u` escapes."""
    return _escaped(json.dumps(value, indent=indent, ensure_ascii=False, default=str), _json_escape) + "\n"


def as_yaml(value: object) -> str:
    """YAML 1.1: members in their order, no aliases, Unicode kept, texts of several lines as blocks."""
    plain = json.loads(json.dumps(value, default=str))
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_ONE_LINE)
    return _escaped(text, _yaml_escape)


def as_tsv(values: Sequence[object]) -> str:
    """One line of cells between tabs, without a header, as azure-cli writes it; null is empty."""
    return "\t".join(cell(value) for value in values) + "\n"


def as_csv(values: Iterable[object]) -> str:
    """One record (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay as they are."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_defused(value) for value in values])
    return line.getvalue()


def flat(item: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, object]]:
    """Members with their dotted paths; `properties` needs no mention, lists stay whole."""
    for name, value in item.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, "" if path == "properties" else f"{path}.")
        else:
            yield path, value


def _defused(value: object) -> str:
    text = cell(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"'{text}" if not is_number and text.lstrip()[:1] in tuple(_SPREADSHEET) else text


def _escaped(text: str, escape: Callable[[int], str]) -> str:
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(character if character.isprintable() or character == "\n" else escape(ord(character)) for character in text)


def _json_escape(point: int) -> str:
    if point < 0x10000:
        return f"\\u{point:04x}"
    return f"\\u{0xD800 + ((point - 0x10000) >> 10):04x}\\u{0xDC00 + ((point - 0x10000) & 0x3FF):04x}"


def _yaml_escape(point: int) -> str:
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


class _Dumper(yaml.SafeDumper):
    """Writes every value where it stands, and quotes whatever holds a character that does not print, so that it can be escaped.

    libyaml's dumper would be faster, but it escapes everything beyond the basic plane.
    """

    def ignore_aliases(self, _data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        lines = text.split("\n")
        if not all(line.isprintable() for line in lines):
            return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if len(lines) > 1 else None)


_Dumper.add_representer(str, _Dumper.represent_text)
