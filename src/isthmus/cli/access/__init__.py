"""`isthmus access`: ask for a role for a time, decide, review, explain, lint, and take access away. Importing it registers every verb."""

from isthmus.cli.access import asking, offboarding, trust
from isthmus.cli.access.noun import app

__all__ = ["app", "asking", "offboarding", "trust"]
