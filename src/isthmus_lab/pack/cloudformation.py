"""CloudFormation where ministack lacks a type or adopts what AWS would refuse."""

import hashlib
import json
from typing import Any

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Attributes, ResourceHandlers
from isthmus_lab.pack.providers import Providers
from isthmus_lab.pack.saml_metadata import MOST_PROVIDERS, read_metadata
from isthmus_lab.world import Documents


class OidcProviderType:
    """`AWS::IAM::OIDCProvider`: Ref and Arn are the provider's ARN; a URL that the account already has fails the stack."""

    def __init__(self, adapter: Adapter, providers: Providers) -> None:
        self._adapter, self._providers = adapter, providers

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Create the provider in the stack's account."""
        arn = self._providers.create(self._adapter.account(), str(properties.get("Url", "")), *_lists(properties))
        return arn, {"Arn": arn}

    def update(self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Change the lists in place; another URL is another provider."""
        account = self._adapter.account()
        if old.get("Url") != new.get("Url"):
            arn = self._providers.create(account, str(new.get("Url", "")), *_lists(new))
            self._providers.delete(account, physical_id)
            return arn, {"Arn": arn}
        self._providers.change(account, physical_id, *_lists(new))
        return physical_id, {"Arn": physical_id}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the provider."""
        self._providers.delete(self._adapter.account(), physical_id)

    def handlers(self) -> ResourceHandlers:
        """What CloudFormation calls."""
        return ResourceHandlers(create=self.create, update=self.update, delete=self.delete)


class SamlProviderType:
    """`AWS::IAM::SAMLProvider`: Ref and Arn are the provider's ARN; another name is another provider."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Create the provider in the stack's account; a name that exists, and metadata that IAM refuses, fail the stack."""
        account, name = self._adapter.account(), str(properties.get("Name") or _generated_name(stack, logical_id))
        arn = f"arn:aws:iam::{account}:saml-provider/{name}"
        if self._adapter.iam.saml_provider(account, arn) is not None:
            raise ValueError(f"SAML provider {arn} already exists")
        if self._adapter.iam.saml_provider_count(account) >= MOST_PROVIDERS:
            raise ValueError(f"Cannot exceed quota for SAMLProvidersPerAccount: {MOST_PROVIDERS}")
        return self._put(arn, name, properties)

    def update(self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Put new metadata in place of the old."""
        if new.get("Name") != old.get("Name"):
            made = self.create("", new, stack)
            self.delete(physical_id, old)
            return made
        return self._put(physical_id, physical_id.rpartition("/")[2], new)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the provider."""
        self._adapter.iam.delete_saml_provider(self._adapter.account(), physical_id)

    def _put(self, arn: str, name: str, properties: dict[str, Any]) -> tuple[str, Attributes]:
        document = str(properties.get("SamlMetadataDocument", ""))
        read_metadata(document)
        self._adapter.iam.put_saml_provider(self._adapter.account(), arn, name, document, list(properties.get("Tags", [])))
        return arn, {"Arn": arn}

    def handlers(self) -> ResourceHandlers:
        """What CloudFormation calls."""
        return ResourceHandlers(create=self.create, update=self.update, delete=self.delete)


class SsmDocumentType:
    """`AWS::SSM::Document` over the lab's document store: Ref is the name; changed content makes a new version."""

    def __init__(self, adapter: Adapter, documents: Documents) -> None:
        self._adapter, self._documents = adapter, documents

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Create the document; a name that exists fails the resource."""
        name = str(properties.get("Name") or _generated_name(stack, logical_id))
        account, region = self._adapter.account(), self._adapter.region()
        if self._documents.get(account, region, name) is not None:
            raise ValueError(f"Document with name {name} already exists")
        self._put(name, properties)
        return name, {}

    def update(self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        """Store a new version. AWS replaces a custom-named document only with UpdateMethod NewVersion."""
        if new.get("Name", physical_id) != physical_id:
            created = self.create("", new, stack)
            self.delete(physical_id, old)
            return created
        if new.get("Name") and new.get("UpdateMethod", "Replace") != "NewVersion" and old.get("Content") != new.get("Content"):
            problem = "CloudFormation cannot update a stack when a custom-named resource requires replacing"
            raise ValueError(f"{problem}. Rename {physical_id} and update the stack again.")
        self._put(physical_id, new)
        return physical_id, {}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the document with all versions."""
        self._documents.delete(self._adapter.account(), self._adapter.region(), physical_id)

    def handlers(self) -> ResourceHandlers:
        """What CloudFormation calls."""
        return ResourceHandlers(create=self.create, update=self.update, delete=self.delete)

    def _put(self, name: str, properties: dict[str, Any]) -> None:
        content = properties.get("Content", {})
        tags = {str(tag["Key"]): str(tag["Value"]) for tag in properties.get("Tags", [])}
        kind = str(properties.get("DocumentType", "Command"))
        self._documents.put(self._adapter.account(), self._adapter.region(), name, content, kind, tags)


def refuse_taken_role_name(adapter: Adapter) -> Any:
    """A guard for `AWS::IAM::Role`: a named role that exists fails, as AWS does; ministack would adopt it."""

    def guard(properties: dict[str, Any]) -> None:
        name = properties.get("RoleName")
        if name and adapter.iam.role(adapter.account(), str(name)) is not None:
            raise ValueError(f"Role with name {name} already exists.")

    return guard


def _lists(properties: dict[str, Any]) -> tuple[list[str], list[str], list[dict[str, str]]]:
    return list(properties.get("ClientIdList", [])), list(properties.get("ThumbprintList", [])), list(properties.get("Tags", []))


def _generated_name(stack: str, logical_id: str) -> str:
    mark = hashlib.sha256(json.dumps([stack, logical_id]).encode()).hexdigest()[:12].upper()
    return f"{stack}-{logical_id}-{mark}"[:128]
