"""`python -m bench [--only GROUP] [--strict]`: run the benchmarks, print them, write `build/bench.json`.

The exit code is 0 also when a budget is missed (figures depend on the machine), 1 with `--strict` or when a benchmark broke.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

GROUPS = ("arm", "scan", "onboarding", "access", "trail", "portal")
FOLDER = Path(__file__).parent
RESULT = FOLDER.parent / "build" / "bench.json"
FIELDS = {"group", "name", "value", "unit", "budget", "ok", "against"}


def modules(group: str) -> list[str]:
    """Names of the modules of a group, in alphabetical order."""
    return sorted(f"bench.{path.stem}" for path in FOLDER.glob(f"{group}_*.py"))


def collect(groups: list[str], console: Console) -> tuple[list[dict[str, Any]], list[str]]:
    """Every row of the groups, and the modules that broke. One broken benchmark does not cost the others their rows."""
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for group in groups:
        found = modules(group)
        if not found:
            console.print(f"group {group}: nothing measures it yet", style="yellow")
        for name in found:
            console.print(f"{name} …", style="dim")
            try:
                measured = importlib.import_module(name).measure()
            except Exception:  # noqa: BLE001 - the border of a benchmark: the others still run, and this one is reported
                broken.append(name)
                console.print(traceback.format_exc(), style="red", markup=False)
                continue
            strange = [row for row in measured if row.keys() != FIELDS or row["group"] != group]
            if strange:
                broken.append(name)
                console.print(f"{name} gave rows of another shape or group: {strange}", style="red", markup=False)
            rows += [row for row in measured if row not in strange]
    return rows, broken


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for people."""
    shown = Table(title="Benchmarks", title_justify="left", box=None, pad_edge=False)
    for title in ("group", "what", "value", "budget", "", "against, in the same run"):
        shown.add_column(title, justify="right" if title in ("value", "budget") else "left")
    for row in rows:
        budget = "" if row["budget"] is None else f"{row['budget']:g} {row['unit']}"
        mark = "[green]ok[/]" if row["ok"] else "[bold red]MISSED[/]"
        shown.add_row(row["group"], row["name"], f"{row['value']:g} {row['unit']}", budget, mark, row["against"])
    return shown


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks against a peer or a limit in the same run.")
    parser.add_argument("--only", choices=GROUPS, help="run one group")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a budget is missed")
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    busy = os.getloadavg()[0]
    if busy > 1:
        console.print(f"This machine is busy (load {busy:.1f} on {os.cpu_count()} cores): trust the ratios, not the times.", style="yellow")
    rows, broken = collect([asked.only] if asked.only else list(GROUPS), console)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    console.print(table(rows))
    missed = [row for row in rows if not row["ok"]]
    for row in missed:
        console.print(
            f"BUDGET MISSED: {row['group']}, {row['name']}: {row['value']:g} {row['unit']}, budget {row['budget']:g}", style="bold red"
        )
    for name in broken:
        console.print(f"BROKEN: {name}", style="bold red")
    console.print(f"{len(rows)} rows, {len(missed)} over budget, in {RESULT.relative_to(FOLDER.parent)}")
    return 1 if broken or (asked.strict and missed) else 0


if __name__ == "__main__":
    raise SystemExit(main())
