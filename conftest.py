"""What all tests of this repository have in common."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is; tests whose subject is time measure it.
settings.register_profile("ccrs", deadline=None)
settings.load_profile("ccrs")

# Hundreds of tests start programs: none of them has to compile everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The settings of whoever runs the tests are none of theirs.
os.environ["CCRS_CONFIG"] = os.devnull
# Nor are their ledgers.
os.environ["CCRS_LEDGERS"] = str(Path(tempfile.gettempdir()) / f"ccrs-ledgers-{os.getpid()}")

# Shells start what runs in the background with Ctrl-C ignored, and what that starts inherits it:
# what is tried here about interruptions would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_NAMED = tuple(
    Path(__file__).parent / "tests" / path
    for path in (
        *("benchmarks", "mutants", "cli/test_interrupts.py", "conformance/test_fuzz.py"),
        *("examples/test_quoting.py", "trading/test_hour.py", "trading/processes"),
        "trading/everything",
    )
)
"""What takes minutes: short runs of each benchmark, hundreds of broken plugins, interrupted
commands, fuzzing for a time, a program that quotes through faults, programs that are killed, an
hour of quoting."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What takes minutes is tried only where it is asked for by its name (``.ci/run`` does)."""
    asked = any(collection_path.stem in each for each in config.invocation_params.args)
    return True if collection_path in _NAMED and not asked else None


def pytest_collection_finish() -> None:
    """Thousands of tests that wait are no garbage: whoever looks for some need not go through them,
    nor through exchanges with all their books whenever a few hundred objects were made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
