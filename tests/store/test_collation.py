"""Keys compare by code points whatever collation the database was made with, so that ranges and pages mean what Python means."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from isthmus.solutions import ledger, places
from isthmus.store import Store
from isthmus.store.tables import resources

# Under a language's rules blanks, dashes and case weigh little: these come out in another order there, or in another range.
NAMES = ("a-b", "ab", "a_b", "a/b", "a.b", "B", "b", "Z", "z", "ä", "é", "a b")
EXACT = {
    ("resources", "key"),
    ("resources", "id"),
    ("resources", "parent"),
    ("resources", "source"),
    ("resources", "unique_key"),
    ("resource_tags", "resource"),
    ("resource_tags", "name"),
    ("registrations", "resource"),
    ("instances", "machine"),
    ("operations", "id"),
    ("scans", "id"),
    ("ordered_syncs", "solution"),
    *(("people", name) for name in ("issuer", "subject")),
    *(("directory_users", name) for name in ("user_name", "external_id", "work_mail")),
    *(("directory_groups", name) for name in ("display_name", "external_id")),
    *(("projections", name) for name in ("key", "type", "name", "aws_id")),
    ("resource_references", "target"),
    ("resource_changes", "resource"),
    *(("sign_ins", name) for name in ("issuer", "subject", "token_id", "session_id")),
    *((table, "mapping") for table in ("access_requests", "access_grants", "access_sessions")),
    ("access_grants", "connector"),
    ("access_denials", "connector"),
    *(("scopes", name) for name in ("solution", "account", "region", "type")),
    *(("trail_events", name) for name in ("id", "access_key", "principal", "source_identity", "made", "session", "loose")),
    *(("trail_files", name) for name in ("bucket", "digest", "key")),
    ("trail_machines", "machine"),
    *(("trail_sessions", name) for name in ("id", "event", "principal", "source_identity", "session")),
    ("graph_marks", "name"),
    ("graph_subscriptions", "resource"),
    *(("sign_in_logs", name) for name in ("id", "session_id")),
}


def test_keys_order_as_python_orders_them(store: Store) -> None:
    with store.begin() as connection:
        for name in NAMES:
            connection.execute(insert(resources).values(**_row(name, places.source_of("1", name[:1], name.replace("/", "-")))))
        connection.execute(insert(resources).values(**_row("else", places.source_of("10", "a", "t"))))
        wanted = select(resources.c.key).where(resources.c.key != "else")
        assert connection.execute(wanted.order_by(resources.c.key)).scalars().all() == sorted(NAMES)
        later = connection.execute(wanted.where(resources.c.key > "a_b")).scalars()
        assert set(later) == {name for name in NAMES if name > "a_b"}
        assert ledger.known(connection, "1/") == len(NAMES)
        assert ledger.known(connection, "1/a/") == len([name for name in NAMES if name[0] == "a"])


# The server of the tests knows no language's collation (no ICU, no locales), so that the columns themselves have to say it.
@pytest.mark.postgresql
def test_what_is_compared_with_keys_says_its_collation(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    query = "select table_name, column_name from information_schema.columns where table_schema = 'public' and collation_name = 'C'"
    with store.read() as connection:
        found = {tuple(row) for row in connection.exec_driver_sql(query)}
    store.close()
    assert found == EXACT


def _row(key: str, source: str) -> dict[str, object]:
    texts = dict.fromkeys(("type", "name", "subscription", "resource_group", "parent", "location", "etag"), "")
    return {**texts, "key": key, "id": key, "source": source, "created_at": 0, "changed_at": 0, "document": "{}"}
