"""Progress is right before, during and after a scan."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from isthmus.arm.errors import ArmError
from isthmus.solutions import subject
from isthmus.solutions.progress import Part, Progress, progress_of
from isthmus.store.tables import scans, scopes
from tests.solutions.conftest import SOLUTION, Bench

CELLS = {
    ("eu-west-1", "ec2Volumes"): {f"vol-{n:017x}": {} for n in range(3)},
    ("eu-west-1", "sqsQueues"): {"q": {}},
    ("us-east-1", "ec2Volumes"): {"vol-0000000000000000a": {}},
    ("", "iamRoles"): {"admin": {}},
}


def progress(bench: Bench) -> Progress:
    with bench.engine.store.read() as connection:
        found = progress_of(connection, SOLUTION.key)
    assert found is not None
    return found


def test_there_is_none_before_the_first_scan(bench: Bench) -> None:
    with bench.engine.store.read() as connection:
        assert progress_of(connection, SOLUTION.key) is None


def test_of_a_scan_that_has_ended(bench: Bench) -> None:
    bench.account.cells = dict(CELLS)
    bench.account.broken = {("us-east-1", "ec2Volumes"): "denied"}
    bench.sync()
    found = progress(bench)
    assert (found.scan.status, found.is_expected) == ("CompletedWithGaps", True)
    assert found.whole == Part(expected=4, done=4, gaps=1, resources=5)
    assert found.regions["us-east-1"] == Part(expected=1, done=1, gaps=1, resources=0)
    assert dict(found.services) == {
        "ec2": Part(expected=2, done=2, gaps=1, resources=3),
        "iam": Part(expected=1, done=1, resources=1),
        "sqs": Part(expected=1, done=1, resources=1),
    }


def test_a_first_scan_under_way_does_not_know_how_much_there_is(bench: Bench) -> None:
    bench.account.cells = dict(CELLS)
    bench.account.dies_after = 3
    with pytest.raises(ConnectionResetError):
        bench.sync("s:1")
    found = progress(bench)
    assert (found.scan.id, found.scan.status, found.scan.ended_at, found.is_expected) == ("s:1", subject.IN_PROGRESS, None, False)


def test_cells_of_the_scan_before_are_still_to_do(bench: Bench) -> None:
    bench.account.cells = dict(CELLS)
    bench.sync("s:1")
    told: list[Progress] = []
    cell = bench.account._cell

    def tells(one: Any) -> Any:
        told.append(progress(bench))
        return cell(one)

    bench.account._cell = tells  # type: ignore[method-assign]
    bench.sync("s:2")
    assert all((one.scan.id, one.scan.status, one.is_expected, one.whole.expected) == ("s:2", subject.IN_PROGRESS, True, 4) for one in told)
    assert told[0].whole == Part(expected=4)
    assert progress(bench).whole == Part(expected=4, done=4, resources=6)


def test_cells_that_are_not_selected_any_more_are_not_to_do(bench: Bench) -> None:
    bench.account.cells = dict(CELLS)
    bench.sync("s:1")
    del bench.account.cells["eu-west-1", "sqsQueues"]
    bench.sync("s:2")
    assert progress(bench).whole == Part(expected=3, done=3, resources=5)


def test_a_scan_that_is_run_again_after_it_failed_runs(bench: Bench) -> None:
    bench.account.cells = dict(CELLS)
    bench.account.dies_after = 3
    with pytest.raises(ConnectionResetError) as caught:
        bench.sync("s:1")
    begun = progress(bench).scan.started_at
    bench.stock.failed({"solution": str(SOLUTION), "scan": "s:1"}, ArmError("InternalServerError", str(caught.value), status=500))
    assert progress(bench).scan.status == subject.FAILED
    bench.account.dies_after = None
    seen: list[str] = []
    cell = bench.account._cell
    bench.account._cell = lambda one: (seen.append(progress(bench).scan.status), cell(one))[1]  # type: ignore[method-assign,func-returns-value]
    bench.sync("s:1")
    assert set(seen) == {subject.IN_PROGRESS}
    assert (progress(bench).scan.status, progress(bench).scan.started_at) == (subject.COMPLETED, begun)


def test_progress_of_many_scopes_is_summed_by_the_database(bench: Bench) -> None:
    texts = {"solution": SOLUTION.key, "account": "123456789012", "reason": "", "vanished": "", "frozen": False, "complete_at": None}
    cells = [(f"r{n % 30}", f"t{n // 30}", "complete" if n % 7 else "denied") for n in range(3000)]
    rows = [
        {**texts, "region": r, "type": t, "outcome": o, "scan": "new" if n < 1000 else "old", "rows": 2, "checked_at": n}
        for n, (r, t, o) in enumerate(cells)
    ]
    with bench.engine.store.begin() as connection:
        connection.execute(insert(scopes), rows)
        connection.execute(
            insert(scans),
            [
                {
                    "id": "old",
                    "solution": SOLUTION.key,
                    "account": "1",
                    "status": "Completed",
                    "started_at": 1,
                    "ended_at": 2,
                    "summary": "{}",
                },
                {
                    "id": "new",
                    "solution": SOLUTION.key,
                    "account": "1",
                    "status": "InProgress",
                    "started_at": 3,
                    "ended_at": None,
                    "summary": "{}",
                },
            ],
        )
    found = progress(bench)
    assert found.whole == Part(expected=3000, done=1000, gaps=143, resources=2000)
    assert sum(part.done for part in found.services.values()) == 1000
    assert found.regions["r0"].expected == 100
