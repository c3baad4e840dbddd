"""``ccrs fuzz``: look for inputs that a plugin's readers don't withstand."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import click

from ccrs_core.cli import children, completion, interrupts
from ccrs_core.cli.commands.conformance import check_installed

_FAILED, _FOUND = 1, 77
_LIBRARIES = ("pytest", "hypothesis")
_SHARES = {"frames": 3, "answers": 1}
"""How the time is divided among what there is to fuzz."""
_SPARE_SECONDS = 60
"""For starting, and for an input that takes long, beyond the time to fuzz."""


@click.command("fuzz", short_help="Look for inputs that break a plugin's readers.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("inputs", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--seconds", type=click.IntRange(min=1), default=60, show_default=True)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps what was learnt and found; else ccrs-fuzz-EXCHANGE.",
)
@click.option("--seed", type=click.IntRange(0, 2**31), help="A number; drawn anew otherwise.")
def command(
    exchange: str, inputs: tuple[Path, ...], seconds: int, corpus: Path | None, seed: int | None
) -> int:
    """Fuzz the codec and the REST readers of an installed EXCHANGE plugin, guided by coverage.

    Whatever the bytes, only DecodeError may come out, soon and without much memory. It begins with
    the plugin's samples and with the corpus that it keeps; what was found before is tried first.

    With INPUTS (files that it found) it tries just these. Exit code 0: nothing found; 1: found
    something; 2: wrong call.
    """
    check_installed(exchange, *_LIBRARIES, *(() if inputs else ("atheris",)), extra="fuzz")
    with interrupts.scratch("ccrs-fuzz-") as scratch:
        run = Run(exchange, Path(scratch))
        if inputs:
            return run.try_inputs(inputs)
        seed = secrets.randbelow(2**31) if seed is None else seed
        return run.fuzz(corpus or Path(f"ccrs-fuzz-{exchange}"), seconds, seed)


@attrs.frozen
class Run:
    """One call of the command."""

    exchange: str
    scratch: Path

    def try_inputs(self, inputs: tuple[Path, ...]) -> int:
        """Read inputs as they are."""
        done = self._process(_SPARE_SECONDS, inputs=[str(path.absolute()) for path in inputs])
        found = self._result()
        if found is not None:
            return self._tell(found)
        _check(done)
        several = "inputs are" if len(inputs) > 1 else "input is"
        click.echo(f"{len(inputs)} {several} read or refused, as must be")
        return 0

    def fuzz(self, corpus: Path, seconds: int, seed: int) -> int:
        """Try what was found before, then fuzz one target after the other."""
        click.echo(f"fuzzing {self.exchange} for {seconds} s, seed {seed}; corpus: {corpus}")
        known = sorted((corpus / "findings").glob("*"))
        if known:
            click.echo(f"trying what was found before: {len(known)}")
            if self.try_inputs(tuple(known)):
                return _FAILED
        _check(self._process(_SPARE_SECONDS))
        targets = self._result() or {}
        if not targets:
            click.echo(f"{self.exchange} declares no channel and no request: nothing to fuzz")
            return 0
        whole = sum(_SHARES[name] for name in targets)
        for name, seeds in targets.items():
            share = max(1, seconds * _SHARES[name] // whole)
            if self._target(name, seeds, corpus, share, seed):
                return _FAILED
        click.echo("nothing found")
        return 0

    def _target(self, name: str, seeds: int, corpus: Path, seconds: int, seed: int) -> int:
        click.echo(f"  {name}: {seeds} seeds, {seconds} s", nl=False)
        before = set((corpus / "findings").glob("*"))
        (self.scratch / "result").unlink(missing_ok=True)
        done = self._process(
            seconds + _SPARE_SECONDS,
            target=name,
            corpus=str(corpus.absolute()),
            seconds=seconds,
            seed=seed,
        )
        click.echo(_figures(done.stderr))
        found = self._result()
        for path in sorted(set((corpus / "findings").glob("*")) - before):
            # What kills the process can't tell of itself; libFuzzer keeps the input.
            what = path.name.removeprefix(f"{name}-").partition("-")[0]
            error = _DEATHS.get(what, "reading it ends the process")
            found = found or {"target": name, "error": error, "where": "", "path": str(path)}
        if found is not None:
            return self._tell(found)
        _check(done)
        return 0

    def _tell(self, found: dict[str, str]) -> int:
        path = Path(found["path"])
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        content = path.read_bytes()
        where = f" ({found['where']})" if found["where"] else ""
        click.echo(f"found: {found['error']}{where}", err=True)
        click.echo(f"  input: {shown}, {len(content)} bytes: {content[:200]!r}", err=True)
        click.echo(f"  again: ccrs fuzz {self.exchange} {shown}", err=True)
        click.echo(
            "  next:  raise DecodeError there (ccrs_core.wire.MALFORMED lists what malformed input "
            "raises), and keep the input in your tests",
            err=True,
        )
        return _FAILED

    def _result(self) -> dict[str, Any] | None:
        path = self.scratch / "result"
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        path.unlink()
        return found

    def _process(self, limit: int, **job: Any) -> subprocess.CompletedProcess[str]:
        from ccrs_core.extensions import exchanges as plugins

        package = plugins.load(self.exchange).__module__.partition(".")[0]
        work = {
            "exchange": self.exchange,
            "package": package,
            "result": str(self.scratch / "result"),
            "scratch": str(self.scratch),
            **job,
        }
        arguments = [sys.executable, "-m", "ccrs_core.conformance.fuzz", json.dumps(work)]
        try:
            return children.run(
                arguments,
                cwd=self.scratch,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, _FAILED, "", "it didn't end in time")


_DEATHS = {
    "timeout": "reading it doesn't end",
    "oom": "reading it takes too much memory",
    "leak": "reading it leaks memory",
}
"""By what libFuzzer calls it."""


def _figures(log: str) -> str:
    """What libFuzzer says of its work."""
    tried = re.search(r"stat::number_of_executed_units:\s*(\d+)", log)
    branches = re.findall(r"\bcov: (\d+)", log)
    parts = [
        f"{int(tried[1]):,} inputs" if tried else "",
        f"{branches[-1]} branches" if branches else "",
    ]
    return "".join(f", {part}" for part in parts if part)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise click.ClickException(
            f"the fuzzer couldn't work: {last}; does `ccrs conformance` pass?"
        )
