"""How one channel's frames are spelled, declared once: everything that reads them follows from it.

The general decoder (:mod:`ccrs_core.wire.interpreter`), the pattern of each usual spelling
(:mod:`ccrs_core.wire.patterns`), and how copies are told and bursts judged
(:mod:`ccrs_core.wire.copies`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import orjson

from ccrs_core.model.events import BookUpdate, Candle, Event
from ccrs_core.model.subscriptions import ACCOUNT_CHANNELS
from ccrs_core.wire.kinds import (
    Always,
    Best,
    By,
    Choice,
    Count,
    Kind,
    Ms,
    Over,
    Quote,
    is_bare,
    paths_of,
)

ROWS = "rows"
"""For ``told_apart_by``: by the bytes of the rows."""

_GIVEN = ("exchange", "symbol", "received_time_ns", "account")
_MAY_BE_NONE = ("exchange_time_ns", "sequence")
_SIDES = ("bid", "ask")


def _fields(given: Mapping[str, Kind] | Iterable[tuple[str, Kind]]) -> tuple[tuple[str, Kind], ...]:
    return tuple(given.items() if isinstance(given, Mapping) else given)


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str | bytes):
        raise ValueError(f"usual is a list of frames, not one: write usual=[{given[:60]!r}…]")
    texts = tuple(given)
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"a usual frame is a text, not {type(text).__name__}")
    return texts


def _only(given: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    # They always begin at the frame; who writes so, as fields do that stand beside rows, is right.
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple((path.removeprefix("/"), value) for path, value in pairs)


@attrs.frozen(cache_hash=True)
class Shape:
    """The frames of one channel.

    ``fields`` says where each of an event's fields stands and of what kind it is; ``exchange``,
    ``symbol``, ``account`` and the time of receipt are filled in, and of a candle its interval and
    its end. ``bid`` and ``ask`` stand for a price and a size. Fields are read in this order.

    ``usual``: a frame in each of the spellings that the exchange uses. What is spelled like one of
    them, or like a few others that are met, is read by one pattern each; nothing but speed hangs on
    them. Without any, all frames are parsed.

    ``rows``: where a list of rows stands, each of which is an event, oldest first. ``only``: what
    must stand somewhere in the frame (its paths begin there, with or without a slash); a frame that
    says something else is ``Unrecognised``.

    ``numbered_by``: the field (a count, or a time in milliseconds), or a kind, whose number rises
    from each frame (or row) to the next and is the same on all connections. ``restart``: the number
    with which the exchange begins to count anew. ``told_apart_by``: without a number, the field (a
    text or digits) that no two frames have alike, or :data:`ROWS`.

    ``apart``: whether rows say something each by itself, so that one that can't be read takes no
    other away; so it is for trades and whatever else isn't numbered.

    :raises ValueError: where the declaration can't be right, saying why: a field that the event
        hasn't, one that is missing, a path that isn't in a usual frame.
    """

    event: type[Event]
    usual: tuple[str, ...] = attrs.field(converter=_texts)
    fields: tuple[tuple[str, Kind], ...] = attrs.field(converter=_fields)
    rows: str | None = None
    only: tuple[tuple[str, Any], ...] = attrs.field(default=(), converter=_only)
    numbered_by: str | Kind | None = None
    restart: int | None = None
    told_apart_by: str | None = None
    apart: bool = attrs.field(kw_only=True)

    @apart.default
    def _apart_by_default(self) -> bool:
        return self.rows is not None and (
            self.numbered_by is None or isinstance(self.numbered_by, Kind)
        )

    def __attrs_post_init__(self) -> None:
        self._check_fields()
        self._check_names()
        for text in self.usual:
            self._check_usual(text)

    def kind(self, name: str) -> Kind | None:
        """The kind of one of the event's fields; None where it isn't declared."""
        return dict(self.fields).get(name)

    @property
    def exact(self) -> bool:
        """Whether prices are JSON numbers, which takes a parser that keeps all digits."""
        return any(is_bare(kind) for _, kind in self.fields)

    @property
    def whole(self) -> bool:
        """Whether each frame tells the whole state, so that a later one replaces it."""
        if self.event is BookUpdate:
            return self.kind("snapshot") == Always(True)
        return isinstance(self.numbered_by, str)

    @property
    def of_account(self) -> bool:
        """Whether its events are of an account, which has no instrument."""
        return self.event.channel in ACCOUNT_CHANNELS

    # --- what can be wrong with a declaration ---

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"shape of {self.event.__name__}: {what}")

    def _check_fields(self) -> None:
        known = {field.name: field for field in attrs.fields(self.event)}
        able = [name for name in known if name not in _GIVEN]
        sides = f"{_SIDES[0]}_price" in known
        declared: set[str] = set()
        for name, kind in self.fields:
            self._check_kind(name, kind)
            sided = isinstance(kind, Best | Quote)
            if sided and not sides:
                raise self._wrong(
                    f"{name} is a {type(kind).__name__}, for the best price of an event that has"
                    f" one; this one has {', '.join(able)}"
                )
            if sides and sided != (name in _SIDES):
                raise self._wrong(f"Best and Quote are for bid and ask, not for {name}")
            for field in (f"{name}_price", f"{name}_size") if sided else (name,):
                if field in _GIVEN:
                    raise self._wrong(f"{field} is filled in: don't declare it")
                if field not in known:
                    raise self._wrong(f"it has no field {field}; it has {', '.join(able)}")
                if field in declared:
                    raise self._wrong(f"{field} is declared twice")
                declared.add(field)
        filled = {*declared, *_GIVEN, *_MAY_BE_NONE}
        if self.event is Candle:
            filled |= {"interval", "close_time_ns"}
        if self.event is BookUpdate and "sequence" not in declared:
            raise self._wrong("a book's updates need a sequence")
        missing = [f.name for f in known.values() if f.default is attrs.NOTHING]
        missing = [name for name in missing if name not in filled]
        if missing:
            raise self._wrong(f"nothing says where {', '.join(missing)} stands")

    def _check_kind(self, name: str, kind: Any) -> None:
        """That it is a kind, with a path, and all the kinds in it."""
        if isinstance(kind, type) and issubclass(kind, Kind):
            raise self._wrong(
                f"{name} is the class {kind.__name__}; write where it stands: {kind.__name__}(…)"
            )
        if not isinstance(kind, Kind):
            raise self._wrong(
                f"{name} is {kind!r}; write a kind with its path, such as Price({kind!r})"
                if isinstance(kind, str)
                else f"{name} is {kind!r}, which is no kind; for a value write Always({kind!r})"
            )
        if self.of_account and getattr(kind, "scale", None) is not None:
            raise self._wrong(f"{name} is scaled by an instrument, and an account has none")
        for each in kind.arguments if isinstance(kind, By) else ():
            self._check_kind(name, each)
            if isinstance(each, Best | Quote):
                raise self._wrong(f"{name}: Best and Quote are two values; give By others")

    def _check_order(self) -> None:
        """That fields of which others are made come before them."""
        before: set[str] = set()
        for name, kind in self.fields:
            for each in _each(kind):
                if isinstance(each, Count) and each.unless and each.unless not in before:
                    raise self._wrong(
                        f"{name} is None by {each.unless}: declare that before {name}"
                        if self.kind(each.unless)
                        else f"{name} is None by {each.unless}, which isn't declared"
                    )
                if isinstance(each, Over) and self.event is not Candle:
                    raise self._wrong(f"{name} is Over, which only candles are")
                if isinstance(each, Over) and "open_time_ns" not in before:
                    raise self._wrong(f"{name} is Over: declare open_time_ns before it")
            before.add(name)

    def _check_names(self) -> None:
        self._check_order()
        by = self.numbered_by
        if by is not None and not isinstance(by, str):
            self._check_kind("numbered_by", by)
        if isinstance(by, str) and not isinstance(self.kind(by), Count | Ms):
            raise self._wrong(f"numbered_by names {by}, which is no Count and no Ms")
        if self.restart is not None and by is None:
            raise self._wrong("restart says nothing without numbered_by")
        apart = self.told_apart_by
        if apart is not None and by is not None:
            raise self._wrong("what is numbered needs no told_apart_by")
        if apart == ROWS and self.rows is None:
            raise self._wrong("told_apart_by its rows, but it has none")
        if apart not in (None, ROWS) and len(paths_of(self.kind(apart or "") or Kind())) != 1:
            raise self._wrong(f"told_apart_by names {apart}, which isn't declared")
        for name, kind in self.fields:
            if isinstance(kind, Choice) and len({type(key) for key, _ in kind.table}) != 1:
                raise self._wrong(f"the table of {name} must be of texts, or of true and false")

    def _check_usual(self, text: str) -> None:
        try:
            frame = orjson.loads(text)
        except ValueError as error:
            raise self._wrong(f"a usual frame is no JSON: {error}") from None
        rows: list[Any] = [frame]
        if self.rows is not None:
            rows = found(frame, self.rows)
            if type(rows) is not list or not rows:
                raise self._wrong(f"a usual frame has no rows in {self.rows}: {text[:120]}")
        for path, value in self.only:
            told = found(frame, path)
            if told != value:
                raise self._wrong(f"{path} is {told!r} in a usual frame, not {value!r}")
        for name, kind in self.fields:
            for path, needed in paths_of(kind):
                at_frame = path.startswith("/")
                for row in [frame] if at_frame else rows:
                    if needed and found(row, path.removeprefix("/")) is None:
                        raise self._wrong(f"{name}: there is no {path} in {text[:200]}")


def _each(kind: Kind) -> Iterable[Kind]:
    """A kind and those in it."""
    yield kind
    for argument in kind.arguments if isinstance(kind, By) else ():
        yield from _each(argument)


def found(value: Any, path: str) -> Any:
    """What stands at a path of parsed JSON; None where there is nothing."""
    for part in path.split("."):
        if type(value) is dict:
            value = value.get(part)
        elif type(value) is list and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


__all__ = ["ROWS", "Shape", "found"]
