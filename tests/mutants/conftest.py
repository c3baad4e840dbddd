"""Prints how many mutants the suite has caught, at the end of the run."""

from __future__ import annotations

import pytest

_TEST = "test_mutants.py::test_a_mutant_is_caught["


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def count(outcome: str) -> int:
        reports = terminalreporter.stats.get(outcome, [])
        return sum(_TEST in report.nodeid for report in reports if hasattr(report, "nodeid"))

    caught = count("passed")
    tried = caught + count("failed") + count("error")
    if tried:
        terminalreporter.write_sep("-", f"mutants caught: {caught} of {tried}")
