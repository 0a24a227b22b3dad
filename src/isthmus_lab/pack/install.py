"""Puts the pack in front of ministack."""

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.pack.assuming import Assuming
from isthmus_lab.pack.bridge import Bridge
from isthmus_lab.pack.chaining import RoleChaining
from isthmus_lab.pack.cloudformation import OidcProviderType, SamlProviderType, SsmDocumentType, refuse_taken_role_name
from isthmus_lab.pack.ec2 import Ec2, instance_fields
from isthmus_lab.pack.fixtures import Fixtures
from isthmus_lab.pack.iam import Iam
from isthmus_lab.pack.images import Images
from isthmus_lab.pack.instance_connect import InstanceConnect
from isthmus_lab.pack.issuers import Issuers
from isthmus_lab.pack.providers import Providers
from isthmus_lab.pack.resources import resource_namer
from isthmus_lab.pack.saml import Saml
from isthmus_lab.pack.sts import Operation, Sts
from isthmus_lab.pack.webidentity import WebIdentity
from isthmus_lab.world import Response, Ssm

CLOSED_REGION = "me-south-1"
"""The region that no account of the lab has opted in to."""


class Pack:
    """Everything of the pack for one lab."""

    def __init__(self, adapter: Adapter, issuers: Issuers, ssm: Ssm) -> None:
        self._adapter, self._issuers, self._ssm = adapter, issuers, ssm
        self._images = Images(adapter.clock)
        self._bridge = Bridge(adapter)
        self.fixtures = Fixtures(adapter)
        self.instance_connect = InstanceConnect(adapter)

    def install(self) -> None:
        """Wrap services and add resource types; once per process."""
        adapter = self._adapter
        providers = Providers(adapter)
        adapter.requests.wrap("iam", Iam(adapter, providers))
        assuming = Assuming(adapter)
        operations: dict[str, Operation] = {
            "AssumeRole": RoleChaining(assuming),
            "AssumeRoleWithSAML": Saml(assuming),
            "AssumeRoleWithWebIdentity": WebIdentity(assuming, self._issuers, providers),
        }
        adapter.requests.wrap("sts", Sts(operations))
        adapter.requests.wrap("ec2", Ec2(adapter, self._images))
        adapter.ec2.enrich_instances(instance_fields)
        adapter.requests.name_resources(resource_namer(adapter))
        adapter.ec2.set_region_status(CLOSED_REGION, "not-opted-in")
        adapter.stacks.resource_type("AWS::IAM::OIDCProvider", OidcProviderType(adapter, providers).handlers())
        adapter.stacks.resource_type("AWS::IAM::SAMLProvider", SamlProviderType(adapter).handlers())
        adapter.stacks.guard_creation("AWS::IAM::Role", refuse_taken_role_name(adapter))
        self._bridge.install()
        self.fixtures.install()
        self.instance_connect.install()
        self._install_ssm(self._ssm)

    def _install_ssm(self, ssm: Ssm) -> None:
        async def answer(method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
            own = await ssm(method, path, headers, body, query)
            return own if own is not None else await inner(method, path, headers, body, query)

        self._adapter.requests.wrap("ssm", answer)
        self._adapter.requests.authorise_later(frozenset(f"ssm:{operation}" for operation in ssm.operations))
        self._adapter.stacks.resource_type("AWS::SSM::Document", SsmDocumentType(self._adapter, ssm.documents).handlers())

    async def reset(self) -> None:
        """Forget what the pack itself and moto hold. What the lab was told of issuers stays: it is setup, not AWS state."""
        self._images.clear()
        self.fixtures.clear()
        self.instance_connect.keys.clear()
        await self._bridge.reset()
