"""Live pages: one reader per subject, however many look at it; every viewer gets the pieces that changed as one server-sent event."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import escape

import structlog

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Live

Read = Callable[[], Awaitable[Live]]
Check = Callable[[], Awaitable[None]]

_PERIOD = 1.0
_SILENCE = 15.0
_RECHECK = 60.0
_MOST_VIEWERS = 1_000
_AHEAD = 8
_log = structlog.get_logger("isthmus.portal")


@dataclass(slots=True)
class _Viewer:
    """One stream: how it reads and how its rights are looked at again, and what is to be sent; late ones get a whole picture."""

    read: Read
    check: Check
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(maxsize=_AHEAD))
    is_behind: bool = False


@dataclass(slots=True)
class _Subject:
    """What several viewers look at: the last picture, its number, who looks, and the task that reads."""

    picture: Live
    viewers: dict[int, _Viewer] = field(default_factory=dict)
    version: int = 1
    task: asyncio.Task[None] | None = None


class Hub:
    """Streams of this process. All methods belong to the event loop that serves, except `retire`."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[str, ...], _Subject] = {}
        self._numbers = itertools.count(1)
        self._start = secrets.token_hex(4)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return sum(len(subject.viewers) for subject in self._subjects.values())

    def retire(self) -> None:
        """End every stream, from any thread: the server is about to stop. Browsers come back by themselves."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._end_all)

    async def open(self, key: tuple[str, ...], read: Read, check: Check, last: str) -> AsyncIterator[str]:
        """A stream of a subject; whoever may have one key may see the same. `last` is the id that the viewer saw last.

        `check` raises ArmError when the viewer may not have this key any more; it is asked every minute. A subject that others look at
        already is not read for a newcomer. Raises what reading raises, and ArmError 503 when there are too many streams.
        """
        self._loop = asyncio.get_running_loop()
        if self.viewers >= _MOST_VIEWERS:
            raise ArmError("TooManyViewers", "Too many pages are open live. Close some, or reload this one from time to time.", status=503)
        subject = self._subjects.get(key)
        if subject is None or not subject.viewers:
            subject = _Subject(picture=await read())
        return self._send(key, subject, _Viewer(read=read, check=check), last)

    async def _send(self, key: tuple[str, ...], subject: _Subject, viewer: _Viewer, last: str) -> AsyncIterator[str]:
        number = next(self._numbers)
        # Between the opening of this stream and its first word others may have come, or the last of them left, and the subject with it.
        subject = self._subjects.setdefault(key, subject)
        subject.viewers[number] = viewer
        if subject.task is None or subject.task.done() or subject.task.cancelling():
            subject.task = asyncio.create_task(self._follow(key, subject))
        checked = asyncio.get_running_loop().time()
        try:
            yield "retry: 1000\n\n"
            if last != self._id(subject):
                yield self._whole(subject)
            while True:
                try:
                    text = await asyncio.wait_for(viewer.queue.get(), _SILENCE)
                except TimeoutError:
                    text = ": still here\n\n"
                if text is None:
                    return
                if viewer.is_behind and viewer.queue.empty():
                    viewer.is_behind, text = False, self._whole(subject)
                yield text
                if asyncio.get_running_loop().time() - checked > _RECHECK:
                    checked = asyncio.get_running_loop().time()
                    await _still_may(viewer)
        except ArmError as error:
            # Rights were taken away, or the session ended: the page is told and asks by itself.
            yield _event("refused", error.code)
        finally:
            del subject.viewers[number]
            if not subject.viewers and subject.task is not None:
                subject.task.cancel()
                if self._subjects.get(key) is subject:
                    del self._subjects[key]

    async def _follow(self, key: tuple[str, ...], subject: _Subject) -> None:
        """Read once a second with the rights of somebody who looks, and tell everybody what changed."""
        while subject.viewers:
            await asyncio.sleep(_PERIOD)
            viewer = next(iter(subject.viewers.values()), None)
            if viewer is None:
                return
            try:
                now = await viewer.read()
            except ArmError as error:
                if error.status < 500:
                    # This viewer may not read any more; the others go on.
                    _tell(viewer, _event("refused", error.code))
                    _tell(viewer, None)
                continue
            before, subject.picture = subject.picture, now
            if now == before:
                continue
            subject.version += 1
            text = self._changes(subject, before)
            for one in list(subject.viewers.values()):
                _tell(one, text)
            if now.ended:
                if self._subjects.get(key) is subject:
                    del self._subjects[key]
                for one in list(subject.viewers.values()):
                    _tell(one, _event("done", ""))
                    _tell(one, None)
                return

    def _changes(self, subject: _Subject, before: Live) -> str:
        now = subject.picture
        changed = {id: html for id, html in now.parts.items() if before.parts.get(id) != html}
        text = _message(changed, self._id(subject)) if changed else ""
        return text + (_event("reshaped", now.shape, self._id(subject)) if now.shape != before.shape else "")

    def _whole(self, subject: _Subject) -> str:
        text = _message(subject.picture.parts, self._id(subject)) + _event("shape", subject.picture.shape, self._id(subject))
        return text + (_event("done", "") if subject.picture.ended else "")

    def _id(self, subject: _Subject) -> str:
        return f"{self._start}-{subject.version}"

    def _end_all(self) -> None:
        for subject in self._subjects.values():
            for viewer in subject.viewers.values():
                _tell(viewer, None)


async def _still_may(viewer: _Viewer) -> None:
    """Raises what refuses the viewer by now; a database that is away refuses nobody."""
    try:
        await viewer.check()
    except ArmError as error:
        if error.status < 500:
            raise


def _tell(viewer: _Viewer, text: str | None) -> None:
    """Queue a text; a viewer whose queue is full loses what is in it and gets a whole picture instead."""
    if viewer.queue.full():
        while not viewer.queue.empty():
            viewer.queue.get_nowait()
        viewer.is_behind = True
    viewer.queue.put_nowait(text)


def _message(parts: Mapping[str, str], id: str) -> str:
    """One message that fills several elements. What stands in it was escaped by the templates."""
    body = "".join(
        f'<hx-partial hx-target="#{escape(name, quote=True)}" hx-swap="innerHTML">{html}</hx-partial>' for name, html in parts.items()
    )
    return _event("", body, id)


def _event(name: str, data: str, id: str = "") -> str:
    lines = [f"event: {name}"] if name else []
    lines += [f"id: {id}"] if id else []
    lines += [f"data: {line}" for line in data.splitlines() or [""]]
    return "\n".join(lines) + "\n\n"
