"""What is stored with a job reads back as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.arm.errors import ArmError
from isthmus.work.serializer import JsonSerializer, RecordedError

SERIALIZER = JsonSerializer()

texts = st.text(max_size=20)
errors = st.recursive(
    st.builds(
        ArmError,
        texts,
        texts,
        status=st.integers(400, 599),
        target=st.none() | texts,
        retry_after=st.none() | st.integers(0, 90),
        headers=st.dictionaries(texts, texts, max_size=2),
    ),
    lambda inner: st.builds(ArmError, texts, texts, details=st.lists(inner, max_size=2)),
    max_leaves=4,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def again(value: Any) -> Any:
    return SERIALIZER.deserialize(SERIALIZER.serialize(value))


def shape(error: ArmError) -> Any:
    return (str(error), error.body(), error.status, error.retry_after, error.headers, [shape(detail) for detail in error.details])


@given(errors)
def test_an_arm_error_comes_back_whole(error: ArmError) -> None:
    assert shape(again(error)) == shape(error)
    assert shape(again({"error": error, "final": True})["error"]) == shape(error)


@given(plain)
def test_json_comes_back_equal(value: Any) -> None:
    assert again(value) == value


def test_other_errors_keep_type_and_text_and_can_be_raised() -> None:
    first = again(KeyError("x"))
    assert isinstance(first, RecordedError)
    second = again(first)
    assert (second.kind, second.text) == (first.kind, first.text) == ("KeyError", "'x'")


def test_times_need_a_zone() -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert again({"args": (moment, None)}) == {"args": [moment, None]}
    with pytest.raises(TypeError):
        SERIALIZER.serialize(datetime(2026, 1, 1))  # noqa: DTZ001 - the one that must be refused


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        SERIALIZER.serialize(value)


def test_no_number_that_json_does_not_know() -> None:
    with pytest.raises(ValueError):
        SERIALIZER.serialize(float("inf"))
    assert json.loads(SERIALIZER.serialize({"a": "ä"})) == {"a": "ä"}
