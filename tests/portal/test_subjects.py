"""What an id is about, and where it is shown."""

from __future__ import annotations

import pytest

from isthmus.portal.subjects import subject_of

GROUP = "/subscriptions/0a0a0a0a-0000-4000-8000-000000000000/resourceGroups/rg"
CONNECTOR = f"{GROUP}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/conn"
DRAFT = "/subscriptions/0a0a0a0a-0000-4000-8000-000000000000/providers/Isthmus.Connect/drafts/first"


@pytest.mark.parametrize(
    ("id", "name", "kind", "to"),
    [
        ("/", "The whole tenant", "tenant", ""),
        (GROUP, "rg", "resource group", ""),
        (CONNECTOR, "conn", "connector", f"/portal/connector{CONNECTOR}"),
        (
            f"{CONNECTOR}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inv",
            "inv of conn",
            "solution",
            f"/portal/connector{CONNECTOR}",
        ),
        (
            f"{GROUP}/providers/Microsoft.HybridCompute/machines/i-1",
            "i-1",
            "machine",
            f"/portal/resource{GROUP}/providers/Microsoft.HybridCompute/machines/i-1",
        ),
        (DRAFT, "first", "draft", "/portal/connectors/add/first/template"),
        ("nonsense", "nonsense", "", ""),
    ],
)
def test_an_id_has_a_name_a_kind_and_perhaps_a_page(id: str, name: str, kind: str, to: str) -> None:
    found = subject_of(id)
    assert (found.name, found.kind, found.to) == (name, kind, to)
