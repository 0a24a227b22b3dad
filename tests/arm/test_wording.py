"""No word of pydantic's reaches people: each kind of mistake is a sentence that says what to write instead."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.arm.wording import sentence


class Colour(StrEnum):
    RED, BLUE = "red", "blue"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str


class Model(BaseModel):
    model_config = ConfigDict(strict=True)
    text: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    long: Annotated[str, Field(min_length=4)] = "long"
    word: Annotated[str, Field(pattern="^a+$")] = "a"
    some: Annotated[list[str], Field(min_length=1, max_length=2)] = ["x"]
    number: Annotated[int, Field(ge=60, le=300)] = 60
    open: Annotated[float, Field(gt=0, lt=1)] = 0.5
    mode: Literal["Standing", "Request"] = "Standing"
    colour: Annotated[Colour, Field(strict=False)] = Colour.RED
    sure: bool = True
    inner: Inner = Inner(name="x")
    more: dict[str, str] = {}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"text": ""}, "This must not be empty."),
        ({"text": "four"}, "This is too long: it has 3 characters at most."),
        ({"long": "abc"}, "The characters must be 4 at least."),
        ({"text": 7}, "Give a text."),
        ({"word": "b"}, "This is not written as it has to be: ^a+$"),
        ({"some": []}, "Name one at least."),
        ({"some": ["a", "b", "c"]}, "These are too many: 3, and 2 are the most."),
        ({"some": "a"}, "Give a list ([…])."),
        ({"number": 59}, "The least is 60."),
        ({"number": 301}, "The most is 300."),
        ({"number": "many"}, "Give a whole number."),
        ({"open": 0}, "It must be more than 0.0."),
        ({"open": 1}, "It must be less than 1.0."),
        ({"open": "x"}, "Give a number."),
        ({"mode": "standing"}, "Choose 'Standing' or 'Request'."),
        ({"colour": "green"}, "Choose 'red' or 'blue'."),
        ({"sure": "yes"}, "Give true or false."),
        ({"inner": 1}, "Give an object ({…})."),
        ({"more": 1}, "Give an object ({…})."),
        ({"inner": {}}, "This property is required."),
        ({"inner": {"name": "x", "nmae": "y"}}, "There is no such property. Look for a misspelt name."),
    ],
)
def test_each_mistake_is_a_sentence(body: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(body)
    [problem] = caught.value.errors(include_url=False)
    assert sentence(problem) == told
