"""Which IAM actions an event of CloudTrail proves to have been used, and which actions no event would prove."""

from isthmus.clouds.aws.usage.reading import Usage, load

__all__ = ["Usage", "load"]
