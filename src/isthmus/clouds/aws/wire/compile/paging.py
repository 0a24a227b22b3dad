"""How a list is followed: from botocore's paginators, from the shapes where those are silent, with the largest page AWS documents."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, OperationModel, StructureShape
from botocore.session import Session

# The largest page where the model does not state it or states more than the service gives (Lambda answers 50 whatever is asked).
DOCUMENTED = {
    "apigateway:GetRestApis": 500,
    "autoscaling:DescribeAutoScalingGroups": 100,
    "autoscaling:DescribeNotificationConfigurations": 100,
    "dax:DescribeClusters": 100,
    "dms:DescribeReplicationInstances": 100,
    "ec2:DescribeFlowLogs": 1000,
    "ec2:DescribeImages": 1000,
    "ec2:DescribeInstanceStatus": 1000,
    "ec2:DescribeInstances": 1000,
    "ec2:DescribeSnapshots": 1000,
    "ec2:DescribeTags": 1000,
    "ec2:DescribeVolumes": 500,
    "ec2:DescribeVpcEndpoints": 1000,
    "ecs:ListClusters": 100,
    "ecs:ListServices": 100,
    "ecs:ListTaskDefinitions": 100,
    "efs:DescribeFileSystems": 100,
    "efs:DescribeMountTargets": 100,
    "lambda:ListFunctions": 50,
    "rds:DescribeDBClusters": 100,
    "rds:DescribeDBInstances": 100,
    "rds:DescribeDBSnapshots": 100,
    "rds:DescribeEventSubscriptions": 100,
    "redshift:DescribeClusterParameterGroups": 100,
    "redshift:DescribeClusterParameters": 100,
    "redshift:DescribeClusters": 100,
    "resourcegroupstaggingapi:GetResources": 100,
    "sqs:ListQueues": 1000,
}
TOKENS = (("NextToken", "NextToken"), ("nextToken", "nextToken"), ("NextMarker", "NextMarker"), ("pageToken", "nextPageToken"))
LIMITS = ("MaxResults", "maxResults", "Limit", "limit")


def paging(session: Session, service: str, model: OperationModel) -> dict[str, Any] | None:
    """`in` and `out` (token members and JMESPath of their values), `more` (JMESPath), `limit`, `size`, `rows` (JMESPath), and `unless`
    (members that EC2 refuses together with a limit). None when the operation answers in one page."""
    found = _declared(session, service, model.name) or _inferred(model)
    if found is None:
        return None
    if found.get("limit"):
        stated = model.input_shape.members[found["limit"]].metadata.get("max")
        found["size"] = DOCUMENTED.get(f"{service}:{model.name}", stated)
        if found["size"] is None:
            del found["limit"], found["size"]
        elif service == "ec2":
            found["unless"] = [name for name in model.input_shape.members if name.endswith("Ids") and name != "OwnerIds"]
    return found


def _declared(session: Session, service: str, operation: str) -> dict[str, Any] | None:
    try:
        row = session.get_component("data_loader").load_service_model(service, "paginators-1")["pagination"].get(operation)
    except UnknownServiceError:
        return None
    if row is None:
        return None
    found: dict[str, Any] = {"in": _listed(row["input_token"]), "out": _listed(row["output_token"])}
    if "more_results" in row:
        found["more"] = row["more_results"]
    if "limit_key" in row:
        found["limit"] = row["limit_key"]
    found["rows"] = _listed(row.get("result_key", []))
    return found


def _inferred(model: OperationModel) -> dict[str, Any] | None:
    if not isinstance(model.input_shape, StructureShape) or not isinstance(model.output_shape, StructureShape):
        return None
    takes, gives = model.input_shape.members, model.output_shape.members
    for token, following in TOKENS:
        if token in takes and following in gives:
            found: dict[str, Any] = {"in": [token], "out": [following]}
            limits = [name for name in LIMITS if name in takes]
            if limits:
                found["limit"] = limits[0]
            found["rows"] = [name for name, shape in gives.items() if isinstance(shape, ListShape)]
            return found
    return None


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
