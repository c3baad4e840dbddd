"""pytest's side of the conformance suite: its options, and the report at the end.

pytest loads this in every run of anyone who has the core installed, with or without the suite's
extra: it imports pytest alone, and does nothing where no test of the suite runs.
"""

from __future__ import annotations

import gc
import secrets
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("ccrs_core.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ccrs", "conformance of exchange plugins")
    group.addoption("--ccrs-exchange", metavar="NAME", help="the exchange that the suite tests")
    group.addoption(
        "--ccrs-profile",
        choices=("quick", "default", "thorough"),
        default="default",
        help="how thoroughly the suite looks (default: default)",
    )
    group.addoption(
        "--ccrs-seed",
        default="0",
        metavar="N",
        help="the same seed tries the same examples; 'random' draws one (default: 0)",
    )
    group.addoption(
        "--ccrs-only",
        action="append",
        default=[],
        metavar="TEXT",
        help="of the suite, only tests whose name contains this; may be repeated",
    )
    group.addoption(
        "--ccrs-recorded",
        action="append",
        default=[],
        metavar="FILE",
        help="frames that the exchange has really sent, of which the report tells what share goes "
        "the codec's short way; may be repeated",
    )
    group.addoption(
        "--ccrs-report",
        metavar="FILE",
        help="write the suite's report: JSON where the name ends in .json, Markdown where it ends "
        "in .md, else both",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    seed = str(config.getoption("--ccrs-seed"))
    if seed == "random":
        config.option.ccrs_seed = str(secrets.randbelow(2**31))
    elif not (seed.isascii() and seed.isdecimal()):
        raise pytest.UsageError(f"--ccrs-seed must be a number or 'random', not {seed!r}")
    target = config.getoption("--ccrs-report")
    if target is not None and not Path(target).absolute().parent.is_dir():
        raise pytest.UsageError(f"there is no folder {Path(target).parent} for the report")
    for recorded in config.getoption("--ccrs-recorded"):
        if not Path(recorded).is_file():
            raise pytest.UsageError(f"there is no file {recorded} of recorded frames")
    name = config.getoption("--ccrs-exchange")
    if name is not None:
        _check(name)
    config.pluginmanager.register(_Outcomes(config), "ccrs-outcomes")


def _check(name: str) -> None:
    """Refuse at once what would fail in every test."""
    from ccrs_core.errors import CcrsError
    from ccrs_core.extensions import exchanges as plugins

    if find_spec("hypothesis") is None:
        raise pytest.UsageError(
            "hypothesis must be installed: pip install 'ccrs-core[conformance]'"
        )
    try:
        plugins.load(name)
    except CcrsError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str | None:
    name = config.getoption("--ccrs-exchange")
    if name is None:
        return None
    from ccrs_core.conformance.report import circumstances

    profile, seed = config.getoption("--ccrs-profile"), int(config.getoption("--ccrs-seed"))
    return f"ccrs: {name}, {circumstances(name, profile, seed)}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suite = [item for item in items if _property(item) is not None]
    wanted = config.getoption("--ccrs-only")
    if wanted:
        dropped = [i for i in suite if not any(text in _function(i).__name__ for text in wanted)]
    elif config.getoption("--ccrs-profile") == "quick":
        dropped = [item for item in suite if not _property(item).quick]
        config.stash[_LEFT] = Counter(_exchange(item)["exchange"] for item in dropped)
    else:
        dropped = []
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        gone = set(dropped)
        items[:] = [item for item in items if item not in gone]
    if config.getoption("--ccrs-exchange") is None and any(
        getattr(getattr(item, "cls", None), "exchange", "") is None for item in suite
    ):
        # Else everything would be skipped, and look well.
        raise pytest.UsageError(
            "which exchange? pass --ccrs-exchange NAME, or set `exchange` in the class that "
            "inherits from ConformanceSuite"
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where the suite alone runs, spare Python's collector what isn't garbage: a quarter of the
    time would go into looking through exchanges with all their books for some."""
    if session.config.getoption("--ccrs-exchange") is not None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)


_LEFT = pytest.StashKey[Mapping[str, int]]()
"""How many tests of each exchange the quick profile leaves to the default one."""


def _function(item: pytest.Item) -> Any:
    return getattr(item, "function", None)


def _property(item: pytest.Item) -> Any:
    """What a test proves, as :func:`ccrs_core.conformance.proves` has noted it."""
    return getattr(_function(item), "ccrs_property", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    proved = _property(item)
    # Setting up and tearing down count only where they fail.
    if proved is not None and (report.when == "call" or report.outcome != "passed"):
        function = _function(item)
        reason = () if call.excinfo is None else _reason(call.excinfo.value)
        # Plain values, since a report may come from another process.
        told = {
            **_exchange(item),
            "number": proved.number,
            "theme": str(proved.theme),
            "against": str(proved.against),
            "test": function.__name__,
            "sentence": " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split()),
            "outcome": report.outcome,
            "seconds": report.duration,
            "reason": "\n".join(reason),
        }
        vars(report)["ccrs"] = told
    return report


def _exchange(item: pytest.Item) -> dict[str, Any]:
    """The name of the exchange under test, and what it offers where it was loaded."""
    subject: Any = getattr(item, "funcargs", {}).get("subject")
    if subject is not None:
        from ccrs_core.conformance.report import offer

        return {
            "exchange": subject.exchange.name,
            "offer": offer(subject.exchange),
            "figures": {name: dict(each) for name, each in subject.figures.items()},
        }
    declared = getattr(getattr(item, "cls", None), "exchange", None)
    name = declared or item.config.getoption("--ccrs-exchange") or "?"
    name = name if isinstance(name, str) else getattr(name, "name", None) or name.__name__
    return {"exchange": name, "offer": None, "figures": {}}


def _reason(error: BaseException) -> Iterator[str]:
    """Why a test failed or was skipped, in words."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _reason(each)
    elif isinstance(error, AssertionError | pytest.fail.Exception | pytest.skip.Exception):
        # What rewritten asserts add says less than their message; all of it is in the traceback.
        yield str(error).partition("\nassert ")[0] or type(error).__name__
    else:
        yield f"{type(error).__name__}: {error}"
    # Where Hypothesis tells the example.
    yield from getattr(error, "__notes__", ())


class _Outcomes:
    """Collects what came of the suite's tests, and tells it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.outcomes: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, "ccrs", None)
        if found is not None:
            known = self.outcomes.get(report.nodeid)
            if known is None or known["outcome"] != "failed":
                self.outcomes[report.nodeid] = found

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.outcomes:
            return
        from ccrs_core.conformance.report import reports

        option = self.config.getoption
        found = reports(
            list(self.outcomes.values()),
            profile=option("--ccrs-profile"),
            seed=int(option("--ccrs-seed")),
            left=self.config.stash.get(_LEFT, None),
        )
        for report in found:
            terminalreporter.section(report.title, sep="=")
            for line, markup in report.lines(self.config.get_terminal_writer().fullwidth):
                terminalreporter.write_line(line, **markup)
        target = option("--ccrs-report")
        if target is not None:
            for path in (p for report in found for p in report.write(target, len(found) > 1)):
                terminalreporter.write_line(f"report: {path}")
