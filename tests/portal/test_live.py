"""Streams of live pages: one reader for all viewers, whole pictures for newcomers, ends that are said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from isthmus.arm.errors import ArmError
from isthmus.portal.live import Hub
from isthmus.portal.page import Live

KEY = ("page",)


class Subject:
    """What is read: pictures in turn, the last one for ever; counts reads."""

    def __init__(self, *pictures: Live) -> None:
        self.pictures = list(pictures)
        self.reads = 0
        self.error: ArmError | None = None
        self.ended = asyncio.Event()

    async def read(self) -> Live:
        """The next picture."""
        self.reads += 1
        if self.error is not None:
            raise self.error
        if len(self.pictures) == 1:
            self.ended.set()
            return self.pictures[0]
        return self.pictures.pop(0)

    async def check(self) -> None:
        """Whether one may still look."""
        if self.error is not None:
            raise self.error


def run(test: Callable[[], Awaitable[None]]) -> None:
    """On a loop of its own, bounded."""
    asyncio.run(asyncio.wait_for(test(), 20))


async def take(stream: AsyncIterator[str], count: int) -> list[str]:
    """The next messages, without the one that sets how soon to come back."""
    found: list[str] = []
    async for text in stream:
        if not text.startswith("retry:"):
            found.append(text)
        if len(found) == count:
            break
    return found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub that reads a hundred times a second."""
    monkeypatch.setattr("isthmus.portal.live._PERIOD", 0.01)
    return Hub()


def test_a_newcomer_gets_the_whole_and_then_what_changes(hub: Hub) -> None:
    async def test() -> None:
        first, second = Live(parts={"a": "1", "b": "1"}), Live(parts={"a": "2", "b": "1"})
        subject = Subject(first, first, second)
        stream = await hub.open(KEY, subject.read, subject.check, "")
        whole, change = await take(stream, 2)
        assert '<hx-partial hx-target="#a" hx-swap="innerHTML">1</hx-partial>' in whole
        assert 'hx-target="#b"' in whole
        assert '<hx-partial hx-target="#a" hx-swap="innerHTML">2</hx-partial>' in change
        assert 'hx-target="#b"' not in change
        await stream.aclose()  # type: ignore[attr-defined]
        assert hub.viewers == 0

    run(test)


def test_many_viewers_cost_one_reader(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(*(Live(parts={"a": str(number)}) for number in range(1_000)))
        streams: list[AsyncIterator[str]] = []
        for _ in range(20):
            streams.append(await hub.open(KEY, subject.read, subject.check, ""))
            await take(streams[-1], 1)
        assert subject.reads == 1
        for stream in streams:
            await take(stream, 1)
        assert subject.reads < 20
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]

    run(test)


def test_who_joins_as_the_last_viewer_leaves_is_told_what_changes(hub: Hub) -> None:
    """Between the opening of a stream and its first word the only other viewer goes, and with it the reading for both."""

    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}))
        first = await hub.open(KEY, subject.read, subject.check, "")
        await take(first, 1)
        second = await hub.open(KEY, subject.read, subject.check, "")
        await first.aclose()  # type: ignore[attr-defined]
        (whole,) = await take(second, 1)
        assert ">1<" in whole
        subject.pictures = [Live(parts={"a": "2"})]
        (change,) = await take(second, 1)
        assert ">2<" in change
        await second.aclose()  # type: ignore[attr-defined]
        assert hub.viewers == 0

    run(test)


def test_elements_that_come_or_go_are_told_as_a_new_shape(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}, shape="1"), Live(parts={"a": "1"}, shape="1"), Live(parts={"a": "1"}, shape="2"))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        whole, change = await take(stream, 2)
        assert "event: shape" in whole
        assert "event: reshaped" in change
        await stream.aclose()  # type: ignore[attr-defined]

    run(test)


def test_the_end_is_told_and_the_stream_closes(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}), Live(parts={"a": "1"}), Live(parts={"a": "2"}, ended=True))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        texts = [text async for text in stream]
        assert "event: done" in texts[-1]
        late = await hub.open(KEY, subject.read, subject.check, "")
        assert "event: done" in (await take(late, 1))[0]
        await late.aclose()  # type: ignore[attr-defined]

    run(test)


def test_who_may_not_read_gets_no_stream_and_who_may_no_longer_is_told(hub: Hub) -> None:
    async def test() -> None:
        refused = Subject(Live(parts={}))
        refused.error = ArmError("AuthorizationFailed", "You may not.", status=403)
        with pytest.raises(ArmError):
            await hub.open(KEY, refused.read, refused.check, "")
        subject = Subject(Live(parts={"a": "1"}))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        await take(stream, 1)
        subject.error = refused.error
        assert "event: refused" in (await take(stream, 1))[0]

    run(test)


def test_a_database_that_is_away_for_a_while_ends_nothing(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}), Live(parts={"a": "2"}))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        await take(stream, 1)
        subject.error = ArmError("ServiceUnavailable", "The database does not answer.", status=503)
        await asyncio.sleep(0.05)
        subject.error = None
        assert ">2<" in (await take(stream, 1))[0]
        await stream.aclose()  # type: ignore[attr-defined]

    run(test)


def test_a_viewer_that_comes_back_to_what_it_saw_gets_it_once(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}))
        first = await hub.open(KEY, subject.read, subject.check, "")
        (whole,) = await take(first, 1)
        seen = next(line for line in whole.splitlines() if line.startswith("id: ")).removeprefix("id: ")
        second = await hub.open(KEY, subject.read, subject.check, seen)
        third = await hub.open(KEY, subject.read, subject.check, "another-run-7")
        assert "hx-partial" in (await take(third, 1))[0]
        subject.pictures = [Live(parts={"a": "2"})]
        assert ">2<" in (await take(second, 1))[0]
        for stream in (first, second, third):
            await stream.aclose()  # type: ignore[attr-defined]

    run(test)


def test_a_slow_viewer_gets_a_whole_picture_instead_of_a_long_queue(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(*(Live(parts={"a": str(number), "b": "same"}) for number in range(100)))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        await take(stream, 1)
        await subject.ended.wait()
        texts = await take(stream, 1)
        while ">99<" not in texts[-1]:
            texts += await take(stream, 1)
        assert len(texts) < 20
        assert any('hx-target="#b"' in text for text in texts)
        await stream.aclose()  # type: ignore[attr-defined]

    run(test)


def test_retiring_ends_every_stream(hub: Hub) -> None:
    async def test() -> None:
        subject = Subject(Live(parts={"a": "1"}))
        stream = await hub.open(KEY, subject.read, subject.check, "")
        await take(stream, 1)
        hub.retire()
        assert [text async for text in stream] == []
        assert hub.viewers == 0

    run(test)


def test_whose_rights_end_is_told_though_somebody_else_reads(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.portal.live._RECHECK", 0.05)

    async def test() -> None:
        reader, guest = Subject(*(Live(parts={"a": str(number)}) for number in range(1_000))), Subject(Live(parts={}))
        first = await hub.open(KEY, reader.read, reader.check, "")
        await take(first, 1)
        second = await hub.open(KEY, guest.read, guest.check, "")
        await take(second, 1)
        guest.error = ArmError("RightsChanged", "You may not.", status=403)
        told = [text async for text in second]
        assert "event: refused" in told[-1]
        assert guest.reads == 0
        assert "hx-partial" in (await take(first, 1))[0]
        await first.aclose()  # type: ignore[attr-defined]

    run(test)
