"""Bad input: a typed error that names the thing, and nothing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.store.tables import audit_records, resources
from tests.api.conftest import Api

CONNECTOR = {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": "123456789012"}}}
HC = "providers/Microsoft.HybridConnectivity"


def stored(api: Api) -> list[tuple[str, str]]:
    with api.app.engine.store.read() as connection:
        return [(row.key, row.etag) for row in connection.execute(select(resources.c.key, resources.c.etag).order_by(resources.c.key))]


def refused(api: Api, method: str, path: str, body: Any, status: int, code: str, **more: Any) -> dict[str, Any]:
    before = stored(api)
    answer = api.call(method, path, body, **more)
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert len(error["message"]) > 15
    assert stored(api) == before
    return error


def with_profile(**profile: Any) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"hostType": "AWS", "awsCloudProfile": {"accountId": "123456789012", **profile}}}


@pytest.mark.parametrize(
    ("body", "code", "target"),
    [
        (with_profile(accountId="12345"), "InvalidRequestContent", "properties.awsCloudProfile.accountId"),
        (with_profile(accountId=123456789012), "InvalidRequestContent", "properties.awsCloudProfile.accountId"),
        (
            with_profile(isOrganizationalAccount=True),
            "OrganizationConnectorNotSupported",
            "properties.awsCloudProfile.isOrganizationalAccount",
        ),
        ({"location": "eastus", "properties": {"hostType": "AWS"}}, "InvalidRequestContent", "properties.awsCloudProfile"),
        ({"location": "eastus", "properties": {"hostType": "GCP"}}, "HostTypeNotSupported", "properties.hostType"),
        ({"location": "eastus", "properties": {"hostType": "Oracle"}}, "InvalidRequestContent", "properties.hostType"),
        ({"location": "eastus"}, "InvalidRequestContent", "properties"),
        ({k: v for k, v in CONNECTOR.items() if k != "location"}, "LocationRequired", "location"),
        ({**CONNECTOR, "tags": {"a": 1}}, "InvalidTagValue", "tags.a"),
    ],
)
def test_connector_bodies(api: Api, body: dict[str, Any], code: str, target: str) -> None:
    error = refused(api, "PUT", f"{api.group()}/{HC}/publicCloudConnectors/conn", body, 400, code)
    assert error["target"] == target


@pytest.mark.parametrize("name", ["ab", "has_underscore", "x" * 64, "with.dot"])
def test_connector_names(api: Api, name: str) -> None:
    refused(api, "PUT", f"{api.group()}/{HC}/publicCloudConnectors/{name}", CONNECTOR, 400, "InvalidResourceName")


def test_immutable_properties(api: Api) -> None:
    connector = api.connector()
    refused(api, "PUT", connector, with_profile(accountId="999999999999"), 400, "PropertyChangeNotAllowed")
    refused(api, "PUT", connector, {**CONNECTOR, "location": "westeurope"}, 400, "PropertyChangeNotAllowed")
    refused(api, "PATCH", connector, {"properties": {"awsCloudProfile": {"accountId": "999999999999"}}}, 400, "PropertyChangeNotAllowed")


def test_one_connector_per_account(api: Api) -> None:
    first = api.connector()
    error = refused(api, "PUT", f"{api.group()}/{HC}/publicCloudConnectors/other", CONNECTOR, 409, "DuplicateResource")
    assert error["target"] == first
    assert "123456789012" in error["message"]


@pytest.mark.parametrize(
    ("solution", "code"),
    [
        ({"solutionType": "Microsoft.Nothing"}, "InvalidSolutionType"),
        ({}, "InvalidRequestContent"),
        ({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"unknown": "x"}}, "InvalidSolutionSetting"),
        ({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"periodicSync": True}}, "InvalidSolutionSetting"),
        ({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"periodicSyncTime": "5"}}, "InvalidSolutionSetting"),
        ({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"cloudProviderRegions": " , "}}, "InvalidSolutionSetting"),
        ({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"cloudProviderRegions": "mars"}}, "InvalidSolutionSetting"),
        (
            {"solutionType": "Microsoft.AssetManagement", "solutionSettings": {"cloudProviderServiceTypes": "ec2,abacus"}},
            "InvalidSolutionSetting",
        ),
        (
            {"solutionType": "Microsoft.HybridCompute.Onboard", "solutionSettings": {"arcOnboardEc2FilterTag": "novalue"}},
            "InvalidSolutionSetting",
        ),
        ({"solutionType": "Microsoft.HybridCompute.Onboard", "solutionSettings": {"cloudProviderRegions": ""}}, "InvalidSolutionSetting"),
    ],
)
def test_solution_bodies(api: Api, solution: dict[str, Any], code: str) -> None:
    path = f"{api.connector()}/{HC}/solutionConfigurations/one"
    refused(api, "PUT", path, {"properties": solution}, 400, code)


def test_solutions_need_a_connector_and_extend_nothing_else(api: Api) -> None:
    group = api.group()
    body = {"properties": {"solutionType": "Microsoft.AssetManagement"}}
    missing = f"{group}/{HC}/publicCloudConnectors/none/{HC}/solutionConfigurations/one"
    refused(api, "PUT", missing, body, 404, "ParentResourceNotFound")
    refused(api, "PUT", f"{group}/{HC}/solutionConfigurations/one", body, 404, "InvalidResourceType")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Nowhere/things/x", 404, "InvalidResourceNamespace"),
        ("/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.HybridConnectivity/things/x", 404, "InvalidResourceType"),
        (
            "/subscriptions/{s}/resourceGroups/none/providers/Microsoft.HybridConnectivity/publicCloudConnectors/abc",
            404,
            "ResourceGroupNotFound",
        ),
        ("/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/abc", 404, "ResourceNotFound"),
        ("/subscriptions/00000000-0000-0000-0000-00000000000f/resourceGroups/x", 404, "ResourceGroupNotFound"),
        ("/subscriptions/00000000-0000-0000-0000-00000000000f/resourcegroups", 404, "SubscriptionNotFound"),
        (
            "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.HybridConnectivity/publicCloudConnectors/a%2Fb",
            400,
            "InvalidResourceId",
        ),
        ("/subscriptions/{s}/resourceGroups/{g}/" + "x" * 2100, 400, "InvalidResourceId"),
        ("/favicon.ico", 400, "InvalidResourceId"),
    ],
)
def test_paths(api: Api, path: str, status: int, code: str) -> None:
    group = api.group("here")
    refused(api, "GET", path.replace("{s}", api.subscription).replace("{g}", group.rpartition("/")[2]), None, status, code)


def test_versions(api: Api) -> None:
    connector = api.connector()
    refused(api, "GET", connector, None, 400, "MissingApiVersionParameter", version="")
    refused(api, "GET", connector, None, 400, "NoRegisteredProviderFound", version="2001-01-01")
    refused(api, "GET", connector, None, 400, "InvalidApiVersionParameter", version="newest")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{not json", 400, "InvalidRequestContent"),
        (b"", 400, "InvalidRequestContent"),
        (b"[1]", 400, "InvalidRequestContent"),
        (b'"text"', 400, "InvalidRequestContent"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400, "InvalidRequestContent"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "InvalidRequestContent"),
        (b'{"tags":{"a":"' + b"x" * (4 * 1024 * 1024) + b'"}}', 413, "RequestEntityTooLarge"),
        (b'{"location":"\xff"}', 400, "InvalidRequestContent"),
    ],
    ids=["cut", "empty", "list", "text", "deep", "deeper", "large", "not-utf8"],
)
def test_bodies_that_are_not_json_objects(api: Api, content: bytes, status: int, code: str) -> None:
    group = f"/subscriptions/{api.subscription}/resourceGroups/fresh"
    answer = api.call("PUT", group, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert api.call("HEAD", group).status_code == 404


def test_stale_and_malformed_etags(api: Api) -> None:
    connector = api.connector()
    refused(api, "PUT", connector, CONNECTOR, 412, "PreconditionFailed", headers={"If-Match": '"stale"'})
    refused(api, "PUT", connector, CONNECTOR, 412, "PreconditionFailed", headers={"If-None-Match": "*"})
    refused(api, "DELETE", connector, None, 412, "PreconditionFailed", headers={"If-Match": '"stale"'})
    refused(api, "PUT", connector, CONNECTOR, 400, "InvalidHeaderValue", headers={"If-Match": "unquoted"})
    etag = api.call("GET", connector).headers["etag"]
    assert api.call("PUT", connector, CONNECTOR, headers={"If-Match": etag}).status_code == 200


def test_verbs_that_a_type_does_not_offer(api: Api) -> None:
    connector = api.connector()
    refused(api, "POST", connector, {}, 405, "MethodNotAllowed")
    refused(api, "POST", f"{connector}/launch", {}, 404, "InvalidAction")
    types = f"/subscriptions/{api.subscription}/{HC}/solutionTypes/Microsoft.AssetManagement"
    refused(api, "PUT", types, {}, 405, "MethodNotAllowed")
    refused(api, "DELETE", f"/subscriptions/{api.subscription}/resourcegroups", None, 405, "MethodNotAllowed")


def test_tokens_that_do_not_open_the_door(api: Api) -> None:
    head, payload, signature = api.token.split(".")
    for token in ("", "nonsense", f"{head}.{payload}.", f"{head}.{payload}.{signature[:-4]}AAAA", "x" * 100_000):
        answer = api.call("GET", "/subscriptions", token=token)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] in ("AuthenticationFailed", "InvalidAuthenticationToken")
        assert answer.headers["www-authenticate"].startswith("Bearer authorization_uri=")


def test_a_caller_without_the_role_is_refused_and_recorded(api: Api) -> None:
    connector = api.connector()
    stranger, reader = api.client(None), api.client("Reader")
    refused(api, "GET", connector, None, 403, "AuthorizationFailed", token=stranger)
    assert api.call("GET", connector, token=reader).status_code == 200
    for method, body in (("PUT", CONNECTOR), ("DELETE", None)):
        refused(api, method, connector, body, 403, "AuthorizationFailed", token=reader)
    refused(api, "POST", f"{connector}/testPermissions", {}, 403, "AuthorizationFailed", token=reader)
    with api.app.engine.store.read() as connection:
        count = connection.execute(
            select(func.count())
            .select_from(audit_records)
            .where(audit_records.c.outcome == "refused", audit_records.c.detail.like("%AuthorizationFailed%"))
        ).scalar()
    assert count == 4


def test_a_contributor_gives_nobody_rights(api: Api) -> None:
    group = api.group()
    contributor = api.client("Contributor")
    body = {"properties": {"roleDefinitionId": "Owner", "principalId": api.app.installation.admin}}
    path = f"{group}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-000000000001"
    refused(api, "PUT", path, body, 403, "AuthorizationFailed", token=contributor)
    refused(
        api,
        "POST",
        "/providers/Isthmus.Identity/clients",
        {"name": "x"},
        403,
        "AuthorizationFailed",
        token=contributor,
        version="2026-11-01",
    )
    refused(
        api,
        "POST",
        "/providers/Isthmus.Identity/clients/operator/addSecret",
        {},
        403,
        "AuthorizationFailed",
        token=contributor,
        version="2026-11-01",
    )


def test_rights_end_with_their_scope_and_with_their_assignment(api: Api) -> None:
    mine, other = api.group(), api.group()
    limited = api.client("Contributor", mine)
    assert api.call("GET", mine, token=limited).status_code == 200
    refused(api, "GET", other, None, 403, "AuthorizationFailed", token=limited)
    listed = api.call("GET", f"{mine}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()").json()["value"]
    assignment = next(one for one in listed if one["properties"]["scope"].lower() == mine.lower())
    assert api.call("DELETE", assignment["id"]).status_code == 200
    refused(api, "GET", mine, None, 403, "AuthorizationFailed", token=limited)


def test_templates_of_nothing_are_refused(api: Api) -> None:
    connector = api.connector()
    action = f"/subscriptions/{api.subscription}/{HC}/generateAwsTemplate"
    refused(api, "POST", action, {"connectorId": connector}, 400, "NoSolutionConfigured")
    refused(api, "POST", action, {"connectorId": connector + "x"}, 404, "ResourceNotFound")
    refused(api, "POST", action, {}, 400, "InvalidRequestContent")
    refused(api, "POST", action, {"connectorId": connector, "solutionTypes": [{"solutionType": "x"}]}, 400, "InvalidSolutionType")


def test_errors_are_json_even_for_the_unexpected(api: Api) -> None:
    answer = api.http.request("OPTIONS", "/subscriptions?api-version=2022-12-01", headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 405
    assert json.loads(answer.content)["error"]["code"] == "MethodNotAllowed"
