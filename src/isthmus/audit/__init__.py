"""The audit log: one append-only, hash-chained list of everything that Isthmus accepts or refuses."""

from isthmus.audit.anchors import FolderAnchor
from isthmus.audit.chain import Record, append, verify
from isthmus.audit.checkpoints import Checkpoints
from isthmus.audit.refusals import Refusals

__all__ = ["Checkpoints", "FolderAnchor", "Record", "Refusals", "append", "verify"]
