"""Contracts and base units: OKX counts all derivatives in contracts.

The core counts linear contracts and options in base units, so that sizes mean the same on all
exchanges; inverse contracts stay contracts, of ``Instrument.contract_size`` quote units each.
Conversions are exact, whatever decimal context the program has set.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from decimal import Context, Decimal

from ccrs_core import Instrument, Market, OrderBook
from ccrs_core.wire import SIZES, plausible

SCALED = frozenset({Market.LINEAR, Market.OPTION})
"""Markets whose sizes are converted from contracts to base units."""

CHECKSUM_LEVELS = 25

_EXACT = Context(prec=160, traps=[])
_ONE = Decimal(1)


def product(one: Decimal, other: Decimal) -> Decimal:
    """Exactly one number times the other."""
    return plausible(_EXACT.multiply(one, other))


def shortest(number: Decimal) -> Decimal:
    """The same number without trailing zeros, and without an exponent."""
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


class _BaseUnits(dict[str, Decimal]):
    """Sizes in base units by their text in contracts."""

    def __init__(self, contract: Decimal) -> None:
        super().__init__()
        self._contract = contract

    def __missing__(self, text: str) -> Decimal:
        size = product(SIZES[text], self._contract)
        if len(self) >= 4096:
            self.clear()
        self[text] = size
        return size


def sizes_of(instrument: Instrument) -> Mapping[str, Decimal]:
    """The sizes of an instrument by their text on the wire; what is no number raises."""
    if instrument.market in SCALED and instrument.contract_size != _ONE:
        return _BaseUnits(instrument.contract_size)
    return SIZES


def crc32(book: OrderBook, contract: Decimal | None) -> int:
    """The signed CRC-32 of a book's best levels, as the exchange spelled them.

    ``contract`` is what sizes were multiplied with. Bids and asks take turns; of a side that is
    shorter nothing is left out but what it lacks.
    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
    """
    texts: list[str] = []
    bids, asks = book.bids(CHECKSUM_LEVELS), book.asks(CHECKSUM_LEVELS)
    for place in range(max(len(bids), len(asks))):
        for side in (bids, asks):
            if place < len(side):
                price, size = side[place]
                if contract is not None and contract != _ONE:
                    # Dividing what was multiplied gives back every digit.
                    size = _EXACT.divide(size, contract)
                texts.append(f"{price:f}:{size:f}")
    unsigned = zlib.crc32(":".join(texts).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned
