"""An account of the lab that trusts a directory itself: its stack from our template, and what people of the directory may do there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy import select

from isthmus.access.federation import ACCESS, CONFIGURATIONS, solution_key
from isthmus.access.former import FORMER, remembered
from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.clouds.aws import names
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.scan import AwsScanner
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.template import authentication_template, template_text
from isthmus.clouds.aws.trustlint import AwsTrust
from isthmus.clouds.aws.wire import Wire
from isthmus.identity.issuer import AccountTokens
from isthmus.solutions.access import SOLUTION, AccessSolution
from isthmus.solutions.drift import Drift
from isthmus.solutions.templates import roles_wanted, template_request
from isthmus.store import Store
from isthmus.store.tables import operations
from isthmus_lab.process import LabProcess
from tests.access.estate import ADMIN, CONNECTOR, GUID, Estate, estate, mapping_id
from tests.lab.issuer import FakeIssuer
from tests.support.waiting import STACK

ALLOWED = [{"Effect": "Allow", "Action": ["ec2:DescribeRegions"], "Resource": ["*"]}]


class Direct:
    """The account, the jobs of access over it, and calls of people."""

    def __init__(self, people: Estate, issuer: FakeIssuer) -> None:
        self.people, self.issuer, self.account, self.lab = people, issuer, people.account, people.lab
        cloud: Any = people.cloud
        self.solution = AccessSolution(engine=people.engine, lookup=people.lookup, cloud=cloud, loop=people.loop, issuer_url=issuer.url)
        self.id = CONNECTOR.extension(CONFIGURATIONS, "access")
        self.provider = f"arn:aws:iam::{self.account}:saml-provider/{names.saml_provider(GUID)}"

    def settle(self, settings: Mapping[str, str], mappings: Mapping[str, Mapping[str, Any]]) -> None:
        """Store settings and mappings, and bring the stack in line with the template of them."""
        complete = SOLUTION.complete(settings)
        wanted = {name: dict(properties) for name, properties in mappings.items()}
        self.people.engine.apply(
            Change(
                puts=(
                    Resource(
                        id=self.id,
                        properties={"solutionType": ACCESS, "solutionSettings": complete, "status": "", "statusDetails": ""},
                        unique=solution_key(GUID, ACCESS),
                    ),
                    *(Resource(id=mapping_id(name), properties=properties) for name, properties in wanted.items()),
                )
            ),
            ADMIN,
            "setup",
            "/",
        )
        self.deploy()

    def drop_mappings(self, *names_: str) -> None:
        """Remove mappings of the estate that direct modes cannot keep."""
        self.people.engine.apply(Change(deletes=tuple(mapping_id(name) for name in names_)), ADMIN, "setup", "/")
        self.people.jobs.orders.clear()

    def leave(self, settings: Mapping[str, str]) -> None:
        """Store other settings, as the API does, and leave the stack as it is."""
        old, complete = self.people.lookup.find(self.id), SOLUTION.complete(settings)
        assert old is not None
        former = remembered(old.properties, complete, self.people.engine.now())
        made = replace(old, properties={**old.properties, "solutionSettings": complete, FORMER: former})
        self.people.engine.apply(Change(puts=(made,)), ADMIN, "setup", "/")

    def compare(self) -> dict[str, Any]:
        """Compare the account with the present template; what is said of access."""

        async def begin() -> Wire:
            return Wire(environ={"AWS_ENDPOINT_URL": self.lab.url}, clock=time.time)

        engine, loop, signer = self.people.engine, self.people.loop, cast(Any, self.people.signer)
        operation = engine.new_guid()
        engine.apply(Change(operation=OperationOrder(id=operation, resource=CONNECTOR, kind="compare")), ADMIN, "w", "x")
        wire = loop.run(begin())
        try:
            sessions = Sessions(wire, AccountTokens(signer), Pacer(time.monotonic), time.time)
            trust, scanner = AwsTrust(sessions, time.time), AwsScanner(sessions)
            drift = Drift(engine=engine, lookup=self.people.lookup, scanner=scanner, trust=trust, loop=loop, issuer_url=self.issuer.url)
            drift.job().run({"connector": str(CONNECTOR), "operation": operation})
        finally:
            loop.run(wire.close())
        with engine.store.read() as connection:
            row = connection.execute(select(operations).where(operations.c.id == operation)).one()
        assert row.status == "Succeeded", row.error
        [found] = json.loads(row.result)["solutionTypes"]
        return dict(found)

    def deploy(self) -> None:
        """Update the stack from the present template."""
        connector, solution = self.people.lookup.find(CONNECTOR), self.people.lookup.find(self.id)
        assert connector is not None
        assert solution is not None
        chosen = {ACCESS: solution.properties["solutionSettings"]}
        wanted = template_request(self.account, GUID, chosen, self.issuer.url, roles_wanted(self.people.lookup, connector, chosen))
        stacks = self.people.root("cloudformation")
        stacks.update_stack(
            StackName="isthmus", TemplateBody=template_text(authentication_template(wanted)), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        stacks.get_waiter("stack_update_complete").wait(StackName="isthmus", WaiterConfig=STACK)

    def sync(self) -> dict[str, Any]:
        """One sync of the solution; its properties afterwards."""
        self.solution.sync({"solution": str(self.id), "scan": "s"})
        found = self.people.lookup.find(self.id)
        assert found is not None
        return dict(found.properties)

    def role(self, mapping: str) -> str:
        """ARN of a mapping's role."""
        return names.role_arn(self.account, names.person_role(GUID, mapping))

    def anonymous(self) -> Any:
        """STS for who has no credentials."""
        arguments = self.lab.client_arguments(self.account, "us-east-1")
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
        return boto3.client("sts", endpoint_url=arguments["endpoint_url"], region_name="us-east-1", config=config)

    def by_saml(self, response: str, mapping: str = "Reader") -> dict[str, Any]:
        """Credentials for an assertion."""
        made = self.anonymous().assume_role_with_saml(RoleArn=self.role(mapping), PrincipalArn=self.provider, SAMLAssertion=response)
        found: dict[str, Any] = made["Credentials"]
        return found

    def by_token(self, token: str, mapping: str = "Reader", session: str = "whatever") -> dict[str, Any]:
        """Credentials for a token."""
        made = self.anonymous().assume_role_with_web_identity(RoleArn=self.role(mapping), RoleSessionName=session, WebIdentityToken=token)
        found: dict[str, Any] = made["Credentials"]
        return found

    def client(self, credentials: Mapping[str, Any], service: str) -> Any:
        """A client with credentials."""
        return client_of(credentials, service, self.lab.url)


def client_of(credentials: Mapping[str, Any], service: str, url: str) -> Any:
    """A client with credentials as STS gives them, for the lab at `url`."""
    return boto3.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        endpoint_url=url,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def refusal(call: Callable[[], Any]) -> str:
    """The code with which AWS refuses; empty when it allows."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@contextmanager
def direct_account(store: Store, lab: LabProcess, account: str, issuer: FakeIssuer) -> Iterator[Direct]:
    """An account whose stack stands, ready for another federation."""
    with estate(store, lab, account, issuer) as people:
        made = Direct(people, issuer)
        made.drop_mappings("Operator", "Shell", "Wide", "Guest", "Reader")
        yield made
