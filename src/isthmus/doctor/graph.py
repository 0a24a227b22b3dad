"""What asking Entra takes: settings that belong together, the tenant's token endpoint, and a Graph that answers."""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.clouds.azure.graph import SUBJECT
from isthmus.doctor.findings import Finding, failed, ok, unchecked
from isthmus.doctor.patient import Patient
from isthmus.doctor.probes import Silence

SETTINGS, TENANT, GRAPH = "Graph settings", "Entra tenant", "Microsoft Graph"


def examine(patient: Patient) -> Iterator[Finding]:
    """Nothing is asked that needs a token: whoever answers is reached. What the application may do shows at the first question."""
    settings = patient.settings
    tenant, client = settings.graph_tenant_id, settings.graph_client_id
    if not tenant and not client and settings.group_source != "graph":
        yield unchecked(SETTINGS, "Graph is not used.")
        return
    if not tenant or not client:
        remedy = "Set both ISTHMUS_GRAPH_TENANT_ID and ISTHMUS_GRAPH_CLIENT_ID, or neither."
        yield failed(SETTINGS, "The tenant or the application that Graph is asked as is missing.", remedy)
        return
    issuer = f"{settings.graph_login_url}/{tenant.lower()}/v2.0"
    if settings.oidc_issuer and settings.oidc_issuer != issuer:
        told = f"People sign in by {settings.oidc_issuer}, and Graph is asked about those of {issuer}: it is asked about nobody."
        yield failed(SETTINGS, told, "Let ISTHMUS_GRAPH_TENANT_ID and ISTHMUS_OIDC_ISSUER name one tenant.")
        return
    yield ok(SETTINGS, f"the application's federated credential names issuer {settings.issuer_url}, subject {SUBJECT}")
    if patient.is_offline:
        yield from (unchecked(check, "Asked to stay offline.") for check in (TENANT, GRAPH))
        return
    yield _reached(patient, TENANT, f"{settings.graph_login_url}/{tenant}/v2.0/.well-known/openid-configuration", only=200)
    yield _reached(patient, GRAPH, f"{settings.graph_url}/v1.0/")


def _reached(patient: Patient, check: str, url: str, *, only: int = 0) -> Finding:
    asked = patient.probes.fetch(url, by_proxy=True)
    if isinstance(asked, Silence):
        remedy = "Look at network, proxies and ISTHMUS_GRAPH_URL; until then groups cannot be asked for and nothing is given."
        return failed(check, f"{url} does not answer ({asked.detail}).", remedy)
    if only and asked.status != only:
        return failed(check, f"{url} answers {asked.status}.", "See whether ISTHMUS_GRAPH_TENANT_ID names a tenant of that cloud.")
    return ok(check, f"{url} answers")
