"""A draft becomes a connector: group, connector, solutions and their first syncs, and the end of the draft, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from isthmus.arm.change import Change, JobOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import conflict, invalid, not_found, precondition_failed
from isthmus.arm.types import Ask
from isthmus.engine import Engine
from isthmus.engine.lookup import find
from isthmus.providers.connectors import connector, show_connector
from isthmus.providers.draft_rules import Rules, connector_body, missing_rights, place_of, refused
from isthmus.providers.resources import put_group
from isthmus.solutions.arrivals import DRAFTS, chosen
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.store import dialect


def create(engine: Engine, rules: Rules, ask: Ask) -> Mapping[str, Any]:
    """Make the connector that the draft `ask.id` describes; its body.

    Raises ArmError 404 when the draft is gone (somebody created it first), 400 `DraftNotReady` with all that is wrong as details, 403
    without the right to write what is made, 409 when something else took the name or the account, 412 when the body has the `etag` under
    which somebody looked at the draft and it is another one by now; then nothing changed.
    """
    seen = ask.body.get("etag") if isinstance(ask.body, dict) else None
    with engine.store.begin() as connection:
        dialect.lock_name(connection, ask.id.key)
        draft = find(connection, ask.id.key)
        if draft is None:
            raise not_found(DRAFTS, ask.id.name, "")
        if seen is not None and seen != draft.etag:
            raise precondition_failed(str(ask.id))
        errors = rules.judge(draft, ask).errors
        place = place_of(draft)
        if errors or place is None:
            text = f"The draft '{ask.id.name}' cannot become a connector yet: {len(errors)} problems, which the details name."
            raise invalid(text, target=str(ask.id), code="DraftNotReady", details=errors)
        for id in place:
            dialect.lock_name(connection, id.key)
        group, there = (find(connection, id.key) for id in place)
        for action, scope in missing_rights(draft, ask, makes_group=group is None):
            raise refused(action, scope)
        if there is not None:
            raise conflict(f"'{there.id.name}' exists already. Choose another name.", target=str(there.id), code="ConnectorExists")
        change = _made(rules, draft, group, ask)
        engine.apply_within(connection, change, ask.actor, f"{DRAFTS}/create/action", str(ask.id))
        made = find(connection, place[1].key)
    assert made is not None
    return show_connector(made, ask.version)


def _made(rules: Rules, draft: Resource, group: Resource | None, ask: Ask) -> Change:
    """Everything that the draft asks for. `group` is the resource group where it exists."""
    place = place_of(draft)
    assert place is not None
    above, id = place
    tags = draft.properties.get("tags", {})
    body = {**connector_body(draft), "tags": tags}
    made = connector(None, id, body, draft.properties["connectorPrimaryIdentifier"])
    puts = [made]
    jobs: list[JobOrder] = []
    if group is None:
        wanted = replace(ask, id=above, body={"location": made.location, "tags": tags})
        puts = [*put_group(None, wanted).puts, made]
    for name, given in chosen(draft.properties).items():
        solution = id.extension(CONFIGURATIONS, name)
        more = rules.connectivity.configured(None, solution, made, rules.kind(name), given, ask)
        puts += more.puts
        jobs += more.jobs
    return Change(puts=tuple(puts), deletes=(draft.id,), jobs=tuple(jobs), detail={"connector": str(id)})
