"""What came of the suite: for the terminal, as JSON, and as Markdown for a README."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

import ccrs_core
from ccrs_core import plugins
from ccrs_core.conformance.properties import Property, Theme

Markup = dict[str, bool]
"""How pytest's terminal writer shows a line: ``{"red": True}``."""

_SIGNS = {"passed": "✓", "failed": "✗", "skipped": "-"}
_COLOURS: dict[str, Markup] = {
    "passed": {"green": True},
    "failed": {"red": True},
    "skipped": {"yellow": True},
}
LATER = {Theme.TRADING: "comes with trading"}
"""Themes whose properties can't be declared yet."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of one property's test; ``reason`` says why it failed or was skipped."""

    property: Property
    test: str
    sentence: str
    outcome: str
    seconds: float
    reason: str = ""


@attrs.frozen(kw_only=True)
class Report:
    """What came of one exchange's tests."""

    exchange: str
    distribution: str
    version: str
    profile: str
    seed: int
    outcomes: Sequence[Outcome]

    # --- figures ---

    def count(self, outcome: str, theme: Theme | None = None) -> int:
        """How many tests ended so."""
        return sum(
            o.outcome == outcome and theme in (None, o.property.theme) for o in self.outcomes
        )

    def of(self, theme: Theme) -> list[Outcome]:
        """A theme's outcomes, by the numbers of their properties."""
        mine = [o for o in self.outcomes if o.property.theme is theme]
        return sorted(mine, key=lambda o: (o.property.number, o.test))

    @property
    def title(self) -> str:
        return f"conformance of {self.exchange}"

    @property
    def verdict(self) -> str:
        """One line, fit for a badge."""
        return (
            f"conformance: {self.count('passed')} passed, {self.count('failed')} failed, "
            f"{self.count('skipped')} not declared"
        )

    def reproduce(self, outcome: Outcome) -> str:
        """The command that runs one test again, with the same examples."""
        return (
            f"ccrs conformance {self.exchange} --only {outcome.test} --seed {self.seed} "
            f"--profile {self.profile}"
        )

    # --- for the terminal ---

    def lines(self) -> Iterator[tuple[str, Markup]]:
        """The report as lines of text."""
        for theme in Theme:
            if theme in LATER and not self.of(theme):
                yield from (("", {}), (f"{theme.value}: {LATER[theme]}", {"bold": True}))
            if not self.of(theme):
                continue
            yield "", {}
            yield theme.value, {"bold": True}
            for each in self.of(theme):
                sentence = textwrap.shorten(each.sentence or each.test, 110, placeholder=" …")
                sign, colour = _SIGNS[each.outcome], _COLOURS[each.outcome]
                line = f"  {sign} {each.property.number:>2}  {sentence} ({each.seconds:.1f} s)"
                yield line, colour
        yield from self._table()
        yield from self._skips()
        yield from self._advice()

    def _table(self) -> Iterator[tuple[str, Markup]]:
        yield "", {}
        row = "{:<44}{:>8}{:>8}{:>14}"
        yield row.format("", "passed", "failed", "not declared"), {"bold": True}
        for theme in Theme:
            if theme in LATER and not self.of(theme):
                continue
            counts = [self.count(outcome, theme) for outcome in _SIGNS]
            yield row.format(theme.value, *counts), {"red": bool(counts[1])}
        yield row.format("all", *(self.count(o) for o in _SIGNS)), {"bold": True}

    def _skips(self) -> Iterator[tuple[str, Markup]]:
        reasons = Counter(o.reason for o in self.outcomes if o.outcome == "skipped")
        if reasons:
            yield "", {}
            yield "not declared, so not tested:", {"bold": True}
            for reason, count in reasons.most_common():
                yield f"  {count:>3} x {reason.removeprefix('Skipped: ')}", {}

    def _advice(self) -> Iterator[tuple[str, Markup]]:
        failed = [o for o in self.outcomes if o.outcome == "failed"]
        if failed:
            yield "", {}
            yield "what to do next", {"bold": True}
            for number, each in enumerate(failed, 1):
                yield f"{number}. {' '.join(each.sentence.split())}", {"red": True}
                shown = each.reason.strip().splitlines()[:6]
                yield from ((f"     {line[:300]}", {}) for line in shown)
                yield f"   again: {self.reproduce(each)}", {}
        yield "", {}
        yield self.verdict, {"red": True} if failed else {"green": True}

    # --- files ---

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "exchange": self.exchange,
            "distribution": self.distribution,
            "version": self.version,
            "core": ccrs_core.__version__,
            "contract": ccrs_core.CONTRACT,
            "profile": self.profile,
            "seed": self.seed,
            "date": datetime.now(UTC).date().isoformat(),
            "totals": {outcome: self.count(outcome) for outcome in _SIGNS},
            "themes": [
                {
                    "theme": theme.value,
                    "totals": {outcome: self.count(outcome, theme) for outcome in _SIGNS},
                    "properties": [
                        {
                            "number": each.property.number,
                            "test": each.test,
                            "sentence": " ".join(each.sentence.split()),
                            "outcome": each.outcome,
                            "seconds": round(each.seconds, 3),
                            "reason": each.reason,
                        }
                        for each in self.of(theme)
                    ],
                }
                for theme in Theme
            ],
        }

    def as_markdown(self) -> str:
        """The report for a README: a line for a badge, a table, the properties by theme."""
        origin = f"{self.distribution} {self.version} on ccrs-core {ccrs_core.__version__}"
        date = datetime.now(UTC).date().isoformat()
        lines = [
            f"**{self.verdict}**",
            "",
            f"{origin}, profile {self.profile}, seed {self.seed}, {date}.",
            "",
            "| Theme | passed | failed | not declared |",
            "|---|--:|--:|--:|",
        ]
        for theme in Theme:
            counts = " | ".join(str(self.count(outcome, theme)) for outcome in _SIGNS)
            later = f" ({LATER[theme]})" if theme in LATER and not self.of(theme) else ""
            lines.append(f"| {theme.value}{later} | {counts} |")
        for theme in Theme:
            if self.of(theme):
                lines += ["", f"### {theme.value}", "", "| | # | Property |", "|---|--:|---|"]
            for each in self.of(theme):
                sentence = " ".join(each.sentence.split()).replace("|", "\\|")
                lines.append(f"| {_SIGNS[each.outcome]} | {each.property.number} | {sentence} |")
        return "\n".join(lines) + "\n"

    def write(self, target: str, several: bool = False) -> list[Path]:
        """Write the report; the files written. The suffix chooses JSON or Markdown, none both."""
        path = Path(target)
        if several:
            path = path.with_name(f"{path.stem}-{self.exchange}{path.suffix}")
        if path.suffix in {".md", ".json"}:
            wanted = [path]
        else:
            wanted = [path.with_name(path.name + suffix) for suffix in (".json", ".md")]
        for each in wanted:
            text = (
                self.as_markdown()
                if each.suffix == ".md"
                else json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"
            )
            each.write_text(text, encoding="utf-8")
        return wanted


def reports(outcomes: Sequence[Mapping[str, Any]], *, profile: str, seed: int) -> list[Report]:
    """One report for each exchange that outcomes are of, in order of appearance."""
    found: list[Report] = []
    for exchange in dict.fromkeys(outcome["exchange"] for outcome in outcomes):
        distribution, version = _origin(exchange)
        mine = [
            Outcome(**{key: value for key, value in outcome.items() if key != "exchange"})
            for outcome in outcomes
            if outcome["exchange"] == exchange
        ]
        found.append(
            Report(
                exchange=exchange,
                distribution=distribution,
                version=version,
                profile=profile,
                seed=seed,
                outcomes=mine,
            )
        )
    return found


def _origin(exchange: str) -> tuple[str, str]:
    for info in plugins.installed():
        if info.name == exchange:
            try:
                return info.distribution, metadata.version(info.distribution)
            except metadata.PackageNotFoundError:
                break
    return exchange, "unknown"
