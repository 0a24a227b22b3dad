"""`isthmus machine`: EC2 instances that became machines."""

from __future__ import annotations

from isthmus.cli.nouns import MACHINE, app_of

app = app_of(MACHINE)
