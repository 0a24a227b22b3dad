"""The authentication template: what Isthmus asks an AWS account to trust and allow, as one CloudFormation stack."""

from isthmus.clouds.aws.template.build import MAX_BYTES, authentication_template, reasons, template_text
from isthmus.clouds.aws.template.directories import Directory
from isthmus.clouds.aws.template.drift import Difference, differences, expected_role
from isthmus.clouds.aws.template.request import AccessAsk, InventoryAsk, OnboardingAsk, PersonRole, TemplateRequest
from isthmus.clouds.aws.template.statements import Statement

__all__ = [
    "MAX_BYTES",
    "AccessAsk",
    "Difference",
    "Directory",
    "InventoryAsk",
    "OnboardingAsk",
    "PersonRole",
    "Statement",
    "TemplateRequest",
    "authentication_template",
    "differences",
    "expected_role",
    "reasons",
    "template_text",
]
