"""`isthmus access`: ask for a role for a time, decide, review, and take access away. Importing it registers every verb."""

from isthmus.cli.access import offboarding, requests
from isthmus.cli.access.noun import app

__all__ = ["app", "offboarding", "requests"]
