"""Look again and again: in place on a terminal, as appended lines elsewhere; a server that is away for a while is waited for."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from isthmus.arm.errors import ArmError
from isthmus.cli.formats import Column, Output, as_csv, as_json, as_yaml, flat, pick
from isthmus.cli.output import clean, console, lines_of, print_item, print_list, print_row, table_of
from isthmus.cli.session import Session

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Look again and show what changes, until the end or Ctrl-C.")]
Interval = Annotated[float, typer.Option("--interval", min=0.1, max=3600, help="Seconds between two looks of --watch.")]

_AWAY = frozenset({"ServerNotReachable", "NoServer"})
_AWAY_STATUSES = (429, 502, 503, 504)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What one look sees: items with their columns, or one item; `is_over` when nothing more will change."""

    items: Sequence[Mapping[str, Any]] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    item: Mapping[str, Any] | None = None
    is_over: bool = False

    @property
    def rows(self) -> dict[str, tuple[object, ...]]:
        """Rows by what names them: cells of an item by its id, members of a single item by their path."""
        if self.item is not None and not self.columns:
            return {path: (path, value) for path, value in flat(self.item)}
        items = self.items if self.item is None else [self.item]
        return {
            str(item.get("id") or item.get("name") or number): tuple(pick(item, column) for column in self.columns.values())
            for number, item in enumerate(items)
        }

    @property
    def value(self) -> object:
        """All of it, for formats that keep objects."""
        return list(self.items) if self.item is None else self.item


Look = Callable[[], Sight]


def list_of(items: Iterable[Mapping[str, Any]], columns: Mapping[str, Column], *, is_over: bool = False) -> Sight:
    """A sight of several."""
    return Sight(items=list(items), columns=columns, is_over=is_over)


def present(session: Session, look: Look, *, watch: bool, interval: float) -> Sight:
    """Print what a look sees, once or for as long as it is watched; the last sight."""
    if not watch:
        sight = look()
        _print_whole(sight, session.output)
        return sight
    shown: _Shown = _Live() if session.output is Output.TABLE and console().is_terminal else _Appended(session)
    return follow(session, look, interval, shown)


def follow(session: Session, look: Look, interval: float, shown: _Shown) -> Sight:
    """Look until it is over. What fails at the first look is raised; later, a server that does not answer is asked again."""
    sight, away = look(), False
    with shown.living(), _CtrlC() as pressed:
        shown.see(sight)
        while not sight.is_over:
            pressed.end_watch()
            session.sleep(interval)
            try:
                sight = look()
            except ArmError as error:
                if error.code not in _AWAY and error.status not in _AWAY_STATUSES:
                    raise
                session.reconnect()
                if not away:
                    shown.say("The server does not answer. It is asked again until it does; Ctrl-C ends.")
                away = True
                continue
            if away:
                shown.say("The server answers again.")
            away = False
            shown.see(sight)
    return sight


class _CtrlC:
    """Remembers Ctrl-C: one that is pressed while Python runs a callback of its own is printed there as ignored, and would be lost."""

    def __init__(self) -> None:
        self._pressed = False
        self._before: Any = None

    def __enter__(self) -> _CtrlC:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def end_watch(self) -> None:
        """Raises KeyboardInterrupt when it was pressed."""
        if self._pressed:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._pressed = True
        raise KeyboardInterrupt


class _Shown:
    """Where a watch shows what it sees."""

    def living(self) -> Any:
        """A context in which it may draw."""
        return nullcontext()

    def see(self, sight: Sight) -> None:
        """The newest sight."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """A remark beside it."""
        raise NotImplementedError


class _Live(_Shown):
    """On a terminal: the table in its place, with the time of the look below it."""

    def __init__(self) -> None:
        self._live = Live(console=console(), auto_refresh=False)
        self._table: RenderableType = ""
        self._note = ""

    def living(self) -> Any:
        return self._live

    def see(self, sight: Sight) -> None:
        single = sight.item
        self._table = lines_of(single) if single is not None else table_of(sight.items, sight.columns)
        if single is None and not sight.items:
            self._table = Text("Nothing found.")
        self._draw(f"{self._note} Seen at {_now()} UTC.".lstrip() + (" It is over." if sight.is_over else " Ctrl-C ends."))
        self._note = ""

    def say(self, text: str) -> None:
        self._note = text if text.endswith("again.") else ""
        self._draw(text)

    def _draw(self, below: str) -> None:
        self._live.update(Group(self._table, Text(below, style="dim")), refresh=True)


class _Appended(_Shown):
    """Elsewhere: everything once, then what is new or different. JSON becomes a line per change, YAML a document per change."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[str, tuple[object, ...]] | None = None
        self._value: object = None

    def see(self, sight: Sight) -> None:
        output = self._session.output
        rows, before, value = sight.rows, self._rows, self._value
        self._rows, self._value = rows, sight.value
        if output.is_tree:
            if before is None or value != sight.value:
                sys.stdout.write(as_json(sight.value, indent=None) if output is Output.JSON else f"---\n{as_yaml(sight.value)}")
        elif before is None:
            self._begin(sight)
        else:
            self._append([row for key, row in rows.items() if before.get(key) != row])
            self._part([row for key, row in before.items() if key not in rows])
        sys.stdout.flush()

    def say(self, text: str) -> None:
        self._session.say(f"{_now()}  {text}")

    def _begin(self, sight: Sight) -> None:
        output = self._session.output
        if output is Output.TABLE:
            _print_whole(sight, output)
            return
        if output is Output.CSV:
            sys.stdout.write(as_csv(sight.columns or ("PATH", "VALUE")))
        self._append(list(sight.rows.values()))

    def _append(self, rows: list[tuple[object, ...]]) -> None:
        for row in rows:
            if self._session.output is Output.TABLE:
                sys.stdout.write(f"{_now()}  {_joined(row)}\n")
            else:
                print_row(list(row), self._session.output)

    def _part(self, rows: list[tuple[object, ...]]) -> None:
        for row in rows:
            self.say(f"gone: {_joined(row)}")


def _print_whole(sight: Sight, output: Output) -> None:
    if sight.item is not None:
        print_item(sight.item, output, sight.columns)
    else:
        print_list(sight.items, sight.columns, output)


def _joined(row: Iterable[object]) -> str:
    return "  ".join(filter(None, (clean(value) for value in row)))


def _now() -> str:
    return f"{datetime.fromtimestamp(time.time(), UTC):%H:%M:%S}"
