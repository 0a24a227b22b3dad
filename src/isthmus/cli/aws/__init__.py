"""`isthmus aws`: roles of AWS accounts, for tools that speak AWS."""

from isthmus.cli.aws.commands import app

__all__ = ["app"]
