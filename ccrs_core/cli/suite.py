"""pytest, as ``python -m pytest``, in a process that Ctrl-C ends without a traceback."""

from __future__ import annotations

import runpy
import sys

from ccrs_core.cli import children, interrupts

if __name__ == "__main__":
    interrupts.install()
    children.hear()
    try:
        with interrupts.raising():
            runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(interrupts.INTERRUPTED)
