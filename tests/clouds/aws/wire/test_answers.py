"""Every compiled operation reads an answer as botocore reads the same bytes; errors of every protocol, and bodies that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.clouds.aws.wire import AwsError, names, operation
from isthmus.clouds.aws.wire.answers import Answer, read_answer, refusal, true_time
from isthmus.clouds.aws.wire.read import iso
from tests.clouds.aws.wire import oracle, samples
from tests.support.examples import examples


def botocore_reads(name: str, body: bytes, headers: dict[str, str], status: int = 200) -> dict[str, Any]:
    """What botocore's parser makes of an answer, its own metadata aside."""
    model = oracle.model(name)
    response = {"body": body, "headers": HeadersDict(headers), "status_code": status, "context": {"operation_name": model.name}}
    found = create_parser(operation(name).service.protocol).parse(response, model.output_shape)
    found.pop("ResponseMetadata", None)
    return dict(found)


def ours(name: str, body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return read_answer(operation(name), Answer(200, headers or {}, body), region="eu-west-1")


@pytest.mark.parametrize("sparse", [False, True], ids=["full", "sparse"])
@pytest.mark.parametrize("name", names())
def test_answer_reads_as_botocore_reads_it(name: str, sparse: bool) -> None:
    model = oracle.model(name)
    body, headers = samples.http_answer(model, operation(name).service.protocol, sparse=sparse)
    theirs = botocore_reads(name, body, headers)
    found = ours(name, body, headers)
    if name == "s3:GetBucketLocation":
        theirs["LocationConstraint"] = None  # botocore reads this one member in a handler of its own; see the test below
    oracle.assert_same(model.output_shape, theirs, found, name)


@pytest.mark.parametrize("name", [name for name in names() if operation(name).service.protocol not in ("query", "ec2")])
def test_empty_body_is_an_empty_result(name: str) -> None:
    body = b"" if operation(name).payload is None else b"<x/>" if not operation(name).service.speaks_json else b"{}"
    assert all(value in ({}, None, "<x/>", b"<x/>", "{}") for value in ours(name, body).values())


def test_location_of_a_bucket_is_the_root_element() -> None:
    text = '<?xml version="1.0"?><LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</LocationConstraint>'
    assert ours("s3:GetBucketLocation", text.format("eu-west-1").encode()) == {"LocationConstraint": "eu-west-1"}
    assert ours("s3:GetBucketLocation", text.format("").encode()) == {"LocationConstraint": None}


def test_success_that_is_an_error_is_an_error() -> None:
    with pytest.raises(AwsError) as caught:
        ours("s3:GetBucketTagging", b"<Error><Code>InternalError</Code><Message>try again</Message></Error>")
    assert (caught.value.code, caught.value.status) == ("InternalError", 200)


@pytest.mark.parametrize("name", ["ec2:DescribeVpcs", "iam:ListRoles", "s3:ListBuckets", "dynamodb:ListTables", "lambda:ListFunctions"])
@pytest.mark.parametrize("body", [b"<html><body>Sorry</body></html", b"{", b"\xff\xfe", b"[1,2]", b'"text"', b"<a><b></a>", b"null"])
def test_unreadable_success_is_a_typed_error(name: str, body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        ours(name, body)
    assert caught.value.code == "MalformedAnswer"


@given(body=st.binary(max_size=200), name=st.sampled_from(["ec2:DescribeVpcs", "iam:ListRoles", "s3:ListBuckets", "sqs:ListQueues"]))
@settings(max_examples=examples(150), deadline=None)
def test_no_body_brings_down_the_reader(body: bytes, name: str) -> None:
    try:
        outcome: object = ours(name, body)
    except AwsError as error:
        outcome = error.code
    assert isinstance(outcome, dict) or outcome == "MalformedAnswer"
    assert refusal(operation(name), Answer(503, {}, body), region="").status == 503


def test_text_that_looks_like_a_namespace_is_text() -> None:
    body = b'<DescribeVpcsResponse><nextToken>a xmlns="x" b</nextToken><v:vpcSet xmlns:v="urn:v"><item/></v:vpcSet></DescribeVpcsResponse>'
    assert ours("ec2:DescribeVpcs", body) == {"NextToken": 'a xmlns="x" b', "Vpcs": [{}]}


def test_external_entities_are_not_read() -> None:
    body = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><DescribeVpcsResponse><nextToken>&e;</nextToken></DescribeVpcsResponse>'
    assert "root:" not in str(ours("ec2:DescribeVpcs", body))


ERRORS = {
    "ec2:DescribeVpcs": (
        b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no &amp; no</Message></Error></Errors>"
        b"<RequestID>r</RequestID></Response>"
    ),
    "iam:ListRoles": (
        b'<ErrorResponse xmlns="https://iam/"><Error><Type>Sender</Type><Code>AccessDenied</Code>'
        b"<Message>User is not</Message></Error></ErrorResponse>"
    ),
    "s3:GetBucketPolicy": (
        b"<?xml version='1.0'?><Error><Code>NoSuchBucketPolicy</Code><Message>none</Message><BucketName>b</BucketName></Error>"
    ),
    "route53:ListHostedZones": (
        b'<ErrorResponse xmlns="https://route53/"><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>'
    ),
    "dynamodb:ListTables": b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}',
    "kms:DescribeKey": b'{"__type":"AccessDeniedException","Message":"not allowed"}',
    "eks:ListClusters": b'{"__type":"x","message":"denied"}',
    "lambda:ListFunctions": b'{"Code":"TooManyRequestsException","message":"slow"}',
}
HEADERS = {"eks:ListClusters": {"x-amzn-errortype": "AccessDeniedException:http://internal.amazon.com/coral/"}}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_read_as_botocore_reads_them(name: str) -> None:
    headers = HEADERS.get(name, {})
    theirs = botocore_reads(name, ERRORS[name], headers, 400)["Error"]
    found = refusal(operation(name), Answer(400, headers, ERRORS[name]), region="eu-west-1")
    assert (found.code, found.message) == (theirs["Code"], theirs["Message"])
    assert (found.operation, found.region, found.status, found.retry_after) == (name, "eu-west-1", 400, None)


def test_services_that_changed_their_protocol_keep_their_codes() -> None:
    body = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}'
    headers = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender", "retry-after": "7"}
    found = refusal(operation("sqs:GetQueueAttributes"), Answer(400, headers, body), region="eu-west-1")
    assert found.code == "AWS.SimpleQueueService.NonExistentQueue"
    assert found.retry_after == 7.0


@pytest.mark.parametrize("name", ["ec2:DescribeVpcs", "s3:ListBuckets", "dynamodb:ListTables", "lambda:ListFunctions"])
@pytest.mark.parametrize(
    "body", [b"", b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>", b"[]", b"{", b'{"message": null}', b"<"]
)
def test_a_refusal_without_a_code_is_named_by_its_status(name: str, body: bytes) -> None:
    found = refusal(operation(name), Answer(503, {}, body), region="eu-west-1")
    assert (found.code, found.message) == ("Http503", "Service Unavailable")


def test_the_date_of_an_answer_tells_whether_our_clock_is_wrong() -> None:
    found, aws = operation("ec2:DescribeVpcs"), 1714979289.0
    date = {"date": "Mon, 06 May 2024 07:08:09 GMT"}
    for code, signed, expected in [
        ("RequestExpired", aws - 600, aws),
        ("RequestExpired", aws - 10, None),
        ("RequestTimeTooSkewed", aws + 30, aws),
        ("AccessDenied", 1.0, None),
        ("RequestTimeTooSkewed", 0.0, None),
    ]:
        error = AwsError(code=code, message="", status=403, operation=found.name, region="eu-west-1")
        assert true_time(error, Answer(403, date, b"", signed)) == expected
        assert true_time(error, Answer(403, {"date": "yesterday"}, b"", signed)) is None
        assert true_time(error, Answer(403, {}, b"", signed)) is None


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_epoch_becomes_text_of_the_same_instant(milliseconds: int) -> None:
    text = iso(milliseconds / 1000)
    assert oracle._instant(text).timestamp() == pytest.approx(milliseconds / 1000, abs=1e-6)
    assert text.endswith("Z")
    assert json.loads(json.dumps(text)) == iso(text)
