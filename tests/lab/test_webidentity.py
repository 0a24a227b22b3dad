"""AssumeRoleWithWebIdentity against attacks, and what a session may do afterwards."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer, encode
from tests.support.waiting import LOADED

pytestmark = pytest.mark.e2e

SESSION = "ConnectorPrimaryIdentifier_0f0f0f0f-1111-2222-3333-444444444444"


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("attacked.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


class Account:
    """An account with a provider for the issuer and a role that trusts one subject, audience and session name."""

    def __init__(self, client: Callable[..., Any], account: str, issuer: FakeIssuer, **conditions: str) -> None:
        self.client, self.account, self.issuer = client, account, issuer
        iam = client("iam")
        self.provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["isthmus:aws:1"])["OpenIDConnectProviderArn"]
        name = issuer.url.removeprefix("https://")
        wanted = {f"{name}:aud": "isthmus:aws:1", f"{name}:sub": "svc:Test:1", "sts:RoleSessionName": SESSION, **conditions}
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": self.provider},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": wanted},
                }
            ],
        }
        self.role = iam.create_role(RoleName="Reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:*", "s3:*"], "Resource": "*"}]}
        iam.put_role_policy(RoleName="Reader", PolicyName="read", PolicyDocument=json.dumps(allow))

    def assume(self, token: str, **parameters: Any) -> dict[str, Any]:
        sts = self.client("sts", signature_version=UNSIGNED, parameter_validation=False)
        wanted = {"RoleArn": self.role, "RoleSessionName": SESSION, "WebIdentityToken": token, **parameters}
        answer: dict[str, Any] = sts.assume_role_with_web_identity(**wanted)
        return answer

    def refusal(self, token: str, **parameters: Any) -> str:
        with pytest.raises(ClientError) as caught:
            self.assume(token, **parameters)
        return str(caught.value.response["Error"]["Code"])


@pytest.fixture
def trusting(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> Account:
    return Account(client, account, issuer)


def test_a_good_token_gives_a_session_that_works_and_says_where_it_came_from(trusting: Account, issuer: FakeIssuer) -> None:
    answer = trusting.assume(issuer.token())
    assert answer["Provider"] == trusting.provider
    assert answer["Audience"] == "isthmus:aws:1"
    assert answer["SubjectFromWebIdentityToken"] == "svc:Test:1"
    assert answer["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/Reader/{SESSION}")
    assert 3500 < answer["Credentials"]["Expiration"].timestamp() - time.time() < 3700
    session = answer["Credentials"]
    assert trusting.client("sts", credentials=session).get_caller_identity()["Account"] == trusting.account
    assert trusting.client("ec2", credentials=session).describe_vpcs()["Vpcs"]


def none_alg(issuer: FakeIssuer) -> str:
    head = encode(b'{"alg":"none","typ":"JWT"}')
    return f"{head}.{encode(json.dumps(issuer.claims()).encode())}."


def stripped(issuer: FakeIssuer) -> str:
    return issuer.token().rpartition(".")[0] + "."


def tampered(issuer: FakeIssuer) -> str:
    head, _, signature = issuer.token(sub="svc:Other:1").split(".")
    return f"{head}.{encode(json.dumps(issuer.claims()).encode())}.{signature}"


def twice(issuer: FakeIssuer) -> str:
    text = json.dumps(issuer.claims())
    return issuer.token(raw=text[:-1] + ', "sub": "svc:Test:1"}')


def hmac_by_public_key(issuer: FakeIssuer) -> str:
    return issuer.token(header={"alg": "HS256"})


ATTACKS: dict[str, tuple[Callable[[FakeIssuer], str], str]] = {
    "expired": (lambda i: i.token(exp=int(time.time()) - 301, iat=int(time.time()) - 900), "ExpiredTokenException"),
    "from the future": (lambda i: i.token(nbf=int(time.time()) + 900), "InvalidIdentityToken"),
    "alg none": (none_alg, "InvalidIdentityToken"),
    "signature removed": (stripped, "InvalidIdentityToken"),
    "claims exchanged": (tampered, "InvalidIdentityToken"),
    "symmetric algorithm": (hmac_by_public_key, "InvalidIdentityToken"),
    "wrong audience": (lambda i: i.token(aud="isthmus:aws:2"), "InvalidIdentityToken"),
    "azp decides over aud": (lambda i: i.token(azp="someone-else"), "InvalidIdentityToken"),
    "wrong issuer": (lambda i: i.token(iss="https://evil.isthmus.test"), "InvalidIdentityToken"),
    "issuer with a slash more": (lambda i: i.token(iss=i.url + "/"), "InvalidIdentityToken"),
    "duplicate claim": (twice, "InvalidIdentityToken"),
    "no subject": (lambda i: i.token(sub=None), "InvalidIdentityToken"),
    "text as time": (lambda i: i.token(exp="9999999999"), "InvalidIdentityToken"),
    "fractional time": (lambda i: i.token(exp=time.time() + 600.5), "InvalidIdentityToken"),
    "wrong subject": (lambda i: i.token(sub="svc:Test:2"), "AccessDenied"),
    "not a token": (lambda i: "abcd.efgh", "InvalidIdentityToken"),
    "roles claim without this role": (
        lambda i: i.token(raw=json.dumps(i.claims(**{"https://aws.amazon.com/roles": ["arn:aws:iam::1:role/x"]}))),
        "InvalidIdentityToken",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_refused(attack: str, trusting: Account, issuer: FakeIssuer) -> None:
    make, code = ATTACKS[attack]
    assert trusting.refusal(make(issuer)) == code


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"RoleSessionName": "ConnectorPrimaryIdentifier_another"}, "AccessDenied"),
        ({"RoleSessionName": "has blank"}, "ValidationError"),
        ({"DurationSeconds": 7200}, "ValidationError"),
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"ProviderId": "www.amazon.com"}, "InvalidIdentityToken"),
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], code: str, trusting: Account, issuer: FakeIssuer) -> None:
    assert trusting.refusal(issuer.token(), **parameters) == code


def test_role_that_is_missing_is_denied_not_revealed(trusting: Account, issuer: FakeIssuer) -> None:
    assert trusting.refusal(issuer.token(), RoleArn=trusting.role.replace("Reader", "Nobody")) == "AccessDenied"


def test_unknown_key_is_refused_and_a_rotated_one_fetched(trusting: Account, issuer: FakeIssuer) -> None:
    trusting.assume(issuer.token())
    issuer.new_key("hidden", publish=False)
    assert trusting.refusal(issuer.token(kid="hidden")) == "InvalidIdentityToken"
    assert trusting.refusal(issuer.token(kid="hidden", header={"kid": "k1"})) == "InvalidIdentityToken"
    issuer.new_key("rotated", publish=True)
    deadline = time.monotonic() + 5 * LOADED  # an unknown kid refetches the keys at most once a second
    while True:
        try:
            trusting.assume(issuer.token(kid="rotated"))
            break
        except ClientError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_issuer_that_cannot_be_reached_or_trusted(lab: LabProcess, client: Callable[..., Any], account: str) -> None:
    with FakeIssuer("unknown.isthmus.test") as stranger, FakeIssuer("unknown.isthmus.test") as impostor:
        held = Account(client, account, stranger)
        assert held.refusal(stranger.token()) == "IDPCommunicationError"
        lab.admin("POST", "/_lab/issuers", {**stranger.told, "ca": impostor.ca})
        assert held.refusal(stranger.token()) == "IDPCommunicationError"
        lab.admin("POST", "/_lab/issuers", stranger.told)
        stranger.named_issuer = "https://other.isthmus.test"
        assert held.refusal(stranger.token()) == "IDPCommunicationError"
        stranger.named_issuer = stranger.url
        held.assume(stranger.token())


def test_session_policy_narrows_the_session(trusting: Account, issuer: FakeIssuer) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    session = trusting.assume(issuer.token(), Policy=json.dumps(policy))["Credentials"]
    assert trusting.client("ec2", credentials=session).describe_vpcs()["Vpcs"]
    with pytest.raises(ClientError, match="AccessDenied"):
        trusting.client("s3", credentials=session).list_buckets()


def test_later_calls_still_carry_subject_and_provider(trusting: Account, issuer: FakeIssuer) -> None:
    name = issuer.url.removeprefix("https://")
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {f"{name}:sub": "svc:Test:1"}}}],
    }
    trusting.client("iam").put_role_policy(RoleName="Reader", PolicyName="deny", PolicyDocument=json.dumps(deny))
    session = trusting.assume(issuer.token())["Credentials"]
    with pytest.raises(ClientError, match="AccessDenied"):
        trusting.client("s3", credentials=session).list_buckets()
    assert trusting.client("ec2", credentials=session).describe_vpcs()["Vpcs"]


def test_trailing_slash_of_the_provider_counts(lab: LabProcess, client: Callable[..., Any], account: str) -> None:
    with FakeIssuer("slash.isthmus.test", slash="/") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        held = Account(client, account, fake)
        assert held.provider.endswith("oidc-provider/slash.isthmus.test/")
        held.assume(fake.token())
        assert held.refusal(fake.token(iss="https://slash.isthmus.test")) == "InvalidIdentityToken"


def test_json_protocol_is_no_way_around(lab: LabProcess, trusting: Account, issuer: FakeIssuer) -> None:
    body = {"RoleArn": trusting.role, "RoleSessionName": SESSION, "WebIdentityToken": none_alg(issuer)}
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSSecurityTokenServiceV20110615.AssumeRoleWithWebIdentity"}
    request = urllib.request.Request(lab.url + "/", json.dumps(body).encode(), headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert json.loads(caught.value.read())["__type"] == "InvalidIdentityToken"
