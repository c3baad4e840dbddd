"""Patterns of usual spellings: matched instead of parsed, their values converted when read.

Matching costs about half of what parsing costs. A pattern takes nothing that the general decoder
would refuse or understand otherwise; what it doesn't take, the general decoder gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import attrs

from ccrs_core.contract.codec import Data, Message
from ccrs_core.model.constructors import deferred_constructors
from ccrs_core.model.events import Candle
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_MS
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
    Price,
    Quote,
    Rate,
    Scale,
    Size,
    Text,
    paths_of,
)
from ccrs_core.wire.scaled import sizes_in
from ccrs_core.wire.shapes import Shape
from ccrs_core.wire.spellings import Token, Unspelled, tokens
from ccrs_core.wire.values import DECIMALS, PRICES, SIZES

Taker = Callable[[bytes, int, int], Sequence[Message] | None]
"""What a frame says of which so many characters are known (its head), received at a time; None
where it isn't spelled in this way."""

# Numbers are short enough to stay plausible where sizes are multiplied; a price of nothing is none.
_SIZE = r"(?:0|[1-9]\d{0,20}+)(?:\.\d{1,20}+)?+"
_PRICE = r'[1-9]\d{0,20}+(?:\.\d{1,20}+)?+|0\.(?!0*+")\d{1,20}+'
_RATE = rf"-?+{_SIZE}"
_MS = r"[1-4]\d{12}"
_COUNT = r"[1-9]\d{0,17}+"
_TEXT = r'[^"\\\x00-\x1f]{1,64}+'
_UNREAD = {
    "text": r'"[^"\\\x00-\x1f]*+"',
    "number": r"-?+(?:0|[1-9]\d{0,17}+)(?:\.\d{1,18}+)?+(?![.eE])",
    "word": r"(?:true|false|null)",
}
_FARTHEST = 20
"""Powers of ten that a scale may be away from one, so that what a pattern takes stays plausible."""


@attrs.frozen
class Spelling:
    """A pattern of what follows the head of a frame, and what makes takers of it."""

    pattern: str
    make: Callable[[str, Subscription, Any], Taker]
    """Of a topic, what it carries, and whoever is told the last event (None: nobody)."""


def taker(
    shape: Shape, text: str, start: int, topic: str, subscription: Subscription, told: Any = None
) -> Taker:
    """The taker of frames of a topic that are spelled as ``text`` is, from character ``start`` on.

    :raises Unspelled: where no pattern can be made of it.
    """
    for scale in _scales_of(shape):
        value = scale(subscription.instrument)
        if value is not None and not -_FARTHEST < value.adjusted() < _FARTHEST:
            raise Unspelled("sizes are multiplied with an implausible number")
    pieces = _pieces(shape, text, start)
    return _spelling(shape, pieces, told is not None).make(topic, subscription, told)


@lru_cache(maxsize=256)
def _pieces(shape: Shape, text: str, start: int) -> tuple[Piece, ...]:
    """Of a usual frame, which all topics of a shape have in common, worked out once."""
    return _Draft(shape, text, start).pieces()


def always_parsed(shape: Shape) -> bool:
    """Whether no frame of a shape has a short way: of candles and books, of JSON numbers, and where
    numbers are computed."""
    levels = any(isinstance(kind, Levels) for _, kind in shape.fields)
    computed = isinstance(shape.numbered_by, Kind)
    return levels or computed or shape.exact or shape.event is Candle


@lru_cache(maxsize=256)
def _scales_of(shape: Shape) -> frozenset[Scale]:
    return frozenset(scale for _, kind in shape.fields for scale in _scales(kind))


def _scales(kind: Kind) -> list[Scale]:
    if isinstance(kind, By):
        return [scale for each in kind.arguments for scale in _scales(each)]
    scale = getattr(kind, "scale", None)
    return [] if scale is None else [scale]


# --- the pattern ----------------------------------------------------------------------------


Piece = tuple[str, tuple[str, ...]]
"""A part of the pattern, and the names of the groups in it."""


class _Draft:
    """Works out the pattern of one frame, piece by piece in the frame's own order."""

    def __init__(self, shape: Shape, text: str, start: int) -> None:
        if always_parsed(shape):
            raise Unspelled("frames of this shape are always parsed")
        self.shape, self.text, self.start = shape, text, start
        self.tokens = tokens(text)
        self.at: dict[str, Token] = {token.path: token for token in self.tokens}
        self.prefix = ""
        if shape.rows is not None:
            if f"{shape.rows}.0" not in self.at or f"{shape.rows}.1" in self.at:
                raise Unspelled("not just one row")
            self.prefix = f"{shape.rows}.0."
        self.wanted: list[tuple[str, str, Kind]] = []
        """Full path, the part's name, and its kind."""
        for name, kind in shape.fields:
            self._want(name, kind)
        for path, value in shape.only:
            token = self.at.get(path)
            if token is None or token.start < start:
                raise Unspelled(f"{path} isn't there")
            if self.text[token.start : token.end] not in (f'"{value}"', str(value).lower()):
                raise Unspelled(f"{path} says something else")

    def path(self, path: str) -> str:
        return path[1:] if path.startswith("/") else self.prefix + path

    def _want(self, name: str, kind: Kind) -> None:
        match kind:
            case Always():
                return
            case By():
                for place, each in enumerate(kind.arguments):
                    self._want(f"{name}.{place}", each)
                return
            case Ms() if kind.other is not None:
                path = kind.path if self.path(kind.path) in self.at else kind.other
                self._want(name, Ms(path))
                return
            case Quote():
                self._want(f"{name}.price", Price(kind.price, kind.absent))
                self._want(f"{name}.size", Size(kind.size, kind.scale, kind.absent))
                return
        (path, needed), *more = paths_of(kind) or (("", True),)
        if more or not path:
            raise Unspelled(f"{name} is always parsed")
        full = self.path(path)
        if full not in self.at:
            if needed:
                raise Unspelled(f"{path} isn't there")
            return
        self.wanted.append((full, name, kind))

    def pieces(self) -> tuple[Piece, ...]:
        pieces: list[Piece] = []
        done = self.start
        if any(t.start < self.start < t.end for t in self.tokens if t.kind != "object"):
            raise Unspelled("the head ends within a value")
        only = {path for path, _ in self.shape.only}
        taken: set[str] = set()
        for token in self.tokens:
            if token.start < done:
                continue
            read = [(name, kind) for path, name, kind in self.wanted if path == token.path]
            if token.path in only or (not read and token.kind in ("object", "list")):
                continue
            pieces.append((re.escape(self.text[done : token.start]), ()))
            pieces.append(self._piece(token, read))
            taken.update(name for name, _ in read)
            done = token.end
        pieces.append((re.escape(self.text[done:]), ()))
        if taken != {name for _, name, _ in self.wanted}:
            raise Unspelled("something stands in the head")
        return tuple(pieces)

    def _piece(self, token: Token, read: list[tuple[str, Kind]]) -> Piece:
        if not read:
            return _UNREAD[token.kind], ()
        name, kind = read[0]
        if isinstance(kind, Best):
            return self._best(token, name)
        pattern, quoted = _pattern_of(kind, token, self.text)
        names = [name]
        for other, another in read[1:]:
            if _pattern_of(another, token, self.text) != (pattern, quoted):
                raise Unspelled(f"{name} and {other} stand in one place")
            names.append(other)
        group = f"({pattern})"
        return (f'"{group}"' if quoted else group), (" ".join(names),)

    def _best(self, token: Token, name: str) -> Piece:
        levels = [t for t in self.tokens if re.fullmatch(re.escape(token.path) + r"\.\d+", t.path)]
        if len(levels) != 1 or levels[0].kind != "list":
            raise Unspelled(f"{name} hasn't just one level")
        cells = [t for t in self.tokens if t.path.startswith(levels[0].path + ".")]
        if [t.kind for t in cells[:2]] != ["text", "text"] or any(
            t.kind not in _UNREAD for t in cells
        ):
            raise Unspelled(f"{name} has a strange level")
        parts, done = [], token.start + 1
        for place, cell in enumerate(cells):
            parts.append(re.escape(self.text[done : cell.start]))
            read = [_PRICE, _SIZE][place : place + 1]
            parts.append(f'"({read[0]})"' if read else _UNREAD[cell.kind])
            done = cell.end
        parts.append(re.escape(self.text[done : token.end - 1]))
        # Something or nothing costs less than something that is optional.
        return rf"\[(?:{''.join(parts)}|)\]", (f"{name}.price", f"{name}.size")


def _pattern_of(kind: Kind, token: Token, text: str) -> tuple[str, bool]:
    """The pattern of a value, and whether it is quoted."""
    quoted = token.kind == "text"
    match kind:
        case Price() if quoted:
            return _PRICE, True
        case Size() if quoted:
            return _SIZE, True
        case Rate() if quoted:
            return _RATE, True
        case Text() if quoted:
            return _TEXT, True
        case Ms() if token.kind != "word":
            return _MS, quoted
        case Count() | Digits() if token.kind == "number" and not getattr(kind, "quoted", False):
            return _COUNT, False
        case Count(quoted=True) if quoted:
            return _COUNT, True
        case Flag() if token.kind == "word":
            return "true|false", False
        case Choice():
            if kind.of_flags and token.kind == "word":
                return "true|false", False
            if quoted and not kind.of_flags:
                known = "|".join(re.escape(key) for key, _ in kind.table)
                return (known if kind.absent is NEEDED else _TEXT), True
    raise Unspelled(f"{token.path} is spelled otherwise than its kind is")


# --- what makes events of a match -------------------------------------------------------------


_TAKER = """\
def make(topic, subscription, told):
    exchange, symbol = subscription.exchange, subscription.symbol
    account = subscription.account
    construct = constructors()
{prelude}
    def take(frame, start, ns, match=match):
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
{lines}
        return (Data(topic, (event,), {number}, {restart}, {peek_agrees}),)

    return take
"""


@lru_cache(maxsize=256)
def _spelling(shape: Shape, pieces: tuple[Piece, ...], telling: bool) -> Spelling:
    """The spelling of a pattern's pieces. (Learned ones are few: what isn't used is forgotten.)"""
    pattern = "".join(part for part, _ in pieces)
    groups: dict[str, int] = {}
    for place, named in enumerate([each for _, names in pieces for each in names], 1):
        groups.update((name, place) for name in named.split(" "))
    converter = _Converter(shape, groups)
    scope = converter.scope
    scope["match"] = re.compile(pattern, re.ASCII).fullmatch
    wire = "found" if not converter.sizes else f"(found, {', '.join(converter.sizes.values())})"
    scope["constructors"] = converter.constructors()
    arguments = ["exchange", "symbol"]
    lines: list[str] = []
    number = "None"
    if isinstance(shape.numbered_by, str):
        number = "number"
        if shape.numbered_by in groups:
            lines.append(f"        number = int(found[{groups[shape.numbered_by]}])")
        else:
            lines.append("        number = None")
    arguments += [converter.eagerly(name) for name in converter.eager[2:]]
    lines.append(f"        event = construct({', '.join([*arguments, wire])})")
    if telling:
        lines.append("        told.last = event")
    restart = "False" if shape.restart is None else f"number == {shape.restart}"
    prelude = [
        f"    {name} = sizes_in({converter.constant(scale)}(subscription.instrument))"
        for scale, name in converter.sizes.items()
    ]
    peek_agrees = "number is not None" if number != "None" else "False"
    source = _TAKER.format(
        prelude="\n".join(prelude),
        lines="\n".join(lines),
        number=number,
        restart=restart,
        peek_agrees="True" if shape.numbered_by in groups else peek_agrees,
    )
    exec(source, scope)  # noqa: S102 - written from a declaration, above
    return Spelling(pattern, scope["make"])


class _Converter:
    """Writes how the groups of a match become the fields of an event."""

    def __init__(self, shape: Shape, groups: dict[str, int]) -> None:
        self.shape, self.groups = shape, groups
        self.scope: dict[str, Any] = {
            "Data": Data,
            "Decimal": Decimal,
            "DECIMALS": DECIMALS,
            "PRICES": PRICES,
            "SIZES": SIZES,
            "sizes_in": sizes_in,
        }
        self.sizes: dict[Scale, str] = {}
        fields = [field.name for field in attrs.fields(shape.event)]
        self.defaults = {
            field.name: None if field.default is attrs.NOTHING else field.default
            for field in attrs.fields(shape.event)
        }
        self.late: dict[str, str] = {}
        """The expressions of fields that are converted late."""
        self.lines: list[str] = []
        for name, kind in shape.fields:
            self._field(name, kind)
        self.eager = [name for name in fields if name not in self.late]

    def constant(self, value: Any) -> str:
        self.scope[name := f"k{len(self.scope)}"] = value
        return name

    def eagerly(self, name: str) -> str:
        """The expression of a field that is told at once."""
        if name == "received_time_ns":
            return "ns"
        if name == "account":
            return name
        kind = self.shape.kind(name)
        match kind:
            case None:
                return repr(self.defaults[name])
            case Always():
                return self.constant(kind.value)
            case Count() if name == self.shape.numbered_by:
                return "number"
            case Count():
                return f"int(found[{self.groups[name]}])"
        return f"found[{self.groups[name]}]"

    def constructors(self) -> Any:
        names = list(self.late)
        expressions = ", ".join(self.late.values())
        unpacked = ", ".join(f"g{place}" for place in sorted(set(self.groups.values())))
        start = [f"    found, {', '.join(self.sizes.values())} = wire"] if self.sizes else []
        wire = "found" if self.sizes else "wire"
        source = "\n".join(
            [
                "def convert(wire):",
                *start,
                f"    {unpacked}, = {wire}.groups()",
                *self.lines,
                f"    return ({expressions},)",
            ]
        )
        exec(source, self.scope)  # noqa: S102 - written from a declaration, above
        return deferred_constructors(self.shape.event, names, self.scope["convert"])

    def _table(self, scale: Scale | None) -> str:
        if scale is None:
            return "SIZES"
        return self.sizes.setdefault(scale, f"sizes{len(self.sizes)}")

    def _field(self, name: str, kind: Kind) -> None:
        if isinstance(kind, Always | Text | Digits) and (
            isinstance(kind, Always) or name in self.groups
        ):
            return
        if name == self.shape.numbered_by and isinstance(kind, Count) and kind.minus == 0:
            return
        if name in self.groups and self._identifies(kind):
            return
        if isinstance(kind, Best | Quote):
            self._side(name, kind)
            return
        self.late[name] = self._expression(name, kind)

    def _identifies(self, kind: Kind) -> bool:
        """Whether a count is an identity, too: then whoever looks for holes reads it of each event,
        and to leave it would have all be converted at once."""
        if not isinstance(kind, Count) or kind.minus or kind.unless:
            return False
        return any(
            isinstance(each, Digits) and each.path == kind.path for _, each in self.shape.fields
        )

    def _side(self, name: str, kind: Best | Quote) -> None:
        places = [self.groups.get(f"{name}.{part}") for part in ("price", "size")]
        if None in places:
            self.late |= {f"{name}_price": "None", f"{name}_size": "None"}
            return
        price, size = (f"g{place}" for place in places)
        plain = kind.scale is None
        known = f"Decimal({size})" if plain else f"{self._table(kind.scale)}[{size}]"
        if isinstance(kind, Best):
            known += f" if {price} else None"
        variable = f"of_{name}"
        self.lines.append(f"    {variable} = {known}")
        self.late[f"{name}_price"] = f"PRICES[{price}] if {variable} else None"
        self.late[f"{name}_size"] = f"{variable} or None"

    def _expression(self, name: str, kind: Kind) -> str:
        if isinstance(kind, By):
            arguments = [
                self._expression(f"{name}.{place}", each)
                for place, each in enumerate(kind.arguments)
            ]
            return f"{self.constant(kind.function)}({', '.join(arguments)})"
        if isinstance(kind, Always):
            return self.constant(kind.value)
        if name not in self.groups:
            return self.constant(getattr(kind, "absent", None))
        group = f"g{self.groups[name]}"
        match kind:
            case Ms():
                return f"int({group}) * {NS_PER_MS}"
            case Price():
                return f"PRICES[{group}]"
            case Size():
                return f"{self._table(kind.scale)}[{group}]"
            case Rate():
                return f"DECIMALS[{group}]"
            case Flag():
                return f"{group} == 'true'"
            case Choice():
                table = dict(kind.table)
                if kind.of_flags:
                    table = {str(key).lower(): value for key, value in table.items()}
                if kind.absent is NEEDED:
                    return f"{self.constant(table)}[{group}]"
                return f"{self.constant(table)}.get({group}, {self.constant(kind.absent)})"
            case Count():
                if kind.unless is not None:
                    raise Unspelled(f"{name} depends on another field")
                return f"int({group}) - {kind.minus}" if kind.minus else f"int({group})"
        return group


__all__ = ["Spelling", "Taker", "always_parsed", "taker"]
