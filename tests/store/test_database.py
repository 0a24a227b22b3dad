"""The store on both databases: transactions, writers, outages, dialect."""

from isthmus.store import Store


def test_smoke(store: Store):
    with store.read() as c:
        assert c.exec_driver_sql("select count(*) from resources").scalar() == 0
