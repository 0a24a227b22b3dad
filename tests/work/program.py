"""A worker process for tests that kill one: `python -m tests.work.program <database url> <file for the timetable or ->`.

Its job `test.mark` appends a line to the file `path` when it begins and another when it ends; between them it waits for the file `gate`.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from isthmus.store import Store
from isthmus.work import Job, Queue, Timetable, Work

QUEUES = [Queue(name="marks", worker_concurrency=4, polling_seconds=0.05)]


def mark(arguments: Mapping[str, Any]) -> None:
    """Say that it began, wait for the gate, say that it ended."""
    path, gate = Path(arguments["path"]), Path(arguments["gate"])
    write(path, "begin")
    while not gate.exists():
        time.sleep(0.01)
    write(path, "end")


def write(path: Path, line: str) -> None:
    """Append a line in one write."""
    with path.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def build(store: Store, ticks: str = "-") -> Work:
    """The work of this program, for the test's own process as well."""

    def tick(planned: datetime) -> None:
        write(Path(ticks), planned.isoformat())

    return Work(
        store,
        jobs=[Job(name="test.mark", queue="marks", run=mark)],
        queues=QUEUES,
        timetables=[] if ticks == "-" else [Timetable(name="tick", cron="* * * * * *", run=tick)],
        clock=time.time,
        reap_seconds=0.2,
    )


def main() -> None:
    """Work until SIGTERM."""
    # A handler that sets an event can meet `wait` inside the event's own lock and stop there for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    work = build(Store(sys.argv[1]), sys.argv[2])
    work.launch()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM})
    work.stop()


if __name__ == "__main__":
    main()
