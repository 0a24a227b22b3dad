"""Whether Entra and Graph can be asked, as far as that shows without a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isthmus.doctor import Finding, Result, graph
from tests.doctor.conftest import ISSUER, World, answer

Look = Callable[[Callable[..., Any]], dict[str, list[Finding]]]
TENANT = "11111111-2222-4333-8444-555555555555"
USED = {"graph_tenant_id": TENANT, "graph_client_id": TENANT}
CONFIGURATION = f"https://login.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration"


def test_who_does_not_use_graph_is_left_alone(world: World, look: Look) -> None:
    assert look(graph.examine)[graph.SETTINGS][0].result is Result.NOT_CHECKED
    assert world.asked == []


@pytest.mark.parametrize(
    "settings",
    [{"graph_tenant_id": TENANT}, {"graph_client_id": TENANT}, {"group_source": "graph"}, {**USED, "oidc_issuer": "https://idp.test"}],
)
def test_half_a_registration_is_none(world: World, look: Look, settings: dict[str, str]) -> None:
    world.settings = settings
    assert look(graph.examine)[graph.SETTINGS][0].result is Result.FAILED


def test_who_is_reached_is_well_and_the_credential_is_spelled_out(world: World, look: Look) -> None:
    world.settings = USED
    world.answers |= {CONFIGURATION: answer({}), "https://graph.microsoft.com/v1.0/": answer({}, status=401)}
    found = look(graph.examine)
    assert {one.result for many in found.values() for one in many} == {Result.OK}
    assert f"issuer {ISSUER}, subject svc:Isthmus.Directory" in found[graph.SETTINGS][0].detail


def test_a_tenant_that_is_none_and_a_graph_that_is_silent_are_told(world: World, look: Look) -> None:
    world.settings = USED
    world.answers |= {CONFIGURATION: answer({}, status=400)}
    found = look(graph.examine)
    assert (found[graph.TENANT][0].result, found[graph.GRAPH][0].result) == (Result.FAILED, Result.FAILED)
    assert "ISTHMUS_GRAPH_TENANT_ID" in found[graph.TENANT][0].remedy
    world.is_offline = True
    world.asked.clear()
    assert look(graph.examine)[graph.GRAPH][0].result is Result.NOT_CHECKED
    assert world.asked == []
