"""Flags, sides and statuses that are read in one of their values alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.rest import GetInstruments, GetTrades, HttpRequest, HttpResponse
from ccrs_core.model.events import Liquidation, Trade
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Side
from tests.mutants.around import reading, speaking, told
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, answering

FLAGS = "test_each_side_and_flag_of_trades_is_told"
LIQUIDATED = "test_each_side_of_liquidations_is_told"
STATUSES = "test_each_status_of_an_instrument_is_told"


@caught_by(FLAGS)
class NoTradeIsABlock(Bybit):
    """The codec doesn't read whether a trade was negotiated."""

    codec = reading(Bybit, told(Trade, block=lambda _: False))


class NoBlocks(SpeaksThrough):
    """Writes no trade as negotiated."""

    def said(self, payload: bytes) -> bytes:
        return payload.replace(b'"BT":true', b'"BT":false')

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        body = response.body.replace(b'"isBlockTrade":true', b'"isBlockTrade":false')
        return attrs.evolve(response, body=body)


@caught_by(FLAGS)
class NobodyKnowsOfBlocks(Bybit):
    """Neither emulator nor codec knows of negotiated trades."""

    dialect = speaking(Bybit, NoBlocks)
    codec = reading(Bybit, told(Trade, block=lambda _: False))
    endpoints = answering(
        Bybit, GetTrades, lambda _, found: [attrs.evolve(each, block=False) for each in found]
    )


@caught_by(FLAGS)
class BlocksOfAnswersAreUntold(Bybit):
    """Requests don't read whether a trade was negotiated, streams do."""

    endpoints = answering(
        Bybit, GetTrades, lambda _, found: [attrs.evolve(each, block=False) for each in found]
    )


@caught_by(FLAGS)
class RetailIsReadUpsideDown(Okx):
    """Trades of retail price improvement are told as the others, and the others as those."""

    codec = reading(Okx, told(Trade, rpi=lambda e: None if e.rpi is None else not e.rpi))


@caught_by(FLAGS)
class RetailIsNeverTold(Binance):
    """No trade is told to have improved a retail price."""

    codec = reading(Binance, told(Trade, rpi=lambda e: None if e.rpi is None else False))


class BuysOnly(SpeaksThrough):
    """Writes each trade as one whose taker bought."""

    def said(self, payload: bytes) -> bytes:
        return payload.replace(b'"side":"sell"', b'"side":"buy"')


@caught_by(FLAGS)
class EverybodyBuys(Okx):
    """Emulator and codec know takers that buy, and no others."""

    dialect = speaking(Okx, BuysOnly)


@caught_by(LIQUIDATED)
class OnlyLongsAreLiquidated(Binance):
    """Each liquidation is told as one of a long position."""

    codec = reading(Binance, told(Liquidation, side=lambda _: Side.BUY))


@caught_by(LIQUIDATED)
class LiquidationsOfTheOrder(Okx):
    """A liquidation's side is that of the order that closes the position."""

    codec = reading(
        Okx,
        told(Liquidation, side=lambda e: Side.SELL if e.side is Side.BUY else Side.BUY),
    )


def status_of(
    change: Callable[[Instrument], InstrumentStatus],
) -> Callable[[Any, Any], Any]:
    """Reads other statuses of instruments."""
    return lambda _, found: [attrs.evolve(each, status=change(each)) for each in found]


@caught_by(STATUSES)
class SettlingStillTrades(Bybit):
    """An instrument that is being settled is called trading."""

    endpoints = answering(
        Bybit,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.TRADING
                if each.status is InstrumentStatus.SETTLING
                else each.status
            )
        ),
    )


@caught_by(STATUSES)
class HaltedStillTrades(Okx):
    """A suspended instrument is called trading."""

    endpoints = answering(
        Okx,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.TRADING if each.status is InstrumentStatus.HALTED else each.status
            )
        ),
    )


@caught_by(STATUSES)
class ToComeIsHalted(Binance):
    """What is to come is called halted."""

    endpoints = answering(
        Binance,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.HALTED
                if each.status is InstrumentStatus.PRELAUNCH
                else each.status
            )
        ),
    )


class NothingIsHalted(SpeaksThrough):
    """Writes no instrument as suspended."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return attrs.evolve(
            response, body=response.body.replace(b'"state":"suspend"', b'"state":"live"')
        )


@caught_by(STATUSES)
class NobodyKnowsOfHalts(Okx):
    """Neither emulator nor plugin knows of instruments that are suspended."""

    dialect = speaking(Okx, NothingIsHalted)
