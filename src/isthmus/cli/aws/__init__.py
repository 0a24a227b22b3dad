"""`isthmus aws`: roles of AWS accounts, for tools that speak AWS, and in its console."""

from isthmus.cli.aws.console import app

__all__ = ["app"]
