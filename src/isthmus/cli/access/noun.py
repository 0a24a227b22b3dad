"""The noun that every verb of access belongs to."""

from __future__ import annotations

from isthmus.cli.nouns import new_app

app = new_app("People's access to accounts: roles for a time, who holds what, and its end.")
