"""A SCIM 2.0 server (RFC 7643, 7644) over the directory's tables, with Entra's dialect understood.

scim2-server speaks the protocol; what is ours is the storage, the dialect, the limits and the audit record of each write.
"""

from isthmus.access.scim.departures import Departed
from isthmus.access.scim.door import MEDIA_TYPE, Answered, Asked, Scim, action_of

__all__ = ["MEDIA_TYPE", "Answered", "Asked", "Departed", "Scim", "action_of"]
