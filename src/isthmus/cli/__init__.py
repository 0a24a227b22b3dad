"""The command line. Every command speaks HTTP through `isthmus.client`; `serve` alone starts the program itself."""

from isthmus.cli.program import app, main

__all__ = ["app", "main"]
