"""Writes `actions.json` from IAM's table of actions (as parliament, a development dependency, carries it) and botocore's service models.

Run by `make models`. An action is proven by events when it is an operation of the same name too, changes no tags (other operations tag
without an event of their own), and the reviewed facts do not say otherwise. Everything else is `kept`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from botocore.loaders import Loader

from isthmus.clouds.aws.usage.facts import EXCEPTIONS, IMPLIED, KEPT, LOGGED_ONLY, SERVICES

PLACE: Final = Path(__file__).parent / "actions.json"


def compiled() -> str:
    """The text of the file."""
    found = importlib.util.find_spec("parliament")  # found and not imported: only its table is wanted
    if found is None or found.origin is None:
        raise FileNotFoundError("parliament is not installed; run make setup")
    text = Path(found.origin).with_name("iam_definition.json").read_text()
    table = {service["prefix"]: service["privileges"] for service in json.loads(text)}
    services = {prefix: _service(prefix, table[prefix]) for prefix in SERVICES}
    proven = {f"{prefix}:{name}" for prefix, one in services.items() for name in one["proven"]}
    document = {"services": services, "implied": dict(sorted(_implied(table, proven)))}
    return json.dumps(document, indent=0, sort_keys=True) + "\n"


def _service(prefix: str, privileges: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    loader, operations = Loader(), set[str]()
    for model in SERVICES[prefix]:
        found = loader.load_service_model(model, "service-2")
        if found["metadata"]["endpointPrefix"] != prefix:
            raise ValueError(f"botocore's {model} is not {prefix}.amazonaws.com")
        operations |= set(found["operations"])
    every = {one["privilege"] for one in privileges}
    named = {action for actions in EXCEPTIONS.get(prefix, {}).values() for action in actions}
    named |= KEPT.get(prefix, frozenset()) | LOGGED_ONLY.get(prefix, frozenset())
    if unknown := named - every:
        raise ValueError(f"IAM knows no {prefix} actions {sorted(unknown)}")
    tagging = {one["privilege"] for one in privileges if one["access_level"] == "Tagging"}
    proven = LOGGED_ONLY.get(prefix, frozenset(every & operations)) - tagging - KEPT.get(prefix, frozenset())
    return {"proven": sorted(proven), "kept": sorted(every - proven)}


def _implied(table: Mapping[str, list[Mapping[str, Any]]], proven: set[str]) -> Iterator[tuple[str, list[str]]]:
    for prefix, privileges in table.items():
        for one in privileges:
            action = f"{prefix}:{one['privilege']}"
            asked = {name for resource in one["resource_types"] for name in resource.get("dependent_actions") or ()}
            asked |= set(IMPLIED.get(action, ()))
            if found := sorted(asked & proven - {action}):
                yield action, found


if __name__ == "__main__":
    PLACE.write_text(compiled())
