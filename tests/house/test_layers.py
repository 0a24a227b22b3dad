"""Who may import whom: the contracts in pyproject.toml hold, and none of the agreed ones is missing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT

CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_the_contracts_hold() -> None:
    """As `make check` runs them."""
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_the_layers_are_exhaustive() -> None:
    """A new package must say where it stands."""
    layers = [contract for contract in CONTRACTS if contract["type"] == "layers"]
    assert [contract["containers"] for contract in layers] == [["isthmus"]]
    assert layers[0]["exhaustive"]


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("isthmus_agent", "isthmus"),
        ("isthmus", "isthmus_lab"),
        ("isthmus.cli", "isthmus.engine"),
        ("isthmus.cli", "isthmus.doctor"),
        ("isthmus.clouds", "isthmus.store"),
        ("isthmus.solutions", "dbos"),
    ],
)
def test_agreed_contracts_are_there(source: str, forbidden: str) -> None:
    """The agent stands alone; the product knows no lab; faces speak to the API; a cloud imports nothing of ours; only work knows DBOS."""
    contracts = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    assert any(source in contract["source_modules"] and forbidden in contract["forbidden_modules"] for contract in contracts)


def test_siblings_do_not_form_circles() -> None:
    """Packages of one folder import each other in one direction."""
    assert any(contract["type"] == "acyclic_siblings" for contract in CONTRACTS)
