"""The ARM client of portal, command line, scripts and tests: one class that calls, one way to find a server and to sign in."""

from isthmus.arm.errors import ArmError
from isthmus.client.calls import Answer, Client
from isthmus.client.place import Note, Place, find_server, read_note, remove_note
from isthmus.client.tokens import TokenExchange, choose_token, forget_token, link_parts, sign_in

__all__ = [
    "Answer",
    "ArmError",
    "Client",
    "Note",
    "Place",
    "TokenExchange",
    "choose_token",
    "find_server",
    "forget_token",
    "link_parts",
    "read_note",
    "remove_note",
    "sign_in",
]
