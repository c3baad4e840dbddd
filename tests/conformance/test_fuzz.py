"""``ccrs fuzz``: what it finds, keeps and tells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from ccrs_core.cli import conformance, run
from tests.installing import environment, install

PROJECT = """
[project]
name = "ccrs-planted"
version = "1.2"
[project.entry-points."ccrs.exchanges"]
planted = "ccrs_planted:Planted"
[tool.hatch.build.targets.wheel]
packages = ["ccrs_planted"]
"""

PLANTED = """
import orjson
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec


class Trusting(BybitCodec):
    def decode(self, frame, received_time_ns):
        messages = super().decode(frame, received_time_ns)
        if b'"op"' in frame:
            orjson.loads(frame)["op"].upper()
        return messages


class Planted(Bybit):
    name = "planted"

    def codec(self, route):
        return Trusting()
"""
"""Takes for granted that an operation is always text."""
FAULT = '["op"].upper()'

needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason="needs atheris: pip install 'ccrs-core[fuzz]'"
)


def fuzz(
    where: Path, *arguments: str, variables: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccrs_core.cli", "fuzz", *arguments],
        cwd=where,
        env={**variables, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@needs_atheris
def test_nothing_is_found_in_a_sound_plugin_and_the_corpus_is_kept(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "bybit", "--seconds", "3", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "corpus: ccrs-fuzz-bybit" in done.stdout
    for target in ("frames", "answers"):
        said = re.search(rf"{target}: (\d+) seeds, .* ([\d,]+) inputs", done.stdout)
        assert said is not None, done.stdout
        assert int(said[1]) > 20
        assert int(said[2].replace(",", "")) > int(said[1]), "no more than the seeds was tried"
        assert list((tmp_path / "ccrs-fuzz-bybit" / target).iterdir())
    assert done.stdout.splitlines()[-1].endswith("nothing found")
    assert [path.name for path in tmp_path.iterdir()] == ["ccrs-fuzz-bybit"]


@needs_atheris
def test_a_planted_bug_is_found_kept_told_and_tried_again_until_it_is_mended(
    tmp_path: Path,
) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    module = package / "ccrs_planted" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text(PLANTED, "utf-8")
    (package / "pyproject.toml").write_text(PROJECT, "utf-8")
    install(package, site)
    variables = environment(site)
    call = ("planted", "--seconds", "20", "--seed", "3", "--corpus", "kept")

    found = fuzz(tmp_path, *call, variables=variables)
    assert found.returncode == 1, found.stdout + found.stderr
    assert re.search(
        r"^found: (KeyError|TypeError|AttributeError): .*ccrs_planted/__init__\.py:\d+ in decode",
        found.stderr,
        re.MULTILINE,
    )
    (command,) = re.findall(r"again: +ccrs fuzz (.+)", found.stderr)
    (kept,) = (tmp_path / "kept" / "findings").iterdir()
    assert command.endswith(f"kept/findings/{kept.name}")
    assert b'"op"' in kept.read_bytes()
    assert len(kept.read_bytes()) < 40, "what the failure doesn't need was left in"

    # One input needs no coverage: it can be looked into where there is no atheris.
    (site / "atheris.py").write_text("raise RuntimeError('imported')\n", "utf-8")
    again = fuzz(tmp_path, *command.split(), variables=variables)
    assert again.returncode == 1, again.stdout + again.stderr
    assert again.stderr == found.stderr
    # What was found before is tried before anything else.
    once_more = fuzz(tmp_path, *call, variables=variables)
    assert once_more.returncode == 1
    assert "trying what was found before: 1" in once_more.stdout
    assert once_more.stderr == found.stderr
    module.write_text(PLANTED.replace(FAULT, ""), "utf-8")
    mended = fuzz(tmp_path, *command.split(), variables=variables)
    assert mended.returncode == 0, mended.stdout + mended.stderr


def test_a_missing_fuzzer_is_one_line_that_tells_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        conformance, "find_spec", lambda name: None if name == "atheris" else find_spec(name)
    )
    assert run(["fuzz", "bybit"]) == 2
    assert capfd.readouterr() == (
        "", "Error: atheris must be installed: pip install 'ccrs-core[fuzz]'\n"
    )  # fmt: skip


def test_an_unknown_exchange_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fuzz", "nowhere"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"Error: no exchange 'nowhere' is installed; .*\n", err)
