"""`isthmus access`: who may hold which role, and the end of it."""

from __future__ import annotations

from isthmus.cli.nouns import new_app

app = new_app("Access of people to accounts: who holds which role, and its end.")
