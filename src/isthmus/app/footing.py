"""What outlives the process, opened: the store, the keys, and whom they make us; and what a first start writes into it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, subscription_id
from isthmus.arm.types import Actor
from isthmus.audit import Checkpoints, FolderAnchor
from isthmus.engine import Engine
from isthmus.engine.installation import Installation, settle
from isthmus.identity.clients import register_operator
from isthmus.identity.foreign import fetch, trusting
from isthmus.identity.issuer import Issuer, api_issuer, aws_issuer, is_behind, record_keys, require_known
from isthmus.identity.publication import Publication
from isthmus.identity.roles import OWNER, definition
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from isthmus.providers.authorization import ASSIGNMENTS
from isthmus.settings import Settings
from isthmus.solutions.rotation import AFTER
from isthmus.store import Store
from isthmus.work import Timetable

SYSTEM = Actor(id="isthmus", kind="Application", name="Isthmus")


@dataclass(frozen=True, kw_only=True)
class Footing:
    """The opened parts. `hosts` are the names under which requests may come; links repeat them."""

    public_url: str
    port: int
    hosts: frozenset[str]
    store: Store
    installation: Installation
    keys: Path
    authority: LocalAuthority
    api: Issuer
    aws: Issuer
    checkpoints: Checkpoints
    audit: KeyRing

    @property
    def rings(self) -> tuple[KeyRing, ...]:
        """The keys that sign tokens and checkpoints."""
        return self.api.ring, self.aws.ring, self.audit

    def say_keys(self, connection: Connection) -> str:
        """For the question whether this process is ready."""
        behind = [ring.purpose for ring in self.rings if is_behind(connection, ring)]
        return f"an older copy: the key for {', '.join(behind)} was retired by another process" if behind else "ready"

    def rotation(self, aws_knows: Callable[[], bool]) -> Timetable:
        """Hourly: a signing key that has served for 90 days gives way to the next one. The one for AWS waits until `aws_knows` the next."""

        def rotate(_planned: datetime) -> None:
            for ring in self.rings:
                if ring is not self.aws.ring or (ring.is_kept_here and ring.is_due(after=AFTER) and aws_knows()):
                    ring.rotate_if_due(after=AFTER)
                with self.store.begin() as connection:
                    record_keys(connection, ring)

        return Timetable(name="signing-keys", cron="0 17 * * * *", run=rotate)

    def publication(self, address: str) -> Publication:
        """What the world sees of the issuer that AWS trusts; at `address` where one is given, with our own CA among the trusted."""
        address = f"127.0.0.1:{self.port}" if address == "self" else address
        trust = trusting(self.authority.ca_path) if address else None
        return Publication(url=self.aws.url, fetch=partial(fetch, trust=trust, address=address), address=address)

    def proof(self) -> Timetable:
        """Every ten minutes: checkpoints of the audit log."""
        return Timetable(name="audit-checkpoints", cron="30 */10 * * * *", run=self.checkpoints.run)


def new_guid() -> str:
    """A random GUID."""
    return str(uuid.uuid4())


def open_footing(settings: Settings, port: int) -> Footing:
    """Open what the settings name; mint what a first start mints."""
    public_url = settings.public_url.rstrip("/") or f"https://localhost:{port}"
    store = Store(settings.database, busy_seconds=settings.database_wait_seconds)
    store.migrate()
    installation = settle(store, new_guid, tenant=settings.tenant_id, subscription=settings.subscription_id)
    keys = settings.keys
    audit = KeyRing(keys, "audit", clock=time.time)
    anchor = FolderAnchor(settings.audit_anchor) if settings.audit_anchor else None
    return Footing(
        public_url=public_url,
        port=port,
        hosts=frozenset({urlsplit(public_url).netloc, *(f"{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]"))}),
        store=store,
        installation=installation,
        keys=keys,
        authority=LocalAuthority(keys, clock=time.time, own=settings.data_folder / "keys"),
        api=api_issuer(public_url, installation.tenant, KeyRing(keys, "api", clock=time.time), time.time),
        aws=aws_issuer(settings.issuer_url, KeyRing(keys, "aws", clock=time.time), time.time),
        checkpoints=Checkpoints(store=store, ring=audit, anchor=anchor, clock=time.time),
        audit=audit,
    )


def record_start(engine: Engine, footing: Footing, *, accepts_new_keys: bool) -> None:
    """The operator's key is registered at every start; rights and the default subscription are given at the first one only."""
    ground = footing.installation
    with engine.store.begin() as connection:
        operator = register_operator(connection, operator_signer(footing.keys).public_pem, engine.clock)
        for ring in footing.rings:
            if not accepts_new_keys:
                require_known(connection, ring)
            record_keys(connection, ring)
        if not ground.is_new:
            return
        owners = tuple(_owner(principal, kind) for principal, kind in ((operator.object_id, "ServicePrincipal"), (ground.admin, "User")))
        home = Resource(id=subscription_id(ground.subscription), properties={"displayName": "Isthmus"})
        change = Change(puts=(home, *owners), detail={"tenant": ground.tenant})
        engine.apply_within(connection, change, SYSTEM, "installation/write", "/")


def _owner(principal: str, kind: str) -> Resource:
    properties: dict[str, Any] = {
        "roleDefinitionId": definition(OWNER)["id"],
        "principalId": principal,
        "principalType": kind,
        "scope": "/",
    }
    namespace, _, name = ASSIGNMENTS.partition("/")
    id = ResourceId(None, namespace, (name,), (new_guid(),))
    return Resource(id=id, properties=properties, unique=f"assignment:{principal}:{OWNER.id}:/", source=f"principal:{principal}")
