"""The one error of the product: typed, raised anywhere, rendered once by the API.

Codes and texts follow ARM's error contract (`{"error": {"code", "message", "target", "details"}}`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MOST_PEOPLE = 10


class ArmError(Exception):
    """What happened (`message`), to which thing (`target`), under a stable name (`code`) and an HTTP status.

    `retry_after` is in seconds. `headers` are added to the answer (for example WWW-Authenticate).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        target: str | None = None,
        details: Sequence[ArmError] = (),
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.target = target
        self.details = tuple(details)
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The error object, as it stands below `error` in an answer and in an operation."""
        answer: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            answer["target"] = self.target
        if self.details:
            answer["details"] = [detail.body() for detail in self.details]
        return answer


def invalid(message: str, *, target: str | None = None, code: str = "InvalidRequestContent", details: Sequence[ArmError] = ()) -> ArmError:
    """400: the request is understood and wrong."""
    return ArmError(code, message, status=400, target=target, details=details)


def all_of(problems: Sequence[ArmError]) -> ArmError:
    """Several problems as one error: the first one's words, and each of them as a detail. One problem is itself."""
    first = problems[0]
    if len(problems) == 1:
        return first
    return ArmError(first.code, first.message, status=first.status, target=first.target, details=each_of(problems))


def each_of(problems: Sequence[ArmError]) -> tuple[ArmError, ...]:
    """Problems without those that only gather others: their details stand for them."""
    return tuple(one for problem in problems for one in (problem.details or (problem,)))


def invalid_name(resource_type: str, name: str, pattern: str, told: str = "") -> ArmError:
    """400: a resource cannot have this name. `told` says in words what the pattern demands."""
    text = f"'{name[:80]}' is not a valid name for '{resource_type}'. {told or f'It must match {pattern}.'}"
    return invalid(text, target="name", code="InvalidResourceName")


def not_found(resource_type: str, name: str, group: str | None) -> ArmError:
    """404 in ARM's words."""
    where = f" under resource group '{group}'" if group else ""
    return ArmError("ResourceNotFound", f"The Resource '{resource_type}/{name}'{where} was not found.", status=404)


def conflict(message: str, *, target: str | None = None, code: str = "Conflict") -> ArmError:
    """409: the request contradicts what exists."""
    return ArmError(code, message, status=409, target=target)


def person_not_unique(given: str, people: Sequence[tuple[str, str, str]]) -> ArmError:
    """409 `PersonNotUnique`: a name or mail address is that of several people, each given as name, object id and issuer."""
    listed = "; ".join(f"{name}: {id} (by {issuer})" for name, id, issuer in people[:_MOST_PEOPLE])
    more = "; and more" if len(people) > _MOST_PEOPLE else ""
    told = f"'{given[:64]}' is more than one person: {listed}{more}. Name one by object id."
    return conflict(told, code="PersonNotUnique", target="person")


def precondition_failed(target: str) -> ArmError:
    """412: If-Match or If-None-Match does not hold."""
    return ArmError(
        "PreconditionFailed",
        f"The If-Match or If-None-Match condition does not hold for '{target}'. Read it again and repeat with the current ETag.",
        status=412,
        target=target,
    )


def unavailable(message: str, *, retry_after: int = 5) -> ArmError:
    """503: a part that the request needs does not answer right now; nothing was changed."""
    return ArmError("ServiceUnavailable", message, status=503, retry_after=retry_after)
