"""Kraken as the core sees it. https://docs.kraken.com/exchange/guides/websockets/introduction"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import ccrs_core as ccrs
from ccrs_core import Budget, Channel, Market
from ccrs_kraken.codec import KrakenCodec
from ccrs_kraken.rest import ENDPOINTS, error_of

DEPTHS = (10, 25, 100, 500, 1000)


class Kraken(ccrs.Exchange):
    """Kraken's spot market."""

    name = "kraken"
    contract = 2
    title = "Kraken"
    capabilities = ccrs.Capabilities(
        channels={Market.SPOT: frozenset({Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK})},
        book_depths={Market.SPOT: DEPTHS},
    )
    environments: ClassVar[Mapping[str, ccrs.Environment]] = {
        "mainnet": ccrs.Environment(
            addresses={"rest": "https://api.kraken.com", "public": "wss://ws.kraken.com"}
        )
    }
    endpoints = ENDPOINTS
    # Below what Kraken allows an address: about 150 connections in 10 minutes, and one public
    # request a second. https://docs.kraken.com/api/docs/guides/spot-ws-intro and
    # https://support.kraken.com/articles/206548367-what-are-the-api-rate-limits-
    limits = ccrs.Limits(
        connects=Budget(amount=120, seconds=600), requests=Budget(amount=9, seconds=10)
    )

    def route(self, subscription: ccrs.Subscription) -> ccrs.Route:
        """One for each channel and depth: requests have one of either, and frames of a book don't
        tell its depth. Ids of trades are the same on all connections."""
        scopes, depth = ccrs.SequenceScope, subscription.depth
        trades = subscription.channel is Channel.TRADES
        return ccrs.Route(
            url="{public}/v2",
            name=f"{subscription.channel.value} {depth or ''}",
            sequence_scope=scopes.GLOBAL if trades else scopes.CONNECTION,
            topics_per_request=50,
            topics_per_connection=20_000 // depth if depth else None,
        )

    def codec(self, route: ccrs.Route) -> ccrs.Codec:
        return KrakenCodec()

    def error_of(self, response: ccrs.HttpResponse) -> ccrs.CcrsError | None:
        return error_of(response)

    def checksum(self, subscription: ccrs.Subscription) -> ccrs.Checksum:
        """https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2"""
        tick, lot = subscription.instrument.tick_size, subscription.instrument.lot_size

        def crc32(book: ccrs.OrderBook) -> int:
            levels = book.asks(10) + book.bids(10)
            texts = [digits(price, tick) + digits(size, lot) for price, size in levels]
            return zlib.crc32("".join(texts).encode())

        return crc32

    def dialect(self) -> ccrs.emulator.Dialect:
        from ccrs_kraken.emulator import KrakenDialect

        return KrakenDialect()


def digits(number: Decimal, step: Decimal | None) -> str:
    """A number at its pair's precision, without point and leading zeros."""
    exponents = [int(each.as_tuple().exponent) for each in (number, step) if each is not None]
    return f"{number:.{max(0, -min(exponents))}f}".replace(".", "").lstrip("0")
