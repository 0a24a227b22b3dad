"""Writers of the query protocols: a tree of parameters as `Filter.1.Value.2=…` pairs (AWS query protocol and its EC2 dialect)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.clouds.aws.wire.write_values import elements, members, text_of

Pairs = list[tuple[str, str]]
Flat = Callable[[Pairs, str, Any], None]


def flat_writer(rows: Sequence[Sequence[Any]]) -> Callable[[str | int], Flat]:
    """Writers for references into `rows`; each appends its pairs under the given prefix."""
    made: dict[int, Flat] = {}

    def refer(ref: str | int) -> Flat:
        if isinstance(ref, str):
            text = text_of(ref, "iso8601")
            return lambda pairs, prefix, value: pairs.append((prefix, text(value)))
        if ref not in made:
            made[ref] = lambda pairs, prefix, value: made[ref](pairs, prefix, value)
            made[ref] = make(rows[ref])
        return made[ref]

    def make(row: Sequence[Any]) -> Flat:
        if row[0] == "S":
            written = {name: (wire, refer(ref)) for name, wire, ref in members(row)}
            return _structure(written, row[2] if len(row) > 2 else ())
        if row[0] == "L":
            return _list(refer(row[1]), row[2])
        return _map(refer(row[1]), refer(row[2]), row[3:])

    return refer


def _structure(written: Mapping[str, tuple[str, Flat]], required: Sequence[str]) -> Flat:
    def write(pairs: Pairs, prefix: str, value: Any) -> None:
        for name in required:
            if value.get(name) is None:
                raise ValueError(f"the parameter {prefix}{'.' if prefix else ''}{name} is missing")
        for name, item in value.items():
            if name not in written:
                raise ValueError(f"unknown parameter {prefix}{'.' if prefix else ''}{name}")
            if item is not None:
                wire, inner = written[name]
                inner(pairs, f"{prefix}.{wire}" if prefix else wire, item)

    return write


def _list(inner: Flat, element: str | None) -> Flat:
    def write(pairs: Pairs, prefix: str, value: Any) -> None:
        items = elements(value)
        if not items and element is not None:
            pairs.append((prefix, ""))  # the query protocol tells an empty list from an absent one, EC2 does not
        start = prefix if element is None else f"{prefix}.{element}"
        for number, item in enumerate(items, 1):
            inner(pairs, f"{start}.{number}", item)

    return write


def _map(keys: Flat, values: Flat, names: Sequence[Any]) -> Flat:
    key_name, value_name, is_flattened = names

    def write(pairs: Pairs, prefix: str, value: Any) -> None:
        start = prefix if is_flattened else f"{prefix}.entry"
        for number, (key, item) in enumerate(value.items(), 1):
            keys(pairs, f"{start}.{number}.{key_name}", key)
            values(pairs, f"{start}.{number}.{value_name}", item)

    return write
