"""How each kind of field is read and checked: the lines of Python that do it."""

from __future__ import annotations

import re
from typing import Any

import attrs

from ccrs_core.contract.codec import Data
from ccrs_core.wire.candle_times import later
from ccrs_core.wire.kinds import (
    NEEDED,
    Always,
    Best,
    By,
    Choice,
    Count,
    Digits,
    Flag,
    Kind,
    Levels,
    Ms,
    Over,
    Price,
    Quote,
    Rate,
    Rfc3339,
    Scale,
    Size,
    Text,
)
from ccrs_core.wire.scaled import sizes_in
from ccrs_core.wire.shapes import Shape
from ccrs_core.wire.values import (
    DECIMALS,
    EARLIEST_MS,
    LATEST_MS,
    LONGEST,
    PRICES,
    SIZES,
    decimal_of_number,
    decimal_or_none,
    fresh_size,
    ns_of_ms,
    ns_of_rfc3339,
    ns_or_none,
    price_or_none,
    size_or_none,
)

MOST_COUNT = 10**18
"""Counts are below this: at most 18 digits."""


def price_of_number(number: Any) -> Any:
    """A price that is a JSON number: above zero."""
    found = decimal_of_number(number)
    if found <= 0:
        raise ValueError("a price must be above zero")
    return found


def size_of_number(number: Any) -> Any:
    """A size that is a JSON number: not below zero."""
    found = decimal_of_number(number)
    if found < 0:
        raise ValueError("a size can't be below zero")
    return found


def _no_levels(rows: Any) -> None:
    raise TypeError("a side's levels aren't a list of levels")


_SCOPE: dict[str, Any] = {
    "PRICES": PRICES,
    "SIZES": SIZES,
    "DECIMALS": DECIMALS,
    "DIGITS": re.compile(r"\d{1,18}", re.ASCII).fullmatch,
    "Data": Data,
    "EARLIEST": EARLIEST_MS,
    "LATEST": LATEST_MS,
    "LONGEST": LONGEST,
    "MOST_COUNT": MOST_COUNT,
    "decimal_or_none": decimal_or_none,
    "fresh_size": fresh_size,
    "later": later,
    "no_levels": _no_levels,
    "ns_of_ms": ns_of_ms,
    "ns_of_rfc3339": ns_of_rfc3339,
    "ns_or_none": ns_or_none,
    "price_of_number": price_of_number,
    "price_or_none": price_or_none,
    "size_of_number": size_of_number,
    "size_or_none": size_or_none,
    "sizes_in": sizes_in,
}


class Lines:
    """The lines of one function, and the values that they name."""

    def __init__(self, shape: Shape, skip: str) -> None:
        self.shape = shape
        self.skip = skip
        """What is done with a row that is no event; it says why in ``{}``."""
        self.lines: list[str] = []
        self.prelude: list[str] = []
        self.scope: dict[str, Any] = dict(_SCOPE)
        self.depth = 2
        self.row = "frame"
        self._containers: dict[tuple[str, ...], str] = {}
        self._sizes: dict[Scale, str] = {}
        self._counts: dict[Count, str] = {}
        """Variables of counts that are read already: several fields may be made of one."""
        self.values: dict[str, str] = {}
        """The variables of the event's fields."""

    def add(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def constant(self, value: Any) -> str:
        name = f"k{len(self.scope)}"
        self.scope[name] = value
        return name

    def fresh(self) -> str:
        self.scope[name := f"v{len(self.scope)}"] = None
        return name

    def assign(self, expression: str) -> str:
        self.add(f"{(name := self.fresh())} = {expression}")
        return name

    def wrong(self, path: str, condition: str) -> None:
        self.add(f"if {condition}:")
        self.add(f"    raise TypeError({f'{path} is of the wrong type'!r})")

    def no_event(self, condition: str, expression: str) -> None:
        self.add(f"if {condition}:")
        for line in self.skip.format(expression).splitlines():
            self.add(f"    {line}")

    # --- getting at values ---

    def container(self, path: str) -> tuple[str, str]:
        """The variable of what holds a path's value, and the last part of the path."""
        parts = path.removeprefix("/").split(".")
        root = "frame" if path.startswith("/") else self.row
        holder: tuple[str, ...] = (root,)
        for part in parts[:-1]:
            inner = (*holder, part)
            if inner not in self._containers:
                name = self._containers.get(holder, root)
                self._containers[inner] = self.assign(f"{name}[{_key(part)}]")
            holder = inner
        name = self._containers.get(holder, root)
        if parts[-1].isdigit() and (*holder, "is a list") not in self._containers:
            self._containers[(*holder, "is a list")] = name
            self.wrong(path, f"type({name}) is not list")
        return name, parts[-1]

    def get(self, path: str, *, needed: bool = True) -> str:
        """A variable of the raw value at a path; None where it needn't be there and isn't."""
        name, part = self.container(path)
        if needed:
            return self.assign(f"{name}[{_key(part)}]")
        if part.isdigit():
            return self.assign(f"{name}[{part}] if len({name}) > {part} else None")
        return self.assign(f"{name}.get({part!r})")

    def sizes(self, scale: Scale | None) -> str:
        if scale is None:
            return "SIZES"
        if scale not in self._sizes:
            name = self._sizes[scale] = f"sizes{len(self._sizes)}"
            self.prelude.append(f"{name} = sizes_in({self.constant(scale)}(instrument))")
        return self._sizes[scale]

    # --- kinds ---

    def value(self, kind: Kind) -> str:
        """The variable of what a field says."""
        match kind:
            case Always():
                return self.constant(kind.value)
            case By():
                arguments = ", ".join([self.value(each) for each in kind.arguments])
                return self.assign(f"{self.constant(kind.function)}({arguments})")
            case Over():
                return self.assign(f"{self.values['close_time_ns']} <= now_ns")
            case Ms():
                return self.time(kind)
            case Rfc3339():
                name = self.get(kind.path, needed=kind.absent is NEEDED)
                if kind.absent is NEEDED:
                    return self.assign(f"ns_of_rfc3339({name})")
                absent = self.constant(kind.absent)
                return self.assign(f"ns_of_rfc3339({name}) if {name} else {absent}")
            case Choice():
                return self.choice(kind)
            case Price() | Size() | Rate():
                return self.decimal(kind)
            case Levels():
                return self.levels(kind)
            case Count() | Text() | Digits() | Flag():
                return self.plain(kind)
        raise TypeError(f"{kind} can't be read by itself")

    def plain(self, kind: Count | Text | Digits | Flag) -> str:
        if isinstance(kind, Count) and kind.absent is NEEDED:
            return self.count(kind)
        return self.read(kind)

    def count(self, kind: Count) -> str:
        """A count that must be there, which is read once however many fields are made of it."""
        itself = attrs.evolve(kind, minus=0, unless=None)
        if itself not in self._counts:
            self._counts[itself] = self.read(itself)
        name = self._counts[itself]
        if kind.minus:
            name = self.assign(f"{name} - {kind.minus}")
        if kind.unless is not None:
            name = self.assign(f"None if {self.values[kind.unless]} else {name}")
        return name

    def read(self, kind: Count | Text | Digits | Flag) -> str:
        absent = getattr(kind, "absent", NEEDED)
        name = self.get(kind.path, needed=absent is NEEDED)
        quoted = isinstance(kind, Count) and kind.quoted
        if absent is not NEEDED:
            self.add(f"if {name} is None{f' or {name} == {chr(39) * 2}' if quoted else ''}:")
            self.add(f"    {name} = {self.constant(absent)}")
            self.add("else:")
            self.depth += 1
        match kind:
            case Text():
                self.wrong(kind.path, f"type({name}) is not str or not 0 < len({name}) <= LONGEST")
            case Flag():
                self.wrong(kind.path, f"type({name}) is not bool")
            case Count() | Digits():
                least = "-MOST_COUNT <" if isinstance(kind, Count) and kind.signed else "0 <="
                if quoted:
                    self.wrong(kind.path, f"type({name}) is not str or not DIGITS({name})")
                    self.add(f"{name} = int({name})")
                bounds = f"not {least} {name} < MOST_COUNT"
                self.wrong(kind.path, f"type({name}) is not int or {bounds}")
        if isinstance(kind, Count) and kind.minus:
            self.add(f"{name} -= {kind.minus}")
        if absent is not NEEDED:
            self.depth -= 1
        if isinstance(kind, Count) and kind.unless is not None:
            self.add(f"if {self.values[kind.unless]}:")
            self.add(f"    {name} = None")
        return self.assign(f"str({name})") if isinstance(kind, Digits) else name

    def time(self, kind: Ms) -> str:
        if kind.absent is not NEEDED:
            name = self.assign(f"ns_or_none({self.get(kind.path, needed=False)})")
            if kind.absent is not None:
                self.add(f"if {name} is None:")
                self.add(f"    {name} = {self.constant(kind.absent)}")
            return name
        if kind.other is None:
            raw = self.get(kind.path)
        else:
            holder, part = self.container(kind.path)
            other, another = self.container(kind.other)
            raw = self.assign(
                f"{holder}[{_key(part)}] if {_key(part)} in {holder} else {other}[{_key(another)}]"
            )
        return self.assign(
            f"{raw} * 1000000 if type({raw}) is int and EARLIEST <= {raw} < LATEST"
            f" else ns_of_ms({raw})"
        )

    def choice(self, kind: Choice) -> str:
        raw = self.get(kind.path, needed=kind.absent is NEEDED)
        table = self.constant(dict(kind.table))
        if kind.of_flags:
            if kind.absent is NEEDED:
                self.wrong(kind.path, f"type({raw}) is not bool")
                return self.assign(f"{table}[{raw}]")
            absent = self.constant(kind.absent)
            return self.assign(f"{table}[{raw}] if type({raw}) is bool else {absent}")
        if kind.absent is not NEEDED:
            absent = self.constant(kind.absent)
            return self.assign(f"{table}.get({raw}, {absent}) if type({raw}) is str else {absent}")
        missing = self.constant(NEEDED)
        name = self.assign(f"{table}.get({raw}, {missing})")
        leaf = kind.path.rpartition(".")[2]
        self.no_event(f"{name} is {missing}", f'f"{leaf} {{{raw}}}"')
        return name

    def decimal(self, kind: Price | Size | Rate) -> str:
        needed = kind.absent is NEEDED and kind.blank is None
        raw = self.get(kind.path, needed=needed)
        match kind:
            case Price(bare=True):
                known, reader = "price_of_number({})", "price_of_number({}) if {} else None"
            case Size(bare=True):
                known = "size_of_number({})"
                reader = "size_of_number({}) if {} is not None else None"
            case Price():
                known, reader = "PRICES[{}]", "price_or_none({})"
            case Size():
                table = self.sizes(kind.scale)
                known = f"{table}[{{}}]"
                reader = f"None if {{}} is None or {{}} == '' else {table}[{{}}]"
            case _:
                known, reader = "DECIMALS[{}]", "decimal_or_none({})"
        if needed:
            return self.assign(known.format(raw))
        name = self.assign(reader.replace("{}", raw))
        if kind.blank is not None:
            self.no_event(f"{name} is None", repr(kind.blank))
        elif kind.absent is not None:
            self.add(f"if {name} is None:")
            self.add(f"    {name} = {self.constant(kind.absent)}")
        return name

    def levels(self, kind: Levels) -> str:
        raw = self.get(kind.path)
        self.add(f"if type({raw}) is not list:")
        self.add(f"    no_levels({raw})")
        at, much = (f"level[{key!r}]" for key in kind.cells or (0, 1))
        by_columns = kind.columns is not None and kind.cells is None
        if by_columns:
            at, much = "at", "much"
        price, size = f"PRICES[{at}]", f"{self.sizes(kind.scale)}[{much}]"
        if kind.bare:
            price, size = f"price_of_number({at})", f"size_of_number({much})"
        # A loop: quicker than a comprehension and a look at each level before it.
        levels = self.assign("[]")
        self.add(f"for level in {raw}:")
        self.add(f"    if level.__class__ is not {'list' if kind.cells is None else 'dict'}:")
        self.add(f"        no_levels({raw})")
        if by_columns:
            self.add(f"    at, much{', _' * ((kind.columns or 2) - 2)} = level")
        if kind.left:
            self.add(f"    price, size = {price}, {size}")
            self.add("    if size:")
            self.add(f"        {levels}.append((price, size))")
        else:
            self.add(f"    {levels}.append(({price}, {size}))")
        return self.assign(f"tuple({levels}{'[:depth]' if kind.cut else ''})")

    def side(self, kind: Best | Quote) -> tuple[str, str]:
        """The variables of a side's price and size."""
        price, size = self.fresh(), self.fresh()
        if isinstance(kind, Best):
            raw = self.get(kind.path)
            self.add(f"if type({raw}) is not list:")
            self.add(f"    no_levels({raw})")
            self.add(f"{price} = {size} = None")
            self.add(f"if {raw}:")
            level = self.fresh()
            self.add(f"    {level} = {raw}[0]")
            self.add(f"    if type({level}) is not list:")
            self.add(f"        no_levels({raw})")
            known = f"{self.sizes(kind.scale)}[{level}[1]]"
            if kind.scale is None:
                known = f"fresh_size({level}[1])"
            self.add(f"    {size} = {known} or None")
            self.add(f"    if {size} is not None:")
            self.add(f"        {price} = PRICES[{level}[0]]")
            return price, size
        needed = kind.absent is NEEDED
        at, much = self.get(kind.price, needed=needed), self.get(kind.size, needed=needed)
        self.add(f"{price} = {size} = None")
        # What has a size and needs a price must have one: that a side is empty is its size's word.
        told = (much,) if needed else (much, at)
        blank = [f"{raw} is not None and {raw} != ''" for raw in told]
        self.add(f"if {' and '.join(blank)}:")
        known, paid = f"{self.sizes(kind.scale)}[{much}]", f"PRICES[{at}]"
        if kind.bare:
            known, paid = f"size_of_number({much})", f"price_of_number({at})"
        self.add(f"    {size} = {known} or None")
        self.add(f"    if {size} is not None:")
        self.add(f"        {price} = {paid}")
        return price, size


def _key(part: str) -> str:
    return part if part.isdigit() else repr(part)


__all__ = ["MOST_COUNT", "Lines"]
