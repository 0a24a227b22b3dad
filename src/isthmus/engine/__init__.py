"""The engine: all writes go through it. Resource, ETag, operation, job and audit record are one transaction."""

from isthmus.engine.engine import Condition, Engine, Removal
from isthmus.engine.lookup import Lookup, Page

__all__ = ["Condition", "Engine", "Lookup", "Page", "Removal"]
