"""Every compiled operation asks AWS for the same as botocore would, at the same place, with the same signature."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.credentials import Credentials as BotocoreCredentials
from lxml import etree

from isthmus.clouds.aws.wire import Credentials, names, operation, service
from isthmus.clouds.aws.wire.endpoints import Endpoints, addressed
from isthmus.clouds.aws.wire.sign import Signer, encoded_query
from tests.clouds.aws.wire import oracle, samples

NOW = 1714979289.0
CREDENTIALS = Credentials(access_key=oracle.KEY, secret_key=oracle.SECRET, token=oracle.TOKEN, expires_at=NOW + 3600)
REGIONS = ("us-east-1", "ap-northeast-3", "cn-north-1", "us-gov-west-1")
# Set by the connection or by botocore for its own accounting; the rest must agree.
NOT_COMPARED = re.compile(
    r"amz-sdk-.*|user-agent|authorization|x-amz-date|x-amz-security-token|x-amz-content-sha256|host|content-length|expect"
)
UNSIGNED = {"sts:AssumeRoleWithWebIdentity"}


def built(
    name: str, region: str, params: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> tuple[str, str, dict[str, str], bytes]:
    """Method, URL, headers and body of our request."""
    found = operation(name)
    draft = found.write(params)
    place = Endpoints(environ or {}).find(found.service, region)
    host, path = addressed(place, prefix=draft.prefix, bucket=draft.bucket, path=draft.path)
    headers = Signer().sign(draft, found.service, host=host, path=path, region=place.region, credentials=CREDENTIALS, now=NOW)
    query = f"?{encoded_query(draft.query)}" if draft.query else ""
    return draft.method, f"{place.scheme}://{host}{path}{query}", headers, draft.body


def body_value(content_type: str, body: bytes | str | None) -> Any:
    """A body as what it means."""
    raw = body.encode() if isinstance(body, str) else body or b""
    if not raw:
        return None
    if "json" in content_type:
        return json.loads(raw)
    return parse_qsl(raw.decode(), keep_blank_values=True) if "form" in content_type else etree.canonicalize(raw.decode())


@pytest.mark.parametrize("full", [False, True], ids=["required", "all"])
@pytest.mark.parametrize("name", names())
def test_request_is_the_one_botocore_sends(name: str, full: bool) -> None:
    params = samples.params(oracle.model(name), full=full)
    for region in REGIONS if not full else REGIONS[:1]:
        theirs = oracle.sent(name, region, params)
        method, url, headers, body = built(name, region, params)
        expected, got = urlsplit(theirs.url), urlsplit(url)
        assert method == theirs.method
        assert (got.scheme, got.netloc, got.path) == (expected.scheme, expected.netloc, expected.path or "/")
        assert sorted(parse_qsl(got.query, keep_blank_values=True)) == sorted(parse_qsl(expected.query, keep_blank_values=True))
        wanted = {key.lower(): value.decode() if isinstance(value, bytes) else value for key, value in theirs.headers.items()}
        assert _compared(headers) == _compared(wanted)
        content_type = wanted.get("content-type", "")
        assert body_value(content_type, body) == body_value(content_type, theirs.body)
        if name not in UNSIGNED:
            scope = re.compile(r"Credential=[^/]+/\d+/([^,]+)")
            assert scope.search(headers["authorization"])[1] == scope.search(wanted["authorization"])[1]  # type: ignore[index]
        assert ("x-amz-content-sha256" in headers) == ("x-amz-content-sha256" in wanted)


def _compared(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if not NOT_COMPARED.fullmatch(key)}


@pytest.mark.parametrize("name", names())
def test_signature_is_the_one_botocore_makes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *_args, **_more: datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
    )
    method, url, headers, body = built(name, "eu-west-1", samples.params(oracle.model(name), full=True))
    ours = headers.pop("authorization")
    called = operation(name).service
    region = Endpoints({}).find(called, "eu-west-1").region
    request = AWSRequest(method=method, url=url, data=body, headers={key: value for key, value in headers.items() if key != "host"})
    signer = S3SigV4Auth if called.is_s3 else SigV4Auth
    signer(BotocoreCredentials(oracle.KEY, oracle.SECRET, oracle.TOKEN), called.signs, region).add_auth(request)
    assert ours == request.headers["Authorization"]


def test_buckets_stand_where_botocore_puts_them() -> None:
    for bucket in ("plain-bucket", "with.dots", "Upper_Case", "abc"):
        for region in ("us-east-1", "cn-north-1"):
            theirs = oracle.sent("s3:GetBucketTagging", region, {"Bucket": bucket})
            assert built("s3:GetBucketTagging", region, {"Bucket": bucket})[1].rstrip("=") == theirs.url.rstrip("=")


def test_custom_endpoints_take_no_prefix_and_buckets_by_path() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/base/", "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": "https://elb.example:8443"}
    assert built("s3:GetBucketTagging", "eu-west-1", {"Bucket": "b-1"}, environ)[1] == "http://127.0.0.1:4566/base/b-1?tagging"
    url = built("s3control:ListAccessPoints", "eu-west-1", {"AccountId": "123456789012"}, environ)[1]
    assert url == "http://127.0.0.1:4566/base/v20180820/accesspoint"
    assert built("elbv2:DescribeLoadBalancers", "eu-west-1", {}, environ)[1] == "https://elb.example:8443/"
    _, _, headers, _ = built("iam:ListRoles", "eu-west-1", {}, environ)
    assert headers["host"] == "127.0.0.1:4566"
    assert "/us-east-1/iam/" in headers["authorization"]
    assert built("ec2:DescribeVpcs", "eu-west-1", {}, {**environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})[1].endswith(
        "amazonaws.com/"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://aws.example",
        "http://10.0.0.1:80",
        "ftp://127.0.0.1",
        "127.0.0.1:4566",
        "https://user:pw@host",
        "http://127.0.0.1.evil.example",
    ],
)
def test_endpoint_settings_that_would_leak_credentials_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="AWS_ENDPOINT_URL_S3"):
        Endpoints({"AWS_ENDPOINT_URL_S3": url})


@pytest.mark.parametrize("name", sorted({name.partition(":")[0] for name in names()}))
def test_endpoint_settings_carry_the_names_that_botocore_reads(name: str) -> None:
    setting = f"AWS_ENDPOINT_URL_{service(name).env}"
    provider = ConfiguredEndpointProvider(full_config={}, scoped_config={}, client_name=name, environ={setting: "https://here.example"})
    assert provider.provide() == "https://here.example"


@pytest.mark.parametrize("region", ["", "evil.example/", "us-east-1.evil", "us-iso-east-1", "US-EAST-1", "us-east-1#"])
def test_a_region_cannot_smuggle_in_a_host(region: str) -> None:
    with pytest.raises(ValueError, match="no region"):
        built("ec2:DescribeVpcs", region, {})


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("ec2:DescribeVpcs", {"VpcId": ["v"]}, "unknown parameter VpcId"),
        ("ec2:DescribeVpcs", {"VpcIds": "vpc-1"}, "a list is wanted"),
        ("ec2:DescribeVpcs", {"Filters": [{"Nam": "x"}]}, "unknown parameter Filter.1.Nam"),
        ("eks:DescribeCluster", {}, "needs the parameter name"),
        ("eks:DescribeCluster", {"name": ""}, "cannot be empty"),
        ("eks:DescribeCluster", {"name": "x", "colour": "red"}, "unknown parameters: colour"),
        ("dynamodb:DescribeTable", {}, "TableName is missing"),
        ("dynamodb:DescribeTable", {"Table": "x", "TableName": "y"}, "unknown parameter Table"),
        ("s3:GetBucketTagging", {"Bucket": "a/../b"}, "no bucket name"),
        ("s3control:ListAccessPoints", {"AccountId": "evil.example/"}, "cannot stand in a host name"),
        ("ec2:DescribeNothing", {}, "no plan for ec2:DescribeNothing"),
        ("../x:Y", {}, "no plan for the AWS service"),
    ],
)
def test_wrong_calls_are_refused_before_they_are_sent(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        built(name, "eu-west-1", params)


def test_instants_may_be_text_numbers_or_datetimes() -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    bodies = {
        built("cloudtrail:LookupEvents", "eu-west-1", {"StartTime": form})[3]
        for form in (NOW, moment, "2024-05-06T07:08:09Z", "2024-05-06T09:08:09+02:00")
    }
    assert bodies == {b'{"StartTime":1714979289}'}


def test_signing_keys_are_kept_and_never_grow_without_end() -> None:
    signer, found = Signer(), operation("sts:GetCallerIdentity")
    draft = found.write({})
    for number in range(5000):
        credentials = Credentials(access_key="a", secret_key=str(number), token=None, expires_at=0)
        headers = signer.sign(draft, found.service, host="h", path="/", region="eu-west-1", credentials=credentials, now=NOW)
        assert "x-amz-security-token" not in headers
    assert len(signer._keys) <= 4096


def test_credentials_do_not_show_their_secrets() -> None:
    assert "wJal" not in repr(CREDENTIALS)
    assert "token" not in repr(CREDENTIALS)
