"""The ways into the suite: the command, pytest's option, and a class in a plugin's own tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ccrs_core import cli
from ccrs_core._pytest_plugin import _reason
from ccrs_core.cli.commands import conformance
from ccrs_core.cli.commands.new import Package
from tests.installing import environment, install

Done = subprocess.CompletedProcess[str]

FAST = "test_every_sample_request_is_asked_and_answered_as_expected"
"""A property of samples, which takes no time."""

SILENT = """
from ccrs_core import Capabilities, Codec, Environment, Exchange


class Silent(Exchange):
    name = "silent"
    contract = 2
    capabilities = Capabilities()
    environments = {"mainnet": Environment(addresses={"rest": "https://silent.example"})}

    def route(self, subscription):
        raise NotImplementedError

    def codec(self, route) -> Codec:
        raise NotImplementedError

    def error_of(self, response):
        return None
"""


def python(
    where: Path, *arguments: str, variables: Mapping[str, str] | None = None, seconds: int = 120
) -> Done:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=where,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def ccrs(where: Path, *arguments: str, **more: Mapping[str, str]) -> Done:
    return python(where, "-m", "ccrs_core.cli", *arguments, **more)


def pytest_in(where: Path, *arguments: str, **more: Mapping[str, str]) -> Done:
    fixed = ("-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib")
    return python(where, *fixed, *arguments, **more)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Where the user is."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A new package, ``ccrs-toy``."""
    return Package.of("toy").write(tmp_path)


def installed(package: Path) -> dict[str, str]:
    """The variables of a process that finds a package."""
    site = package.parent / "site"
    install(package, site)
    return environment(site)


def break_sample(package: Path) -> None:
    """Let the sample of the server's time state another one."""
    path = package / "ccrs_toy" / "samples" / "requests" / "time.json"
    sample = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**sample, "value": 1}), "utf-8")


# --- the command ---


def test_the_command_heeds_no_settings_of_the_users_and_leaves_only_the_report(
    empty: Path,
) -> None:
    (empty / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    (empty / "conftest.py").write_text("raise RuntimeError('imported')\n")
    done = ccrs(
        empty,
        *("conformance", "bybit", "--profile", "quick", "--only", FAST, "--report", "out"),
        variables={"PYTEST_ADDOPTS": "--nonsense", "PYTEST_PLUGINS": "nonsense"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conformance: 1 passed, 0 failed, 0 not declared" in done.stdout
    assert sorted(p.name for p in empty.iterdir()) == [
        "conftest.py",
        "out.json",
        "out.md",
        "pytest.ini",
    ]
    report = json.loads((empty / "out.json").read_text("utf-8"))
    assert report["totals"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert (report["exchange"], report["distribution"]) == ("bybit", "ccrs-bybit")
    assert report["capabilities"]["channels"]["trades"]["spot"]
    assert report["themes"][0]["properties"][0]["sentence"].startswith("Every question of the")


def test_a_failure_is_exit_code_1_and_ends_with_what_to_do_next(empty: Path, toy: Path) -> None:
    break_sample(toy)
    arguments = ("conformance", "toy", "--profile", "quick", "--seed", "random", "--only", FAST)
    done = ccrs(empty, *arguments, variables=installed(toy))
    assert done.returncode == 1, done.stdout + done.stderr
    advice = done.stdout.partition("what to do next")[2]
    assert "Every question of the samples becomes its HTTP request" in advice
    assert "requests/time.json" in advice
    again = re.search(r"again: ccrs (conformance toy --only \w+ --seed (\d+) .*)", advice)
    assert again is not None
    assert f"seed {again[2]}" in done.stdout.partition("conformance of toy")[2]
    repeated = ccrs(empty, *again[1].split(), variables=environment(toy.parent / "site"))
    assert repeated.returncode == 1
    assert "conformance: 0 passed, 1 failed" in repeated.stdout
    assert not list(empty.iterdir())


def test_an_exchange_that_declares_nothing_passes(empty: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "ccrs_silent").mkdir(parents=True)
    (package / "ccrs_silent" / "__init__.py").write_text(SILENT)
    (package / "pyproject.toml").write_text(
        '[project]\nname = "ccrs-silent"\nversion = "1"\n'
        '[project.entry-points."ccrs.exchanges"]\nsilent = "ccrs_silent:Silent"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["ccrs_silent"]\n'
    )
    arguments = ("conformance", "silent", "--profile", "quick")
    done = ccrs(empty, *arguments, variables=installed(package))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert re.search(r"conformance: \d+ passed, 0 failed, [1-9]\d+ not declared", done.stdout)
    assert not list(empty.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["conformance", "bybitt"], "did you mean bybit?"),
        (["conformance", "bybit", "--seed", "x"], "a number or 'random'"),
        (["conformance", "bybit", "--report", "no/such/out"], "no folder no/such"),
        (["conformance", "bybit", "--only", "no_such_test"], "'no_such_test'"),
        (["conformance", "bybit", "--jobs", "0"], "above zero or 'auto'"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    empty: Path, arguments: list[str], says: str
) -> None:
    done = ccrs(empty, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_its_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conformance, "find_spec", lambda name: None)
    assert cli.run(["conformance", "bybit"]) == 2
    assert capsys.readouterr().err == (
        "Error: pytest and hypothesis must be installed: pip install 'ccrs-core[conformance]'\n"
    )


def test_tests_that_are_spread_over_processes_are_told_of_in_one_report(empty: Path) -> None:
    done = ccrs(empty, "conformance", "bybit", "--only", "_sample_", "--jobs", "2")
    alone = ccrs(empty, "conformance", "bybit", "--only", "_sample_")
    assert done.returncode == alone.returncode == 0, done.stdout + done.stderr
    verdict = alone.stdout.splitlines()[-2]
    assert verdict.startswith("conformance: ")
    assert "conformance: 1 passed" not in verdict
    assert verdict in done.stdout.splitlines()


# --- pytest ---


def test_pytest_runs_the_suite_by_the_packages_name(empty: Path) -> None:
    suite = ("--pyargs", "ccrs_core.conformance", "--ccrs-exchange", "bybit")
    done = pytest_in(empty, *suite, "--ccrs-only", FAST)
    assert done.returncode == 0, done.stdout + done.stderr
    header = next(line for line in done.stdout.splitlines() if line.startswith("ccrs: "))
    assert re.fullmatch(
        r"ccrs: bybit, ccrs-bybit \S+ on ccrs-core \S+, contract \d+, profile default, seed 0",
        header,
    )
    assert "conformance: 1 passed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which exchange?"),
        (["--ccrs-exchange", "bybitt"], "did you mean bybit?"),
        (["--ccrs-exchange", "bybit", "--ccrs-seed", "-1"], "a number or 'random'"),
        (["--ccrs-exchange", "bybit", "--ccrs-report", "no/such/out"], "no folder no/such"),
    ],
)
def test_pytest_refuses_a_wrong_call_before_any_test(
    empty: Path, arguments: list[str], says: str
) -> None:
    done = pytest_in(empty, "--pyargs", "ccrs_core.conformance", *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert says in done.stderr
    assert "passed" not in done.stdout


def test_a_class_of_three_lines_is_enough_and_each_exchange_has_its_report(
    empty: Path, toy: Path
) -> None:
    break_sample(toy)
    (empty / "test_all.py").write_text(
        "from ccrs_core.conformance import ConformanceSuite\n"
        "from ccrs_bybit import Bybit\n\n\n"
        "class TestByName(ConformanceSuite):\n    exchange = 'toy'\n\n\n"
        "class TestByClass(ConformanceSuite):\n    exchange = Bybit\n\n\n"
        "def test_other():\n    pass\n"
    )
    options = ("--ccrs-only", FAST, "--ccrs-report", "out.json")
    done = pytest_in(empty, *options, variables=installed(toy))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "conformance of toy" in done.stdout
    assert "conformance of bybit" in done.stdout
    totals = {
        name: json.loads((empty / f"out-{name}.json").read_text("utf-8"))["totals"]
        for name in ("toy", "bybit")
    }
    assert totals["toy"] == {"passed": 0, "failed": 1, "skipped": 0}
    assert totals["bybit"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert "1 failed, 2 passed" in done.stdout, "tests that aren't the suite's go on as ever"


def test_a_run_without_the_suite_is_untouched_and_imports_nothing_of_it(empty: Path) -> None:
    (empty / "test_mine.py").write_text(
        "import sys\n\n\ndef test_mine():\n"
        "    heavy = {'hypothesis', 'asyncio', 'aiohttp', 'orjson', 'attrs'}\n"
        "    assert not {m for m in sys.modules if m.startswith('ccrs_core.')"
        " and m != 'ccrs_core._pytest_plugin'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = pytest_in(empty, "-p", "ccrs_core._pytest_plugin", variables=variables)
    assert done.returncode == 0, done.stdout
    assert "ccrs" not in done.stdout.replace("ccrs_core", "").partition("test session starts")[2]


def test_what_came_of_a_test_crosses_processes(request: pytest.FixtureRequest) -> None:
    report = pytest.TestReport("a::b", ("a", 1, "b"), {}, "passed", None, "call")
    vars(report)["ccrs"] = {"number": 1, "offer": {"markets": ["spot"]}}
    hook, config = request.config.hook, request.config
    data = hook.pytest_report_to_serializable(config=config, report=report)
    again = hook.pytest_report_from_serializable(config=config, data=json.loads(json.dumps(data)))
    assert again.ccrs == {"number": 1, "offer": {"markets": ["spot"]}}


def test_a_reason_is_the_message_with_hypothesis_example_and_without_pytests_internals() -> None:
    error = AssertionError("the bid is 1\nit was 2\nassert 1 == 2\n +  where 1 = bid()")
    error.add_note("Falsifying example: check(seed=7)")
    group = ExceptionGroup("two", [error, KeyError("x")])
    assert list(_reason(group)) == [
        "the bid is 1\nit was 2",
        "Falsifying example: check(seed=7)",
        "KeyError: 'x'",
    ]
    assert list(_reason(AssertionError("assert 1 == 2"))) == ["assert 1 == 2"]
    assert list(_reason(AssertionError())) == ["AssertionError"]
