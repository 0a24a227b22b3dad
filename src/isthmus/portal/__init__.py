"""The portal: server-rendered pages over the API. One module and one template per page; everything goes through the ARM client."""

from isthmus.portal.session import Session, SignIn
from isthmus.portal.site import Portal

__all__ = ["Portal", "Session", "SignIn"]
