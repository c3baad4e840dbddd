"""``ccrs conformance``: prove an exchange plugin correct, without keys, money or a network."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from ccrs_core.cli import children, completion, interrupts
from ccrs_core.errors import UsageError

_FAILED, _USAGE, _NOTHING_RAN = 1, 2, 5
_GRACE_SECONDS = 5.0
"""For the report of what was tested, where that is interrupted."""
_CODES = {0: 0, 1: _FAILED, 4: _USAGE}
"""What pytest's exit codes mean here; what isn't listed is a failure."""


@click.command("conformance", short_help="Prove a plugin correct against its own emulator.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option(
    "--profile",
    type=click.Choice(["quick", "default", "thorough"]),
    default="default",
    show_default=True,
    help="How thoroughly to look: under a minute of work, some minutes, as long as it takes.",
)
@click.option("--seed", default="0", show_default=True, help="A number, or 'random'.")
@click.option("--only", multiple=True, metavar="TEXT", help="Only tests whose name contains this.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report: FILE.json or FILE.md; both where it has no suffix.",
)
@click.option(
    "--recorded",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="A recording of the exchange: what share of its frames goes the short way is reported.",
)
@click.option(
    "--jobs",
    default="1",
    show_default=True,
    metavar="N",
    help="Spread the tests over so many processes; 'auto': one for each core (pytest-xdist).",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.argument("pytest_arguments", nargs=-1, metavar="[-- PYTEST ARGUMENTS]")
def command(
    exchange: str,
    profile: str,
    seed: str,
    only: tuple[str, ...],
    report: Path | None,
    recorded: tuple[Path, ...],
    jobs: str,
    fail_fast: bool,
    pytest_arguments: tuple[str, ...],
) -> int:
    """Run the conformance suite on an installed EXCHANGE plugin.

    Everything runs against the plugin's own emulator. Exit code 0: all passed; 1: something failed;
    2: wrong call.
    """
    if seed != "random" and not seed.isdecimal():
        raise UsageError(f"--seed must be a number or 'random', not {seed!r}")
    check_installed(exchange, "pytest", "hypothesis", extra="conformance")
    arguments = ["--ccrs-exchange", exchange, "--ccrs-profile", profile, "--ccrs-seed", seed]
    for text in only:
        arguments += ["--ccrs-only", text]
    for path in recorded:
        arguments += ["--ccrs-recorded", str(path.absolute())]
    if report is not None:
        if not report.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {report.parent} for the report")
        arguments += ["--ccrs-report", str(report.absolute())]
    arguments += _spread(jobs)
    if fail_fast:
        arguments.append("-x")
    code = run_pytest([*arguments, *pytest_arguments])
    if code == _NOTHING_RAN and only:
        raise UsageError(f"no test's name contains {' or '.join(map(repr, only))}")
    return _CODES.get(code, _FAILED)


def _spread(jobs: str) -> list[str]:
    """What makes pytest run tests in several processes."""
    if jobs != "auto" and not (jobs.isascii() and jobs.isdecimal() and int(jobs) > 0):
        raise UsageError(f"--jobs must be a number above zero or 'auto', not {jobs!r}")
    if jobs == "1":
        return []
    if find_spec("xdist") is None:
        raise UsageError("--jobs needs pytest-xdist: pip install pytest-xdist")
    return ["-p", "xdist", "-p", "ccrs_core.cli.worker", "-n", jobs, "--dist", "worksteal"]


def check_installed(exchange: str, *libraries: str, extra: str) -> None:
    """Refuse, in one line, what can't be run.

    :raises UsageError: where a library of an extra is missing.
    :raises PluginError: where the exchange can't be loaded.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} must be installed: pip install 'ccrs-core[{extra}]'"
        )
    from ccrs_core.extensions import exchanges as plugins

    plugins.load(exchange)


def run_pytest(arguments: list[str]) -> int:
    """Run the suite in a process of its own and from a scratch folder, so that nothing is left
    behind: with no settings of the user's, and of pytest's plugins only our own."""
    with interrupts.scratch("ccrs-conformance-") as scratch:
        settings = Path(scratch, "pytest.ini")
        settings.write_text("[pytest]\nfilterwarnings = error\n", "utf-8")
        environment = {
            **{name: text for name, text in os.environ.items() if name not in _THEIRS},
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(Path(scratch, "hypothesis")),
            "PYTHONDONTWRITEBYTECODE": "1",
            # What a test leaves behind that is killed goes, too.
            "TMPDIR": scratch,
        }
        if "PYTHONPATH" in environment:
            folders = environment["PYTHONPATH"].split(os.pathsep)
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, folders))
        fixed = ["-c", str(settings), "--rootdir", scratch, "-p", "no:cacheprovider"]
        fixed += ["-p", "ccrs_core._pytest_plugin", "-p", "_hypothesis_pytestplugin"]
        fixed += ["--import-mode=importlib", "--strict-markers", "-q", "--tb=short"]
        fixed += ["--no-header", "-r", "N"]
        return children.run(
            [sys.executable, "-m", "ccrs_core.cli.suite", *fixed, *_SUITE, *arguments],
            cwd=scratch,
            env=environment,
            grace=_GRACE_SECONDS,
            deaf=True,
        ).returncode


_SUITE = ["--pyargs", "ccrs_core.conformance.test_conformance"]
_THEIRS = frozenset({"PYTEST_ADDOPTS", "PYTEST_PLUGINS"})
"""Settings of pytest that are the user's."""
