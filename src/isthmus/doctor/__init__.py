"""What `isthmus doctor` looks at, with or without a running server. It changes nothing and prints no secret.

It stands beside `app`: like the running program it knows settings, keys and database, which the command line itself must not touch.
"""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.doctor import aws, azure, clock, database, directories, folder, graph, issuer, secrets, server
from isthmus.doctor.findings import Finding, Result
from isthmus.doctor.patient import Patient
from isthmus.doctor.probes import Probes

__all__ = ["Finding", "Patient", "Probes", "Result", "examine"]


def examine(patient: Patient) -> Iterator[Finding]:
    """Every check, one after another, each with at least one finding; whoever is out of reach costs a few seconds."""
    yield from folder.examine(patient)
    yield from secrets.examine(patient)
    yield from database.examine(patient)
    yield from directories.examine(patient)
    ours = server.ask(patient)
    yield from server.examine(patient, ours)
    yield from issuer.examine(patient)
    amazon = aws.ask(patient)
    yield from aws.examine(patient, amazon)
    yield from clock.examine({"the server": ours, "AWS": amazon})
    yield from azure.examine(patient)
    yield from graph.examine(patient)
