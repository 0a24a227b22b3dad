"""What answers requests: the API over the table of types, the ways to sign in, the portal over the API."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial

from starlette.applications import Starlette

from isthmus.access.claims import ClaimsProvider
from isthmus.access.leaving import follow_directory
from isthmus.access.scim import Scim
from isthmus.api import site
from isthmus.api.access import Access
from isthmus.api.agents import Agents
from isthmus.api.arm import Arm
from isthmus.api.claims import Claims
from isthmus.api.consents import Consents
from isthmus.api.directory import Directory
from isthmus.api.entries import LinkEntry, ProviderEntry, SignIn
from isthmus.api.events import Events
from isthmus.api.exchange import Exchange
from isthmus.api.frame import Frame
from isthmus.api.health import Health
from isthmus.api.local import LocalTransport
from isthmus.api.notified import Notified
from isthmus.api.provisioning import Provisioning
from isthmus.app.core import Core
from isthmus.app.footing import Footing, new_guid
from isthmus.app.signals import open_receiver
from isthmus.client import Client
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.codes import Codes
from isthmus.identity.configured import configured_openid
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import fetch
from isthmus.identity.presented import PresentedSecrets
from isthmus.identity.refresh import RefreshTokens
from isthmus.identity.sessions import Sessions
from isthmus.identity.tokens import TokenEndpoint
from isthmus.portal import Portal
from isthmus.providers import Ground, registry
from isthmus.settings import Settings
from isthmus.solutions.onboard.report import inventory_items

_CLAIMS_SECONDS = 0.7


def token_endpoint(footing: Footing) -> TokenEndpoint:
    """Where clients get their tokens."""
    return TokenEndpoint(
        footing.store,
        footing.api,
        tenant=footing.installation.tenant,
        public_url=footing.public_url,
        clock=time.time,
        foreign=IssuerKeys(fetch, time.time),
    )


def entries(settings: Settings, footing: Footing, core: Core, tokens: TokenEndpoint) -> SignIn:
    """The ways in which people come in."""
    sessions = Sessions(footing.store, tokens, time.time, idle_minutes=settings.session_idle_minutes, hours=settings.session_hours)
    link = LinkEntry(engine=core.engine, refusals=core.refusals, sessions=sessions, admin=footing.installation.admin)
    openid = configured_openid(settings, own=footing.api, public_url=footing.public_url, clock=time.time)
    provider: ProviderEntry | None = None
    if openid is not None:
        provider = ProviderEntry(engine=core.engine, refusals=core.refusals, openid=openid, seconds=settings.session_hours * 3600)
    codes = Codes(time.time, random_bytes=secrets.token_bytes, identifier=new_guid)
    refreshes = RefreshTokens(time.time, seconds=settings.session_hours * 3600, random_bytes=secrets.token_bytes)
    consents = Consents(engine=core.engine, refusals=core.refusals, sessions=sessions, tokens=tokens, codes=codes, issuer=footing.api.url)
    exchange = Exchange(engine=core.engine, tokens=tokens, codes=codes, refreshes=refreshes, public_url=footing.public_url)
    return SignIn(sessions=sessions, link=link, consents=consents, exchange=exchange, provider=provider)


def face(
    footing: Footing,
    core: Core,
    settings: Settings,
    *,
    tokens: TokenEndpoint,
    sign_in: SignIn,
    health: Health,
    frame: Frame,
    close: Callable[[], None],
) -> tuple[Starlette, Callable[[], None]]:
    """The application, and what ends the streams of the portal's live pages."""
    public_url, tenant = footing.public_url, footing.installation.tenant
    verifier = BearerVerifier(footing.api, tenant=tenant, audience=public_url, clock=time.time)
    access = Access(footing.store, verifier, public_url=public_url, tenant=tenant, clock=time.time)
    table = registry(_ground(footing, core, settings))
    frame.types = table.rows
    arm = Arm(registry=table, engine=core.engine, lookup=core.lookup, access=access, tenant=tenant, new_guid=new_guid)
    local = LocalTransport(frame, arm.answer, public_url)
    portal = Portal(
        sign_in=sign_in,
        call=lambda token: Client(public_url, token, transport=local),
        hosts=footing.hosts,
        subscription=footing.installation.subscription,
        clock=time.time,
        observe=health.observe,
    )
    built = site.build(
        arm=arm,
        directory=_directory(footing, core, tokens, sign_in),
        agents=Agents(core.machines, access),
        provisioning=_provisioning(footing, core, access),
        events=Events(receiver=open_receiver(settings, core.engine, public_url), refusals=core.refusals),
        notices=Notified(notices=core.following.notices if core.following else None, refusals=core.refusals),
        claims=Claims(provider=_claims(core), refusals=core.refusals),
        portal=portal.routes(),
        health=health,
        frame=frame,
        launch=core.work.launch,
        close=close,
    )
    return built, portal.hub.retire


def _ground(footing: Footing, core: Core, settings: Settings) -> Ground:
    return Ground(
        engine=core.engine,
        lookup=core.lookup,
        tenant=footing.installation.tenant,
        public_url=footing.public_url,
        issuer_url=settings.issuer_url,
        template_url=settings.template_url,
        solutions=core.solutions,
        ledger=lambda solution: inventory_items(footing.store, solution),
        work=core.work,
        broker=core.broker,
        requests=core.requests,
        group_names=core.group_names,
        certificates=footing.authority.expiries,
        rotation=core.rotation,
    )


def _claims(core: Core) -> ClaimsProvider:
    """A directory waits 2,000 ms: each of the two documents that its keys take gets a part of them, once an hour."""
    keys = IssuerKeys(partial(fetch, seconds=_CLAIMS_SECONDS), time.time)
    return ClaimsProvider(engine=core.engine, lookup=core.lookup, groups=core.broker.groups, keys=keys)


def _provisioning(footing: Footing, core: Core, access: Access) -> Provisioning:
    return Provisioning(
        scim=Scim(core.engine, follow_directory(core.engine)),
        access=access,
        presented=PresentedSecrets(footing.store, tenant=footing.installation.tenant, clock=time.time),
        engine=core.engine,
        refusals=core.refusals,
    )


def _directory(footing: Footing, core: Core, tokens: TokenEndpoint, sign_in: SignIn) -> Directory:
    return Directory(
        engine=core.engine,
        refusals=core.refusals,
        tokens=tokens,
        api=footing.api,
        aws=footing.aws,
        public_url=footing.public_url,
        tenant=footing.installation.tenant,
        sign_in=sign_in,
        new_guid=new_guid,
    )
