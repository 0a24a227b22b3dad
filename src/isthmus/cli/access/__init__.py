"""`isthmus access`: ask for a role for a time, decide, review, explain, lint, and take access away. Importing it registers every verb."""

from isthmus.cli.access import asking, federation, offboarding, trust
from isthmus.cli.access.noun import app

__all__ = ["app", "asking", "federation", "offboarding", "trust"]
