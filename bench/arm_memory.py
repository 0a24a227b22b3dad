"""How much memory `isthmus serve` holds 30 seconds after a fresh start, and the most it held until then."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.rows import row, times
from bench.serving import Running, isthmus, peer

AFTER = 30.0
BUDGET = 150.0
MB = 1024 * 1024


def measure() -> list[dict[str, Any]]:
    """Two rows in MB (2**20 bytes), against a bare Starlette application under the same server."""
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as name, isthmus(Path(name)) as server:
        time.sleep(max(0.0, AFTER - (time.monotonic() - server.started)))
        resident, peak = server.process.memory_info().rss / MB, _peak(server)
        with peer(Path(name), server, {}) as bare:
            theirs = bare.process.memory_info().rss / MB
    against = f"bare Starlette {theirs:.0f} MB ({times(resident, theirs)})"
    return [
        row("arm", f"resident memory {AFTER:.0f} s after a fresh start", resident, "MB", budget=BUDGET, against=against),
        row("arm", "its peak until then", peak, "MB", budget=None, against=f"{times(peak, resident)} of what stays"),
    ]


def _peak(server: Running) -> float:
    """The high-water mark that Linux keeps."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
