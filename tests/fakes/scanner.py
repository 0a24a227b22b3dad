"""An account in memory that is scanned like a cloud: cells with items, cells that fail, a trust that can be missing."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

from isthmus.clouds.contract import Cell, DeployedRole, Gap, Item, Listed, Outcome, Reading, ScanTarget, Selection, Unreadable, Verdict


@dataclass
class FakeAccount:
    """Fulfils `Scanner`. `cells` maps (region, type) to resources by id; `broken` maps a cell to an outcome; `refusal` refuses trust.

    `verdicts` is what a test of permissions answers, `roles` maps solution types to what stands in the account.
    """

    account: str = "123456789012"
    cells: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    broken: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    refusal: str = ""
    unreachable: str = ""
    dies_after: int | None = None
    verdicts: tuple[Verdict, ...] = ()
    roles: dict[str, DeployedRole | Unreadable] = field(default_factory=dict)
    listed: list[tuple[str, str]] = field(default_factory=list)
    tested: list[tuple[ScanTarget, Selection]] = field(default_factory=list)

    async def check(self, target: ScanTarget) -> None:
        """Whether the account trusts us."""
        if self.unreachable:
            raise ConnectionError(self.unreachable)
        if self.refusal:
            raise PermissionError(self.refusal)

    async def test(self, target: ScanTarget, selection: Selection) -> list[Verdict]:
        """What was agreed, if the account trusts us."""
        await self.check(target)
        self.tested.append((target, selection))
        return list(self.verdicts)

    async def role(self, target: ScanTarget) -> DeployedRole:
        """The role of the target's solution."""
        await self.check(target)
        found = self.roles[target.solution]
        if isinstance(found, Unreadable):
            raise found
        return found

    async def scan(self, target: ScanTarget, selection: Selection, done: Collection[Cell] = ()) -> AsyncIterator[Reading]:
        """All cells but those in `done`; `dies_after` so many readings the process fails."""
        given = 0
        for region, kind in sorted(self.cells | {place: {} for place in self.broken}):
            cell = Cell(account=self.account, region=region, type=kind)
            if cell in set(done):
                continue
            self.listed.append((region, kind))
            for reading in self._cell(cell):
                if self.dies_after is not None and given >= self.dies_after:
                    raise ConnectionResetError("the process dies here")
                given += 1
                yield reading

    def _cell(self, cell: Cell) -> list[Reading]:
        place = (cell.region, cell.type)
        if place in self.broken:
            return [Gap(cell=cell, outcome=self.broken[place], reason=f"{self.broken[place]} on purpose", action="x:List")]
        found = [item(cell, id, properties) for id, properties in self.cells[place].items()]
        shortfalls = tuple(f"no detail of {one.id}" for one in found if one.partial)
        return [*found, Listed(cell=cell, rows=len(found), shortfalls=shortfalls)]


def item(cell: Cell, id: str, properties: dict[str, Any]) -> Item:
    """A reading of one resource; its digest is that of its properties."""
    tags = {str(key): str(value) for key, value in properties.get("tags", {}).items()}
    return Item(
        cell=cell,
        id=id,
        arn=f"arn:aws:x:{cell.region}:{cell.account}:{id}",
        name=str(properties.get("name", id)),
        region=cell.region,
        tags=tags,
        properties=properties,
        partial=bool(properties.get("partial")),
        digest=hashlib.sha256(repr(sorted(properties.items())).encode()).hexdigest(),
    )
