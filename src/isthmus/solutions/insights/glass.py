"""What needs a person about people's access: a glass that was broken, until an owner says that they have looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from isthmus.access import request_rows
from isthmus.solutions.insights.concern import Concern
from isthmus.solutions.insights.estate import Connected


def broken(connection: Connection, subscription: str, estate: Sequence[Connected]) -> Iterator[Concern]:
    """Every broken glass by itself. The target is the connector whose account it gave access to; `subject` is the request."""
    known = {one.key: one for one in estate}
    for request in request_rows.broken_glass(connection, f"/subscriptions/{subscription.lower()}"):
        connector = known.get(request.connector)
        account = f"account {connector.account}" if connector else "an account that is not connected any more"
        given = next(one for one in request.decisions if one.grant)
        approvers = " and ".join(one.name or one.by for one in request.decisions if one.by in request.approvers and one.what == "approve")
        yield Concern(
            kind="brokenGlass",
            severity="error",
            count=1,
            title=f"{request.name} broke the glass for {request.mapping.rpartition('/')[2]} in {account}",
            detail=f"Grant {request.grant} for {request.seconds} seconds, approved by {approvers}. Reason: {request.reason}",
            remedy=f"Look at what was done under this grant, then say so as an owner: isthmus access acknowledge {request.id}",
            target=connector.id if connector else f"/subscriptions/{subscription}",
            subject=request.id,
            since=given.at,
        )
