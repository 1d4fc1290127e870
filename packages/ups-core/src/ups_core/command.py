"""The contract of a command: what a `commands` component creates, a sub-command of `ups`."""

from __future__ import annotations

import argparse
from typing import Protocol

from ups_core.console import Console


class Command(Protocol):
    """A sub-command: says what it is for, declares its arguments, does its work."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        ...

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Do the work; results go to standard output, messages to the console. Returns the exit code."""
        ...
