"""Following a list: the largest page, every token, and an end to loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.clouds.aws.wire.errors import AwsError
from isthmus.clouds.aws.wire.models import Operation, Paging


class Cursor:
    """Where a list stands. `params` are those of the next page; None once the list is at its end."""

    def __init__(self, operation: Operation, params: Mapping[str, Any], *, region: str) -> None:
        self._operation = operation
        self._region = region
        self._seen: set[tuple[str, ...]] = set()
        self._first = dict(params)
        paging = operation.paging
        if paging is not None and paging.limit is not None and paging.limit not in params and paging.unless.isdisjoint(params):
            self._first[paging.limit] = paging.size if _is_number(operation, paging.limit) else str(paging.size)
        self.params: dict[str, Any] | None = self._first

    def advance(self, page: Mapping[str, Any]) -> None:
        """Take the tokens of a page. An absent or empty token ends the list; raises AwsError `RepeatedToken` when one comes again."""
        paging = self._operation.paging
        self.params = None
        if paging is None or (paging.more is not None and not paging.more(page)):
            return
        tokens = [found(page) for found in paging.following]
        if not any(tokens):
            return
        seen = tuple(str(token) for token in tokens)
        if seen in self._seen:
            raise AwsError(
                code="RepeatedToken",
                message="the service handed out the same page token twice; the list cannot be completed",
                status=200,
                operation=self._operation.name,
                region=self._region,
            )
        self._seen.add(seen)
        following = {name: token for name, token in zip(paging.tokens, tokens, strict=True) if token}
        self.params = {**{name: value for name, value in self._first.items() if name not in paging.tokens}, **following}


def rows(paging: Paging, page: Mapping[str, Any]) -> int:
    """How many rows a page brought, by the model's first result."""
    found = page.get(paging.rows[0]) if paging.rows else None
    return len(found) if isinstance(found, list) else 0


def _is_number(operation: Operation, limit: str) -> bool:
    return operation.takes(limit) == "i"
