"""STS: the operations that assume roles are ours, in both protocols; ministack answers the others."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from isthmus_lab.call import Notes, current
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.pack.forms import Form, read_form, text
from isthmus_lab.pack.refusals import StsError
from isthmus_lab.world import Response

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_JSON = "application/x-amz-json-1.1"

Operation = Callable[[Form], dict[str, Any]]


class Sts:
    """The wrapper around ministack's STS; `operations` by name."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    async def __call__(self, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        form, is_json = _form(headers, body, query)
        name = form.get("Action", "")
        operation = self._operations.get(name)
        if operation is None:
            return await inner(method, path, headers, body, query)
        try:
            result = await asyncio.to_thread(operation, form)
        except StsError as error:
            return _refusal(error, is_json)
        _note(current().notes, result, form["RoleArn"])
        return _as_json(result) if is_json else _as_xml(name, result)


def _note(notes: Notes, result: Mapping[str, Any], role_arn: str) -> None:
    """What the trail shows of the answer; secret key and token stay out of it."""
    given, user = result["Credentials"], result["AssumedRoleUser"]
    expiry = time.strftime("%b %d, %Y, %I:%M:%S %p", time.gmtime(given["Expiration"]))
    rest = {name[0].lower() + name[1:]: value for name, value in result.items() if name not in ("Credentials", "AssumedRoleUser")}
    notes.elements = {
        "credentials": {"accessKeyId": given["AccessKeyId"], "expiration": expiry},
        "assumedRoleUser": {"assumedRoleId": user["AssumedRoleId"], "arn": user["Arn"]},
        **rest,
    }
    notes.resources = (
        ("AWS::IAM::AccessKey", given["AccessKeyId"]),
        ("AWS::STS::AssumedRole", user["Arn"]),
        ("AWS::IAM::Role", role_arn),
    )


def _form(headers: Headers, body: bytes, query: Query) -> tuple[Form, bool]:
    """Parameters in the spelling of the query protocol, and whether they came as JSON."""
    if "amz-json" not in headers.get("content-type", ""):
        return read_form(query, body), False
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = {}
    form: Form = {"Action": headers.get("x-amz-target", "").rpartition(".")[2]}
    for name, one in (value if isinstance(value, dict) else {}).items():
        for number, row in enumerate(one if isinstance(one, list) else [], 1):
            if isinstance(row, dict):
                form |= {f"{name}.member.{number}.{key}": str(inner) for key, inner in row.items()}
            else:
                form[f"{name}.member.{number}"] = str(row)
        if not isinstance(one, list):
            form[name] = str(one)
    return form, True


def _as_json(result: Mapping[str, Any]) -> Response:
    return 200, {"Content-Type": _JSON}, json.dumps(result).encode()


def _as_xml(name: str, result: Mapping[str, Any]) -> Response:
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(result["Credentials"]["Expiration"]))
    shown = _elements({**result, "Credentials": {**result["Credentials"], "Expiration": expiry}})
    inner = f"<{name}Result>{shown}</{name}Result><ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata>"
    return 200, {"Content-Type": "text/xml"}, f'<{name}Response xmlns="{_NAMESPACE}">{inner}</{name}Response>'.encode()


def _elements(value: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_elements(one) if isinstance(one, Mapping) else text(one)}</{name}>" for name, one in value.items())


def _refusal(error: StsError, is_json: bool) -> Response:
    if is_json:
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return error.status, {"Content-Type": _JSON, "x-amzn-errortype": error.code}, body
    shown = f"<Error><Type>Sender</Type><Code>{error.code}</Code><Message>{text(error.message)}</Message></Error><RequestId>lab</RequestId>"
    return error.status, {"Content-Type": "text/xml"}, f'<ErrorResponse xmlns="{_NAMESPACE}">{shown}</ErrorResponse>'.encode()
