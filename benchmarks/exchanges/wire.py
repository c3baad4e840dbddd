"""What the benchmarks need to know of an exchange, for the source as well as for the clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import attrs

from benchmarks.frames import Frames

Topic = tuple[str, str]
"""A channel, by its key in :attr:`Wire.channels`, and a native symbol."""


@attrs.frozen
class Heard:
    """What follows from a client's message."""

    replies: Sequence[str] = ()
    topics: Sequence[Topic] = ()
    """To which it subscribes."""


class Wire(ABC):
    """One exchange: which frames it sends on what, and what it answers. Without any state."""

    name: ClassVar[str]
    title: ClassVar[str]
    native: ClassVar[str]
    """The symbol that is measured, as the exchange names it."""
    symbol: ClassVar[str]
    """The same, as this library and ccxt.pro do."""
    market: ClassVar[str]
    """What kind of market that is, as this library names it."""
    stream_path: ClassVar[str]
    """Where the bare loops subscribe."""
    book_depth: ClassVar[int]
    """The depth of the measured book, as this library asks for it."""

    cases: ClassVar[Mapping[str, str]]
    """The channel that is measured by case."""
    own: ClassVar[Mapping[tuple[str, str], str]] = {}
    """The channel of a client that reads another one for a case."""
    remarks: ClassVar[Mapping[str, str]] = {}
    """By case: in what the clients' frames differ; shown with the results."""
    effort: ClassVar[Mapping[str, float]] = {}
    """By case: how many times the work of other frames one is, roughly, to size the runs alike."""
    channels: ClassVar[Mapping[str, Callable[[str], Frames]]]
    """Makers of a channel's frames, from a native symbol."""

    data_key: ClassVar[str]
    """What frames with data have and answers have not."""
    book_path: ClassVar[str | None] = None
    """Where the book is to be had that a stream of changes begins from."""
    changes: ClassVar[frozenset[str]] = frozenset()
    """Channels of changes alone. To who keeps a book of them their second frame isn't sent before
    he asked for the book; what he gets is the one after the first frame."""

    def channel(self, case: str, client: str) -> str:
        """What a client reads."""
        return self.own.get((client, case), self.cases[case])

    def unified(self, count: int) -> list[str]:
        """:meth:`symbols`, as this library and ccxt.pro name them."""
        (_, measured), *_ = listed = self.symbols(count)
        return [self.symbol.replace(measured, base, 1) for _, base in listed]

    @abstractmethod
    def subscription(self, channel: str, natives: Sequence[str]) -> str:
        """The message that subscribes to all these at ``stream_path``."""

    @abstractmethod
    def symbols(self, count: int) -> list[tuple[str, str]]:
        """Native symbols with their base coins; the first is the one that is measured."""

    def opened(self, target: str) -> Sequence[Topic]:
        """What the address of a new stream subscribes to."""
        return ()

    @abstractmethod
    def heard(self, target: str, text: str, offered: str) -> Heard:
        """The answer to a message on the stream with this address; ``offered`` is the only channel
        that there is."""

    @abstractmethod
    def answer(self, path: str, query: Mapping[str, str], instruments: int) -> object | None:
        """The answer to a GET request, where so many instruments are listed; None: not found."""


def made_up(base: str, count: int) -> list[str]:
    """So many base coins, the first one being real."""
    return [base, *(f"S{number:04d}" for number in range(1, count))]
