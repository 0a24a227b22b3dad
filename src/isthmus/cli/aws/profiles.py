"""Profiles in AWS' configuration file: a block of our own between two marks, and nothing else of the file is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from isthmus.arm.errors import conflict

BEGIN, END = "# isthmus: begin (this block is written by 'isthmus aws profiles')", "# isthmus: end"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}$.*?^{re.escape(END)}$\n?", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^\s*\[\s*profile\s+(?P<name>[^\]]+?)\s*\]", re.MULTILINE)


def with_profiles(text: str, profiles: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """The configuration with these profiles in our block. ArmError 409 `ProfileExists` for a name that the rest of the file has."""
    rest = _BLOCK.sub("", text)
    taken = {match["name"] for match in _SECTION.finditer(rest)}
    for name, _ in profiles:
        if name in taken:
            raise conflict(
                f"The configuration has a profile '{name}' of its own. Rename it, or choose another prefix: --prefix", code="ProfileExists"
            )
    sections = [f"[profile {name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()) for name, values in profiles]
    block = f"{BEGIN}\n" + "\n".join(sections) + f"{END}\n"
    return f"{rest.rstrip()}\n\n{block}" if rest.strip() else block
