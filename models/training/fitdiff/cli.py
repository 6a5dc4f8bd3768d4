"""Command line: ``python -m fitdiff COMMAND …``.

Each part of the package adds its own commands. A command module has one function
``register(subparsers)`` that adds its parser(s) and calls ``parser.set_defaults(run=function)``,
where ``function(args) -> int | None`` does the work and returns the exit status. To add a module,
append its dotted name to :data:`COMMAND_MODULES`. Modules are imported when the command line is
built, so heavy imports (torch, numba) belong inside of the ``run`` functions.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from fitdiff.errors import FitDiffError

COMMAND_MODULES: list[str] = [
    "fitdiff.faces.commands",
    "fitdiff.learning.commands",
]
"""Modules with a ``register(subparsers)`` function, in the order of the help text."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command that is installed."""
    parser = argparse.ArgumentParser(prog="fitdiff", description=__doc__.split("\n")[0])
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMAND_MODULES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and name.startswith(error.name):
                continue
            raise
        module.register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the process's exit status."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except FitDiffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        return 130
