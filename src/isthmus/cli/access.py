"""`isthmus access`: people's access to accounts. Its verbs lie in modules of their own."""

from __future__ import annotations

from isthmus.cli.nouns import new_app

app = new_app("People's access to accounts: roles for a time, and who holds what.")
