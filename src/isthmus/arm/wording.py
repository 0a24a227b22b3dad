"""What pydantic finds wrong with a body or a setting, as sentences for people who know neither pydantic nor Python. Pure.

Source: pydantic's documentation, "Validation Errors" (types of errors, and what their contexts hold).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Context = Mapping[str, Any]


def _at_least(context: Context, one: str, many: str) -> str:
    least = context["min_length"]
    return one if least == 1 else f"{many} {least} at least."


def _characters(number: int) -> str:
    return f"{number} character{'' if number == 1 else 's'}"


_TEXT, _WHOLE, _NUMBER = "Give a text.", "Give a whole number.", "Give a number."
_TRUTH, _LIST, _OBJECT = "Give true or false.", "Give a list ([…]).", "Give an object ({…})."
_PLAIN: Final[Mapping[str, str]] = {
    "missing": "This property is required.",
    "extra_forbidden": "There is no such property. Look for a misspelt name.",
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}
_TOLD: Final[Mapping[str, Callable[[Context], str]]] = {
    "string_too_short": lambda context: _at_least(context, "This must not be empty.", "The characters must be"),
    "string_too_long": lambda context: f"This is too long: it has {_characters(context['max_length'])} at most.",
    "too_short": lambda context: _at_least(context, "Name one at least.", "The entries must be"),
    "too_long": lambda context: f"These are too many: {context['actual_length']}, and {context['max_length']} are the most.",
    "greater_than_equal": lambda context: f"The least is {context['ge']}.",
    "greater_than": lambda context: f"It must be more than {context['gt']}.",
    "less_than_equal": lambda context: f"The most is {context['le']}.",
    "less_than": lambda context: f"It must be less than {context['lt']}.",
    "literal_error": lambda context: f"Choose {context['expected']}.",
    "enum": lambda context: f"Choose {context['expected']}.",
    "string_pattern_mismatch": lambda context: f"This is not written as it has to be: {context['pattern']}",
}


def sentence(problem: Mapping[str, Any]) -> str:
    """One entry of `ValidationError.errors()` as a sentence. What our own validators say is kept; so is what nobody foresaw."""
    kind = str(problem["type"])
    told = _TOLD.get(kind)
    text = told(problem["ctx"]) if told and problem.get("ctx") else _PLAIN.get(kind) or str(problem["msg"]).removeprefix("Value error, ")
    return text[:1].upper() + text[1:]
