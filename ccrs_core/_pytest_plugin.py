"""pytest's side of the conformance suite: its options, and the report at the end.

pytest loads this in every run of anyone who has the core installed, with or without the suite's
extra: it imports pytest alone, and does nothing where no test of the suite runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from typing import Any

import pytest

pytest.register_assert_rewrite("ccrs_core.conformance")

_OUTCOMES = pytest.StashKey[dict[str, Any]]()


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
        "--ccrs-report",
        metavar="FILE",
        help="write the suite's report: JSON, or Markdown where the name ends in .md; "
        "both where it has no suffix",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--ccrs-seed")
    if seed == "random":
        config.option.ccrs_seed = str(secrets.randbelow(2**31))
    elif not str(seed).isdecimal():
        raise pytest.UsageError(f"--ccrs-seed must be a number or 'random', not {seed!r}")
    config.stash[_OUTCOMES] = {}


def pytest_report_header(config: pytest.Config) -> str | None:
    name = config.getoption("--ccrs-exchange")
    if name is None:
        return None
    option = config.getoption
    return f"ccrs: {name}, profile {option('--ccrs-profile')}, seed {option('--ccrs-seed')}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    function: Any = getattr(item, "function", None)
    found = getattr(function, "ccrs_property", None)
    if found is None:
        return report
    # Setting up and tearing down count only where they fail.
    if report.when == "call" or report.outcome != "passed":
        outcomes = item.config.stash[_OUTCOMES]
        known = outcomes.get(item.nodeid)
        if known is None or known["outcome"] != "failed":
            outcomes[item.nodeid] = {
                "exchange": _exchange(item),
                "property": found,
                "test": function.__name__,
                "sentence": (function.__doc__ or "").strip().partition("\n\n")[0],
                "outcome": report.outcome,
                "seconds": report.duration,
                "reason": _reason(report, call),
            }
    return report


def _exchange(item: pytest.Item) -> str:
    declared = getattr(getattr(item, "cls", None), "exchange", None)
    name = declared or item.config.getoption("--ccrs-exchange") or "?"
    return name if isinstance(name, str) else getattr(name, "name", str(name))


def _reason(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    if report.outcome == "passed" or call.excinfo is None:
        return ""
    return str(call.excinfo.value) or call.excinfo.typename


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    outcomes = config.stash[_OUTCOMES]
    if not outcomes:
        return
    from ccrs_core.conformance.report import reports

    found = reports(
        list(outcomes.values()),
        profile=config.getoption("--ccrs-profile"),
        seed=int(config.getoption("--ccrs-seed")),
    )
    for report in found:
        terminalreporter.section(report.title, sep="=")
        for line, markup in report.lines():
            terminalreporter.write_line(line, **markup)
    target = config.getoption("--ccrs-report")
    if target is not None:
        for path in (path for report in found for path in report.write(target, len(found) > 1)):
            terminalreporter.write_line(f"report: {path}")
