"""Resource types of ministack's CloudFormation."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

from isthmus_lab.hooks import ResourceHandlers


class Stacks:
    """What CloudFormation can create."""

    def resource_type(self, name: str, handlers: ResourceHandlers) -> None:
        """Teach CloudFormation a resource type."""
        entry = {field.name: getattr(handlers, field.name) for field in dataclasses.fields(handlers)}
        provisioners._RESOURCE_HANDLERS[name] = {verb: function for verb, function in entry.items() if function is not None}

    def guard_creation(self, name: str, guard: Callable[[dict[str, Any]], None]) -> None:
        """Run `guard(properties)` before CloudFormation creates a resource of the type; a ValueError fails the resource."""
        entry = provisioners._RESOURCE_HANDLERS[name]
        create = entry["create"]

        def guarded(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
            guard(properties)
            return create(logical_id, properties, stack)

        entry["create"] = guarded
