"""Machines of the lab that people reach, credentials as their command line holds them, and calls by many people at little cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Signing

from isthmus.access.broker import Issued
from isthmus.cli.aws.cache import Credentials
from isthmus.cli.aws.taking import Taken
from tests.access.estate import Estate
from tests.support.waiting import until

REGION = "eu-west-1"


def taken(issued: Issued) -> Taken:
    """As the command line gets it."""
    made = issued.credentials
    held = Credentials(
        access_key=made.access_key, secret_key=made.secret_key, session_token=made.session_token, expiration="", until=issued.until / 1000
    )
    return Taken(credentials=held, role_arn=issued.mapping.role_arn, grant=issued.grant)


def boot(people: Estate, tag: str = "red", region: str = REGION) -> str:
    """An instance that SSM reaches."""
    iam, ec2, ssm = people.root("iam"), people.root("ec2", region), people.root("ssm", region)
    name = f"Machine-{tag}-{region}"
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    )
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    made = ec2.run_instances(
        ImageId="ami-0c2023a1b2c3d4e5f",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": name},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": tag}]}],
    )
    identity = str(made["Instances"][0]["InstanceId"])
    until(lambda: ssm.get_connection_status(Target=identity)["Status"] == "connected", 30, what="somebody else boots the machine")
    return identity


def call(people: Estate, http: httpx.Client, issued: Issued, service: str, action: str, asked: Mapping[str, Any]) -> httpx.Response:
    """One call with what was handed out, signed by hand: making a client takes longer than the call. SSM in JSON, EC2 in its form."""
    made = issued.credentials
    if service == "ssm":
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonSSM.{action}"}
        request = AWSRequest(method="POST", url=f"{people.lab.url}/", data=json.dumps(asked), headers=headers)
    else:
        form = {"Action": action, "Version": "2016-11-15", **asked}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest(method="POST", url=f"{people.lab.url}/", data=str(httpx.QueryParams(form)), headers=headers)
    SigV4Auth(Signing(made.access_key, made.secret_key, made.session_token), service, REGION).add_auth(request)
    return http.post(str(request.url), content=request.data, headers=dict(request.headers))
