"""botocore as the oracle: what it would send, and what it reads."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.model
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.session import Session, get_session

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token//=="
UNSPOKEN = "smithy-rpc-v2-cbor"


@cache
def session() -> Session:
    """One session, so that models are read once."""
    return get_session()


@cache
def model(operation: str) -> OperationModel:
    """botocore's model of `service:Operation`."""
    service, name = operation.split(":")
    return session().get_service_model(service).operation_model(name)


class _Sent(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


def _stop(request: AWSPreparedRequest, **_: Any) -> None:
    raise _Sent(request)


@cache
def client(service: str, region: str) -> BaseClient:
    """A client that stops short of sending. It speaks the protocols that we speak."""
    spoken = botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS
    botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = tuple(name for name in spoken if name != UNSPOKEN)
    try:
        made = session().create_client(
            service,
            region_name=region,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            aws_session_token=TOKEN,
            config=Config(
                retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True, s3={"us_east_1_regional_endpoint": "regional"}
            ),
        )
    finally:
        botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = spoken
    made.meta.events.register("before-send", _stop)
    return made


def sent(operation: str, region: str, params: dict[str, Any]) -> AWSPreparedRequest:
    """The request that botocore would send."""
    service, name = operation.split(":")
    try:
        client(service, region)._make_api_call(name, params)
    except _Sent as stopped:
        return stopped.request
    except ClientError as error:  # pragma: no cover
        raise AssertionError("botocore did send something") from error
    raise AssertionError("botocore sent nothing")


def assert_same(shape: Shape | None, theirs: Any, ours: Any, where: str = "") -> None:
    """Equal, where our timestamps are text, our blobs base64 text, and our policy documents read."""
    if theirs is None or shape is None:
        assert ours == theirs, where
    elif isinstance(shape, StructureShape) and not shape.is_document_type:
        assert set(ours) == set(theirs), where
        for name, item in theirs.items():
            assert_same(shape.members[name], item, ours[name], f"{where}.{name}")
    elif isinstance(shape, ListShape):
        assert len(ours) == len(theirs), where
        for index, (item, own) in enumerate(zip(theirs, ours, strict=True)):
            assert_same(shape.member, item, own, f"{where}[{index}]")
    elif isinstance(shape, MapShape):
        assert set(ours) == set(theirs), where
        for key, item in theirs.items():
            assert_same(shape.value, item, ours[key], f"{where}[{key}]")
    elif shape.type_name == "timestamp":
        assert isinstance(ours, str), where
        assert _instant(ours) == theirs.astimezone(UTC), where
    elif shape.type_name == "blob":
        # A blob that is a whole body comes as it is; botocore, which would stream it, reads text from bytes that it is given at once.
        whole = theirs.encode() if isinstance(theirs, str) else theirs
        assert (ours if isinstance(ours, bytes) else base64.b64decode(ours)) == whole, where
    elif shape.name == "policyDocumentType":
        assert ours == json.loads(unquote(theirs)), where
    else:
        assert ours == theirs, where
        assert type(ours) is type(theirs), where


def _instant(text: str) -> datetime:
    if "," in text:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    return datetime.fromisoformat(text)
