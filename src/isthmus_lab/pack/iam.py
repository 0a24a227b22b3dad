"""IAM where ministack is not as strict or as complete: OIDC providers, pages, MFA devices, policy sizes and versions, simulated regions."""

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.pack.forms import (
    Form,
    TokenMismatchError,
    append_text,
    child,
    local,
    members,
    read_form,
    read_token,
    tags,
    text,
    with_xml,
    write_form,
    write_token,
    xml_of,
)
from isthmus_lab.pack.providers import ProviderError, Providers
from isthmus_lab.pack.saml_metadata import MOST_PROVIDERS, SamlMetadataError, read_metadata
from isthmus_lab.world import Response

_PAGING = ("Marker", "MaxItems")
_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1000
_ROLE_POLICY_LIMIT, _MANAGED_POLICY_LIMIT = 10_240, 6_144


class Iam:
    """The wrapper around ministack's IAM."""

    def __init__(self, adapter: Adapter, providers: Providers) -> None:
        self._adapter, self._providers = adapter, providers

    async def __call__(self, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        form = read_form(query, body)
        action = form.get("Action", "")
        if action.endswith("OpenIDConnectProvider") or action == "AddClientIDToOpenIDConnectProvider":
            answer = self._provider(action, form)
            if answer is not None:
                return answer
        if action == "PutRolePolicy" and (refusal := self._policy_too_large(form)):
            return refusal
        if action in ("CreatePolicy", "CreatePolicyVersion") and _size(form.get("PolicyDocument", "")) > _MANAGED_POLICY_LIMIT:
            return self._error(409, "LimitExceeded", f"Cannot exceed quota for PolicySize: {_MANAGED_POLICY_LIMIT}")
        if action in ("CreateSAMLProvider", "UpdateSAMLProvider") and (refusal := self._saml_provider_problem(action, form)):
            return refusal
        if action == "SetDefaultPolicyVersion":
            return self._set_default_version(form)
        if action == "ListVirtualMFADevices" and "AssignmentStatus" not in form:
            form["AssignmentStatus"] = "Any"
            query, body = {}, write_form(form)
        with self._adapter.within(self._adapter.account(), _simulated_region(form) or self._adapter.region()):
            response = await inner(method, path, headers, body, query)
        if response[0] == 200 and (action.startswith("List") or action == "GetAccountAuthorizationDetails"):
            return self._page(form, response)
        return response

    def _error(self, status: int, code: str, message: str) -> Response:
        return self._adapter.error("iam", code, message, status, {})

    def _provider(self, action: str, form: Form) -> Response | None:
        account, arn = self._adapter.account(), form.get("OpenIDConnectProviderArn", "")
        try:
            match action:
                case "CreateOpenIDConnectProvider":
                    clients, prints = members(form, "ClientIDList.member"), members(form, "ThumbprintList.member")
                    arn = self._providers.create(account, form.get("Url", ""), clients, prints, tags(form, "Tags.member"))
                    return _answer(action, f"<OpenIDConnectProviderArn>{text(arn)}</OpenIDConnectProviderArn>")
                case "AddClientIDToOpenIDConnectProvider":
                    self._providers.add_client(account, arn, form.get("ClientID", ""))
                case "DeleteOpenIDConnectProvider":
                    self._providers.delete(account, arn)
                case "GetOpenIDConnectProvider":
                    return None
                case _:
                    return None
        except ProviderError as error:
            return self._error(error.status, error.code, error.message)
        return _answer(action, "")

    def _policy_too_large(self, form: Form) -> Response | None:
        role = self._adapter.iam.role(self._adapter.account(), form.get("RoleName", ""))
        if role is None:
            return None
        inline = {**role.get("InlinePolicies", {}), form.get("PolicyName", ""): form.get("PolicyDocument", "")}
        size = sum(_size(str(document)) for document in inline.values())
        if size <= _ROLE_POLICY_LIMIT:
            return None
        return self._error(409, "LimitExceeded", f"Maximum policy size of {_ROLE_POLICY_LIMIT} bytes exceeded for role {form['RoleName']}")

    def _saml_provider_problem(self, action: str, form: Form) -> Response | None:
        if action == "CreateSAMLProvider" and self._adapter.iam.saml_provider_count(self._adapter.account()) >= MOST_PROVIDERS:
            return self._error(409, "LimitExceeded", f"Cannot exceed quota for SAMLProvidersPerAccount: {MOST_PROVIDERS}")
        if action == "UpdateSAMLProvider" and "SAMLMetadataDocument" not in form:
            return None
        try:
            read_metadata(form.get("SAMLMetadataDocument", ""))
        except SamlMetadataError as error:
            return self._error(400, "InvalidInput", f"Could not parse metadata: {error}")
        return None

    def _set_default_version(self, form: Form) -> Response:
        """SetDefaultPolicyVersion, which ministack lacks."""
        arn, wanted = form.get("PolicyArn", ""), form.get("VersionId", "")
        policy = self._adapter.iam.managed_policy(self._adapter.account(), arn)
        if policy is None or wanted not in policy["Versions"]:
            return self._error(404, "NoSuchEntity", f"Policy {arn} version {wanted} does not exist or is not attachable.")
        for version in policy["Versions"].values():
            version["IsDefaultVersion"] = version["VersionId"] == wanted
        policy["DefaultVersionId"], policy["UpdateDate"] = wanted, self._adapter.iam.now_text()
        return _answer("SetDefaultPolicyVersion", "")

    def _page(self, form: Form, response: Response) -> Response:
        """Cut the answer's lists: MaxItems 1..1000 (default 100), counted over all lists of the answer as IAM does."""
        try:
            size = int(form.get("MaxItems", _DEFAULT_PAGE))
            start = read_token(form["Marker"], form, _PAGING) if form.get("Marker") else 0
        except TokenMismatchError:
            return self._error(400, "ValidationError", f"Invalid Marker: {text(form['Marker'])}")
        except ValueError:
            size, start = 0, 0
        if not 1 <= size <= _LARGEST_PAGE:
            return self._error(
                400, "ValidationError", f"Value '{text(form['MaxItems'])}' at 'maxItems' failed to satisfy constraint: 1..1000"
            )
        if not start and response[2].count(b"<member>") <= size:
            return response
        root = xml_of(response)
        result = child(root, f"{form['Action']}Result")
        if result is None:
            return response
        rows = [(holder, row) for holder in result for row in holder if isinstance(row.tag, str) and local(row) == "member"]
        for number, (holder, row) in enumerate(rows):
            if not start <= number < start + size:
                holder.remove(row)
        for name in ("IsTruncated", "Marker"):
            if (old := child(result, name)) is not None:
                result.remove(old)
        more = start + size < len(rows)
        append_text(result, "IsTruncated", "true" if more else "false")
        if more:
            append_text(result, "Marker", write_token(start + size, form, _PAGING))
        return with_xml(response, root)


def _size(document: str) -> int:
    """Characters of a policy as IAM counts them: white space is free."""
    return len("".join(document.split()))


def _simulated_region(form: Form) -> str:
    """The region that a simulation is asked about; ministack takes the one that IAM was called in. Empty for everything else."""
    for name, value in form.items():
        if name.startswith("ContextEntries.member.") and name.endswith(".ContextKeyName") and value.lower() == "aws:requestedregion":
            return next(iter(members(form, f"{name.removesuffix('ContextKeyName')}ContextKeyValues.member")), "")
    return ""


def _answer(action: str, inner: str) -> Response:
    result = f"<{action}Result>{inner}</{action}Result>" if inner else ""
    body = f'<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{result}<ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata></{action}Response>'
    return 200, {"Content-Type": "text/xml"}, body.encode()
