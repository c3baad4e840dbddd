"""Contracts and base units: OKX counts all derivatives in contracts.

The core counts linear contracts and options in base units, so that sizes mean the same on all
exchanges; inverse contracts stay contracts, of ``Instrument.quote_per_contract`` quote units each.
Conversions are exact, whatever decimal context the program has set.
"""

from __future__ import annotations

import zlib
from decimal import Context, Decimal

from ccrs_core import Instrument, Market, OrderBook

SCALED = frozenset({Market.LINEAR, Market.OPTION})
"""Markets whose sizes are converted from contracts to base units."""

CHECKSUM_LEVELS = 25

_EXACT = Context(prec=160, traps=[])


def contract_of(instrument: Instrument) -> Decimal | None:
    """What sizes of an instrument are multiplied with; None: they are as they are sent."""
    return instrument.base_per_native_contract


def shortest(number: Decimal) -> Decimal:
    """The same number without trailing zeros, and without an exponent."""
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


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
                if contract is not None and contract != 1:
                    # Dividing what was multiplied gives back every digit.
                    size = _EXACT.divide(size, contract)
                texts.append(f"{price:f}:{size:f}")
    unsigned = zlib.crc32(":".join(texts).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned
