"""Where Microsoft Graph posts what changed. It is open to everybody, so whatever no subscription vouches for is refused and counted."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.access.entra.notices import Notices, read_notices, unknown_notice
from isthmus.api.wire import Incoming, Reply
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Actor
from isthmus.audit import Refusals

_LONGEST = 1024


@dataclass(frozen=True, kw_only=True)
class Notified:
    """The endpoint; without `notices` nobody was asked to post."""

    notices: Notices | None
    refusals: Refusals

    def answer(self, incoming: Incoming) -> Reply:
        """202 for notifications, at once; the token of a handshake as plain text. ArmError 403 `UnknownSubscription`, 404 without Graph."""
        if self.notices is None:
            raise ArmError("NotFound", "This server asked nobody to tell changes.", status=404)
        token = incoming.query.get("validationToken")
        if token is not None:
            return _echo(token)
        try:
            told = read_notices(incoming.json())
            known = self.notices.accept(told)
            if not known:
                raise unknown_notice()
        except ArmError as error:
            if error.status < 500:
                self._count(incoming, error)
            raise
        if known < len(told):
            # Graph posts what is for several subscriptions at once; one that is forgotten here must not hold up the others.
            self._count(incoming, unknown_notice())
        return Reply(status=202)

    def _count(self, incoming: Incoming, error: ArmError) -> None:
        stranger = Actor(id="anonymous", kind="Application", correlation=incoming.correlation)
        self.refusals.refuse(stranger, "graph-notification", incoming.path, error)


def _echo(token: str) -> Reply:
    """Whoever sees it in a browser sees text: the frame forbids guessing other types."""
    if not 0 < len(token) <= _LONGEST or not token.isprintable():
        raise invalid("The validation token is none.", target="validationToken")
    return Reply(text=token, headers={"Content-Type": "text/plain; charset=utf-8"})
