"""The real command, in processes of its own, and an emulator to point it at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30


class Command:
    """Runs ``ccrs``."""

    def __init__(self) -> None:
        self.environment = {**os.environ, "PYTHONWARNINGS": "error", "COLUMNS": "120"}

    def start(
        self,
        *arguments: str,
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "ccrs_core.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def ccrs() -> Command:
    return Command()


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The address of a running emulator."""
    with Command().start("emulator", "bybit", "--rate", "300", "--seed", "7") as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[3].decode()
        finally:
            process.terminate()
