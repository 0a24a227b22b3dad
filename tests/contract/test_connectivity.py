"""azure-mgmt-hybridconnectivity 2.0.0 drives every operation of Microsoft.HybridConnectivity, in both stable versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.hybridconnectivity import HybridConnectivityMgmtClient
from azure.mgmt.hybridconnectivity.models import (
    AwsCloudProfile,
    AwsCloudProfileUpdate,
    GenerateAwsTemplateRequest,
    PublicCloudConnector,
    PublicCloudConnectorProperties,
    PublicCloudConnectorPropertiesUpdate,
    PublicCloudConnectorUpdate,
    SolutionConfiguration,
    SolutionConfigurationProperties,
    SolutionConfigurationPropertiesUpdate,
    SolutionConfigurationUpdate,
    SolutionSettings,
    SolutionTypeSettings,
)

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import group_id
from isthmus.solutions.onboard.rows import CONNECTED, NEVER
from isthmus.store.tables import instances
from tests.contract.server import Server

pytestmark = pytest.mark.e2e

ASSET, ONBOARD = "Microsoft.AssetManagement", "Microsoft.HybridCompute.Onboard"


def body(account: str, **tags: str) -> PublicCloudConnector:
    profile = AwsCloudProfile(account_id=account)
    return PublicCloudConnector(
        location="eastus", tags=tags, properties=PublicCloudConnectorProperties(aws_cloud_profile=profile, host_type="AWS")
    )


def created(client: HybridConnectivityMgmtClient, server: Server, group: str, name: str = "connector") -> PublicCloudConnector:
    return client.public_cloud_connectors.begin_create_or_update(group, name, body(server.account(), team="a")).result()


def configured(
    client: HybridConnectivityMgmtClient, connector: str, kind: str = ASSET, name: str = "solution", **settings: str
) -> SolutionConfiguration:
    asked = SolutionConfiguration(
        properties=SolutionConfigurationProperties(solution_type=kind, solution_settings=SolutionSettings(settings))
    )
    return client.solution_configurations.create_or_update(connector, name, asked)


def instance_row(solution: str, account: str, name: str) -> dict[str, Any]:
    texts = dict.fromkeys(("code", "launch_time", "batch", "command_id", "machine"), "")
    numbers = dict.fromkeys(("generation", "attempts", "sends", "since", "seen_at"), 0)
    place = {"key": f"{account}/us-east-1/{name}", "account": account, "region": "us-east-1", "instance_id": name, "solution": solution}
    return {**texts, **numbers, **place, "state": CONNECTED, "evidence": "{}", "observed": '{"state": "running"}', "next_at": NEVER}


def test_a_connector_lives(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    connectors = connectivity.public_cloud_connectors
    made = created(connectivity, server, group)
    assert made.type == "microsoft.hybridconnectivity/publiccloudconnectors"
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.aws_cloud_profile.is_organizational_account is False
    assert made.system_data.created_by_type == "Application"
    assert made.kind == ("AWS" if connectivity._config.api_version > "2025" else None)

    read = connectors.get(group, "CONNECTOR")
    assert (read.id, read.properties.connector_primary_identifier) == (made.id, made.properties.connector_primary_identifier)

    change = PublicCloudConnectorUpdate(
        tags={"team": "b"},
        properties=PublicCloudConnectorPropertiesUpdate(aws_cloud_profile=AwsCloudProfileUpdate(excluded_accounts=["999999999999"])),
    )
    updated = connectors.update(group, "connector", change)
    assert (updated.tags, updated.properties.aws_cloud_profile.excluded_accounts) == ({"team": "b"}, ["999999999999"])
    assert updated.properties.connector_primary_identifier == made.properties.connector_primary_identifier

    connectors.delete(group, "connector")
    connectors.delete(group, "connector")
    with pytest.raises(ResourceNotFoundError) as missing:
        connectors.get(group, "connector")
    assert missing.value.error.code == "ResourceNotFound"


def test_what_is_wrong_arrives_as_typed_errors(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    connectors = connectivity.public_cloud_connectors
    made = created(connectivity, server, group)
    account = made.properties.aws_cloud_profile.account_id
    with pytest.raises(HttpResponseError) as wrong:
        connectors.begin_create_or_update(group, "other", body("12345"))
    assert (wrong.value.status_code, wrong.value.error.code) == (400, "InvalidRequestContent")
    assert wrong.value.error.target == "properties.awsCloudProfile.accountId"
    with pytest.raises(ResourceExistsError) as double:
        connectors.begin_create_or_update(group, "other", body(account))
    assert double.value.error.code == "DuplicateResource"
    with pytest.raises(ResourceNotFoundError) as nowhere:
        connectors.begin_create_or_update("no-such-group", "other", body(server.account()))
    assert nowhere.value.error.code == "ResourceGroupNotFound"
    with pytest.raises(HttpResponseError) as stale:
        connectors.update(group, "connector", PublicCloudConnectorUpdate(tags={}), headers={"If-Match": '"stale"'})
    assert (stale.value.status_code, stale.value.error.code) == (412, "PreconditionFailed")
    with pytest.raises(HttpResponseError) as version:
        server.connectivity(api_version="2001-01-01").public_cloud_connectors.get(group, "connector")
    assert version.value.error.code == "NoRegisteredProviderFound"


def test_connectors_are_listed_over_pages(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    scope = group_id(server.subscription, group)
    names = [f"many-{number:03d}" for number in range(230)]
    puts = []
    for name in names:
        account = server.account()
        properties = {
            "hostType": "AWS",
            "awsCloudProfile": {"accountId": account, "isOrganizationalAccount": False},
            "provisioningState": "Succeeded",
        }
        id = scope.extension("Microsoft.HybridConnectivity/publicCloudConnectors", name)
        puts.append(Resource(id=id, location="eastus", properties=properties, unique=f"connector:{account}"))
    server.store(*puts)
    pages = [list(page) for page in connectivity.public_cloud_connectors.list_by_resource_group(group).by_page()]
    assert [len(page) for page in pages] == [100, 100, 30]
    assert [connector.name for page in pages for connector in page] == names
    everywhere = [connector.id for connector in connectivity.public_cloud_connectors.list_by_subscription()]
    assert len(everywhere) == len(set(everywhere))
    assert {str(put.id) for put in puts} <= set(everywhere)


def test_permissions_are_tested_as_a_long_running_operation(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    made = created(connectivity, server, group)
    configured(connectivity, made.id)
    ended = connectivity.public_cloud_connectors.begin_test_permissions(group, "connector").result(timeout=60)
    assert ended.status == "Succeeded"
    assert ended.resource_id == made.id
    (result,) = ended["properties"]["solutionTypes"]
    assert (result["solutionType"], result["status"]) == (ASSET, "Disconnected")
    assert made.properties.aws_cloud_profile.account_id in result["statusDetails"]
    assert "template" in result["statusDetails"], "it says what to do"
    with pytest.raises(ResourceNotFoundError):
        connectivity.public_cloud_connectors.begin_test_permissions(group, "nothing")


def test_a_solution_configuration_lives(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    solutions = connectivity.solution_configurations
    connector = created(connectivity, server, group).id
    made = configured(connectivity, connector, cloudProviderRegions="us-east-1,us-east-2", periodicSyncTime="2")
    assert made.type == "microsoft.hybridconnectivity/solutionconfigurations"
    assert (made.properties.status, made.properties.provisioning_state) == ("AuthorizationPending", "Succeeded")
    assert made.properties.solution_settings["scanAllAWSRegions"] == "true"

    read = solutions.get(connector.lstrip("/"), "solution")
    assert read.properties.solution_settings == made.properties.solution_settings
    patch = SolutionConfigurationPropertiesUpdate(solution_settings=SolutionSettings({"periodicSyncTime": "4"}))
    updated = solutions.update(connector, "solution", SolutionConfigurationUpdate(properties=patch))
    assert updated.properties.solution_settings["periodicSyncTime"] == "4"
    assert updated.properties.solution_settings["cloudProviderRegions"] == "us-east-1,us-east-2"

    configured(connectivity, connector, ONBOARD, "onboard", arcOnboardEc2FilterTag="arc:yes")
    assert [one.name for one in solutions.list(connector)] == ["onboard", "solution"]
    assert [one.name for one in solutions.list(connector, params={"$top": "1"})] == ["onboard", "solution"]
    with pytest.raises(ResourceExistsError):
        configured(connectivity, connector, ASSET, "second")
    with pytest.raises(HttpResponseError) as unknown:
        configured(connectivity, connector, "Microsoft.Nothing", "third")
    assert unknown.value.error.code == "InvalidSolutionType"

    solutions.delete(connector, "solution")
    solutions.delete(connector, "solution")
    with pytest.raises(ResourceNotFoundError):
        solutions.get(connector, "solution")


def test_syncing_an_account_without_the_template_fails_with_its_reason(
    connectivity: HybridConnectivityMgmtClient, server: Server, group: str
) -> None:
    connector = created(connectivity, server, group).id
    configured(connectivity, connector)
    with pytest.raises(HttpResponseError) as failed:
        connectivity.solution_configurations.begin_sync_now(connector, "solution").result(timeout=60)
    assert failed.value.error.code == "AuthorizationPending"
    properties = connectivity.solution_configurations.get(connector, "solution").properties
    assert properties.status == "AuthorizationPending"
    assert properties.status_details in failed.value.message


def test_the_inventory_of_a_solution_is_read_over_pages(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    connector = created(connectivity, server, group)
    solution = configured(connectivity, connector.id, ONBOARD, "onboard").id
    names = [f"i-{number:017x}" for number in range(130)]
    account = connector.properties.aws_cloud_profile.account_id
    with server.app.engine.store.begin() as connection:
        connection.execute(instances.insert(), [instance_row(solution.lower(), account, name) for name in names])
    listed = list(connectivity.inventory.list_by_solution_configuration(connector.id, "onboard"))
    assert [item.name for item in listed] == names
    item = connectivity.inventory.get(connector.id, "onboard", names[7])
    assert item.id == f"{solution}/inventory/{names[7]}"
    assert item.properties.cloud_native_type == "ec2"
    assert item.properties.cloud_native_resource_id == f"arn:aws:ec2:us-east-1:{account}:instance/{names[7]}"
    with pytest.raises(ResourceNotFoundError):
        connectivity.inventory.get(connector.id, "onboard", "i-0")


def test_solution_types_are_listed_at_both_scopes(connectivity: HybridConnectivityMgmtClient, group: str) -> None:
    types = connectivity.solution_types
    everywhere = list(types.list_by_subscription())
    assert [one.properties.solution_type for one in everywhere] == ["Isthmus.Access", ASSET, ONBOARD]
    assert [one.name for one in types.list_by_resource_group(group)] == ["Isthmus.Access", ASSET, ONBOARD]
    asset = types.get(group, ASSET.lower())
    assert asset.properties.host_types == (["AWS"] if connectivity._config.api_version > "2025" else None)
    setting = next(one for one in asset.properties.solution_settings if one.name == "periodicSyncTime")
    assert (setting.type, setting.default_value, setting.allowed_values) == ("integer", "1", ["1", "2", "4", "6", "12", "24"])
    with pytest.raises(ResourceNotFoundError):
        types.get(group, "Microsoft.Nothing")


def test_a_template_is_generated(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    connector = created(connectivity, server, group).id
    asked = GenerateAwsTemplateRequest(connector_id=connector, solution_types=[SolutionTypeSettings(solution_type=ASSET)])
    template = connectivity.generate_aws_template.post(asked)
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert len(json.dumps(template.as_dict())) < 51_200
    configured(connectivity, connector)
    assert connectivity.generate_aws_template.post(GenerateAwsTemplateRequest(connector_id=connector)) == template
    with pytest.raises(HttpResponseError) as unknown:
        connectivity.generate_aws_template.post(GenerateAwsTemplateRequest(connector_id=f"{connector}x"))
    assert unknown.value.error.code == "ResourceNotFound"


def test_operations_are_listed(connectivity: HybridConnectivityMgmtClient) -> None:
    listed = {operation.name: operation for operation in connectivity.operations.list()}
    assert "Microsoft.HybridConnectivity/publicCloudConnectors/testPermissions/action" in listed
    assert "Microsoft.HybridConnectivity/solutionConfigurations/syncNow/action" in listed
    assert all(operation.display.provider and operation.is_data_action is False for operation in listed.values())


def test_a_change_is_conditional(connectivity: HybridConnectivityMgmtClient, server: Server, group: str) -> None:
    created(connectivity, server, group)
    etags: list[str] = []
    connectivity.public_cloud_connectors.get(
        group, "connector", cls=lambda reply, model, _: etags.append(reply.http_response.headers["ETag"])
    )
    match = {"If-Match": etags[0]}
    assert connectivity.public_cloud_connectors.update(
        group, "connector", PublicCloudConnectorUpdate(tags={"a": "b"}), headers=match
    ).tags == {"a": "b"}
    with pytest.raises(HttpResponseError) as late:
        connectivity.public_cloud_connectors.delete(group, "connector", headers=match)
    assert late.value.status_code == 412
