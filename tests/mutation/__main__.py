"""Mutation testing of the core's pure modules: how many small changes of them the tests notice.

``python -m tests.mutation DIRECTORY`` makes a scratch copy of the committed project there, has
mutmut change one expression at a time in a sample of all the places (the same in each run, see
``--seed``), and prints the score of each module and who survived. ``--only FILE`` tries the mutants
named in a file, one a line, as ``--survivors FILE`` has written them.

Needs ``mutmut`` (``pip install mutmut``), which runs in no test and in no check.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

_KILLED = {1, 3, 24, -24, 36, -9}
"""How the tests of a mutant end that fails or is stopped for taking too long, as mutmut notes."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("directory", type=Path, help="for the scratch copy")
    parser.add_argument("--most", type=int, default=500, help="how many mutants are tried")
    parser.add_argument("--seed", type=int, default=13, help="of the sample")
    parser.add_argument("--only", type=Path, help="a file with the names of those to try")
    parser.add_argument("--survivors", type=Path, help="a file to write the survivors' names to")
    asked = parser.parse_args()
    copy = asked.directory / "ccrs"
    _copy(copy)
    _mutmut(
        copy, "ccrs_core.connections.trail.xǁTrailǁfollow__mutmut_1"
    )  # makes all mutants, and times all tests
    names = sorted(_results(copy))
    if asked.only is None:
        tried = random.Random(asked.seed).sample(names, min(asked.most, len(names)))
    else:
        tried = [name for name in asked.only.read_text().split() if name in names]
    _mutmut(copy, *tried)
    results = _results(copy)
    survivors = sorted(name for name in tried if results[name] not in _KILLED)
    modules = sorted({_module(name) for name in tried})
    for module in modules:
        mine = [name for name in tried if _module(name) == module]
        killed = len(mine) - sum(_module(name) == module for name in survivors)
        print(f"{module:10} {killed:4} of {len(mine):4}  {killed / len(mine):.0%}")
    print(f"{'all':10} {len(tried) - len(survivors):4} of {len(tried):4}")
    if asked.survivors is not None:
        asked.survivors.write_text("".join(f"{name}\n" for name in survivors))
    return 0


def _copy(target: Path) -> None:
    """The project as it is committed, and mutmut's settings."""
    target.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(
        ["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "x", "-C", str(target)], input=packed, check=True)
    (target / "setup.cfg").write_text((HERE / "setup.cfg").read_text())


def _mutmut(copy: Path, *names: str) -> None:
    mutmut = Path(sys.executable).with_name("mutmut")
    # Plugins of the copy, not those that are installed, which may be of another day.
    packages = sorted((*copy.glob("plugins/*"), *copy.glob("examples/ccrs-*")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))}
    call = [str(mutmut), "run", "--max-children", "1", *names]
    subprocess.run(call, cwd=copy, check=True, env=environment)


def _results(copy: Path) -> dict[str, int | None]:
    """How each mutant's tests ended; None where they were not run."""
    ends: dict[str, int | None] = {}
    for notes in (copy / "mutants" / "ccrs_core").glob("*.py.meta"):
        ends.update(json.loads(notes.read_text())["exit_code_by_key"])
    return ends


def _module(name: str) -> str:
    return name.split(".")[1]


if __name__ == "__main__":
    raise SystemExit(main())
