"""Moving a whole installation: from one database to another, into an archive, and out of one. Works beside a server, never through it."""

from isthmus.transfer.archive import has_keys
from isthmus.transfer.backup import back_up
from isthmus.transfer.copying import copy_database
from isthmus.transfer.restore import restore

__all__ = ["back_up", "copy_database", "has_keys", "restore"]
