"""What happened, as it can be read."""

from __future__ import annotations

from sqlalchemy import insert

from isthmus.providers import scans as listed
from isthmus.store.tables import scans
from tests.api.conftest import Api

SOLUTIONS = "providers/Microsoft.HybridConnectivity/solutionConfigurations"


def test_the_newest_scans_are_listed_and_the_query_is_bounded(api: Api) -> None:
    solution = f"{api.connector()}/{SOLUTIONS}/inv"
    api.call("PUT", solution, {"properties": {"solutionType": "Microsoft.AssetManagement"}})
    texts = {"solution": solution.lower(), "account": "123456789012", "status": "Completed", "summary": "{}"}
    rows = [{**texts, "id": f"s:{n:05}", "started_at": n, "ended_at": n} for n in range(listed.MOST_SCANS + 20)]
    with api.app.engine.store.begin() as connection:
        connection.execute(insert(scans), rows)
    names: list[str] = []
    link = f"{solution}/providers/Isthmus.Inventory/scans?api-version=2026-11-01"
    while link:
        page = api.call("GET", link.removeprefix(api.app.public_url), version="").json()
        names += [one["name"] for one in page["value"]]
        link = page.get("nextLink", "")
    assert names == [f"s-{n:05}" for n in range(20, listed.MOST_SCANS + 20)]
