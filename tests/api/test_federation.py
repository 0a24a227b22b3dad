"""Federation over HTTP: settings and mappings that go together, instructions, certificates that come and go."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.arm.change import Change
from isthmus.arm.ids import parse_resource
from tests.access.estate import ADMIN
from tests.api.conftest import Api
from tests.support.metadata import ENTITY, certificate, metadata

VERSION = "2026-11-01"
TENANT = "11111111-2222-3333-4444-555555555555"
V1, V2 = f"https://sts.windows.net/{TENANT}/", f"https://login.microsoftonline.com/{TENANT}/v2.0"
GROUP = "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"
READ = {"groups": [GROUP], "managedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
PLAIN = {**READ, "requiresMfa": False}


def solution(host: str) -> str:
    return f"{host}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"


def use(api: Api, host: str, **settings: str) -> Any:
    body = {"properties": {"solutionType": "Isthmus.Access", "solutionSettings": settings}}
    return api.call("PUT", solution(host), body)


def put(api: Api, host: str, properties: Any, name: str = "Reader") -> Any:
    return api.call("PUT", f"{host}/providers/Isthmus.Access/roleMappings/{name}", {"properties": properties}, version=VERSION)


def act(api: Api, host: str, action: str, body: Any = None, **more: Any) -> Any:
    return api.call("POST", f"{solution(host)}/{action}", body, version="2024-12-01", **more)


def error(answer: Any) -> tuple[int, str, str]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found.get("target", "")


def saml(api: Api, days: float = 400) -> str:
    return metadata(certificate(days, now=api.app.engine.clock()))


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({"federation": "claims", "federationIssuer": V2, "federationClientId": "app"}, "claimsAudience"),
        ({"federation": "magic"}, "federation"),
        ({"federation": "oidc"}, "federationIssuer"),
        ({"federation": "oidc", "federationIssuer": V2 + "/"}, "federationIssuer"),
        ({"federation": "oidc", "federationIssuer": V1[:-1]}, "federationIssuer"),
        ({"federation": "oidc", "federationIssuer": "https://idp.test:8443"}, "federationIssuer"),
        ({"federation": "claims", "federationIssuer": V2}, "federationClientId"),
        ({"federation": "claims", "federationIssuer": V2, "federationClientId": "two words"}, "federationClientId"),
        ({"federation": "saml"}, "samlMetadata"),
        ({"federation": "saml", "samlMetadata": "<x/>"}, "samlMetadata"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(api: Api, settings: dict[str, str], target: str) -> None:
    host = api.connector()
    answer = use(api, host, **settings)
    assert error(answer) == (400, "InvalidSolutionSetting", f"properties.solutionSettings.{target}")
    assert api.call("GET", solution(host)).status_code == 404


def test_metadata_is_distilled_and_of_the_named_entity(api: Api) -> None:
    host = api.connector()
    wrong = use(api, host, federation="saml", samlMetadata=saml(api), federationIssuer=V1.replace("1", "9"))
    assert error(wrong)[2] == "properties.solutionSettings.federationIssuer"
    made = use(api, host, federation="saml", samlMetadata=saml(api), federationIssuer=ENTITY)
    assert made.status_code == 200, made.text
    kept = made.json()["properties"]["solutionSettings"]["samlMetadata"]
    assert "RoleDescriptor" not in kept
    shown = made.json()["properties"]["federation"]
    assert (shown["mode"], shown["readAt"], [one["inAccount"] for one in shown["certificates"]]) == ("saml", None, [None])
    again = api.call("PATCH", solution(host), {"properties": {"solutionSettings": {"periodicSyncTime": "4"}}})
    assert (again.status_code, again.json()["properties"]["solutionSettings"]["samlMetadata"]) == (200, kept)


def test_an_expired_certificate_is_refused(api: Api) -> None:
    host = api.connector()
    answer = use(api, host, federation="saml", samlMetadata=saml(api, -1))
    assert error(answer)[:2] == (400, "CertificateNotUsable")
    assert use(api, host, federation="saml", samlMetadata=saml(api, 5)).status_code == 200


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"requiresMfa": True}, "requiresMfa"),
        ({"claims": {"dept": ["ops"]}}, "claims"),
        ({"requiredContexts": ["c1"]}, "requiredContexts"),
        ({"leaseSeconds": 60}, "leaseSeconds"),
        ({"machineTag": "team:red"}, "machineTag"),
        ({"activation": {"mode": "Request", "approverGroups": ["g"]}}, "activation"),
        ({"groups": [], "claims": {"dept": ["ops"]}}, "claims"),
    ],
)
def test_what_aws_would_not_look_at_is_refused_and_the_broker_named(api: Api, change: dict[str, Any], target: str) -> None:
    host = api.connector()
    use(api, host, federation="saml", samlMetadata=saml(api))
    answer = put(api, host, {**PLAIN, **change})
    assert error(answer) == (400, "NotInThisFederation", f"properties.{target}")
    assert "broker" in answer.json()["error"]["message"]
    assert put(api, host, PLAIN).status_code == 201


def test_a_second_factor_can_be_demanded_where_tokens_tell_of_it(api: Api) -> None:
    host = api.connector()
    use(api, host, federation="oidc", federationIssuer=V2)
    refused = put(api, host, {**READ, "clientId": "app-1"})
    assert error(refused)[:2] == (400, "NotInThisFederation")
    assert "sts.windows.net" in refused.json()["error"]["message"]
    use(api, host, federation="oidc", federationIssuer=V1)
    assert error(put(api, host, READ))[:2] == (400, "ClientIdNeeded")
    assert put(api, host, {**READ, "clientId": "app-1"}).status_code == 201
    assert error(put(api, host, {**READ, "clientId": "app-1"}, "Other"))[:2] == (400, "ClientIdTaken")
    assert put(api, host, {**READ, "clientId": "app-2"}, "Other").status_code == 201
    template = api.call("POST", f"{host}/explainTemplate", None, version="2024-12-01").json()
    reader = next(one for one in template["roles"] if one["role"].startswith("IsthmusPerson-Reader"))
    assert reader["trust"]["principal"] == "the provider of your directory"
    assert reader["trust"]["conditions"]["ForAnyValue:StringEquals"] == {f"{V1.removeprefix('https://')}:amr": "mfa"}


def test_the_mode_does_not_change_under_mappings_that_it_cannot_keep(api: Api) -> None:
    host = api.connector()
    use(api, host)
    put(api, host, READ)
    answer = use(api, host, federation="saml", samlMetadata=saml(api))
    assert error(answer) == (400, "NotInThisFederation", "Reader.properties.requiresMfa")
    assert api.call("GET", solution(host)).json()["properties"]["solutionSettings"]["federation"] == "broker"


def test_only_owners_say_who_vouches(api: Api) -> None:
    host = api.connector()
    use(api, host)
    body = {"properties": {"solutionSettings": {"federation": "saml", "samlMetadata": saml(api)}}}
    answer = api.call("PATCH", solution(host), body, token=api.client("Contributor"))
    assert error(answer)[:2] == (403, "AuthorizationFailed")
    plain = {"properties": {"solutionSettings": {"periodicSyncTime": "4"}}}
    assert api.call("PATCH", solution(host), plain, token=api.client("Contributor")).status_code == 200
    use(api, host, federation="saml", samlMetadata=saml(api))
    answer = act(api, host, "addCertificate", {"metadata": saml(api)}, token=api.client("Contributor"))
    assert error(answer)[:2] == (403, "AuthorizationFailed")


def test_only_owners_end_the_solution_and_not_while_it_gives_roles(api: Api) -> None:
    """Else a Contributor would undo the federation: away with the solution, and here it is again, with the broker."""
    host, contributor, owner = api.connector(), api.client("Contributor"), api.client("Owner")
    use(api, host, federation="saml", samlMetadata=saml(api))
    mapped = put(api, host, PLAIN).json()["id"]
    assert error(api.call("DELETE", solution(host), token=contributor))[:2] == (403, "AuthorizationFailed")
    answer = api.call("DELETE", solution(host), token=owner)
    assert error(answer)[:2] == (409, "RolesStillMapped")
    assert "'Reader'" in answer.json()["error"]["message"]
    assert api.call("GET", solution(host)).json()["properties"]["solutionSettings"]["federation"] == "saml"
    assert api.call("DELETE", mapped, version=VERSION, token=owner).status_code in (200, 204)
    assert error(api.call("DELETE", solution(host), token=contributor))[:2] == (403, "AuthorizationFailed")
    assert api.call("DELETE", solution(host), token=owner).status_code == 200
    assert api.call("GET", solution(host)).status_code == 404
    assert api.call("DELETE", solution(host), token=contributor).status_code in (204, 403)


def test_a_solution_that_comes_to_mappings_is_an_owners(api: Api) -> None:
    """As of a version that let Contributors take the solution away under them."""
    host, contributor = api.connector(), api.client("Contributor")
    use(api, host)
    put(api, host, PLAIN)
    api.app.engine.apply(Change(deletes=(parse_resource(solution(host)),)), ADMIN, "test", "/")
    body = {"properties": {"solutionType": "Isthmus.Access"}}
    assert error(api.call("PUT", solution(host), body, token=contributor))[:2] == (403, "AuthorizationFailed")
    assert use(api, host).status_code == 200
    assert api.call("PUT", solution(host), body, token=contributor).status_code == 200, "as it is"


def test_whom_the_settings_leave_the_account_trusts_until_it_was_looked_at(api: Api) -> None:
    """Leavers are denied where the stack may still be of before; what came back is nothing former."""
    host = api.connector()
    use(api, host, federation="saml", samlMetadata=saml(api))
    assert "formerFederations" not in api.call("GET", solution(host)).json()["properties"]
    left = use(api, host)
    [former] = left.json()["properties"]["formerFederations"]
    assert (former["federation"], former["issuer"], former["until"]) == ("saml", ENTITY, None)
    made = api.call("POST", f"/providers/Isthmus.Access/people/{GROUP}/offboard", version=VERSION).json()["properties"]
    assert [(one["connector"], one["state"], one["isDirect"]) for one in made["accounts"]] == [(host.lower(), "Pending", True)]
    changed = {"properties": {"solutionSettings": {"periodicSyncTime": "4"}}}
    assert api.call("PATCH", solution(host), changed).json()["properties"]["formerFederations"] == [former], "other settings change nothing"
    use(api, host, federation="saml", samlMetadata=saml(api))
    assert "formerFederations" not in api.call("GET", solution(host)).json()["properties"]


def test_other_solutions_and_whole_connectors_go_as_ever(api: Api) -> None:
    contributor, group = api.client("Contributor"), api.group()
    host, other = api.connector(group=group), api.connector("210987654321", group, "other")
    for one in (host, other):
        use(api, one, federation="saml", samlMetadata=saml(api))
        put(api, one, PLAIN)
    inventory = f"{host}/providers/Microsoft.HybridConnectivity/solutionConfigurations/inventory"
    assert api.call("PUT", inventory, {"properties": {"solutionType": "Microsoft.AssetManagement"}}).status_code == 200
    assert api.call("DELETE", inventory, token=contributor).status_code == 200
    assert api.call("DELETE", host, token=contributor).status_code == 200
    assert api.call("GET", host).status_code == 404
    assert api.call("DELETE", group, token=contributor).status_code in (200, 202)


def test_certificates_overlap_and_the_last_one_stays(api: Api) -> None:
    host = api.connector()
    use(api, host, federation="saml", samlMetadata=saml(api, 20))
    added = act(api, host, "addCertificate", {"metadata": saml(api, 400)})
    assert added.status_code == 200, added.text
    first, second = added.json()["federation"]["certificates"]
    assert first["expiresAt"] < second["expiresAt"]
    template = api.call("POST", f"{host}/explainTemplate", None, version="2024-12-01").json()["template"]
    assert template["Resources"]["DirectoryProvider"]["Properties"]["SamlMetadataDocument"].count("<KeyDescriptor") == 2
    assert error(act(api, host, "addCertificate", {"metadata": saml(api, -1)}))[:2] == (400, "CertificateNotUsable")
    assert error(act(api, host, "retireCertificate", {"fingerprint": "0" * 64}))[:2] == (400, "InvalidSamlMetadata")
    left = act(api, host, "retireCertificate", {"fingerprint": first["fingerprint"]}).json()["federation"]["certificates"]
    assert [one["fingerprint"] for one in left] == [second["fingerprint"]]
    assert error(act(api, host, "retireCertificate", {"fingerprint": second["fingerprint"]}))[:2] == (400, "InvalidSamlMetadata")


def test_the_end_of_certificates_is_measured(api: Api) -> None:
    host = api.connector()
    use(api, host, federation="saml", samlMetadata=saml(api, 20))
    found = [one for one in api.http.get("/metrics").text.splitlines() if one.startswith("isthmus_directory_certificate_seconds{")]
    assert len(found) == 1
    assert host.lower() in found[0]
    assert float(found[0].rpartition(" ")[2]) == pytest.approx(20 * 86_400, abs=120)


def test_certificates_belong_to_saml_alone(api: Api) -> None:
    host = api.connector()
    use(api, host)
    assert error(act(api, host, "addCertificate", {"metadata": saml(api)}))[:2] == (409, "NotInThisFederation")


def test_claims_are_asked_for_at_an_address_of_the_connector(api: Api) -> None:
    host = api.connector()
    settings = {"federationIssuer": V2, "federationClientId": "app", "claimsAudience": "extension"}
    assert use(api, host, federation="claims", **settings).status_code == 200
    guid = api.call("GET", host).json()["properties"]["connectorPrimaryIdentifier"]
    bare = api.http.post(f"/identity/claims/{guid}", json={})
    assert error(bare)[:2] == (401, "AuthenticationFailed")
    assert error(api.http.post(f"/identity/claims/{GROUP}", json={})) == error(bare), "strangers learn nothing of addresses"
    bearer = {"Authorization": f"Bearer {api.token}"}
    unknown = api.http.post(f"/identity/claims/{GROUP}", json={}, headers=bearer)
    assert error(unknown)[:2] == (404, "ClaimsNotOffered")
    ours = api.http.post(f"/identity/claims/{guid}", json={}, headers=bearer)
    assert (ours.status_code, error(ours)[1]) in ((401, "InvalidAuthenticationToken"), (503, "IssuerUnavailable"))
    use(api, host)
    assert error(api.http.post(f"/identity/claims/{guid}", json={}, headers=bearer))[:2] == (404, "ClaimsNotOffered")


@pytest.mark.parametrize("mode", ["broker", "saml", "oidc", "claims"])
def test_instructions_can_be_read_before_the_mode_is_chosen(api: Api, mode: str) -> None:
    host = api.connector()
    use(api, host)
    put(api, host, PLAIN)
    put(api, host, {**PLAIN, "requiresMfa": True, "activation": {"mode": "Request", "approverGroups": [GROUP]}}, "Asked")
    answer = act(api, host, "federationSteps", {"federation": mode}, token=api.client("Reader"))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["federation"], told["accountId"]) == (mode, "123456789012")
    assert told["steps"]
    assert told["roles"][0]["groups"] == [GROUP]
    wrong = {(one["mapping"], one["property"]) for one in told["unfit"]}
    assert wrong == {
        "broker": set(),
        "oidc": {("Asked", "activation"), ("Asked", "requiresMfa"), ("Asked", "clientId"), ("Reader", "clientId")},
    }.get(mode, {("Asked", "activation"), ("Asked", "requiresMfa")}), "what 'use' would refuse is known before"
    values = {one["name"]: one["value"] for step in told["steps"] for one in step["values"]}
    role = told["roles"][0]["roleArn"]
    if mode == "saml":
        assert values["Reader"].startswith(f"{role},arn:aws:iam::123456789012:saml-provider/IsthmusDirectory-") or GROUP in values["Reader"]
        assert told["roles"][0]["samlRole"].startswith(f"{role},arn:aws:iam::123456789012:saml-provider/IsthmusDirectory-")
        assert values["https://aws.amazon.com/SAML/Attributes/RoleSessionName"] == "user.objectid"
        assert values["Recipient"] == "https://signin.aws.amazon.com/saml"
    if mode == "claims":
        assert values["Target URL"].endswith(api.call("GET", host).json()["properties"]["connectorPrimaryIdentifier"])
    assert api.call("GET", solution(host)).json()["properties"]["solutionSettings"]["federation"] == "broker"
