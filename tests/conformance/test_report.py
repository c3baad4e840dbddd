"""The report of the suite says what came of it: on the terminal, as JSON, as Markdown."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ccrs_bybit import Bybit

import ccrs_core
from ccrs_core import conformance
from ccrs_core.conformance import ConformanceSuite
from ccrs_core.conformance.advice import advice
from ccrs_core.conformance.report import Report, offer, reports
from ccrs_core.conformance.workbench.properties import Theme, property_of

OUTCOMES: list[dict[str, Any]] = [
    {"number": 19, "theme": "Sequencing and books", "test": "test_book", "outcome": "failed",
     "sentence": "The book is the exchange's.", "seconds": 1.5,
     "reason": "the bid is 1 | not 2\nFalsifying example: check(seed=7)"},
    {"number": 2, "theme": "Codec", "test": "test_b", "outcome": "passed",
     "sentence": "What comes is what was sent.", "seconds": 0.26, "reason": ""},
    {"number": 1, "theme": "Codec", "test": "test_a", "outcome": "passed",
     "sentence": "Nothing crashes.", "seconds": 0.0, "reason": ""},
    {"number": 6, "theme": "Codec", "test": "test_c", "outcome": "skipped",
     "sentence": "Bombs are refused.", "seconds": 0.0, "reason": "toy declares no compression"},
    {"number": 6, "theme": "Codec", "test": "test_d", "outcome": "skipped",
     "sentence": "Cut frames are refused.", "seconds": 0.0,
     "reason": "toy declares no compression"},
]  # fmt: skip


def outcomes(exchange: str) -> list[dict[str, Any]]:
    return [{"exchange": exchange, "offer": None, **outcome} for outcome in OUTCOMES]


@pytest.fixture
def report() -> Report:
    (report,) = reports(outcomes("toy"), profile="quick", seed=5)
    return report


def text(report: Report) -> str:
    return "\n".join(line for line, _ in report.lines())


def test_properties_are_told_by_theme_in_the_order_of_their_numbers(report: Report) -> None:
    shown = text(report)
    order = ["\nCodec\n", "✓  1  Nothing crashes. (0.0 s)", "✓  2  What", "-  6  Bombs"]
    order += ["\nSequencing and books\n", "✗ 19  The book is the exchange's. (1.5 s)"]
    places = [shown.index(each) for each in order]
    assert places == sorted(places)


def test_the_table_counts_each_theme_and_all(report: Report) -> None:
    rows = [line.split() for line in text(report).splitlines()]
    assert ["Codec", "2", "0", "2"] in rows
    assert ["Sequencing", "and", "books", "0", "1", "0"] in rows
    assert ["all", "2", "1", "2"] in rows


def test_properties_of_trading_have_their_place_before_there_are_any(report: Report) -> None:
    assert "Orders, fills and account: comes with trading" in text(report)
    assert "| Orders, fills and account (comes with trading) | 0 | 0 | 0 |" in report.as_markdown()


def test_what_passed_is_told_by_what_proved_it() -> None:
    held = [{**o, "against": "facts", "outcome": "passed"} for o in outcomes("toy")]
    held[0]["against"], held[1]["outcome"] = "samples", "failed"
    (report,) = reports(held, profile="quick", seed=0)
    rows = [line.split() for line, _ in report.lines(80)]
    assert ["what", "passed", "was", "proved", "by", "emulator", "samples", "facts", "nothing"] in (
        rows
    )
    assert ["Codec", "0", "0", "3", "0"] in rows
    assert ["all", "0", "1", "3", "0"] in rows
    told = report.as_dict()
    assert told["proved"] == {"emulator": 0, "samples": 1, "facts": 3, "nothing": 0}
    assert told["themes"][0]["proved"]["facts"] == 3
    assert "| Codec | 0 | 0 | 3 | 0 |" in report.as_markdown()


def test_what_the_quick_profile_left_out_is_told() -> None:
    both = [*outcomes("toy"), *outcomes("other")]
    report, other = reports(both, profile="quick", seed=0, left={"toy": 7})
    assert "7 tests were left to the default profile" in text(report)
    assert "7 tests were left to the default profile." in report.as_markdown().splitlines()
    assert report.as_dict()["left"] == 7
    assert "left to the default" not in text(other)


def test_reasons_of_skips_are_grouped_and_counted(report: Report) -> None:
    shown = text(report)
    assert shown.count("toy declares no compression") == 1
    assert "  2 x toy declares no compression" in shown
    assert "skipped because the capability isn't declared" in shown


def test_a_failure_is_told_with_its_example_and_the_line_that_reproduces_it(
    report: Report,
) -> None:
    advice = text(report).partition("what to do next")[2]
    assert "1. The book is the exchange's." in advice
    assert "Falsifying example: check(seed=7)" in advice
    assert "again: ccrs conformance toy --only test_book --seed 5 --profile quick" in advice


def test_the_last_line_is_the_verdict_and_red_where_anything_failed(report: Report) -> None:
    assert list(report.lines())[-1] == (
        "conformance: 2 passed, 1 failed, 2 not declared",
        {"red": True},
    )
    (good,) = reports([o for o in outcomes("toy") if o["outcome"] != "failed"], profile="x", seed=0)
    assert list(good.lines())[-1][1] == {"green": True}
    assert "what to do next" not in text(good)


def test_the_json_holds_everything_by_theme(report: Report, tmp_path: Path) -> None:
    (path,) = report.write(str(tmp_path / "out.json"))
    found = json.loads(path.read_text("utf-8"))
    assert {key: found[key] for key in ("exchange", "profile", "seed", "core", "contract")} == {
        "exchange": "toy",
        "profile": "quick",
        "seed": 5,
        "core": ccrs_core.__version__,
        "contract": ccrs_core.CONTRACT,
    }
    assert {"distribution", "version", "date", "capabilities"} < set(found)
    assert found["totals"] == {"passed": 2, "failed": 1, "skipped": 2}
    assert [theme["theme"] for theme in found["themes"]] == [theme.value for theme in Theme]
    codec = found["themes"][0]
    assert codec["totals"] == {"passed": 2, "failed": 0, "skipped": 2}
    assert [each["number"] for each in codec["properties"]] == [1, 2, 6, 6]
    costs, look_at = (codec["properties"][1].pop(key) for key in ("costs", "look_at"))
    assert costs
    assert "Codec.decode" in look_at
    assert codec["properties"][1] == {
        "number": 2,
        "test": "test_b",
        "sentence": "What comes is what was sent.",
        "against": "emulator",
        "outcome": "passed",
        "seconds": 0.26,
        "reason": "",
    }
    assert "seed=7" in found["themes"][2]["properties"][0]["reason"]


def test_an_installed_exchange_is_told_with_its_distribution_and_version() -> None:
    (report,) = reports(outcomes("bybit"), profile="quick", seed=0)
    assert (report.distribution, report.version) == ("ccrs-bybit", ccrs_core.__version__)


def test_the_markdown_begins_with_a_line_for_a_badge_and_has_every_property(
    report: Report,
) -> None:
    lines = report.as_markdown().splitlines()
    assert lines[0] == "**conformance: 2 passed, 1 failed, 2 not declared**"
    assert "| Codec | 2 | 0 | 2 |" in lines
    assert "| ✓ | 1 | Nothing crashes. |" in lines
    assert "| - | 6 | Bombs are refused. (skipped: toy declares no compression) |" in lines


def test_no_text_breaks_a_table_of_the_markdown(report: Report) -> None:
    (row,) = [line for line in report.as_markdown().splitlines() if "| 19 |" in line]
    assert row.startswith(
        "| ✗ | 19 | The book is the exchange's. (failed: the bid is 1 \\| not 2 F"
    )
    assert row.replace("\\|", "").count("|") == 4


def test_the_markdown_has_a_table_of_what_is_declared() -> None:
    declared = offer(Bybit())
    found = [{**o, "offer": declared} for o in outcomes("bybit")]
    (report,) = reports(found, profile="quick", seed=0)
    lines = report.as_markdown().splitlines()
    head = lines.index(f"| | {' | '.join(declared['markets'])} |")
    assert lines[head + 1] == "|---|:-:|:-:|:-:|:-:|"
    assert lines[head + 2] == "| top_of_book | ✓ | ✓ | ✓ | ✓ |"
    assert "| book | 50, 200, 1000 | 50, 200, 1000 | 50, 200, 1000 | 25, 100 |" in lines
    assert "| GetFundingHistory |  | ✓ | ✓ |  |" in lines
    assert json.loads(json.dumps(report.as_dict()))["capabilities"] == declared


@pytest.mark.parametrize(
    ("target", "several", "files"),
    [
        ("out", False, ["out.json", "out.md"]),
        ("out.json", False, ["out.json"]),
        ("out.md", False, ["out.md"]),
        ("v1.2", False, ["v1.2.json", "v1.2.md"]),
        ("out.md", True, ["out-toy.md"]),
        ("v1.2", True, ["v1.2-toy.json", "v1.2-toy.md"]),
    ],
)
def test_the_suffix_chooses_the_files(
    report: Report, tmp_path: Path, target: str, several: bool, files: list[str]
) -> None:
    written = report.write(str(tmp_path / target), several)
    assert [path.name for path in written] == files
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_each_exchange_of_a_run_has_a_report_of_its_own() -> None:
    mixed = [outcomes("a")[0], outcomes("b")[1], outcomes("a")[2]]
    found = reports(mixed, profile="quick", seed=0)
    assert [(r.exchange, len(r.outcomes)) for r in found] == [("a", 2), ("b", 1)]


def test_long_sentences_are_wrapped_to_the_terminal_and_never_cut() -> None:
    long = {"sentence": " ".join(f"word{n}" for n in range(40)), "reason": "do this " * 60}
    (report,) = reports([{**o, **long} for o in outcomes("toy")], profile="quick", seed=0)
    lines = [line for line, _ in report.lines(80) if "again: " not in line]
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    # Once for each test, and once in the advice for the one that failed.
    assert words.count("word39") == len(OUTCOMES) + 1
    assert words.count("do") == 60 + 60 + 1, "the advice, the skips' one reason, and the heading"


def test_advice_begins_with_the_lowest_number_and_leaves_out_hypothesis_remedies() -> None:
    told = "the bid is 1\nFailing test case: check(\n    seed=7,\n)\nExplanation:\n    These lines"
    told += "\n\nYou can reproduce this test case by temporarily adding @reproduce_failure"
    found = [{**o, "outcome": "failed", "reason": told} for o in outcomes("toy")]
    (report,) = reports(found, profile="quick", seed=0)
    told = text(report).partition("what to do next")[2]
    assert re.findall(r"--only (\w+)", told) == [
        "test_a",
        "test_b",
        "test_c",
        "test_d",
        "test_book",
    ]
    assert "     Failing test case: check(\n         seed=7,\n     )\n   costs: " in told
    assert told.count("   look at: ") == len(found)
    assert "reproduce_failure" not in told
    assert "Explanation" not in told


def test_a_long_failure_is_told_in_part_and_says_so() -> None:
    reason = "\n".join(f"line {n}" for n in range(30))
    found = [{**OUTCOMES[0], "exchange": "toy", "offer": None, "reason": reason}]
    (report,) = reports(found, profile="quick", seed=0)
    shown = text(report)
    assert "line 7\n     … (the rest is above)\n   costs: " in shown
    assert "line 8" not in shown


def test_what_was_measured_is_told_by_market_wherever_it_was_measured() -> None:
    first, *rest = outcomes("toy")
    here = {**first, "figures": {"short way": {"spot": "75 % of 40"}}}
    there = {**rest[0], "figures": {"short way": {"linear": "50 % | half"}}}
    (report,) = reports([here, there, *rest[1:]], profile="quick", seed=5)
    lines = text(report).splitlines()
    assert lines[lines.index("short way") + 1 :][:2] == [
        "  spot    75 % of 40",
        "  linear  50 % | half",
    ]
    told = {"short way": {"spot": "75 % of 40", "linear": "50 % | half"}}
    assert report.as_dict()["figures"] == told
    assert "| linear | 50 % \\| half |" in report.as_markdown()


def test_every_assertion_of_the_suite_says_what_is_wrong() -> None:
    # Those that only tell type checkers what is known can't fail.
    silent = []
    for path in Path(conformance.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assert) and node.msg is None:
                text = ast.unparse(node.test)
                if not text.endswith(" is not None") and not text.startswith("isinstance("):
                    silent.append(f"{path.name}:{node.lineno}: {text}")
    assert not silent, "\n".join(silent)


def test_every_property_says_what_it_costs_and_where_to_look() -> None:
    numbers = {
        found.number
        for name in dir(ConformanceSuite)
        if (found := property_of(getattr(ConformanceSuite, name))) is not None
    }
    for number in numbers:
        told = advice(number)
        assert told.costs, number
        assert told.look_at, number
