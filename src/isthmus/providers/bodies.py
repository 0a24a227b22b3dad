"""Bodies as typed models: what pydantic finds wrong becomes one ArmError that names every field."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.wording import sentence


class Body(BaseModel):
    """A part of a request body. Unknown members are ignored, as ARM wants; known ones are checked strictly."""

    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)


Model = TypeVar("Model", bound=Body)


def read(model: type[Model], body: Any) -> Model:
    """The body as `model`; raises ArmError 400 `InvalidRequestContent` with one detail per wrong field, its path as target."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        details = [
            ArmError("InvalidParameter", sentence(problem), target=".".join(str(part) for part in problem["loc"]))
            for problem in error.errors(include_url=False, include_input=False)
        ]
        first = details[0]
        raise invalid(f"{first.target}: {first.message}", target=first.target, details=details) from error
