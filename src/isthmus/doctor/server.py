"""The port, and the server behind it: does it run, does it answer, is its certificate trusted, is it of this version."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from isthmus import __version__
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import ELSEWHERE, Asked, Patient
from isthmus.doctor.probes import Silence

PORT, SERVER, VERSION = "port", "server", "version"


def ask(patient: Patient) -> Asked:
    """The readiness of the server that commands would talk to."""
    if patient.place is None:
        return None
    return patient.probes.fetch(f"{patient.place.url}/readyz", also=[file for file in patient.place.ca if file.is_file()])


def examine(patient: Patient, asked: Asked) -> Iterator[Finding]:
    """`asked` is what came of `ask`."""
    yield _port(patient)
    yield _answering(patient, asked)
    yield _version(patient, asked)


def _port(patient: Patient) -> Finding:
    if patient.is_elsewhere:
        return unchecked(PORT, ELSEWHERE)
    host, port, note = patient.settings.host, patient.settings.port, patient.note
    if note is not None and patient.probes.is_running(note.pid):
        used = urlsplit(note.url).port or 443
        return ok(PORT, f"our server (process {note.pid}) listens at {note.url}" + ("" if used == port else f", not on {port}"))
    if port == 0:
        return ok(PORT, "any free one is used")
    problem = patient.probes.bind(host, port)
    if problem == 0:
        return ok(PORT, f"{host}:{port} is free")
    if problem == errno.EADDRINUSE:
        remedy = "The server would take a free one and print it. To keep the port, end the other program or set ISTHMUS_PORT."
        return warning(PORT, f"Another program listens on {host}:{port}.", remedy)
    said = "this user may not" if problem == errno.EACCES else errno.errorcode.get(problem, str(problem))
    return failed(
        PORT,
        f"Nobody could listen on {host}:{port}: {said}.",
        "Choose a port above 1023 and an address of this computer: ISTHMUS_PORT, ISTHMUS_HOST.",
    )


def _answering(patient: Patient, asked: Asked) -> Finding:
    if asked is None or patient.place is None:
        return unchecked(SERVER, f"No server runs on '{patient.data}'.", "Start one: isthmus serve")
    url = patient.place.url
    if isinstance(asked, Silence):
        if asked.why == "certificate":
            remedy = "Name its CA file with --ca or ISTHMUS_CA_FILE, or its data folder with --data."
            return failed(SERVER, f"The certificate of {url} is not trusted ({asked.detail}).", remedy)
        note = patient.note
        if note is not None and note.url == url and not patient.probes.is_running(note.pid):
            return failed(
                SERVER, f"The server at {url} ended without a word (process {note.pid}).", "Read its log, then start it: isthmus serve"
            )
        return failed(SERVER, f"{url} does not answer ({asked.detail}).", "Start it, or look into its log: isthmus serve")
    if asked.status == 200:
        return ok(SERVER, f"{url} is ready, certificate trusted")
    return failed(SERVER, f"{url} is not ready: {_missing(asked.body) or f'it answered {asked.status}'}.", "Its log says why.")


def _missing(body: bytes) -> str:
    """Parts that are not ready, as `/readyz` names them."""
    try:
        parts = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(parts, dict):
        return ""
    return ", ".join(f"{name}: {state}" for name, state in parts.items() if name != "status" and state != "ready")


def _version(patient: Patient, asked: Asked) -> Finding:
    note = patient.note
    if asked is None or patient.is_elsewhere or note is None or not note.version:
        return unchecked(VERSION, f"This program is {__version__}; no server here says what it is.")
    if note.version == __version__:
        return ok(VERSION, f"{__version__}, as the server")
    return warning(VERSION, f"The server runs {note.version}, this program is {__version__}.", "Restart the server.")
