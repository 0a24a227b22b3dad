"""What Azure clients need to talk to this server: its CA in their bundle, and a version of azure-cli that knows api-versions of today."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import Patient

BUNDLE, CLI = "CA for Azure clients", "azure-cli"
VARIABLE = "REQUESTS_CA_BUNDLE"
_OLDEST = (2, 60)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def examine(patient: Patient) -> Iterator[Finding]:
    """azure-cli, the Azure SDKs for Python and Terraform's Azure provider are such clients."""
    program = patient.probes.find_program("az")
    yield _bundle(patient, is_needed=program is not None)
    yield unchecked(CLI, "It is not installed here.") if program is None else _cli(patient, program)


def _bundle(patient: Patient, *, is_needed: bool) -> Finding:
    named = patient.bundle(VARIABLE)
    ours = patient.keys / "ca.pem"
    own = not patient.is_elsewhere and ours.is_file()
    file = f"'{ours}'" if own else "the server's CA file"
    remedy = f"Set {VARIABLE} to {file} for such clients alone: whoever else reads it, AWS' tools too, then trusts nothing else."
    if named is None:
        if is_needed and own:
            return warning(BUNDLE, f"{VARIABLE} is not set, so azure-cli does not trust this server.", remedy)
        return unchecked(BUNDLE, f"{VARIABLE} is not set.", remedy)
    if not named.is_file():
        return failed(BUNDLE, f"{VARIABLE} names no file: '{named}'.", remedy)
    if not own:
        return unchecked(BUNDLE, f"{VARIABLE} is '{named}'; the server's own CA is not here to compare with.")
    if _certificates(ours) <= _certificates(named):
        return ok(BUNDLE, f"'{named}' holds the server's CA")
    remedy = f"Put both into a file of your own (cat '{named}' '{ours}' > bundle.pem), and name that where such clients run."
    return warning(BUNDLE, f"'{named}' does not hold the server's CA.", remedy)


def _certificates(file: Path) -> set[bytes]:
    try:
        return {b"".join(found.split()) for found in _CERTIFICATE.findall(file.read_bytes())}
    except OSError:
        return set()


def _cli(patient: Patient, program: str) -> Finding:
    with tempfile.TemporaryDirectory() as folder:  # azure-cli writes into its folder whatever it is asked; not into the user's.
        changed = {"AZURE_CONFIG_DIR": folder, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        text = patient.probes.run((program, "version", "--output", "json"), {**patient.environ, **changed})
    remedy = "Upgrade azure-cli: https://learn.microsoft.com/cli/azure/install-azure-cli"
    try:
        version = str(json.loads(text)["azure-cli"])
        parts = tuple(int(part) for part in version.split(".")[:2])
    except (ValueError, KeyError, TypeError):
        return warning(CLI, f"'{program}' does not say its version.", remedy)
    if parts < _OLDEST:
        return warning(CLI, f"{version} is older than {'.'.join(map(str, _OLDEST))}.", remedy)
    return ok(CLI, version)
