"""An emulated exchange in a process of its own: it goes on while programs that trade there are
killed and started again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ccrs_core.errors import UsageError

_PATIENCE = 5.0
"""Seconds for which its orderly end is waited for."""


@contextmanager
def process(
    exchange: str,
    *faults: str,
    seed: int = 0,
    rate: float = 50.0,
    accounts: Sequence[str] = (),
) -> Iterator[str]:
    """The address of an emulator of an exchange that runs in a process of its own until the block
    ends: ``connect(exchange, environment="emulator", base_url=address)``.

    :param faults: as ``ccrs emulator --fault help`` lists them: ``"drop,every=5"``.
    :param rate: changes per second and instrument.
    :param accounts: ``KEY:SECRET`` of accounts besides the one that there always is.
    :raises UsageError: where it can't be started; it says why.
    """
    command = [sys.executable, "-m", "ccrs_core.cli", "emulator", exchange]
    command += ["--seed", str(seed), "--rate", str(rate)]
    command += [word for fault in faults for word in ("--fault", fault)]
    command += [word for account in accounts for word in ("--account", account)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603 - of ours
        try:
            assert running.stdout is not None
            words = running.stdout.readline().split()
            if len(words) < 4:
                raise UsageError(f"no emulator of {exchange}: it says above why")
            yield words[3]
        finally:
            running.terminate()
            try:
                running.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                running.kill()
