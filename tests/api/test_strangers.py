"""What callers without any proof leave behind: next to nothing."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from isthmus.store.tables import audit_records
from tests.api.conftest import Api


def refused(api: Api) -> Counter[str]:
    """How many records of refusals there are, by action."""
    with api.app.engine.store.read() as connection:
        counted = (
            select(audit_records.c.action, func.count().label("number"))
            .where(audit_records.c.outcome == "refused")
            .group_by(audit_records.c.action)
        )
        return Counter({row.action: row.number for row in connection.execute(counted)})


def test_requests_of_strangers_do_not_fill_the_chain(api: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "operator", "client_secret": "guess"}
    before = refused(api)
    for _ in range(20):
        assert api.http.post(api.token_url, data=form).status_code == 401
        assert api.http.post("/sign-in", json={"code": "00" * 32}).status_code == 401
    fresh = refused(api) - before
    assert set(fresh) == {"token", "sign-in"}
    assert max(fresh.values()) <= 2, "one at once, and one more when a minute ended meanwhile"
