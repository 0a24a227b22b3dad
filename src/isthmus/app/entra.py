"""Entra by Microsoft Graph, where the settings name a tenant: who tells groups, and who follows what happens there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.access.entra.checking import Checks
from isthmus.access.entra.notices import Notices
from isthmus.access.entra.polling import Polling
from isthmus.access.entra.sign_in_logs import SignInLogs
from isthmus.access.entra.subscriptions import Subscriptions
from isthmus.access.entra.watching import Watching
from isthmus.access.group_names import GraphNames, GroupNames, provisioned_names
from isthmus.access.groups import GraphGroups, GroupSource, ProvisionedGroups, TokenGroups
from isthmus.arm.errors import invalid
from isthmus.clouds.azure.graph import SUBJECT, Caller, Graph, Place, Tokens, Wire
from isthmus.engine import Engine, Lookup
from isthmus.identity.federation import DEFAULT_AUDIENCE
from isthmus.identity.issuer import Issuer
from isthmus.metrics import Metrics
from isthmus.settings import Settings
from isthmus.store import Store
from isthmus.work import Job, Timetable

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
    wire = Wire(by_proxy=not place.is_here)
    claims = {"aud": DEFAULT_AUDIENCE, "sub": SUBJECT}
    tokens = Tokens(place, wire, assertion=lambda: issuer.mint(claims, ASSERTION_SECONDS), clock=time.time)
    return Graph(Caller(place, tokens, wire, observe=lambda call, outcome: metrics.count(CALLS, call, outcome)))


def group_source(settings: Settings, store: Store, graph: Graph | None) -> GroupSource:
    """Who tells memberships."""
    if settings.group_source == "graph" and graph is not None:
        return GraphGroups(graph, graph.issuer)
    return ProvisionedGroups(store) if settings.group_source == "directory" else TokenGroups()


def names_of_groups(store: Store, graph: Graph | None) -> GroupNames:
    """Who tells what groups are called: Graph where there is one, else what was provisioned."""
    return provisioned_names(store) if graph is None else GraphNames(graph)


@dataclass(frozen=True, kw_only=True)
class Following:
    """Who follows what happens in the tenant; `notices` and `subscriptions` where Graph can reach us, `logs`
    where sign-ins are to be read."""

    checks: Checks
    polling: Polling
    subscriptions: Subscriptions | None
    notices: Notices | None
    logs: SignInLogs | None

    def jobs(self) -> Sequence[Job]:
        """Their jobs."""
        kept = [self.subscriptions.job()] if self.subscriptions else []
        return [self.checks.job(), self.polling.job(), *kept]

    def timetables(self) -> Sequence[Timetable]:
        """What they do by the clock."""
        more = [one.timetable() for one in (self.subscriptions, self.logs) if one is not None]
        return [self.polling.timetable(), *more]


def follow(engine: Engine, lookup: Lookup, settings: Settings, graph: Graph) -> Following:
    """The parts over one Graph."""
    watching = Watching(engine=engine, lookup=lookup, graph=graph)
    checks = Checks(engine=engine, graph=graph, issuer=graph.issuer)
    origin = settings.graph_notification_url
    return Following(
        checks=checks,
        polling=Polling(engine=engine, graph=graph, watching=watching, checks=checks, seconds=settings.graph_poll_seconds),
        subscriptions=Subscriptions(engine=engine, graph=graph, watching=watching, origin=origin) if origin else None,
        notices=Notices(engine=engine, checks=checks) if origin else None,
        logs=SignInLogs(engine=engine, graph=graph) if settings.graph_sign_in_logs else None,
    )
