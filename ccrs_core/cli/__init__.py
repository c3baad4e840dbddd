"""The command ``ccrs``. One module per command, imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from ccrs_core.cli import interrupts


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 well, 1 failed, 2 wrong call, 130 interrupted."""
    interrupts.install()  # before anything is imported that takes a while
    try:
        from ccrs_core.cli.group import main

        code = main(arguments)
        interrupts.over()
    except KeyboardInterrupt:
        code = interrupts.INTERRUPTED
    sys.exit(interrupts.code() or code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what goes wrong is one line on standard error and an exit code."""
    from ccrs_core.cli import group

    return group.run(arguments)
