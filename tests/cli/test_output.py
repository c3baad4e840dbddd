"""Standard output that can't hold up the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from ccrs_core.cli.output import Output


def _onto(monkeypatch: pytest.MonkeyPatch, fd: int) -> Output:
    buffer = SimpleNamespace(fileno=lambda: fd)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=buffer, flush=lambda: None))
    return Output()


def test_a_slow_reader_lets_everything_else_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    content = os.urandom(1_000_000)
    received = bytearray()
    proceed = threading.Event()

    def read() -> None:
        proceed.wait(5)
        while len(received) < len(content):
            received.extend(os.read(reading, 65_536))

    async def main() -> None:
        output = _onto(monkeypatch, writing)
        written = asyncio.ensure_future(output.write(content))
        for _ in range(100):
            # Nobody reads yet: the loop must turn nonetheless.
            await asyncio.sleep(0)
        assert not written.done()
        proceed.set()
        await written

    reader = threading.Thread(target=read)
    reader.start()
    try:
        asyncio.run(main())
    finally:
        proceed.set()
        reader.join()
        os.close(reading)
        os.close(writing)
    assert bytes(received) == content


def test_a_reader_that_is_gone_is_a_broken_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        output = _onto(monkeypatch, writing)
        with pytest.raises(BrokenPipeError):
            asyncio.run(output.write(b"hello"))
    finally:
        os.close(writing)


def test_files_are_written_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with open(tmp_path / "out", "wb") as file:
        monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=file, flush=lambda: None))
        began = time.monotonic()
        asyncio.run(Output().write(b"x" * 1_000_000))
        assert time.monotonic() - began < 5
    assert (tmp_path / "out").stat().st_size == 1_000_000
