"""pytest, as ``python -m pytest``, in a process that Ctrl-C ends without a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ccrs_core.cli import children, interrupts

if TYPE_CHECKING:
    import pytest


def _run(arguments: list[str]) -> int:
    import pytest

    class Interruption:
        """Python may not know the line on which it was interrupted; pytest, which shows that line,
        would fail then. It is shown another one."""

        came = False

        @pytest.hookimpl(tryfirst=True)
        def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[Any]) -> None:
            self.came = True
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                excinfo.traceback = pytest.ExceptionInfo.from_current().traceback

    interruption = Interruption()
    try:
        return int(pytest.main(arguments, plugins=[interruption]))
    except Warning as left:
        # What an interruption leaves unfinished is no finding.
        if not interruption.came:
            raise
        raise KeyboardInterrupt from left


if __name__ == "__main__":
    interrupts.install()
    children.hear()
    try:
        with interrupts.raising():
            code = _run(sys.argv[1:])
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
