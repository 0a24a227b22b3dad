"""What ministack knows of IAM: roles, instance profiles, identity providers, and its judgement of policies."""

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import iam

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"


class IamState:
    """Roles and providers of all accounts, by account."""

    def role(self, account: str, name: str) -> dict[str, Any] | None:
        """ministack's record of a role: Arn, RoleId, AssumeRolePolicyDocument, MaxSessionDuration …"""
        record: dict[str, Any] | None = iam._roles.get_scoped(account, None, name)
        return record

    def profile_role(self, account: str, profile_arn_or_name: str) -> str | None:
        """Name of the role in an instance profile, None where either is missing."""
        return role_of_profile(account, profile_arn_or_name)

    def role_allows(self, account: str, role_name: str, action: str, region: str) -> bool:
        """See `World`; a role that does not exist allows nothing."""
        if self.role(account, role_name) is None:
            return False
        arn = f"arn:aws:sts::{account}:assumed-role/{role_name}/lab"
        context = iam_evaluator.EvalContext(
            principal_arn=arn, principal_type="AssumedRole", principal_account=account, action=action, resource_arn="*", region=region
        )
        limits = iam_evaluator._permissions_boundary(iam._roles, role_name, account)
        result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role_name, account), *limits)
        return bool(result.decision == "Allow")

    def managed_policy(self, account: str, arn: str) -> dict[str, Any] | None:
        """A customer managed policy: Versions by id, each with Document and IsDefaultVersion; DefaultVersionId; UpdateDate."""
        record: dict[str, Any] | None = iam._policies.get_scoped(account, None, arn)
        return record

    def oidc_providers(self, account: str) -> dict[str, dict[str, Any]]:
        """The account's OIDC providers by ARN: Url, ClientIDList, ThumbprintList, Arn, CreateDate, Tags."""
        return {key: record for (owner, key), record in list(iam._oidc_providers._data.items()) if owner == account}

    def put_oidc_provider(self, account: str, arn: str, record: dict[str, Any]) -> None:
        """Create or replace a provider."""
        iam._oidc_providers._data[(account, arn)] = record

    def delete_oidc_provider(self, account: str, arn: str) -> bool:
        """Delete a provider; False when there was none."""
        return iam._oidc_providers._data.pop((account, arn), None) is not None

    def saml_provider(self, account: str, arn: str) -> dict[str, Any] | None:
        """A SAML provider: Arn, Name, SAMLMetadataDocument, CreateDate, ValidUntil, Tags."""
        record: dict[str, Any] | None = iam._saml_providers.get_scoped(account, None, arn)
        return record

    def put_saml_provider(self, account: str, arn: str, name: str, document: str, tags: list[dict[str, str]]) -> None:
        """Create a provider or replace what it holds."""
        year = iam._future(365 * 24 * 3600)
        record = {"Arn": arn, "Name": name, "SAMLMetadataDocument": document, "CreateDate": iam._now(), "ValidUntil": year, "Tags": tags}
        iam._saml_providers._data[(account, arn)] = record

    def delete_saml_provider(self, account: str, arn: str) -> bool:
        """Delete a provider; False when there was none."""
        return iam._saml_providers._data.pop((account, arn), None) is not None

    def saml_provider_count(self, account: str) -> int:
        """How many SAML providers the account has."""
        return sum(1 for owner, _ in list(iam._saml_providers._data) if owner == account)

    def now_text(self) -> str:
        """Now as IAM writes it."""
        return str(iam._now())

    def policy_problem(self, document: str, arns: list[str], account: str) -> str | None:
        """What AWS would refuse in a session's policy or policy ARNs; None when they are fine."""
        if document and (problem := iam_evaluator.validate_policy_document(document)):
            return str(problem)
        unknown = [arn for arn in arns if not iam.policy_known(arn, account)]
        return f"Unknown managed policy {unknown[0]}" if unknown else None

    def trusts_provider(self, document: str, provider: str, role_arn: str, keys: Mapping[str, Any], action: str) -> bool:
        """Whether a trust policy allows `action` to a federated provider; `keys` are lower-case condition keys."""
        context = iam_evaluator.EvalContext(
            principal_arn=provider,
            principal_type="WebIdentityUser",
            principal_account=role_arn.split(":")[4],
            action=WEB_IDENTITY,
            resource_arn=role_arn,
            region=str(responses.get_region()),
            service_context=dict(keys),
        )
        return bool(iam_evaluator.evaluate_trust_policy({"Statement": _about(document, action)}, provider, context))

    def trusts_key(self, document: str, access_key: str, role_arn: str, keys: Mapping[str, Any], action: str) -> bool:
        """Whether a trust policy allows `action` to the principal behind an access key of the calling account."""
        credential = iam_evaluator.resolve_credential(access_key, responses.get_account_id())
        if isinstance(credential, iam_evaluator.CredentialResolutionError):
            return False
        context = iam_evaluator.EvalContext(
            principal_arn=credential.principal_arn,
            principal_type=credential.principal_type,
            principal_account=credential.account_id,
            action=action,
            resource_arn=role_arn,
            region=str(responses.get_region()),
            service_context=dict(keys),
            principal_keys=iam_evaluator._principal_keys(credential),
        )
        return bool(iam_evaluator.evaluate_trust_policy(document, credential.principal_arn, context))


def role_of_profile(account: str, profile_arn_or_name: str) -> str | None:
    """Name of the role in an instance profile, None where either is missing."""
    profile = iam._instance_profiles.get_scoped(account, None, profile_arn_or_name.rpartition("/")[2])
    roles = profile.get("Roles", []) if profile else []
    name = str(roles[0]) if roles else None
    return name if name and iam._roles.get_scoped(account, None, name) else None


def _about(document: str, action: str) -> list[dict[str, Any]]:
    """The statements of a trust policy about an action, put as if about `WEB_IDENTITY`: ministack lets providers match for that alone."""

    def concerns(rule: Mapping[str, Any]) -> bool:
        named = rule.get("Action", rule.get("NotAction", []))
        return ("Action" in rule) is bool(iam_evaluator._action_matches(action, [named] if isinstance(named, str) else named, []))

    found = json.loads(document).get("Statement", [])
    return [{**rule, "Action": WEB_IDENTITY} for rule in (found if isinstance(found, list) else [found]) if concerns(rule)]
