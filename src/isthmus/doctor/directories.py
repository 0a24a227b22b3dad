"""Directories that accounts trust by SAML: when their certificates expire, and whether stacks hold what they should."""

from __future__ import annotations

import json
from collections.abc import Iterator

from isthmus.arm.errors import ArmError
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import ELSEWHERE, Patient
from isthmus.solutions.certificates import ACCESS_SOLUTIONS, concerns
from isthmus.store import documents, inspect

CHECK = "directory certificates"
REMEDY = (
    "Make the next certificate at the directory, 'isthmus access federation add-certificate', update the stack, switch, "
    "'isthmus access federation retire-certificate', update the stack."
)


def examine(patient: Patient) -> Iterator[Finding]:
    """One finding for each connector with something to do, or one for all of them."""
    if patient.is_elsewhere:
        yield unchecked(CHECK, ELSEWHERE)
        return
    try:
        state = inspect(patient.settings.database)
        known = documents(patient.settings.database, ACCESS_SOLUTIONS) if state and state.revision == state.expected else None
    except ArmError:
        known = None
    if known is None:
        yield unchecked(CHECK, "There is no database of this version to read them from.")
        return
    shown = {id.split("/providers/")[1].rpartition("/")[2]: json.loads(text)["properties"].get("federation") for id, text in known}
    now = int(patient.probes.clock() * 1000)
    found = [(name, concerns(federation, now)) for name, federation in sorted(shown.items())]
    for name, said in found:
        if said:
            told = " ".join(sentence for _, sentence in said)
            yield (failed if said[0][0] == "failed" else warning)(CHECK, f"{name}: {told}", REMEDY)
    if not any(said for _, said in found):
        number = sum(bool((federation or {}).get("certificates")) for federation in shown.values())
        yield ok(CHECK, f"none of {number} directories is within 30 days of its end" if number else "no account by SAML")
