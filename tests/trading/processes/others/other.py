"""What other programs of the account have in common: they place and cancel at random, by a client
of their own, and care for no answer."""

from __future__ import annotations

import abc
import random
import time
from decimal import Decimal

import attrs

KEY, SECRET, PASSPHRASE = "webKey", "webSecret", "emulator"
MARK = "web"
"""What the client's ids of others begin with."""
_WORTH, _QUOTE = Decimal(50), Decimal(10)
"""Of an order, so that no market calls it too small: in quote units, and the size where that is
in quote units."""
_IN_QUOTE = frozenset({"inverse", "coinm"})


@attrs.frozen
class Traded:
    """What is traded, and by which steps."""

    category: str
    """The exchange's name of the kind of market, in small letters."""
    native: str
    hedged: bool
    """Whether it has two positions."""

    @classmethod
    def of(cls, text: str) -> Traded:
        """As it is written: ``CATEGORY:NATIVE:HEDGED``."""
        category, native, hedged = text.split(":")
        return cls(category.lower(), native, hedged == "1")


@attrs.frozen
class Placement:
    """An order that is to be placed: a limit at what the other side asks for, so that mostly it is
    filled at once."""

    traded: Traded
    buys: bool
    price: str
    size: str
    link: str
    """The client's id."""
    ioc: bool
    long: bool
    """Of what is hedged, which position: the order opens it, or makes it smaller."""

    @property
    def side(self) -> str:
        return "buy" if self.buys else "sell"


class Refused(Exception):
    """The exchange has answered that it doesn't do it."""


class Other(abc.ABC):
    """A program: what its client does is the subclass's."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.random = random.Random(seed)
        self.count = 0
        self.placed: list[Placement] = []
        self._steps: dict[Traded, tuple[Decimal, Decimal]] = {}

    # --- by which client ---

    @abc.abstractmethod
    def best(self, traded: Traded) -> tuple[str, str]:
        """The best bid and the best ask; empty where there is none."""

    @abc.abstractmethod
    def steps(self, traded: Traded) -> tuple[str, str]:
        """The smallest size and its step."""

    @abc.abstractmethod
    def send(self, order: Placement) -> None:
        """Place it."""

    @abc.abstractmethod
    def withdraw(self, order: Placement) -> None:
        """Cancel it."""

    # --- what is done ---

    def act(self, traded: Traded) -> None:
        """One thing at random."""
        if self.placed and self.random.random() < 0.3:
            self.withdraw(self.random.choice(self.placed))
        else:
            self._place(traded)

    def pause(self) -> None:
        time.sleep(self.random.uniform(0.1, 0.6))

    def _place(self, traded: Traded) -> None:
        rng = self.random
        bid, ask = self.best(traded)
        buys = rng.random() < 0.5
        price = ask if buys else bid
        if not price or not Decimal(price):
            return
        self.count += 1
        order = Placement(
            traded=traded,
            buys=buys,
            price=price,
            size=self._size(traded, Decimal(price)),
            link=f"{MARK}{rng.getrandbits(24):06x}{self.count:06d}",
            ioc=rng.random() < 1 / 3,
            long=rng.random() < 0.5,
        )
        self.send(order)
        self.placed.append(order)

    def _size(self, traded: Traded, price: Decimal) -> str:
        """A small one that every market takes."""
        if traded not in self._steps:
            least, step = map(Decimal, self.steps(traded))
            self._steps[traded] = least, step
        least, step = self._steps[traded]
        if traded.category in _IN_QUOTE:
            least = max(least, _QUOTE)
        elif traded.category != "option":
            least = max(least, _WORTH / price)
        return f"{-(-least // step) * step:f}"
