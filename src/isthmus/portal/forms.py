"""What a browser sends: fields of a form, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from isthmus.arm.errors import ArmError, invalid

MAX_FIELDS = 2_000
TOKEN = "_token"  # noqa: S105 - the name of a field


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The fields of a form in their order; a name may stand several times (boxes of one question)."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, body: bytes, content_type: str) -> Form:
        """A form from the body of a request; ArmError 400 or 415 for something else."""
        if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise ArmError("UnsupportedMediaType", "Pages take forms (application/x-www-form-urlencoded).", status=415)
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError as error:
            raise invalid("The form could not be read: it is not UTF-8, or has too many fields.") from error
        return cls(pairs=tuple(pairs))

    def get(self, name: str, default: str = "") -> str:
        """The last value of a field, without blanks around it."""
        return next((value.strip() for known, value in reversed(self.pairs) if known == name), default)

    def list(self, name: str) -> tuple[str, ...]:
        """Every value of a field that is not blank."""
        return tuple(value.strip() for known, value in self.pairs if known == name and value.strip())

    def has(self, name: str) -> bool:
        """Whether the field was sent at all."""
        return any(known == name for known, _ in self.pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong: the id of the field it is about (empty: the form as a whole), and what to do."""

    field: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Problems:
    """Everything that is wrong with a form, in the order of its fields."""

    found: tuple[Problem, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def at(self, name: str) -> str:
        """What is wrong with one field; empty when nothing is."""
        return next((problem.message for problem in self.found if problem.field == name), "")


def problems_of(error: ArmError, fields: Mapping[str, str]) -> Problems:
    """The API's refusal at the fields of a form. `fields` maps targets of errors (and what they begin with) to field ids."""
    parts: Sequence[ArmError] = error.details or (error,)
    return Problems(found=tuple(Problem(field=_field(part.target or "", fields), message=part.message) for part in parts))


def _field(target: str, fields: Mapping[str, str]) -> str:
    known = [name for name in fields if target == name or target.startswith(f"{name}.")]
    return fields[max(known, key=len)] if known else ""
