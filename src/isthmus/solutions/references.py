"""What AWS properties name: ids such as `vpc-…` and ARNs."""

from __future__ import annotations

import re
from typing import Any

import orjson

MOST = 200
"""Names that are kept of one resource, the first of them in the order of its properties."""
LONGEST = 1024
_ID = r"[a-z]{1,32}(?:-[a-z]{1,32}){0,3}-[0-9a-f]{8,17}"
_ARN = r"arn:aws[a-z-]{0,16}:[!#-\[\]-~]{1,1000}"
# In compact JSON a string that ends in a colon is a name of a member, and text within text is escaped: neither is a value of its own.
_VALUES = re.compile(f'"({_ID}|{_ARN})"(?!:)')
_TAIL = re.compile(f"[:/]({_ID})$")
_WHOLE = re.compile(f"{_ID}|{_ARN}")


def short(name: str) -> str:
    """An ARN by the id at its end, where it has one, since others name the resource by that; anything else as it is."""
    found = _TAIL.search(name) if name.startswith("arn:") else None
    return found.group(1) if found is not None else name


def named_by(properties: Any, own: str) -> list[str]:
    """Ids and ARNs that stand as values anywhere in the properties, without the resource's own, by their short form; at most 200."""
    found = dict.fromkeys(_VALUES.findall(orjson.dumps(properties).decode()))
    names = dict.fromkeys([short(name) if name[:4] == "arn:" else name for name in found])
    names.pop(own, None)
    return list(names)[:MOST]


def id_of(arn: str, name: str) -> str:
    """What others call a resource: by its ARN, or by its name where that is an id; empty when neither can be named."""
    called = short(arn) if arn else name
    return called if len(called) <= LONGEST and _WHOLE.fullmatch(called) else ""
