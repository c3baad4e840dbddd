"""What the emulated exchange lists, and the numbers that its markets are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.model.instruments import InstrumentStatus, Market, OptionKind
from ccrs_core.model.units import NS_PER_SECOND


def _number(value: Decimal | str | int) -> Decimal:
    return Decimal(value)


_SETTLED: Mapping[Market, Callable[[Any], str | None]] = {
    Market.SPOT: lambda listing: None,
    Market.LINEAR: lambda listing: listing.quote,
    Market.INVERSE: lambda listing: listing.base,
    Market.OPTION: lambda listing: listing.quote,
}
_ONE = Decimal(1)


@attrs.frozen(kw_only=True)
class Listing:
    """One instrument of the emulated exchange, with its trading rules.

    ``category`` and ``symbol`` are the exchange's own words and identify the listing. ``price`` is
    about where its market starts, ``levels`` about how many price levels a side of its book has,
    ``level_value`` the value in quote units of an ordinary level, and ``pace`` how lively it is
    compared with the emulator's rate. Sizes are in base units, of inverse listings in contracts of
    ``quote_per_contract`` quote units (1 unless told; None elsewhere). ``halts`` are stretches of
    the past, (from, to) in nanoseconds UTC, ascending and apart, in which nothing was traded: no
    candle lies within them, and no funding is paid. Unless told, contracts are settled in quote
    units (inverse ones in base units), the smallest size is a lot, and the largest ten million of
    them.
    """

    category: str
    symbol: str
    market: Market
    base: str
    quote: str
    settle: str | None = attrs.field(
        default=attrs.Factory(lambda listing: _SETTLED[listing.market](listing), takes_self=True)
    )
    status: InstrumentStatus = InstrumentStatus.TRADING
    tick: Decimal = attrs.field(converter=_number)
    lot: Decimal = attrs.field(converter=_number)
    quote_per_contract: Decimal | None = attrs.field(
        default=attrs.Factory(
            lambda listing: Decimal(1) if listing.market is Market.INVERSE else None,
            takes_self=True,
        ),
        converter=attrs.converters.optional(_number),
    )
    min_size: Decimal = attrs.field(
        default=attrs.Factory(lambda listing: listing.lot, takes_self=True), converter=_number
    )
    max_size: Decimal = attrs.field(
        default=attrs.Factory(lambda listing: listing.lot * 10_000_000, takes_self=True),
        converter=_number,
    )
    min_notional: Decimal = attrs.field(default=Decimal(0), converter=_number)
    price: Decimal = attrs.field(converter=_number)
    levels: int = 150
    level_value: Decimal = attrs.field(default=Decimal(20_000), converter=_number)
    pace: float = 1.0
    launch_ns: int = 0
    halts: tuple[tuple[int, int], ...] = ()
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option_kind: OptionKind | None = None
    coarser: tuple[tuple[int, int], ...] = ()
    """Where the tick depends on the price: (from so many ticks on, prices are multiples of so many
    ticks), ascending."""
    underlying: tuple[str, str] | None = None
    """The key of the listing whose index an option is on; None: its strike's price."""
    contract: Decimal = attrs.field(default=_ONE, converter=_number)
    """How much of a size is one of what the exchange counts orders and positions in, where that is
    contracts of so many base units."""
    funding_interval_ns: int | None = None
    """Time between funding payments; None for what pays none."""
    funding_changes: tuple[tuple[int, int], ...] = ()
    """(when, interval) in nanoseconds, ascending: after the payment at such a time others follow at
    another interval."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.category, self.symbol)

    @property
    def worth_of_one(self) -> Decimal:
        """What a size of 1 is worth in base units, of inverse listings in quote units."""
        return _ONE if self.quote_per_contract is None else self.quote_per_contract

    def counted(self, size: Decimal) -> Decimal:
        """A size as the exchange counts orders and positions."""
        return size if self.contract == 1 else size / self.contract

    def dated(self, expiry: datetime, symbol: str, **changes: Any) -> Listing:
        """This contract with an expiry, which pays no funding."""
        dates: dict[str, Any] = {"expiry_ns": int(expiry.timestamp()) * NS_PER_SECOND}
        return attrs.evolve(
            self, symbol=symbol, **{**dates, "funding_interval_ns": None, **changes}
        )

    def funding_interval_at(self, time_ns: int) -> int | None:
        """The time between funding payments that is in force at a time."""
        found = self.funding_interval_ns
        for from_ns, interval_ns in self.funding_changes:
            if from_ns <= time_ns:
                found = interval_ns
        return found

    def funding_after(self, time_ns: int) -> int | None:
        """When funding is paid next, after a time."""
        interval_ns = self.funding_interval_at(time_ns)
        return None if interval_ns is None else (time_ns // interval_ns + 1) * interval_ns

    def funding_until(self, time_ns: int) -> int | None:
        """When funding was paid last, until a time."""
        interval_ns = self.funding_interval_at(time_ns - 1)
        return None if interval_ns is None else time_ns // interval_ns * interval_ns

    def halted(self, from_ns: int, to_ns: int) -> tuple[int, int] | None:
        """The halt in which a stretch of time lies as a whole, or all of it since the launch; None
        where there was trading."""
        for halt in self.halts:
            if halt[0] <= max(from_ns, self.launch_ns) and to_ns <= halt[1]:
                return halt
        return None


def utc_ns(*moment: int) -> int:
    """The nanoseconds of a moment: year, month, day, hour and so on, UTC."""
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * NS_PER_SECOND  # type: ignore[arg-type, misc]


def invented(seed: str) -> Iterator[tuple[str, Decimal]]:
    """Ever new coins that don't exist, and prices: hundreds of books can be asked for."""
    rng, known = random.Random(seed), set[str]()
    consonants, vowels = "BDFGKLMNPRSTVZ", "AEIOU"
    while True:
        letters = (consonants, vowels, consonants, vowels, consonants)
        name = "".join(rng.choice(each) for each in letters)
        if name not in known:
            known.add(name)
            yield name, Decimal(rng.randrange(1000, 90000)).scaleb(-3)


def quarters(start_ns: int, count: int) -> list[datetime]:
    """The coming last Fridays of quarters, 08:00 UTC, at least a week ahead."""
    start = datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC)
    found: list[datetime] = []
    year, month = start.year, (start.month - 1) // 3 * 3 + 3
    while len(found) < count:
        following = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
        last = following - timedelta(days=1)
        friday = last - timedelta(days=(last.weekday() - 4) % 7)
        if friday > start + timedelta(days=7):
            found.append(friday)
        year, month = (year + 1, 3) if month == 12 else (year, month + 3)
    return found


def decimals(step: Decimal) -> int:
    """Digits after the point in which a step is spelled: 2 for 0.10, 0 for 10."""
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


class Steps:
    """Converts between numbers of steps (ticks, lots) and their decimal text, quickly.

    Text has as many decimals as the step is spelled with: multiples of 0.10 have two.
    """

    __slots__ = ("_fixed", "_trimmed", "_unit", "digits", "scale", "step")

    def __init__(self, step: Decimal) -> None:
        self.step = step
        self.digits = decimals(step)
        self.scale = 10**self.digits
        self._unit = int(step * self.scale)
        self._fixed: dict[int, str] = {}
        self._trimmed: dict[int, str] = {}

    def count(self, value: Decimal) -> int | None:
        """How many steps make up a value; None where it isn't a multiple."""
        steps = value / self.step
        whole = int(steps)
        return whole if whole == steps else None

    def nearest(self, value: Decimal | float) -> int:
        """The number of steps nearest to a value, at least one."""
        return max(1, round(Decimal(value) / self.step))

    def value(self, steps: int) -> Decimal:
        return self.step * steps

    def fixed(self, steps: int) -> str:
        """As text with all its decimals: ``61874.00``."""
        text = self._fixed.get(steps)
        if text is None:
            if len(self._fixed) > 20_000:
                self._fixed.clear()
            text = self._fixed[steps] = self._spell(steps * self._unit)
        return text

    def trimmed(self, steps: int) -> str:
        """As text without trailing zeros: ``61874``."""
        text = self._trimmed.get(steps)
        if text is None:
            if len(self._trimmed) > 20_000:
                self._trimmed.clear()
            text = self._spell(steps * self._unit)
            if self.digits:
                text = text.rstrip("0").rstrip(".")
            self._trimmed[steps] = text
        return text

    def hundredths(self, count: int) -> str:
        """A number of hundredths of a step, rounded to the text's decimals."""
        return self._spell(count * self._unit // 100)

    def _spell(self, units: int) -> str:
        if not self.digits:
            return str(units)
        sign = "-" if units < 0 else ""
        whole, rest = divmod(abs(units), self.scale)
        return f"{sign}{whole}.{rest:0{self.digits}d}"
