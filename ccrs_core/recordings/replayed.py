"""Recordings as users play them back: several in one, in the order of their times."""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import UsageError
from ccrs_core.model.events import AnyEvent, BookUpdate
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.times import When, nanoseconds, shown
from ccrs_core.recordings.files import lines, read
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.parts import parts_of
from ccrs_core.recordings.replay import Replay, Step, is_ours

log = logging.getLogger("ccrs.recording")

_SHOWN = 3
"""Recordings that a text names."""


def replay(
    *paths: str | Path,
    exchange: str | Exchange | None = None,
    start: When | None = None,
    end: When | None = None,
    channels: Collection[Channel] | None = None,
    market: Market | None = None,
    snapshots: Mapping[str, str | Path] | None = None,
) -> Replayed:
    """The events of recordings, through the same codecs, races and books as live ones, in the order
    of their receive times: ``for event in replay("day.jsonl.zst")``. A folder stands for all
    recordings of this library in it.

    The same files give the same events every time, notices included. Several recordings (of other
    exchanges, say) are merged; the files of one that was rotated go on in each other, and are
    found by the name that was given to :func:`record`. A file that breaks off is played up to
    there, and the log says so.

    :param exchange: of recordings of other make, which don't tell; or your own ``Exchange``.
    :param start: a datetime or nanoseconds UTC. What comes earlier is played, as books need it, and
        not delivered; each valid book is delivered as a snapshot first.
    :param end: the first moment that isn't delivered.
    :param channels: deliver these alone; None: all.
    :param market: of recordings of other make, where the plugin would guess wrong.
    :param snapshots: files with the exchange's own answers, by symbol, for books that start from a
        request whose answer a recording doesn't hold.
    :raises UsageError: where a file can't be read, is no recording, or doesn't tell its exchange.
    :raises PluginError: where the exchange's plugin isn't installed.
    """
    if not paths:
        raise UsageError("name the recordings to replay")
    first, last = nanoseconds("start", start), nanoseconds("end", end)
    if first is not None and last is not None and first > last:
        raise UsageError(f"start must not be after end: {first} is after {last}")
    replays = opened(
        *paths, exchange=exchange, channels=channels, market=market, snapshots=snapshots
    )
    return Replayed(replays, first, last)


def opened(
    *paths: str | Path,
    exchange: str | Exchange | None = None,
    channels: Collection[Channel] | None = None,
    market: Market | None = None,
    snapshots: Mapping[str, str | Path] | None = None,
) -> list[Replay]:
    """The recordings of :func:`replay`, each for itself, nothing of them played."""
    replays = []
    for files, found in _recordings(paths, exchange):
        replays.append(Replay(found, *files, market=market, channels=channels, snapshots=snapshots))
    return replays


def merged(
    replays: Sequence[Replay], start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[tuple[Replay, Step]]:
    """Play recordings in the order of their times; see :func:`replay` for the range."""
    waiting = [
        (each.next_ns, place) for place, each in enumerate(replays) if each.next_ns is not None
    ]
    heapq.heapify(waiting)
    begun = start_ns is None
    while waiting:
        ns, place = heapq.heappop(waiting)
        if end_ns is not None and ns >= end_ns:
            return
        if not begun and start_ns is not None and ns >= start_ns:
            begun = True
            for each in replays:
                yield each, Step(start_ns, tuple(_books(each)))
        playing = replays[place]
        step = playing.step()
        if begun:
            yield playing, step
        coming_ns = playing.next_ns
        if coming_ns is not None:
            heapq.heappush(waiting, (coming_ns, place))


def _books(playing: Replay) -> Iterator[BookUpdate]:
    """The books as they stand, as snapshots."""
    for subscription, book in playing.books.items():
        if book.valid and book.sequence is not None:
            yield BookUpdate(
                exchange=playing.exchange.name,
                symbol=subscription.symbol,
                exchange_time_ns=book.exchange_time_ns,
                received_time_ns=book.received_time_ns or 0,
                sequence=book.sequence,
                snapshot=True,
                bids=tuple(book.bids()),
                asks=tuple(book.asks()),
            )


class Replayed(Iterator[AnyEvent]):
    """Events of recordings, one after the other; made by :func:`replay`. Its books stand as they
    stood when the last event came, and never know what comes later."""

    def __init__(self, replays: list[Replay], start_ns: int | None, end_ns: int | None) -> None:
        self._replays = replays
        self._events = self._played(start_ns, end_ns)
        self.time_ns = 0
        """When the last event came, nanoseconds UTC."""

    def __next__(self) -> AnyEvent:
        return next(self._events)

    def _played(self, start_ns: int | None, end_ns: int | None) -> Iterator[AnyEvent]:
        for _, step in merged(self._replays, start_ns, end_ns):
            if step.events:
                self.time_ns = step.time_ns
                yield from step.events

    def __repr__(self) -> str:
        names = ", ".join(each.path.name for each in self._replays[:_SHOWN])
        if len(self._replays) > _SHOWN:
            names += f" and {len(self._replays) - _SHOWN} more"
        at = f"at {shown(self.time_ns)}" if self.time_ns else "not begun"
        return f"<{type(self).__name__} {names}: {at}>"

    def book(
        self, symbol: str, depth: int | None = None, *, exchange: str | None = None
    ) -> OrderBook:
        """The book of a symbol as it stands now.

        :param depth: of several books of the symbol, that of so many levels.
        :raises UsageError: where none, or more than one, was recorded.
        """
        found = {
            (playing.exchange.name, subscription.depth): book
            for playing in self._replays
            for subscription, book in playing.books.items()
            if subscription.symbol == symbol
            and exchange in (None, playing.exchange.name)
            and depth in (None, subscription.depth)
        }
        if len(found) != 1:
            raise UsageError(
                f"several books of {symbol} are played: {_told(found)}; say which"
                if found
                else f"no book of {symbol} is played, as far as was read{self._others(symbol)}"
            )
        return next(iter(found.values()))

    def _others(self, symbol: str) -> str:
        """What to ask for instead of what isn't there."""
        there = {
            (playing.exchange.name, subscription.depth)
            for playing in self._replays
            for subscription in playing.books
            if subscription.symbol == symbol
        }
        if there:
            return f"; there is {_told(there)}"
        name, colon, rest = symbol.partition(":")
        if colon and any(playing.exchange.name == name for playing in self._replays):
            return f": say book({rest!r}, exchange={name!r})"
        return ""

    @property
    def frames(self) -> Counter[str]:
        """Frames so far by what became of them: data, late, other, unreadable."""
        return sum((each.frames for each in self._replays), Counter())

    @property
    def dropped(self) -> Counter[str]:
        """Frames so far of which nothing was delivered, by the stream that they name."""
        return sum((each.dropped for each in self._replays), Counter())


def _recordings(
    paths: Iterable[str | Path], exchange: str | Exchange | None
) -> Iterator[tuple[list[Path], str | Exchange]]:
    """The files of each recording, in their order, and of which exchange it is."""
    found: dict[object, list[tuple[int, Path]]] = {}
    whose: dict[object, str | Exchange] = {}
    for path in _files(paths):
        key: object = path
        part = 1
        if is_ours(path):
            header = next(read(path), None)
            if not isinstance(header, Header):
                raise UsageError(f"{path} breaks off before it says what it holds")
            key, part = (header.exchange, header.environment, header.ns), header.part
            if part == 1 and key in found and any(number == 1 for number, _ in found[key]):
                key = path
            whose[key] = header.exchange
        if isinstance(exchange, Exchange):
            if whose.setdefault(key, exchange) == exchange.name:
                whose[key] = exchange
        elif exchange is not None:
            whose.setdefault(key, exchange)
        if key not in whose:
            raise UsageError(
                f"{path} doesn't say which exchange it was recorded from: exchange=… does"
            )
        found.setdefault(key, []).append((part, path))
    for key, files in found.items():
        yield [path for _, path in sorted(files, key=lambda each: each[0])], whose[key]


def _told(books: Iterable[tuple[str, int | None]]) -> str:
    return ", ".join(f"exchange={name!r} with depth={levels}" for name, levels in books)


def _files(paths: Iterable[str | Path]) -> Iterator[Path]:
    found: list[Path] = []
    for each in map(Path, paths):
        if each.is_dir():
            found += _held(each)
        else:
            found += ([] if each.exists() else parts_of(each)) or [each]
    yield from dict.fromkeys(found)


def _held(folder: Path) -> list[Path]:
    """The recordings in a folder; what was broken off before anything was said tells nothing."""
    found = []
    for each in sorted(path for path in folder.iterdir() if path.is_file()):
        if next(lines(each), None) is None:
            log.warning("%s is empty, and left out", each)
        elif is_ours(each):
            found.append(each)
    if not found:
        raise UsageError(f"{folder} holds no recordings of ccrs: name the files")
    return found
