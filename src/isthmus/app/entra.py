"""Entra by Microsoft Graph, where the settings name a tenant: who tells groups, and who follows what happens there."""

from __future__ import annotations

import time

from isthmus.access.groups import GraphGroups, GroupSource, ProvisionedGroups, TokenGroups
from isthmus.arm.errors import invalid
from isthmus.clouds.azure.graph import SUBJECT, Caller, Graph, Place, Tokens, Wire
from isthmus.identity.federation import DEFAULT_AUDIENCE
from isthmus.identity.issuer import Issuer
from isthmus.metrics import Metrics
from isthmus.settings import Settings
from isthmus.store import Store

CALLS = "isthmus_graph_calls_total"
ASSERTION_SECONDS = 300


def open_graph(settings: Settings, issuer: Issuer, metrics: Metrics) -> Graph | None:
    """Graph as the settings say, None where they name no tenant. ArmError 400 `InvalidGraphSettings` when they do not fit together.

    The first call buys the first token, so a start does not depend on Entra. `issuer` is the one whose documents are public for AWS.
    """
    if settings.graph_tenant_id is None or settings.graph_client_id is None:
        if settings.graph_tenant_id or settings.graph_client_id or settings.group_source == "graph":
            raise invalid(
                "Microsoft Graph needs both ISTHMUS_GRAPH_TENANT_ID and ISTHMUS_GRAPH_CLIENT_ID.",
                target="graph_tenant_id",
                code="InvalidGraphSettings",
            )
        return None
    place = Place(
        url=settings.graph_url,
        login_url=settings.graph_login_url,
        tenant=settings.graph_tenant_id.lower(),
        client=settings.graph_client_id.lower(),
    )
    wire = Wire()
    claims = {"aud": DEFAULT_AUDIENCE, "sub": SUBJECT}
    tokens = Tokens(place, wire, assertion=lambda: issuer.mint(claims, ASSERTION_SECONDS), clock=time.time)
    return Graph(Caller(place, tokens, wire, observe=lambda call, outcome: metrics.count(CALLS, call, outcome)))


def group_source(settings: Settings, store: Store, graph: Graph | None) -> GroupSource:
    """Who tells memberships."""
    if settings.group_source == "graph" and graph is not None:
        return GraphGroups(graph, settings.graph_tenant_id or "")
    return ProvisionedGroups(store) if settings.group_source == "directory" else TokenGroups()
