"""What came of the suite: for the terminal, as JSON, and as Markdown for a README."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

import ccrs_core
from ccrs_core.conformance.advice import advice
from ccrs_core.conformance.workbench.properties import Against, Property, Theme
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel

Markup = dict[str, bool]
"""How pytest's terminal writer shows a line: ``{"red": True}``."""

_SIGNS = {"passed": "✓", "failed": "✗", "skipped": "-"}
_COLOURS: dict[str, Markup] = {
    "passed": {"green": True},
    "failed": {"red": True},
    "skipped": {"yellow": True},
}
_REASON_LINES = 8
_WIDTH = 100
_YES = "✓"
_BY_NOTHING = (
    "By nothing: by rules that hold for every exchange, or by the plugin's own word. What the "
    "emulator, the samples and the facts share a mistake about is proved by none of them."
)
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
    offer: Mapping[str, Any] | None = None
    """What the exchange declares, as :func:`offer` tells it; None where it couldn't be loaded."""
    figures: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """What tests have measured, by name and market: to be known, not to be judged."""
    left: int = 0
    """How many tests the quick profile has left to the default one."""

    # --- figures ---

    def count(self, outcome: str, theme: Theme | None = None) -> int:
        """How many tests ended so."""
        return sum(
            o.outcome == outcome and theme in (None, o.property.theme) for o in self.outcomes
        )

    def proved(self, against: Against, theme: Theme | None = None) -> int:
        """How many passed tests hold the plugin against this."""
        return sum(
            o.outcome == "passed"
            and o.property.against is against
            and theme in (None, o.property.theme)
            for o in self.outcomes
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

    def lines(self, width: int = _WIDTH) -> Iterator[tuple[str, Markup]]:
        """The report as lines of text, none longer than ``width`` but commands to copy."""
        yield circumstances(self.exchange, self.profile, self.seed), {}
        for theme in Theme:
            if theme in LATER and not self.of(theme):
                yield from (("", {}), (f"{theme.value}: {LATER[theme]}", {"bold": True}))
            if not self.of(theme):
                continue
            yield "", {}
            yield theme.value, {"bold": True}
            for each in self.of(theme):
                first = f"  {_SIGNS[each.outcome]} {each.property.number:>2}  "
                text = f"{each.sentence or each.test} ({each.seconds:.1f}\N{NO-BREAK SPACE}s)"
                for line in _wrapped(text, width, first):
                    yield line.replace("\N{NO-BREAK SPACE}", " "), _COLOURS[each.outcome]
        yield from self._table(width)
        yield from self._measured(width)
        yield from self._skips(width)
        yield from self._advice(width)

    @property
    def _left(self) -> str:
        tests = "test was" if self.left == 1 else "tests were"
        return f"{self.left} {tests} left to the default profile"

    def _table(self, width: int) -> Iterator[tuple[str, Markup]]:
        yield "", {}
        row = "{:<44}{:>8}{:>8}{:>14}"
        yield row.format("", "passed", "failed", "not declared"), {"bold": True}
        for theme in Theme:
            if theme in LATER and not self.of(theme):
                continue
            counts = [self.count(outcome, theme) for outcome in _SIGNS]
            yield row.format(theme.value, *counts), {"red": bool(counts[1])}
        yield row.format("all", *(self.count(o) for o in _SIGNS)), {"bold": True}
        yield "", {}
        row = "{:<44}{:>9}{:>8}{:>7}{:>9}"
        yield row.format("what passed was proved by", *Against), {"bold": True}
        for theme in (theme for theme in Theme if self.of(theme)):
            yield row.format(theme.value, *(self.proved(each, theme) for each in Against)), {}
        yield row.format("all", *(self.proved(each) for each in Against)), {"bold": True}
        yield "", {}
        for line in _wrapped(_BY_NOTHING, width, ""):
            yield line, {}
        if self.left:
            yield from (("", {}), (self._left, {"yellow": True}))

    def _measured(self, width: int) -> Iterator[tuple[str, Markup]]:
        for name, figures in self.figures.items():
            yield from (("", {}), (name, {"bold": True}))
            room = max(8, *(len(market) + 1 for market in figures)) if figures else 8
            for market, text in figures.items():
                yield from ((line, {}) for line in _wrapped(text, width, f"  {market:<{room}}"))

    def _skips(self, width: int) -> Iterator[tuple[str, Markup]]:
        reasons = Counter(o.reason for o in self.outcomes if o.outcome == "skipped")
        if reasons:
            yield "", {}
            yield "skipped because the capability isn't declared:", {"bold": True}
            for reason, count in reasons.most_common():
                yield from ((line, {}) for line in _wrapped(reason, width, f"  {count:>3} x "))

    def _advice(self, width: int) -> Iterator[tuple[str, Markup]]:
        # By number, since samples have low ones: what they show is the easiest to mend.
        failed = [o for theme in Theme for o in self.of(theme) if o.outcome == "failed"]
        if failed:
            yield "", {}
            yield "what to do next", {"bold": True}
            for number, each in enumerate(failed, 1):
                for line in _wrapped(each.sentence or each.test, width, f"{number}. "):
                    yield line, {"red": True}
                yield from ((line, {}) for line in _told(each.reason, width))
                told = advice(each.property.number)
                for label, text in (("costs", told.costs), ("look at", told.look_at)):
                    for line in _wrapped(text, width, f"   {label}: "):
                        yield line, {}
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
            "capabilities": self.offer,
            "figures": {name: dict(each) for name, each in self.figures.items()},
            "totals": {outcome: self.count(outcome) for outcome in _SIGNS},
            "proved": {str(each): self.proved(each) for each in Against},
            "left": self.left,
            "themes": [
                {
                    "theme": theme.value,
                    "totals": {outcome: self.count(outcome, theme) for outcome in _SIGNS},
                    "proved": {str(each): self.proved(each, theme) for each in Against},
                    "properties": [
                        {
                            "number": each.property.number,
                            "test": each.test,
                            "sentence": " ".join(each.sentence.split()),
                            "against": str(each.property.against),
                            "outcome": each.outcome,
                            "seconds": round(each.seconds, 3),
                            "reason": each.reason,
                            "costs": advice(each.property.number).costs,
                            "look_at": advice(each.property.number).look_at,
                        }
                        for each in self.of(theme)
                    ],
                }
                for theme in Theme
            ],
        }

    def as_markdown(self) -> str:
        """The report for a README: a line for a badge, what is declared, a table of the themes, the
        properties by theme."""
        date = datetime.now(UTC).date().isoformat()
        lines = [
            f"**{self.verdict}**",
            "",
            f"{circumstances(self.exchange, self.profile, self.seed)}, {date}.",
            *self._capabilities(),
            "",
            "| Theme | passed | failed | not declared |",
            "|---|--:|--:|--:|",
        ]
        for theme in Theme:
            counts = " | ".join(str(self.count(outcome, theme)) for outcome in _SIGNS)
            later = f" ({LATER[theme]})" if theme in LATER and not self.of(theme) else ""
            lines.append(f"| {theme.value}{later} | {counts} |")
        lines += ["", f"| What passed was proved by | {' | '.join(Against)} |"]
        lines.append(f"|---|{'--:|' * len(Against)}")
        for theme in (theme for theme in Theme if self.of(theme)):
            counts = " | ".join(str(self.proved(each, theme)) for each in Against)
            lines.append(f"| {theme.value} | {counts} |")
        lines += ["", _BY_NOTHING]
        if self.left:
            lines += ["", f"{self._left}."]
        for name, figures in self.figures.items():
            lines += ["", f"### {_cell(name)}", "", "| Market | |", "|---|---|"]
            lines += [f"| {market} | {_cell(text)} |" for market, text in figures.items()]
        for theme in Theme:
            if self.of(theme):
                lines += ["", f"### {theme.value}", "", "| | # | Property |", "|---|--:|---|"]
            for each in self.of(theme):
                text = _cell(each.sentence or each.test)
                if each.outcome != "passed":
                    text += f" ({each.outcome}: {_cell(each.reason[:300])})"
                lines.append(f"| {_SIGNS[each.outcome]} | {each.property.number} | {text} |")
        return "\n".join(lines) + "\n"

    def _capabilities(self) -> Iterator[str]:
        """What is declared, a column for each market."""
        markets = [] if self.offer is None else self.offer["markets"]
        if self.offer is None or not markets:
            return
        yield from ("", f"| | {' | '.join(markets)} |", f"|---|{':-:|' * len(markets)}")
        declared: Mapping[str, Mapping[str, str]] = {
            **self.offer["channels"],
            **self.offer["requests"],
        }
        for what, cells in declared.items():
            yield f"| {what} | {' | '.join(cells.get(m, '') for m in markets)} |"

    def write(self, target: str, several: bool = False) -> list[Path]:
        """Write the report; the files written. The suffix chooses JSON or Markdown, none both."""
        path = Path(target)
        suffixes = [path.suffix] if path.suffix in {".md", ".json"} else [".json", ".md"]
        name = path.stem if path.suffix in suffixes else path.name
        if several:
            name += f"-{self.exchange}"
        wanted = [path.with_name(name + suffix) for suffix in suffixes]
        for each in wanted:
            text = (
                self.as_markdown()
                if each.suffix == ".md"
                else json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"
            )
            each.write_text(text, encoding="utf-8")
        return wanted


def reports(
    outcomes: Sequence[Mapping[str, Any]],
    *,
    profile: str,
    seed: int,
    left: Mapping[str, int] | None = None,
) -> list[Report]:
    """One report for each exchange that outcomes are of, in order of appearance. ``left`` says of
    how many tests of each the quick profile has none."""
    found: list[Report] = []
    for exchange in dict.fromkeys(outcome["exchange"] for outcome in outcomes):
        distribution, version = _origin(exchange)
        mine = [outcome for outcome in outcomes if outcome["exchange"] == exchange]
        found.append(
            Report(
                exchange=exchange,
                distribution=distribution,
                version=version,
                profile=profile,
                seed=seed,
                outcomes=[_outcome(each) for each in mine],
                offer=next((o["offer"] for o in mine if o["offer"] is not None), None),
                figures=_merged(outcome.get("figures", {}) for outcome in mine),
                left=(left or {}).get(exchange, 0),
            )
        )
    return found


def _merged(figures: Iterable[Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    """All that was measured: tests that ran in another process know nothing of each other's."""
    found: dict[str, dict[str, str]] = {}
    for each in figures:
        for name, by_market in each.items():
            found.setdefault(name, {}).update(by_market)
    return found


def _outcome(values: Mapping[str, Any]) -> Outcome:
    return Outcome(
        property=Property(
            values["number"],
            Theme(values["theme"]),
            Against(values.get("against", Against.EMULATOR)),
        ),
        **{key: values[key] for key in ("test", "sentence", "outcome", "seconds", "reason")},
    )


def offer(exchange: Exchange) -> dict[str, Any]:
    """What an exchange declares: markets, and what of each channel and request they have."""
    declared, depths = exchange.capabilities.channels, exchange.capabilities.book_depths

    def cell(market: Market, channel: Channel) -> str:
        if channel is Channel.BOOK:
            return ", ".join(map(str, depths.get(market, ()))) or _YES
        return _YES

    channels = {
        channel.value: {m.value: cell(m, channel) for m in Market if channel in declared.get(m, ())}
        for channel in Channel
    }
    requests = {
        kind.__name__: {m.value: _YES for m in Market if m in endpoint.markets}
        for kind, endpoint in exchange.endpoints.items()
    }
    channels = {name: cells for name, cells in channels.items() if cells}
    # Requests that are about no market count for all, and tell of none.
    markets = {m for cells in channels.values() for m in cells}
    markets |= set(requests.get(GetInstruments.__name__, ()))
    return {
        "markets": [m.value for m in Market if m.value in markets],
        "channels": channels,
        "requests": requests,
        "intervals": list(exchange.capabilities.intervals),
    }


def circumstances(exchange: str, profile: str, seed: int) -> str:
    """Of what, on what and how: what it takes to see the same again."""
    distribution, version = _origin(exchange)
    return (
        f"{distribution} {version} on ccrs-core {ccrs_core.__version__}, "
        f"contract {ccrs_core.CONTRACT}, profile {profile}, seed {seed}"
    )


def _wrapped(text: str, width: int, first: str) -> list[str]:
    """A paragraph in lines, all but the first indented by the width of its beginning."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _told(reason: str, width: int) -> Iterator[str]:
    """The beginning of why a test failed; all of it stands in pytest's own account."""
    # The command that follows takes the place of what Hypothesis says of reproducing.
    told = re.split(r"\n(?:Explanation:|\s*You can reproduce)", reason.strip())[0].rstrip()
    lines = told.splitlines()
    for line in lines[:_REASON_LINES]:
        indent = " " * (len(line) - len(line.lstrip()))
        yield from _wrapped(line.strip(), width, f"     {indent}") or [""]
    if len(lines) > _REASON_LINES:
        yield "     … (the rest is above)"


def _cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _origin(exchange: str) -> tuple[str, str]:
    for info in plugins.installed():
        if info.name == exchange:
            try:
                return info.distribution, metadata.version(info.distribution)
            except metadata.PackageNotFoundError:
                break
    return exchange, "unknown"
