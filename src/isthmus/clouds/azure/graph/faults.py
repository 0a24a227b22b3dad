"""What goes wrong with Graph, by who can do something about it. Texts say what happened and what to do; they hold no token."""

from __future__ import annotations


class GraphFault(Exception):
    """Graph did not do what was asked. `code` is Graph's own word for it where it gave one."""

    def __init__(self, told: str, *, code: str = "") -> None:
        super().__init__(told)
        self.code = code


class GraphRefused(GraphFault):
    """Somebody has to change something in the directory: a credential, a permission."""


class GraphUnavailable(GraphFault):
    """It does not answer, or not so soon; `retry_after` is in seconds, 0 when it did not say."""

    def __init__(self, told: str, *, retry_after: float = 0.0) -> None:
        super().__init__(told)
        self.retry_after = retry_after


class GraphGone(GraphFault):
    """The place from which changes were to be told is too old (410): everything has to be read anew."""
