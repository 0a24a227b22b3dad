"""What reaching AWS takes: settings that can be right, and an STS that answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from isthmus.clouds.aws.session import HOMES
from isthmus.clouds.aws.wire import service
from isthmus.clouds.aws.wire.endpoints import Endpoints
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import Asked, Patient
from isthmus.doctor.probes import Silence

SETTINGS, STS, PROXY = "AWS settings", "AWS STS", "proxies"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def ask(patient: Patient) -> Asked:
    """Whether STS answers anything at all; None when the settings are wrong, or nobody is to be asked."""
    if _fault(patient) or (patient.is_offline and not patient.aws_is_emulated):
        return None
    return patient.probes.fetch(_url(patient), only=patient.bundle("AWS_CA_BUNDLE"))


def examine(patient: Patient, asked: Asked) -> Iterator[Finding]:
    """`asked` is what came of `ask`. No credentials are needed: whoever answers is reached."""
    problem = _fault(patient)
    if problem:
        yield failed(SETTINGS, problem, "Correct or unset the variable in the server's environment.")
    else:
        named = [name for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE") if patient.environ.get(name)]
        yield ok(SETTINGS, f"{' and '.join(named)} can be used" if named else "AWS's own endpoints")
    yield _sts(patient, asked)
    yield _proxy(patient)


def _url(patient: Patient) -> str:
    place = Endpoints(patient.environ).find(service("sts"), HOMES["aws"])
    return f"{place.scheme}://{place.host}{place.base}/"


def _fault(patient: Patient) -> str:
    """Why the standard AWS settings cannot be right; empty when they can."""
    try:
        Endpoints(patient.environ)
    except ValueError as error:
        return str(error)
    bundle = patient.bundle("AWS_CA_BUNDLE")
    if bundle is None:
        return ""
    if not bundle.is_file():
        return f"AWS_CA_BUNDLE names no file: '{bundle}'."
    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        return f"AWS_CA_BUNDLE '{bundle}' holds no certificates that can be read ({error})."
    return ""


def _sts(patient: Patient, asked: Asked) -> Finding:
    if asked is None:
        return unchecked(STS, "The AWS settings are wrong." if _fault(patient) else "Asked to stay offline.")
    url = _url(patient)
    if not isinstance(asked, Silence):
        return ok(STS, f"{url} answers")
    if asked.why == "certificate":
        remedy = "If a proxy breaks TLS open, name its CA with AWS_CA_BUNDLE."
        return failed(STS, f"The certificate of {url} is not trusted ({asked.detail}).", remedy)
    return failed(STS, f"{url} does not answer ({asked.detail}).", "Allow outgoing HTTPS to *.amazonaws.com, and check DNS.")


def _proxy(patient: Patient) -> Finding:
    named = [name for name in _PROXIES if patient.environ.get(name)]
    if not named:
        return ok(PROXY, "none")
    remedy = "Allow direct HTTPS from the server to *.amazonaws.com."
    return warning(PROXY, f"{named[0]} is set, but AWS is called directly, without a proxy.", remedy)
