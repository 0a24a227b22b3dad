"""Issuers that everybody knows: whether strangers get tokens of the same issuer, and what in a token says whose it is.

A new one is one entry. `tenants` are what the literal beginning of a subject has to look like to belong to one tenant alone; empty where
only a whole literal subject does. Sources: each provider's page on OpenID Connect with AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Issuer:
    """A known issuer. `host` is a pattern for the issuer without `https://`; `keys` are claims that name the tenant besides the subject;
    `is_shared` says that other tenants have the same issuer, `is_for_people` that people sign in there, `is_directory` that it belongs to
    one tenant by its URL and tells applications apart by the audience; `example` is a subject that belongs to one tenant."""

    name: str
    host: str
    is_shared: bool = False
    is_for_people: bool = False
    is_directory: bool = False
    tenants: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    example: str = ""


_GUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


ISSUERS: Final = (
    Issuer(
        name="GitHub Actions",
        host=r"token\.actions\.githubusercontent\.com/?",
        tenants=(
            r"repo:[^/*?]+/",
            r"repository:[^/*?]+/",
            r"repository_owner:[^:*?]+(?::|$)",
            r"(?:repository_owner_id|repository_id|enterprise_id):\d+(?::|$)",
            r"job_workflow_ref:[^/*?]+/",
            r"enterprise:[^:*?]+(?::|$)",
        ),
        keys=("repository", "repository_id", "repository_owner", "repository_owner_id", "job_workflow_ref", "enterprise"),
        is_shared=True,
        example="repo:your-organization/your-repository:ref:refs/heads/main",
    ),
    Issuer(
        name="GitLab",
        host=r"gitlab\.com/?",
        tenants=(r"project_path:[^/*?]+/",),
        keys=("project_id", "project_path", "namespace_id", "namespace_path"),
        is_shared=True,
        example="project_path:your-group/your-project:ref_type:branch:ref:main",
    ),
    Issuer(
        name="HCP Terraform",
        host=r"app\.terraform\.io/?",
        tenants=(r"organization:[^:*?]+:",),
        is_shared=True,
        example="organization:your-organization:project:your-project:workspace:your-workspace:run_phase:apply",
    ),
    Issuer(
        name="Buildkite",
        host=r"agent\.buildkite\.com/?",
        tenants=(r"organization:[^:*?]+:",),
        is_shared=True,
        example="organization:your-organization:pipeline:your-pipeline:ref:refs/heads/main:*",
    ),
    Issuer(
        name="Vercel",
        host=r"oidc\.vercel\.com/?",
        tenants=(r"owner:[^:*?]+:",),
        is_shared=True,
        example="owner:your-team:project:your-project:environment:production",
    ),
    Issuer(
        name="Pulumi Cloud",
        host=r"api\.pulumi\.com/oidc/?",
        tenants=(r"pulumi:(?:deploy|environments):org:[^:*?]+:",),
        is_shared=True,
        example="pulumi:deploy:org:your-organization:project:your-project:*",
    ),
    Issuer(
        name="Google",
        host=r"accounts\.google\.com/?",
        keys=("hd", "email"),
        is_shared=True,
        is_for_people=True,
        example="the numeric id of one account",
    ),
    Issuer(
        name="Microsoft Entra ID for every tenant",
        host=rf"(?:login\.microsoftonline\.com|sts\.windows\.net)(?:/(?:common|organizations|consumers|{_PERSONAL})(?:/.*)?|/?)",
        is_shared=True,
        is_for_people=True,
        example="the subject of one account; better trust the issuer of your own tenant",
    ),
    Issuer(
        name="Amazon Cognito",
        host=r"cognito-identity\.amazonaws\.com/?",
        keys=("aud",),
        is_shared=True,
        example="the id of your identity pool (by aud)",
    ),
    Issuer(name="Facebook", host=r"graph\.facebook\.com/?", keys=("app_id",), is_shared=True, example="your application (by app_id)"),
    Issuer(name="Login with Amazon", host=r"www\.amazon\.com/?", keys=("app_id",), is_shared=True, example="your application (by app_id)"),
    Issuer(
        name="Microsoft Entra ID",
        host=rf"(?:login\.microsoftonline\.com/{_GUID}/v2\.0|sts\.windows\.net/{_GUID})/?",
        is_for_people=True,
        is_directory=True,
    ),
    Issuer(name="Amazon EKS", host=r"oidc\.eks\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)/id/.*"),
    Issuer(name="CircleCI", host=r"oidc\.circleci\.com/org/.*"),
    Issuer(name="Bitbucket Pipelines", host=r"api\.bitbucket\.org/.*"),
)
"""In the order in which they are tried."""


@lru_cache(maxsize=1024)
def known(issuer: str) -> Issuer | None:
    """The entry of an issuer (without `https://`); None for a private one."""
    return next((one for one in ISSUERS if re.fullmatch(one.host, issuer, re.IGNORECASE)), None)


def fixes_tenant(issuer: Issuer, value: str, *, reads_wildcards: bool) -> bool:
    """Whether a subject, or a pattern of subjects, belongs to one tenant alone."""
    if not reads_wildcards or not re.search(r"[*?]", value):
        return True
    literal = re.split(r"[*?]", value, maxsplit=1)[0]
    return any(re.match(form, literal) for form in issuer.tenants)


def is_whole_tenant(issuer: Issuer, value: str, *, reads_wildcards: bool) -> bool:
    """Whether a pattern that fixes the tenant leaves everything else open."""
    if not reads_wildcards:
        return False
    found = next((match for form in issuer.tenants if (match := re.match(form, value))), None)
    return found is not None and "*" in value[found.end() :] and not value[found.end() :].strip("*?:/")
