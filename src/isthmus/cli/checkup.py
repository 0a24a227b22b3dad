"""The checkup behind `isthmus doctor`: loaded only for it, because it brings the store and the keys with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from isthmus.arm.errors import ArmError
from isthmus.cli.session import Session, settings_in_effect
from isthmus.client import Place
from isthmus.doctor import Finding, Patient, Probes, examine


def findings(session: Session, probes: Probes, *, is_offline: bool) -> Iterator[Finding]:
    """What is found for the data folder and server of a session."""
    settings = settings_in_effect().model_copy(update={"data": session.data})
    yield from examine(Patient(settings=settings, environ=os.environ, place=_place(session), is_offline=is_offline, probes=probes))


def _place(session: Session) -> Place | None:
    try:
        return session.place
    except ArmError as error:
        if error.code != "NoServer":
            raise
        return None
