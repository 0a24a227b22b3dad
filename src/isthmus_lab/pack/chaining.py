"""AssumeRole: what the caller's session hands on, and which stamps the target role's trust policy lets it set.

A session chained from another keeps its source identity and its transitive tags and lasts one hour at most. Source: IAM User Guide,
"Passing session tags" and "Monitor and control actions taken with assumed roles". The caller's own policies are asked for
`sts:AssumeRole`; of the stamps only an explicit Deny in them counts.
"""

from typing import Any

from isthmus_lab.adapter.sessions import Origin
from isthmus_lab.call import current
from isthmus_lab.pack.assuming import Assuming, Target, answer, check_parameters
from isthmus_lab.pack.forms import Form, members, tags
from isthmus_lab.pack.refusals import StsError, denied
from isthmus_lab.pack.stamps import Stamps, check_stamps

_HOUR = 3600


class RoleChaining:
    """Answers AssumeRole."""

    def __init__(self, assuming: Assuming) -> None:
        self._assuming, self._adapter = assuming, assuming.adapter

    def __call__(self, form: Form) -> dict[str, Any]:
        """The answer's members; StsError where STS refuses."""
        check_parameters(form, "RoleArn")
        target = self._assuming.target(form)
        caller = self._adapter.sessions.origin(current().key)
        stamps = _stamps(form, caller)
        self._note(form, target, stamps)
        self._check_trust(form, target, caller, stamps)
        assert target.role is not None
        seconds = self._assuming.duration(form, target.role)
        is_chained = ":assumed-role/" in self._adapter.caller_arn()
        if seconds > _HOUR and is_chained:
            raise StsError(
                "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        identity = stamps.source_identity
        origin = Origin(
            keys=stamps.session_keys(),
            source_identity=identity,
            transitive={**caller.transitive, **stamps.inherited()},
            is_chained=is_chained,
        )
        name = form["RoleSessionName"]
        credentials = self._assuming.open(form, target.role, name, seconds, origin, {**caller.transitive, **stamps.tags})
        # A role's account learns of those who came in, not of those who were turned away.
        current().notes.shared_with = target.account if target.account != self._adapter.account() else ""
        return answer(credentials, target.role, name) | ({"SourceIdentity": identity} if identity else {})

    def _check_trust(self, form: Form, target: Target, caller: Origin, stamps: Stamps) -> None:
        keys = {**stamps.request_keys(), "sts:rolesessionname": form["RoleSessionName"]}
        if "ExternalId" in form:
            keys["sts:externalid"] = form["ExternalId"]
        actions = ["sts:AssumeRole"]
        if stamps.tags or caller.transitive:
            actions.append("sts:TagSession")
        if stamps.source_identity:
            actions.append("sts:SetSourceIdentity")
        for action in actions:
            document = target.role["AssumeRolePolicyDocument"] if target.role is not None else "{}"
            trusted = self._adapter.iam.trusts_key(document, current().key, target.arn, keys, action)
            own = self._adapter.denial(action, target.arn, keys) if trusted and action != "sts:AssumeRole" else None
            if not trusted or (own is not None and own.explicit):
                raise denied(f"User: {self._adapter.caller_arn()} is not authorized to perform: {action} on resource: {target.arn}")

    def _note(self, form: Form, target: Target, stamps: Stamps) -> None:
        notes = current().notes
        wanted: dict[str, Any] = {"roleArn": target.arn, "roleSessionName": form["RoleSessionName"]}
        for name in ("ExternalId", "Policy"):
            if name in form:
                wanted[name[0].lower() + name[1:]] = form[name]
        if "DurationSeconds" in form:
            wanted["durationSeconds"] = int(form["DurationSeconds"])
        if "SourceIdentity" in form:
            wanted["sourceIdentity"] = form["SourceIdentity"]
        if stamps.tags:
            wanted["tags"] = [{"key": key, "value": value} for key, value in stamps.tags.items()]
        if stamps.transitive:
            wanted["transitiveTagKeys"] = list(stamps.transitive)
        notes.parameters = wanted


def _stamps(form: Form, caller: Origin) -> Stamps:
    """What the request sets, with the source identity that the new session will have."""
    rows = tags(form, "Tags.member")
    given = {row["Key"]: row["Value"] for row in rows}
    if len({key.lower() for key in given}) != len(rows):
        raise StsError("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    inherited = {key.lower() for key in caller.transitive}
    if any(key.lower() in inherited for key in given):
        message = (
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."
        )
        raise StsError("InvalidParameterValue", message)
    identity = form.get("SourceIdentity", "")
    if caller.source_identity and identity not in ("", caller.source_identity):
        raise denied("The source identity of a session cannot be changed: it is already set for the calling session")
    stamps = Stamps(
        tags=given, transitive=tuple(members(form, "TransitiveTagKeys.member")), source_identity=identity or caller.source_identity
    )
    check_stamps(stamps, "ValidationError", names_identity="SourceIdentity" in form)
    return stamps
