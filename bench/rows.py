"""A row of a benchmark: a figure, its budget, and what the same run measured for a peer or a limit."""

from __future__ import annotations

from typing import Any, Literal


def row(
    group: str,
    name: str,
    value: float,
    unit: str,
    *,
    budget: float | None,
    against: str,
    better: Literal["lower", "higher"] = "lower",
) -> dict[str, Any]:
    """`{group, name, value, unit, budget, ok, against}`; a row without a budget is always ok. `against` says the peer's figure in words."""
    met = budget is None or (value <= budget if better == "lower" else value >= budget)
    return {"group": group, "name": name, "value": round(value, 4), "unit": unit, "budget": budget, "ok": met, "against": against}


def times(ours: float, theirs: float) -> str:
    """How many times the peer's figure ours is."""
    return f"{ours / theirs:.2f}x" if theirs else "no figure"
