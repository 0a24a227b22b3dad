"""An account of the lab with roles for people, and the broker over it. Time is real here: AWS compares it with its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from isthmus.access.broker import Broker, Issued
from isthmus.access.enforcing import Enforcement
from isthmus.access.groups import TokenGroups
from isthmus.access.running_as import RunAs
from isthmus.app.people import new_grant_id
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.clouds.aws.access import AwsAccess
from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.template import AccessAsk, TemplateRequest, authentication_template, template_text
from isthmus.clouds.aws.trail import AwsTrail
from isthmus.clouds.aws.wire import Wire
from isthmus.engine import Engine, Lookup
from isthmus.identity import evidence, people
from isthmus.identity.issuer import AccountTokens
from isthmus.identity.people import Person
from isthmus.solutions import access, subject
from isthmus.solutions.loop import Loop
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.fakes.jobs import RecordedJobs
from tests.lab.issuer import FakeIssuer
from tests.support.waiting import STACK

GUID = "aa5f1c9e-4f89-41d3-9a0c-0305e82c3301"
GROUP = group_id("00000000-0000-4000-8000-000000000000", "rg")
CONNECTOR = GROUP.extension(subject.CONNECTORS, "conn")
ADMIN = Actor(id="admin", kind="User", name="Administrator")
MAPPINGS: Mapping[str, Mapping[str, Any]] = {
    "Reader": {
        "groups": ["g-dev"],
        "statements": [{"Effect": "Allow", "Action": ["ec2:DescribeRegions", "sts:AssumeRole"], "Resource": ["*"]}],
    },
    "Operator": {
        "groups": ["g-ops"],
        "statements": [{"Effect": "Allow", "Action": ["ec2:*"], "Resource": ["*"]}],
        "activation": {"mode": "Request", "approverGroups": ["g-lead"], "approvals": 1, "longestSeconds": 3600},
    },
    "Shell": {"groups": ["g-dev"], "machineTag": "team:red"},
    "Wide": {
        "groups": ["g-dev"],
        "machineTag": "team:red",
        "statements": [{"Effect": "Allow", "Action": ["ssm:*", "ec2-instance-connect:*", "ec2:*"], "Resource": ["*"]}],
    },
    "Guest": {
        "claims": {"dept": ["ops", "sales"]},
        "requiresMfa": False,
        "requiredContexts": ["c1"],
        "statements": [{"Effect": "Allow", "Action": ["ec2:DescribeRegions"], "Resource": ["*"]}],
    },
}


class LabSigner:
    """As much of an `Issuer` as the broker uses, signing with the key that the lab was told of."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.url, self._issuer = issuer.url, issuer
        self.minted: list[dict[str, Any]] = []

    def mint(self, claims: Mapping[str, Any], lifetime: int, *, typ: str = "JWT") -> str:
        now = int(time.time())
        framed = {**claims, "exp": now + lifetime, "jti": str(uuid.uuid4())}
        self.minted.append(framed)
        return self._issuer.token(header={"typ": typ}, **framed)


def mapping_id(name: str) -> ResourceId:
    return CONNECTOR.extension("Isthmus.Access/roleMappings", name)


@dataclass
class Estate:
    """The broker over one account of a lab."""

    account: str
    lab: LabProcess
    engine: Engine
    jobs: RecordedJobs
    lookup: Lookup
    loop: Loop
    cloud: AwsAccess
    trail: AwsTrail
    signer: LabSigner
    broker: Broker = field(init=False)
    enforcement: Enforcement = field(init=False)

    def __post_init__(self) -> None:
        signer: Any = self.signer
        self.broker = Broker(
            engine=self.engine,
            lookup=self.lookup,
            cloud=self.cloud,
            run=self.loop.run,
            groups=TokenGroups(),
            issuer=signer,
            new_id=new_grant_id,
            machines=RunAs(issuer="https://idp.test"),
        )
        self.enforcement = Enforcement(engine=self.engine, lookup=self.lookup, cloud=self.cloud, run=self.loop.run, issuer=signer)

    def sign_in(self, name: str, *groups: str, seconds: float = 3600, **claims: Any) -> Actor:
        """Somebody signs in; the actor that their requests come as."""
        subject_ = f"{name}@example.test"
        person = Person(
            object_id=str(uuid.uuid5(uuid.NAMESPACE_URL, subject_)), name=name, mail=subject_, issuer="https://idp.test", subject=name
        )
        told = {"amr": ["pwd", "mfa"], "groups": list(groups), "uti": f"uti-{uuid.uuid4()}", "sid": f"sid-{name}", **claims}
        with self.engine.store.begin() as connection:
            people.remember(connection, person, self.engine.clock)
            made = evidence.new_sign_in(
                connection, person, told, clock=self.engine.clock, identifier=lambda: str(uuid.uuid4()), seconds=seconds
            )
        return Actor(id=person.object_id, kind="User", name=name, sign_in=made.id)

    def issue(self, actor: Actor, name: str = "Reader", use: str = "credentials") -> Issued:
        return self.broker.issue(self.broker.mapping(str(mapping_id(name))), actor, use=use)

    def client(self, issued: Issued, service: str, region: str = "us-east-1") -> Any:
        """A client with what was handed out."""
        made = issued.credentials
        return boto3.client(
            service,
            aws_access_key_id=made.access_key,
            aws_secret_access_key=made.secret_key,
            aws_session_token=made.session_token,
            endpoint_url=self.lab.url,
            region_name=region,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def root(self, service: str, region: str = "us-east-1") -> Any:
        """A client of the account's root."""
        return boto3.client(service, **self.lab.client_arguments(self.account, region))

    def run_jobs(self) -> int:
        """Do what was ordered, once each; how many jobs that were."""
        done = 0
        while self.jobs.orders:
            _, (job, arguments, _) = self.jobs.orders.popitem()
            assert job == "access.deny"
            self.enforcement.enforce(arguments)
            done += 1
        return done


def deploy(lab: LabProcess, account: str, issuer: FakeIssuer, lookup: Lookup) -> None:
    """The template's stack, with the roles that the mappings ask for."""
    connector = lookup.find(CONNECTOR)
    assert connector is not None
    wanted = TemplateRequest(
        account=account, guid=GUID, issuer_url=issuer.url, access=AccessAsk(roles=access.person_roles(lookup, connector))
    )
    cloudformation = boto3.client("cloudformation", **lab.client_arguments(account, "us-east-1"))
    text = template_text(authentication_template(wanted))
    cloudformation.create_stack(StackName="isthmus", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName="isthmus", WaiterConfig=STACK)


def deploy_again(people: Estate, **trail: Any) -> None:
    """Bring the stack in line with the mappings as they are now."""
    connector = people.lookup.find(CONNECTOR)
    assert connector is not None
    roles = access.person_roles(people.lookup, connector)
    wanted = TemplateRequest(account=people.account, guid=GUID, issuer_url=people.signer.url, access=AccessAsk(roles=roles, **trail))
    cloudformation = people.root("cloudformation")
    text = template_text(authentication_template(wanted))
    cloudformation.update_stack(StackName="isthmus", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_update_complete").wait(StackName="isthmus", WaiterConfig=STACK)


@contextmanager
def estate(store: Store, lab: LabProcess, account: str, issuer: FakeIssuer) -> Iterator[Estate]:
    """Everything stored, deployed and joined."""
    jobs, loop, signer = RecordedJobs(), Loop(), LabSigner(issuer)
    engine, lookup = Engine(store, jobs, clock=time.time, new_guid=lambda: str(uuid.uuid4())), Lookup(store)
    made = {"awsCloudProfile": {"accountId": account}, "connectorPrimaryIdentifier": GUID}
    puts = (
        Resource(id=subscription_id(GROUP.subscription)),
        Resource(id=GROUP, location="eastus", properties={"provisioningState": "Succeeded"}),
        Resource(id=CONNECTOR, location="eastus", properties=made),
        *(Resource(id=mapping_id(name), properties=dict(properties)) for name, properties in MAPPINGS.items()),
    )
    engine.apply(Change(puts=puts), ADMIN, "setup", "/")
    deploy(lab, account, issuer, lookup)

    async def begin() -> Wire:
        return Wire(environ={"AWS_ENDPOINT_URL": lab.url}, clock=time.time)

    wire = loop.run(begin())
    tokens: Any = signer
    sessions = Sessions(wire, AccountTokens(tokens), Pacer(time.monotonic), time.time)
    try:
        yield Estate(
            account=account,
            lab=lab,
            engine=engine,
            jobs=jobs,
            lookup=lookup,
            loop=loop,
            cloud=AwsAccess(sessions),
            trail=AwsTrail(sessions),
            signer=signer,
        )
    finally:
        loop.run(wire.close())
        loop.close()


def claims_of_a_stranger(people: Estate) -> dict[str, Any]:
    """Claims that an account takes, about nobody that we know."""
    return {
        "aud": f"isthmus:people:{people.account}",
        "sub": "user:mallory",
        "amr": ["pwd", "mfa"],
        "https://aws.amazon.com/roles": [f"arn:aws:iam::{people.account}:role/IsthmusPerson-Reader-aa5f1c9e"],
        "https://aws.amazon.com/source_identity": "mallory",
        "https://aws.amazon.com/tags": {"principal_tags": {"grant": ["G-1"], "signin": ["s"]}, "transitive_tag_keys": ["grant"]},
    }


def paper_broker(store: Store, clock: Callable[[], float]) -> Broker:
    """A broker over the same account that decides and never mints: nothing is behind it."""
    engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))
    account = {"awsCloudProfile": {"accountId": "710000000001"}, "connectorPrimaryIdentifier": GUID}
    puts = (
        Resource(id=subscription_id(GROUP.subscription)),
        Resource(id=GROUP, location="eastus", properties={}),
        Resource(id=CONNECTOR, location="eastus", properties=account),
        *(Resource(id=mapping_id(name), properties=dict(properties)) for name, properties in MAPPINGS.items()),
    )
    engine.apply(Change(puts=puts), ADMIN, "setup", "/")
    nothing: Any = None
    return Broker(
        engine=engine,
        lookup=Lookup(store),
        cloud=nothing,
        run=nothing,
        groups=TokenGroups(),
        issuer=nothing,
        new_id=lambda: "G-NONE",
        machines=RunAs(issuer="https://idp.test"),
    )
