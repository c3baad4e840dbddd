"""Ctrl-C, whenever it comes: once ends a command orderly, twice at once; never with a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGINT to send")

# While the interpreter itself starts, a signal is its own affair: it waits for the command.
HEED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""Tests may well run where interruptions are ignored, as in the background of a shell."""
START = f"""{HEED}
import sys
from ccrs_core.cli import interrupts, main
install = interrupts.install

def hear():
    install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

interrupts.install = hear
main(sys.argv[1:])
"""
DELAYS = (0.0, 0.15, 0.4, 0.9)
"""Seconds from the start to the first Ctrl-C: while it imports, connects, works."""
APART = 0.005
SECONDS = 30
"""By then it hangs."""

EMULATED = ("--environment", "emulator")
COMMANDS = {
    "watch": ("watch", "bybit", "BTC/USDT", *EMULATED, "--connections", "3"),
    "watch as JSON": ("watch", "bybit", "BTC/USDT", *EMULATED, "--json"),
    "watch several": ("watch", "bybit:BTC/USDT", "okx:BTC/USDT", *EMULATED),
    "account watch": ("account", "watch", "bybit", *EMULATED),
    "order list": ("order", "list", "bybit", *EMULATED),
    "record": ("record", "bybit", "BTC/USDT", *EMULATED, "-o", "new.rec"),
    "replay": ("replay", "bybit", "old.rec", "--speed", "0.01"),
    "replay as JSON": ("replay", "bybit", "old.rec", "--speed", "0.01", "--json"),
    "emulator": ("emulator", "bybit", "--tls"),
    "doctor": ("doctor", "bybit", *EMULATED),
    "conformance": ("conformance", "bybit", "--profile", "quick"),
    "conformance spread": ("conformance", "bybit", "--profile", "quick", "--jobs", "2"),
    "fuzz": ("fuzz", "bybit", "--seconds", "60"),
    "exchanges": ("exchanges",),
}

BRIEF = frozenset({"doctor", "exchanges", "order list"})
"""End by themselves, perhaps just before they are interrupted."""


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """What is started within begins with Ctrl-C held back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "old.rec"
    done = Command()("record", "bybit", "BTC/USDT", *EMULATED, "--count", "50", "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def empty(tmp_path: Path, recording: Path) -> Iterator[Path]:
    """Where the user is, with a folder for what is temporary, in which nothing stays."""
    (tmp_path / "old.rec").symlink_to(recording)
    (tmp_path / "temporary").mkdir()
    yield tmp_path
    assert list((tmp_path / "temporary").iterdir()) == []


def interrupted(where: Path, name: str, *pauses: float | None, alone: bool = False) -> None:
    """Run a command, with a Ctrl-C after each of the pauses; None waits for its first words.

    It goes to the children as well, as the terminal sends it, or to the command ``alone``.
    """
    for path in where.glob("new.rec*"):
        path.unlink()
    with deaf():
        process = subprocess.Popen(
            [sys.executable, "-c", START, *COMMANDS[name]],
            cwd=where,
            env={**os.environ, "TMPDIR": str(where / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    with process:
        running = True
        for pause in pauses:
            if pause is None:
                assert process.stdout is not None
                assert process.stdout.read(1)
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(pause)
                running = running and pause is not pauses[0]
            with contextlib.suppress(ProcessLookupError):
                (os.kill if alone else os.killpg)(process.pid, signal.SIGINT)
        try:
            _, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{name} hangs, interrupted after {pauses}")
    text = said.decode()
    for word in ("Traceback", "Exception ignored", "Error", "never retrieved"):
        assert word not in text, f"interrupted after {pauses}: {text}"
    if running and not (name in BRIEF and process.returncode == 0):
        # The last moments of an interpreter are the system's own: it is killed by the signal.
        assert process.returncode in {130, -signal.SIGINT}, (pauses, text)


def skip_what_cannot_run(name: str) -> None:
    if name == "fuzz" and find_spec("atheris") is None:
        pytest.skip("atheris is not installed")


# Of processes that are just being started when theirs is ended at once, the one that starts them
# (execnet) may print that its pipe is broken.
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "conformance spread"])
def test_two_interruptions_close_together_end_a_command_without_a_traceback(
    name: str, empty: Path
) -> None:
    skip_what_cannot_run(name)
    for delay in DELAYS:
        interrupted(empty, name, delay, APART)


@pytest.mark.parametrize("name", COMMANDS)
def test_one_interruption_ends_a_command_whatever_it_does(name: str, empty: Path) -> None:
    skip_what_cannot_run(name)
    interrupted(empty, name, DELAYS[-1])


@pytest.mark.parametrize("pauses", [(None, 0.0), (None, 0.0, APART)])
def test_a_child_ends_with_its_command_though_it_was_not_interrupted_itself(
    pauses: tuple[float | None, ...], empty: Path
) -> None:
    # A child that goes on keeps the standard output open, and so the test waiting.
    interrupted(empty, "conformance", *pauses, alone=True)


STUBBORN = f"""{HEED}
import asyncio, contextlib, sys
from ccrs_core.cli import interrupts

async def main():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            print("working", flush=True)
            await asyncio.sleep(1000)

interrupts.install()
interrupts.run(main())
"""


def test_the_second_interruption_ends_even_what_ignores_the_first() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == b"working\n"
            process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130


CAREFUL = f"""{HEED}
import asyncio, sys
from ccrs_core.cli import interrupts

async def main():
    try:
        print("working", flush=True)
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0)
        print("put away")

interrupts.install()
try:
    interrupts.run(main())
except KeyboardInterrupt:
    sys.exit(interrupts.code())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_interruption_lets_cleanup_finish(number: signal.Signals, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", CAREFUL], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"working\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"put away\n"
        assert process.wait(SECONDS) == code


def test_what_is_to_ignore_interruptions_ignores_them() -> None:
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from ccrs_core.cli import interrupts\n"
        "interrupts.install()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('goes on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"goes on\n")


def test_the_suites_pytest_shows_a_line_of_which_python_knows_that_it_was_interrupted(
    tmp_path: Path,
) -> None:
    # Of the line that it was really interrupted on, the interpreter may not know the number.
    Path(tmp_path, "test_it.py").write_text("def test_it():\n    raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-m", "ccrs_core.cli.suite", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "suite.py" in done.stdout
    assert "INTERNALERROR" not in done.stdout + done.stderr
