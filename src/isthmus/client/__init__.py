"""The ARM client of portal, command line, scripts and tests: one class that calls, one way to find a server and to sign in."""

from isthmus.arm.errors import ArmError
from isthmus.client.calls import Answer, Client
from isthmus.client.people import PersonSignIn
from isthmus.client.place import Note, Place, find_server, read_note, remove_note
from isthmus.client.tokens import TokenExchange, choose_token, kept_since, kept_until, link_parts, operator_token, sign_in, sign_out
from isthmus.client.trust import is_for_isthmus_alone, named_ca, remember_ca

__all__ = [
    "Answer",
    "ArmError",
    "Client",
    "Note",
    "PersonSignIn",
    "Place",
    "TokenExchange",
    "choose_token",
    "find_server",
    "is_for_isthmus_alone",
    "kept_since",
    "kept_until",
    "link_parts",
    "named_ca",
    "operator_token",
    "read_note",
    "remember_ca",
    "remove_note",
    "sign_in",
    "sign_out",
]
