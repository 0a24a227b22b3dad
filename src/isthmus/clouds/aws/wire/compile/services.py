"""One service's plan: what the wire must know to call its operations and read their answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from botocore.model import OperationModel, ServiceModel, StructureShape
from botocore.session import Session

from isthmus.clouds.aws.wire.compile.endpoints import endpoints
from isthmus.clouds.aws.wire.compile.paging import paging
from isthmus.clouds.aws.wire.compile.shapes import LOCATIONS, Table

SPOKEN = ("json", "rest-json", "rest-xml", "query", "ec2")  # newer models put CBOR first, every one of them also offers one of these
# IAM's action prefix where it is not the signing name.
ACTION_PREFIXES = {"cloudwatch": "cloudwatch", "resourcegroupstaggingapi": "tag"}
# Identifiers that Route 53 answers with their path in front and wants back without it.
BARE_ROUTE53_IDS = frozenset({"ResourceId", "DelegationSetId", "ChangeId"})


def plan(session: Session, service: str, names: Collection[str]) -> dict[str, Any]:
    """The plan of the named operations; raises ValueError where a model asks for something the wire cannot do."""
    model = session.get_service_model(service)
    metadata = model.metadata
    protocol = next(name for name in SPOKEN if name in (metadata.get("protocols") or [metadata["protocol"]]))
    inputs, outputs = Table(protocol=protocol, direction="input"), Table(protocol=protocol, direction="output")
    answer: dict[str, Any] = {
        "service": service,
        "protocol": protocol,
        "signs": model.signing_name,
        "env": model.service_id.hyphenize().replace("-", "_").upper(),
        "actions": ACTION_PREFIXES.get(service, model.signing_name),
    }
    if protocol == "json":
        answer["target"] = metadata["targetPrefix"]
        answer["json"] = metadata["jsonVersion"]
        if model.is_query_compatible:
            answer["queryErrors"] = True
    if protocol in ("query", "ec2"):
        answer["version"] = metadata["apiVersion"]
    if model.signing_name == "s3":
        answer["s3"] = True
    answer["endpoints"] = endpoints(session, service, model.signing_name)
    answer["operations"] = {name: _operation(session, model, name, protocol, inputs, outputs) for name in sorted(names)}
    answer["inputs"] = inputs.rows
    answer["outputs"] = outputs.rows
    return answer


def _operation(session: Session, service: ServiceModel, name: str, protocol: str, inputs: Table, outputs: Table) -> dict[str, Any]:
    model = service.operation_model(name)
    _refuse_unknown(service.service_name, model)
    row: dict[str, Any] = {}
    if protocol.startswith("rest"):
        row["method"], row["uri"] = model.http["method"], model.http["requestUri"]
        if service.service_name == "s3" and name != "GetBucketLocation":  # asked by path, since the bucket's region is not known yet
            row["uri"] = row["uri"].replace("/{Bucket}", "", 1)  # elsewhere the bucket is part of the endpoint
    if model.http_checksum_required:
        row["crc32"] = True
    if model.endpoint:
        row["host"] = model.endpoint["hostPrefix"]
    row.update(_input(service.service_name, model, protocol, inputs))
    row.update(_output(model, protocol, outputs))
    pages = paging(session, service.service_name, model)
    if pages is not None:
        row["page"] = pages
    return row


def _input(service: str, model: OperationModel, protocol: str, table: Table) -> dict[str, Any]:
    shape = model.input_shape
    if shape is None:
        return {}
    row: dict[str, Any] = {}
    places: dict[str, Any] = {}
    if protocol.startswith("rest"):
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if location in LOCATIONS:
                places[name] = [location, member.serialization.get("name", name), table.refer(member)]
        if "payload" in shape.serialization:
            row["payload"] = shape.serialization["payload"]
        elif protocol == "rest-xml" and len(places) < len(shape.members):
            row["root"] = shape.serialization["name"]
            if "xmlNamespace" in shape.serialization:
                row["xmlns"] = shape.serialization["xmlNamespace"]["uri"]
        row["body"] = len(places) < len(shape.members)
    if places:
        row["at"] = places
        row["must"] = [name for name in shape.required_members if name in places]
    row["in"] = table.structure(shape, leave_out=frozenset(places))
    if service == "route53":
        bare = [name for name, member in shape.members.items() if member.name in BARE_ROUTE53_IDS]
        if bare:
            row["bare"] = bare
    return row


def _output(model: OperationModel, protocol: str, table: Table) -> dict[str, Any]:
    shape = model.output_shape
    if shape is None:
        return {}
    row: dict[str, Any] = {}
    places: dict[str, Any] = {}
    if protocol.startswith("rest"):
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if location in LOCATIONS:
                places[name] = [location, member.serialization.get("name", name), table.refer(member)]
        if "payload" in shape.serialization:
            payload = shape.serialization["payload"]
            row["outPayload"] = [payload, table.refer(shape.members[payload])]
    if "resultWrapper" in shape.serialization:
        row["wrapper"] = shape.serialization["resultWrapper"]
    if places:
        row["outAt"] = places
    row["out"] = table.structure(shape, leave_out=frozenset(places))
    return row


def _refuse_unknown(service: str, model: OperationModel) -> None:
    """What no operation of the list needs is not built; a new one that does must be noticed here and not in production."""
    name = f"{service}:{model.name}"
    if model.has_event_stream_input or model.has_event_stream_output or model.has_streaming_input:
        raise ValueError(f"{name} streams, which the wire cannot")
    if model.idempotent_members:
        raise ValueError(f"{name} wants an idempotency token, which the wire does not make")
    if model.http_checksum.get("requestChecksumRequired"):
        raise ValueError(f"{name} wants a checksum of its body, which the wire does not make")
    if isinstance(model.input_shape, StructureShape) and model.input_shape.serialization.get("payload") and service != "s3":
        raise ValueError(f"{name} takes a payload member, which the wire does not write")
