"""`python -m isthmus.clouds.aws.wire.compile [folder]` writes one plan per service. Same models, same bytes."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.session import get_session

from isthmus.clouds.aws.wire.compile.operations import operations
from isthmus.clouds.aws.wire.compile.services import plan

PLANS = Path(__file__).parent.parent / "plans"


def render(document: Mapping[str, Any]) -> bytes:
    """Compact JSON with one operation and one row per line, so that a difference between two models can be read."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True)

    lines = []
    for key, value in document.items():
        if key == "operations":
            rows = ",\n".join(f"{compact(name)}:{compact(row)}" for name, row in value.items())
            lines.append(f"{compact(key)}:{{\n{rows}\n}}")
        elif key in ("inputs", "outputs"):
            rows = ",\n".join(compact(row) for row in value)
            lines.append(f"{compact(key)}:[\n{rows}\n]")
        else:
            lines.append(f"{compact(key)}:{compact(value)}")
    return ("{" + ",\n".join(lines) + "}\n").encode("ascii")


def compile_plans() -> dict[str, bytes]:
    """File name to content, for every service of the list."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in operations():
        service, operation = name.split(":")
        wanted[service].append(operation)
    session = get_session()
    return {f"{service}.json": render(plan(session, service, wanted[service])) for service in sorted(wanted)}


def main(folder: Path) -> None:
    """Replace the plans in a folder."""
    files = compile_plans()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        if stale.name not in files:
            stale.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sys.stdout.write(f"{len(files)} services, {sum(map(len, files.values()))} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PLANS)
