"""Arguments, tables and exit codes; one file a group of commands."""

from locum.cli.root import main

__all__ = ["main"]
