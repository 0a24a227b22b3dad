"""The caller on real sockets: connections, caps, failures, clocks. Loopback only."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from isthmus.clouds.aws.wire import AwsError, AwsTransportError, Credentials, Wire, classify
from isthmus.clouds.aws.wire.caller import MAX_BODY, PER_HOST
from tests.clouds.aws.wire.server import Responder, Seen, serving

NOW = 1714979289.0  # Mon, 06 May 2024 07:08:09 GMT
CREDENTIALS = Credentials(access_key="AKID", secret_key="secret", token="token", expires_at=NOW + 3600)
VPCS = b'<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet></DescribeVpcsResponse>'


def run(
    respond: Responder, use: Callable[[Wire, Seen], Awaitable[Any]], *, environ: Mapping[str, str] | None = None, timeout: float = 5.0
) -> Any:
    """Serve, and use a wire that talks to the server."""

    async def both() -> Any:
        async with serving(respond) as seen:
            wire = Wire(environ={"AWS_ENDPOINT_URL": seen.url, **(environ or {})}, clock=lambda: NOW, timeout=timeout)
            try:
                return await use(wire, seen)
            finally:
                await wire.close()

    return asyncio.run(both())


async def vpcs(_request: web.Request, _body: bytes) -> web.Response:
    return web.Response(body=VPCS, content_type="text/xml")


async def call(wire: Wire, operation: str = "ec2:DescribeVpcs", **params: Any) -> dict[str, Any]:
    return await wire.call(operation, params, region="eu-west-1", credentials=CREDENTIALS)


def test_a_call_is_signed_honest_and_counted() -> None:
    async def use(wire: Wire, seen: Seen) -> None:
        assert await call(wire, MaxResults=7) == {"Vpcs": [{"VpcId": "vpc-1"}]}
        asked = seen.requests[0]
        assert asked.body == b"Action=DescribeVpcs&Version=2016-11-15&MaxResults=7"
        assert asked.headers["user-agent"].startswith("isthmus/")
        assert "Credential=AKID/20240506/eu-west-1/ec2/aws4_request" in asked.headers["authorization"]
        assert asked.headers["x-amz-security-token"] == "token"
        assert asked.headers["host"] == seen.url.removeprefix("http://")
        assert wire.calls == {("ec2", "DescribeVpcs", "eu-west-1"): 1}

    run(vpcs, use)


def test_unsigned_calls_carry_no_credentials() -> None:
    async def identity(_request: web.Request, body: bytes) -> web.Response:
        assert b"WebIdentityToken=jwt" in body
        found = "<Credentials><AccessKeyId>AKID</AccessKeyId><Expiration>2024-05-06T08:08:09Z</Expiration></Credentials>"
        wrapped = f"<AssumeRoleWithWebIdentityResult>{found}</AssumeRoleWithWebIdentityResult>"
        return web.Response(text=f"<AssumeRoleWithWebIdentityResponse>{wrapped}</AssumeRoleWithWebIdentityResponse>")

    async def use(wire: Wire, seen: Seen) -> None:
        params = {"RoleArn": "arn:aws:iam::123456789012:role/x", "RoleSessionName": "s-name", "WebIdentityToken": "jwt"}
        answer = await wire.call("sts:AssumeRoleWithWebIdentity", params, region="eu-west-1", credentials=None)
        assert answer["Credentials"] == {"AccessKeyId": "AKID", "Expiration": "2024-05-06T08:08:09Z"}
        assert not {"authorization", "x-amz-security-token", "x-amz-date"} & set(seen.requests[0].headers)

    run(identity, use)


def test_connections_are_shared_and_capped() -> None:
    async def slow(request: web.Request, body: bytes) -> web.Response:
        await asyncio.sleep(0.005)
        return await vpcs(request, body)

    async def use(wire: Wire, seen: Seen) -> None:
        await asyncio.gather(*(call(wire) for _ in range(3 * PER_HOST)))
        assert seen.most_at_once == PER_HOST
        assert len(seen.connections) <= PER_HOST

    run(slow, use)


def test_a_query_is_sent_as_it_was_signed() -> None:
    async def use(wire: Wire, seen: Seen) -> None:
        answer = await wire.call(
            "accessanalyzer:ListArchiveRules",
            {"analyzerName": "a b/ü", "nextToken": "x+y=/ &"},
            region="eu-west-1",
            credentials=CREDENTIALS,
        )
        assert answer == {}
        assert (seen.requests[0].path, seen.requests[0].query) == ("/analyzer/a b/ü/archive-rule", {"nextToken": "x+y=/ &"})

    async def nothing(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(body=b"")

    run(nothing, use)


def failure(respond: Responder, *, timeout: float = 5.0, operation: str = "ec2:DescribeVpcs") -> AwsTransportError:
    """The transport error that a responder causes."""

    async def use(wire: Wire, _seen: Seen) -> AwsTransportError:
        with pytest.raises(AwsTransportError) as caught:
            await call(wire, operation)
        return caught.value

    found: AwsTransportError = run(respond, use, timeout=timeout)
    assert (found.operation, found.region) == (operation, "eu-west-1")
    return found


def test_bodies_over_the_cap_are_refused_declared_or_not() -> None:
    async def declared(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(body=b"x" * (MAX_BODY + 1))

    async def streamed(request: web.Request, _body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(MAX_BODY // 65536 + 2):
                await response.write(b"x" * 65536)
        except ConnectionError:
            pass
        return response

    assert failure(declared).reason == "too-large"
    assert failure(streamed).reason == "too-large"


def test_what_goes_wrong_on_the_way_has_a_reason() -> None:
    async def cut(request: web.Request, _body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"<half")
        assert request.transport is not None
        request.transport.close()
        return response

    async def hang_up(request: web.Request, _body: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def hang(_request: web.Request, _body: bytes) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    assert failure(cut).reason == "truncated"
    assert failure(hang_up).reason == "truncated"
    assert failure(hang, timeout=0.05).reason == "timeout"


def transport_reason(url: str, environ: Mapping[str, str] | None = None) -> str:
    """Why a call to a URL fails."""

    async def attempt() -> str:
        wire = Wire(environ={"AWS_ENDPOINT_URL": url, **(environ or {})}, clock=lambda: NOW, timeout=3)
        try:
            with pytest.raises(AwsTransportError) as caught:
                await call(wire)
        finally:
            await wire.close()
        assert "secret" not in str(caught.value)
        return caught.value.reason

    return asyncio.run(attempt())


def test_a_closed_port_is_a_connect_failure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert transport_reason(f"http://127.0.0.1:{port}") == "connect"


def test_an_unknown_name_is_a_dns_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *_arguments: object, **_more: object) -> NoReturn:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # The resolver of this machine may take longer over it than the call does.
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert transport_reason("https://no-such-host.invalid") == "dns"
    assert set(asked) == {"no-such-host.invalid"}


def test_redirects_are_not_followed() -> None:
    async def redirect(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=301, headers={"Location": "http://127.0.0.1:1/elsewhere", "x-amz-bucket-region": "eu-west-3"})

    async def use(wire: Wire, seen: Seen) -> None:
        with pytest.raises(AwsError) as caught:
            await wire.call("s3:GetBucketTagging", {"Bucket": "demo-bucket"}, region="eu-west-1", credentials=CREDENTIALS)
        assert (caught.value.code, caught.value.status) == ("Http301", 301)
        assert "lies in eu-west-3" in caught.value.message
        assert [asked.path for asked in seen.requests] == ["/demo-bucket"]

    run(redirect, use)


def test_a_wrong_clock_is_corrected_for_the_next_call() -> None:
    stamps = []

    async def skewed(request: web.Request, body: bytes) -> web.Response:
        stamps.append(request.headers["x-amz-date"])
        if stamps[-1] != "20240506T090809Z":
            text = "<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired.</Message></Error></Errors></Response>"
            return web.Response(status=400, text=text, headers={"Date": "Mon, 06 May 2024 09:08:09 GMT"})
        return await vpcs(request, body)

    async def use(wire: Wire, _seen: Seen) -> None:
        for error in await asyncio.gather(*(call(wire) for _ in range(5)), return_exceptions=True):
            assert isinstance(error, AwsError)
            assert error.code == "RequestTimeTooSkewed"
            assert classify(error) == "clock"
        assert await call(wire)

    run(skewed, use)
    assert stamps == ["20240506T070809Z"] * 5 + ["20240506T090809Z"]


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context for 127.0.0.1 and the file of the authority to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, private = folder / "ca.pem", folder / "key.pem"
    bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle, private)
    return context, bundle


def test_tls_trusts_the_bundle_and_nothing_else(tmp_path: Path) -> None:
    context, bundle = certificate(tmp_path)

    async def attempt(environ: Mapping[str, str]) -> str:
        async with serving(vpcs, tls=context) as seen:
            wire = Wire(environ={"AWS_ENDPOINT_URL": seen.url, **environ}, clock=lambda: NOW)
            try:
                await call(wire)
            except AwsTransportError as error:
                return error.reason
            finally:
                await wire.close()
            return "answered"

    assert asyncio.run(attempt({"AWS_CA_BUNDLE": str(bundle)})) == "answered"
    assert asyncio.run(attempt({})) == "tls"


def test_a_bundle_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AWS_CA_BUNDLE names no file"):
        Wire(environ={"AWS_CA_BUNDLE": str(tmp_path / "none.pem")}, clock=lambda: NOW)


def test_requests_are_signed_when_they_are_sent() -> None:
    time, stamps = [NOW], []

    async def slow(request: web.Request, body: bytes) -> web.Response:
        stamps.append(request.headers["x-amz-date"])
        await asyncio.sleep(0.01)
        time[0] = NOW + 3600  # an hour passes while half of the calls wait
        return await vpcs(request, body)

    async def both() -> None:
        async with serving(slow) as seen:
            wire = Wire(environ={"AWS_ENDPOINT_URL": seen.url}, clock=lambda: time[0])
            await asyncio.gather(*(call(wire) for _ in range(2 * PER_HOST)))
            await wire.close()

    asyncio.run(both())
    assert stamps.count("20240506T070809Z") == PER_HOST
    assert stamps.count("20240506T080809Z") == PER_HOST


def test_closing_twice_and_calling_again_are_fine() -> None:
    async def use(wire: Wire, _seen: Seen) -> None:
        await wire.close()
        assert await call(wire)
        await wire.close()
        await wire.close()
        assert await call(wire)

    run(vpcs, use)
