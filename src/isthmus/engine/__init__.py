"""The engine: all writes go through it. Resource, ETag, operation, job and audit record are one transaction."""

from isthmus.engine.engine import Arrival, Condition, Engine, Removal
from isthmus.engine.lookup import Lookup, Page

__all__ = ["Arrival", "Condition", "Engine", "Lookup", "Page", "Removal"]
