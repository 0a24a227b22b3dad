"""The plumbing: groups, tags, lists and pages, providers, operations, headers."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api
from tests.machines.test_publickey import PKCS1

HC = "providers/Microsoft.HybridConnectivity"


def test_a_group_is_created_read_patched_and_listed(api: Api) -> None:
    group = api.group("Mixed-Case")
    assert api.call("PUT", group, {"location": "East US", "tags": {"a": "1"}}).status_code == 200
    assert api.call("HEAD", group.lower()).status_code == 204
    body = api.call("GET", group.lower()).json()
    assert (body["id"], body["name"], body["location"], body["tags"]) == (group, "Mixed-Case", "eastus", {"a": "1"})
    assert body["properties"] == {"provisioningState": "Succeeded"}
    assert api.call("PATCH", group, {"tags": {"b": "2"}}).json()["tags"] == {"b": "2"}
    listed = api.call("GET", f"/subscriptions/{api.subscription}/resourcegroups").json()
    assert [one["name"] for one in listed["value"]] == ["Mixed-Case"]
    assert "nextLink" not in listed


def test_deleting_a_group_is_an_operation_that_takes_everything_along(api: Api) -> None:
    group = api.group()
    connector = api.connector(group=group)
    answer = api.call("DELETE", group)
    assert answer.status_code == 202
    assert answer.headers["retry-after"].isdigit()
    poll = answer.headers["location"].removeprefix(api.app.public_url)
    assert api.call("GET", poll, version="").status_code == 202
    assert api.call("GET", group).json()["properties"]["provisioningState"] == "Deleting"
    assert api.call("PUT", group, {"location": "eastus"}).status_code == 409
    assert api.finish(poll).status_code == 200
    assert api.call("GET", connector).json()["error"]["code"] == "ResourceGroupNotFound"
    assert api.call("DELETE", group).json()["error"]["code"] == "ResourceGroupNotFound", "clients take no 204 for a group"


def test_pages_are_followed_verbatim(api: Api) -> None:
    group = api.group()
    for number in range(7):
        api.connector(f"{number:012d}", group, f"conn-{number}")
    path = f"{group}/{HC}/publicCloudConnectors?$top=3&api-version=2024-12-01"
    names: list[str] = []
    while path:
        body = api.call("GET", path, version="").json()
        names += [one["name"] for one in body["value"]]
        path = body.get("nextLink", "").removeprefix(api.app.public_url)
    assert names == [f"conn-{number}" for number in range(7)]
    assert api.call("GET", f"{group}/{HC}/publicCloudConnectors?$skiptoken=%25").json()["error"]["code"] == "InvalidSkipToken"


def test_tags_merge_replace_and_delete_through_the_tags_resource(api: Api) -> None:
    connector = api.connector()
    tags = f"{connector}/providers/Microsoft.Resources/tags/default"
    for operation, given, expected in (
        ("Merge", {"a": "1", "b": "2"}, {"a": "1", "b": "2"}),
        ("Merge", {"A": "3"}, {"b": "2", "A": "3"}),
        ("Delete", {"b": "other"}, {"b": "2", "A": "3"}),
        ("Delete", {"b": "2"}, {"A": "3"}),
        ("Replace", {"c": "4"}, {"c": "4"}),
    ):
        body = api.call("PATCH", tags, {"operation": operation, "properties": {"tags": given}}).json()
        assert body["properties"]["tags"] == expected, operation
    assert api.call("GET", connector).json()["tags"] == {"c": "4"}
    assert api.call("GET", tags).json()["properties"]["tags"] == {"c": "4"}
    assert api.call("PATCH", tags, {"operation": "Twist", "properties": {"tags": {}}}).status_code == 400


def test_resource_lists_filter_as_clients_ask(api: Api) -> None:
    connector = api.connector()
    group = connector.split("/providers/")[0].rpartition("/")[2]
    everything = f"/subscriptions/{api.subscription}/resources"
    api.call("PATCH", f"{connector}/providers/Microsoft.Resources/tags/default", {"properties": {"tags": {"env": "prod"}}})
    for query in (
        f"$filter=resourceGroup eq '{group}'&$expand=createdTime,changedTime,provisioningState",
        "$filter=resourceType eq 'microsoft.hybridconnectivity/PUBLICCLOUDCONNECTORS'",
        "$filter=tagName eq 'Env' and tagValue eq 'prod'",
        "$filter=name eq 'conn'",
    ):
        found = api.call("GET", f"{everything}?{query}").json()["value"]
        assert [one["id"] for one in found] == [connector], query
    assert found[0]["type"] == "Microsoft.HybridConnectivity/publicCloudConnectors"
    assert api.call("GET", f"{everything}?$filter=name eq 'other'").json()["value"] == []


def test_every_provider_is_registered(api: Api) -> None:
    path = f"/subscriptions/{api.subscription}/providers"
    listed = api.call("GET", path).json()["value"]
    assert {"Microsoft.HybridConnectivity", "Microsoft.AwsConnector", "Microsoft.HybridCompute", "Microsoft.Resources"} <= {
        one["namespace"] for one in listed
    }
    assert {one["registrationState"] for one in listed} == {"Registered"}
    body = api.call("GET", f"{path}/microsoft.hybridconnectivity").json()
    versions = next(one["apiVersions"] for one in body["resourceTypes"] if one["resourceType"] == "publicCloudConnectors")
    assert versions[:2] == ["2027-01-01", "2024-12-01"], "stable versions first, newest first"
    assert api.call("POST", f"{path}/Microsoft.HybridConnectivity/register").json()["registrationState"] == "Registered"
    assert api.call("GET", f"{path}/Contoso.Nothing").status_code == 404


def test_headers_of_every_answer(api: Api) -> None:
    sent = {"x-ms-client-request-id": "mine-1", "x-ms-return-client-request-id": "true"}
    answer = api.call("GET", "/subscriptions", headers=sent)
    assert answer.headers["x-ms-client-request-id"] == "mine-1"
    assert {"x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id"} <= set(answer.headers)
    assert "x-ms-client-request-id" not in api.call("GET", "/subscriptions", headers={"x-ms-client-request-id": "mine-1"}).headers


def test_links_name_only_our_own_hosts(api: Api) -> None:
    connector = api.connector()
    answer = api.call("POST", f"{connector}/testPermissions", headers={"Host": "evil.example"})
    assert answer.headers["location"].startswith(f"{api.app.public_url}/")
    answer = api.call("POST", f"{connector}/testPermissions", headers={"Host": "127.0.0.1:8443"})
    assert answer.headers["location"].startswith("https://127.0.0.1:8443/")


def test_etags_answer_unchanged_reads_with_304(api: Api) -> None:
    connector = api.connector()
    etag = api.call("GET", connector).headers["etag"]
    again = api.call("GET", connector, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_test_permissions_polls_as_azure_does(api: Api) -> None:
    connector = api.connector()
    answer = api.call("POST", f"{connector}/testPermissions")
    assert (answer.status_code, answer.content) == (202, b"null")
    assert answer.headers["location"] == answer.headers["azure-asyncoperation"]
    path = answer.headers["location"].removeprefix(api.app.public_url)
    running = api.call("GET", path, version="")
    assert (running.status_code, running.json()["status"]) == (202, "Accepted")
    assert running.json()["resourceId"] == connector
    stranger = api.client(None)
    assert api.call("GET", path, version="", token=stranger).status_code == 403
    assert api.call("GET", path.replace("operationStatuses/", "operationStatuses/x"), version="").status_code == 404


def test_solutions_fill_defaults_merge_and_hide_what_is_ours(api: Api) -> None:
    path = f"{api.connector()}/{HC}/solutionConfigurations/inv"
    settings = {"periodicSync": "true", "cloudProviderServiceTypes": "ec2, s3", "cloudProviderRegions": "us-east-1,us-east-2"}
    body = api.call("PUT", path, {"properties": {"solutionType": "microsoft.assetmanagement", "solutionSettings": settings}}).json()
    properties = body["properties"]
    assert body["type"] == "microsoft.hybridconnectivity/solutionconfigurations"
    assert properties["solutionType"] == "Microsoft.AssetManagement"
    assert (properties["status"], properties["provisioningState"]) == ("AuthorizationPending", "Succeeded")
    assert properties["statusDetails"] == "Aws authorization validation pending in Aws account 123456789012"
    assert properties["solutionSettings"]["scanAllAWSRegions"] == "true"
    assert properties["solutionSettings"]["cloudProviderRegions"] == "us-east-1,us-east-2"
    assert "solutionId" not in properties
    patched = api.call("PATCH", path, {"properties": {"solutionSettings": {"periodicSyncTime": "4"}}}).json()["properties"][
        "solutionSettings"
    ]
    assert (patched["periodicSyncTime"], patched["cloudProviderServiceTypes"]) == ("4", "ec2, s3")
    assert [record.job for record in api.app.work.list(["ENQUEUED"])].count("inventory.sync") == 2


def test_a_template_comes_bare_for_a_connector_by_id_or_name(api: Api) -> None:
    connector = api.connector()
    api.call("PUT", f"{connector}/{HC}/solutionConfigurations/inv", {"properties": {"solutionType": "Microsoft.AssetManagement"}})
    action = f"/subscriptions/{api.subscription}/{HC}/generateAwsTemplate"
    by_id = api.call("POST", action, {"connectorId": connector}).json()
    assert by_id["AWSTemplateFormatVersion"] == "2010-09-09"
    assert api.call("POST", action, {"connectorId": "conn"}).json() == by_id
    asked = {"connectorId": connector, "solutionTypes": [{"solutionType": "Microsoft.HybridCompute.Onboard"}]}
    assert set(api.call("POST", action, asked).json()["Resources"]) != set(by_id["Resources"])


@pytest.mark.parametrize("everywhere", ["true", "false"])
def test_a_template_reaches_no_further_than_the_regions_that_are_looked_at(api: Api, everywhere: str) -> None:
    """Named regions win over scanAllAWSRegions, whose default is true; letter case does not matter."""
    settings = {"cloudProviderRegions": "EU-Central-1, us-east-1", "scanAllAWSRegions": everywhere}
    solution = {"solutionType": "Microsoft.HybridCompute.Onboard", "solutionSettings": settings}
    connector = api.connector()
    stored = api.call("PUT", f"{connector}/{HC}/solutionConfigurations/join", {"properties": solution}).json()["properties"]
    assert stored["solutionSettings"]["cloudProviderRegions"] == "eu-central-1, us-east-1"
    action = f"/subscriptions/{api.subscription}/{HC}/generateAwsTemplate"
    for body in ({"connectorId": connector}, {"connectorId": connector, "solutionTypes": [solution]}):
        assert '"eu-central-1,us-east-1"' in api.call("POST", action, body).text


def test_a_sign_in_link_works_once(api: Api) -> None:
    url = api.call("POST", "/providers/Isthmus.Identity/signInLinks", {}, version="2026-11-01").json()["url"]
    code = url.partition("#")[2]
    answer = api.http.post("/sign-in", json={"code": code})
    assert answer.status_code == 200
    assert api.call("GET", "/subscriptions", token=answer.json()["access_token"]).json()["value"]
    again = api.http.post("/sign-in", json={"code": code})
    assert (again.status_code, again.json()["error"]["code"]) == (401, "InvalidSignInLink")


def test_machines_are_created_read_and_deleted_as_the_sdk_wants(api: Api) -> None:
    machine = f"{api.group()}/providers/Microsoft.HybridCompute/machines/i-0a"
    body = {
        "location": "eastus",
        "kind": "AWS",
        "identity": {"type": "SystemAssigned"},
        "properties": {"osName": "linux", "clientPublicKey": PKCS1, "vmId": "4D7A9D0B-0000-4000-8000-000000000001", "status": "Connected"},
    }
    made = api.call("PUT", machine, body, version="2026-07-15")
    assert made.status_code == 200
    assert made.json()["properties"]["status"] == "AwaitingConnection", "status is not the caller's to set"
    assert made.json()["identity"]["principalId"]
    assert "status" not in api.call("GET", machine, version="2024-07-10").json()["properties"]
    other = {**body, "properties": {"vmId": "4d7a9d0b-0000-4000-8000-000000000002"}}
    assert api.call("PUT", machine, other, version="2026-07-15").json()["error"]["code"] == "PropertyChangeNotAllowed"
    assert api.call("PATCH", machine, {"tags": {"a": "b"}}, version="2026-07-15").json()["tags"] == {"a": "b"}
    assert api.call("DELETE", machine, version="2026-07-15").status_code == 204
    assert api.call("DELETE", machine, version="2026-07-15").status_code == 204
