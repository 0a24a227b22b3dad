"""What the demo says while it works: lines that stay, and one that changes on a terminal. Elsewhere plain lines, now and then."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

_WIDE = 10_000
_PAUSE = 5.0


class Progress:
    """Speaks on standard output. `done` closes a step, `going` says how the step under way stands."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(markup=False, highlight=False, emoji=False)
        if not self.console.is_terminal:
            self.console = Console(markup=False, highlight=False, emoji=False, width=_WIDE, file=self.console.file)
        self._clock, self._began = clock, clock()
        self._status = self.console.status("") if self.console.is_terminal else None
        self._said, self._next = "", 0.0

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def done(self, text: str) -> None:
        """A step is over."""
        self.console.print(Text.assemble((f"{self.seconds:6.1f} s  ", "dim"), text), soft_wrap=True)
        self._next = 0.0

    def going(self, text: str) -> None:
        """How the step under way stands."""
        if self._status is not None:
            self._status.update(Text(text))
        elif text != self._said and self._clock() >= self._next:
            self.console.print(f"          {text}", soft_wrap=True)
            self._next = self._clock() + _PAUSE
        self._said = text
