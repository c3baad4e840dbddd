"""Recordings played back through the same codecs, races and books that serve live connections.

What connections brought is replayed, what clocks did is not: a ``Stale`` for mere silence, say, be
it by the exchange's ``max_silence`` or by a feed's ``stale_after``.

Pure: the same file gives the same events, to the byte, every time. ``received_time_ns`` comes from
the file; where a recording of other make has no receive times, an event's own exchange time stands
in for it (so that latencies read as zero).

Besides this library's recordings (:mod:`~ccrs_core.recordings.format`) files of other make are
accepted: lines of ``{"recv_ts": seconds or null, "raw": "frame"}``, or just one raw frame per line.
They don't say what was subscribed to; the exchange's plugin guesses it from the frames.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetBook
from ccrs_core.errors import UsageError
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.recordings.files import in_a_row, lines, read
from ccrs_core.recordings.format import Closed, Header, Opened, Received, Record
from ccrs_core.recordings.playback import Playback


def events_of(
    exchange: str | Exchange,
    path: str | Path,
    *more: str | Path,
    market: Market | None = None,
    channels: Collection[Channel] | None = None,
    snapshots: Mapping[str, str | Path] | None = None,
) -> Iterator[AnyEvent]:
    """The events of a recording, in order; see :class:`Replay`."""
    playing = Replay(exchange, path, *more, market=market, channels=channels, snapshots=snapshots)
    for step in playing.steps():
        yield from step.events


@attrs.frozen
class Step:
    """What one record led to."""

    time_ns: int
    """When it happened, nanoseconds UTC."""
    events: Sequence[AnyEvent]


_NAMED = 100
_FATES = ("data", "late", "unreadable", "other")
"""What becomes of frames, what counts most first."""
_LOST = _FATES[2:]
OTHERS = "others"
"""Stands in ``Replay.dropped`` for all names beyond the first 100."""


class Replay:
    """One pass over a recording. ``books``, ``frames`` and ``dropped`` tell the state so far.

    :param more: files that the recording goes on in.
    :param market: of the frames, where the recording doesn't say and the plugin would guess wrong.
    :param channels: deliver these alone.
    :param snapshots: files with the exchange's own answers, by symbol, for books that start from a
        request whose answer the recording doesn't hold.
    :raises UsageError: where the file can't be read, isn't a recording, or is of another exchange.
    """

    def __init__(
        self,
        exchange: str | Exchange,
        path: str | Path,
        *more: str | Path,
        market: Market | None = None,
        channels: Collection[Channel] | None = None,
        snapshots: Mapping[str, str | Path] | None = None,
    ) -> None:
        self.exchange: Exchange = (
            plugins.load(exchange)() if isinstance(exchange, str) else exchange
        )
        self.path = Path(path)
        self._paths = (self.path, *map(Path, more))
        self.guessed: tuple[Subscription, ...] = ()
        """What a recording of other make is taken to hold."""
        self.frames: Counter[str] = Counter()
        """Frames by what became of them: data, late, other, unreadable."""
        self.dropped: Counter[str] = Counter()
        """Frames of which nothing was delivered, by the stream that they name (in the words of the
        plugin's codec): streams that weren't guessed or chosen, or that it can't read."""
        self._channels = channels
        self._foreign = not is_ours(self.path)
        if self._foreign and more:
            raise UsageError(f"{path} is a recording of other make: it is played on its own")
        self._machine = Playback(self.exchange, self.frames, self._bodies(snapshots))
        self._coming: Record | None = None
        self._left = self._records()
        if self._foreign:
            frames = [frame for _, frame in _foreign(self.path)]
            if not frames:
                raise UsageError(f"{path} holds no frames")
            self.guessed = tuple(self.exchange.subscriptions_in(frames, market))
            if not self.guessed:
                raise UsageError(
                    f"{path} holds no frame of a stream that {self.exchange.name} is known for"
                )

    def _bodies(self, snapshots: Mapping[str, str | Path] | None) -> dict[str, bytes]:
        if snapshots and GetBook not in self.exchange.endpoints:
            raise UsageError(f"{self.exchange.name} has no books that start from a request")
        bodies = {}
        for symbol, path in (snapshots or {}).items():
            try:
                bodies[symbol] = Path(path).read_bytes()
            except OSError as error:
                raise UsageError(f"can't read {path}: {error.strerror}") from None
        return bodies

    @property
    def books(self) -> dict[Subscription, OrderBook]:
        """The books as they stand now."""
        return self._machine.books()

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What the recording holds, as far as it was read."""
        return tuple(self._machine.subscriptions)

    def steps(self) -> Iterator[Step]:
        """Play the recording, once, one record after the other."""
        while self.next_ns is not None:
            step = self.step()
            if step.events:
                yield step

    @property
    def next_ns(self) -> int | None:
        """When what is played next happened; None at the end. Nothing of it has been played."""
        if self._coming is None:
            self._coming = next(self._left, None)
            if self._coming is None:
                return None
        return max(self._coming.ns or 0, self._machine.now_ns)

    def step(self) -> Step:
        """Play the next record; there is one, by :attr:`next_ns`."""
        machine, record = self._machine, self._coming
        assert record is not None
        self._coming = None
        events = machine.play(record)
        if isinstance(record, Received) and not self._foreign:
            self._drop(machine.dropped)
        return Step(machine.now_ns, events)

    def _records(self) -> Iterator[Record]:
        if self._foreign:
            machine = self._machine
            machine.want(self._chosen(self.guessed))
            for number, route in enumerate(machine.routes, start=1):
                machine.open(number, route)
            numbers = range(1, len(machine.routes) + 1)
            for ns, frame in _foreign(self.path):
                # A frame of unknown address is shown to every route; it is one nevertheless.
                fates: dict[str, tuple[str, ...]] = {}
                for number in numbers:
                    yield Received(ns, number, frame)
                    self.frames[machine.fate] -= 1
                    fates.setdefault(machine.fate, machine.dropped)
                fate = min(fates, key=_FATES.index)
                self.frames[fate] += 1
                for idle in [kind for kind, count in self.frames.items() if not count]:
                    del self.frames[idle]
                if fate in _LOST:
                    self._drop(fates[fate] or next(filter(None, fates.values()), ()))
            return
        held: set[str] = set()
        playing = played = False
        for record in in_a_row(self._paths):
            if isinstance(record, Header):
                if record.exchange != self.exchange.name:
                    raise UsageError(
                        f"{self.path} was recorded from {record.exchange}, "
                        f"not from {self.exchange.name}"
                    )
                chosen = self._chosen(record.subscriptions)
                held |= {each.channel.value for each in record.subscriptions}
                # A recording that was gone on with may hold it before or after.
                playing = bool(chosen)
                played = played or playing
                if playing:
                    yield attrs.evolve(record, subscriptions=chosen)
            elif playing:
                yield record
        if not played:
            holds = ", ".join(sorted(held)) or "nothing"
            raise UsageError(f"{self.path} has no such channel; it holds {holds}")

    def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            known = name in self.dropped or len(self.dropped) < _NAMED
            self.dropped[name if known else OTHERS] += 1

    def _chosen(self, subscriptions: Sequence[Subscription]) -> tuple[Subscription, ...]:
        wanted = self._channels
        return tuple(s for s in subscriptions if wanted is None or s.channel in wanted)


# --- Files ----------------------------------------------------------------------------------


def is_ours(path: Path) -> bool:
    """Whether a file is of this library's make.

    :raises UsageError: where it is empty, or can't be read.
    """
    first = next(lines(path), None)
    if first is None:
        raise UsageError(f"{path} is empty")
    return first[1].startswith(b'{"kind":"header"')


def _foreign(path: Path) -> Iterator[tuple[int | None, bytes]]:
    """Receive time and frame of each line of a file of other make."""
    for number, line, torn in lines(path):
        try:
            # Times keep their digits: a float would lose the nanoseconds.
            content = json.loads(line, parse_float=Decimal)
        except ValueError:
            if torn:
                return
            raise UsageError(f"{path}:{number}: not JSON, so no recording") from None
        if not (isinstance(content, dict) and "raw" in content and "recv_ts" in content):
            yield None, line
            continue
        raw, seconds = content["raw"], content["recv_ts"]
        if not isinstance(raw, str) or not isinstance(seconds, Decimal | int | None):
            raise UsageError(f"{path}:{number}: raw must be text and recv_ts a number or null")
        yield None if seconds is None else int(Decimal(seconds).scaleb(9)), raw.encode()


def received_frames(path: str | Path) -> Iterator[tuple[int | None, bytes]]:
    """Receive time (nanoseconds UTC, or None) and content of each received frame of any recording.

    Of racing connections one speaks for all, so that nothing comes twice.
    """
    if not is_ours(Path(path)):
        yield from _foreign(Path(path))
        return
    urls: dict[int, str] = {}
    racing = True
    for record in read(path):
        match record:
            case Header(connections=connections):
                racing = connections > 1
                urls.clear()
            case Opened(_, number, url):
                urls[number] = url
            case Closed(_, number):
                urls.pop(number, None)
            case Received(ns, number, frame) if number in urls:
                first = next(n for n, url in urls.items() if url == urls[number])
                if not racing or first == number:
                    yield ns, frame
            case _:
                pass
