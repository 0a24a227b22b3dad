"""api-version rules: required everywhere, strict for our providers, any date for ARM's own plumbing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from isthmus.arm.errors import ArmError

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}(-preview|-privatepreview)?$")


def accept(asked: str | None, supported: Sequence[str], *, resource_type: str, locations: Sequence[str] = ()) -> str:
    """The api-version of a request; raises ArmError 400 when it is missing, malformed or not among `supported` (empty: any date)."""
    if asked is None or asked == "":
        raise ArmError(
            "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.", status=400
        )
    version = asked.lower()
    if not _DATE.match(version):
        listed = ", ".join(supported) or "any version of the form yyyy-mm-dd"
        raise ArmError(
            "InvalidApiVersionParameter", f"The api-version '{asked[:64]}' is invalid. The supported versions are: {listed}.", status=400
        )
    if supported and version not in supported:
        first = next(iter(locations), "")
        raise ArmError(
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{first}' and API version '{version}' for type "
            f"'{resource_type}'. The supported api-versions are '{', '.join(supported)}'.",
            status=400,
        )
    return version
