"""Mutants that read orders, fills, positions and money otherwise than they are told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import attrs
from ccrs_bybit import Bybit

from ccrs_core import (
    Answer,
    Balance,
    EarlyFillReport,
    EndReason,
    FeeIn,
    GetFeeRates,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    HttpResponse,
    IncomeKind,
    IncomeReport,
    Liquidity,
    OrderState,
    PositionReport,
    PositionSide,
    TriggerBy,
)
from ccrs_core.errors import (
    OrderNotFound,
)
from tests.mutants.mutant import caught_by, endpoint, original
from tests.mutants.trading import MisreadFill, Misreading, MisreadOrder, reading

ASKED_FOR = "test_an_order_is_told_as_it_is_when_it_is_asked_for"
IN_STREAMS = "test_streams_tell_each_order_as_it_was"
OPEN = "test_lists_of_open_orders_tell_each_as_it_is"
PAST = "test_histories_of_orders_tell_each_once_oldest_first"
FILLS = "test_streams_tell_each_fill_once"
LISTED = "test_fills_are_listed_once_over_pages_and_windows"
ALIKE = "test_lists_and_streams_tell_the_same_fills"
POSITIONS = "test_positions_and_wallet_are_told_as_they_are"
MONEY = "test_streams_tell_positions_and_balances_as_they_are"
GONE = "test_a_cancel_of_what_is_not_open_is_a_typed_outcome"


# --- orders as they are read ----------------------------------------------------------------


@caught_by(ASKED_FOR, IN_STREAMS)
class PartlyFilledIsFilled(MisreadOrder):
    """An order of which a part was filled is called filled."""

    @staticmethod
    def change(report: Any) -> Any:
        filled = report.state is OrderState.OPEN and report.filled_size
        return attrs.evolve(report, state=OrderState.FILLED) if filled else report


@caught_by(ASKED_FOR, IN_STREAMS)
class PartlyFilledAndCanceledIsFilled(MisreadOrder):
    """An order that was canceled after a part had been filled is called filled."""

    @staticmethod
    def change(report: Any) -> Any:
        ended = report.state in (OrderState.CANCELED, OrderState.EXPIRED) and report.filled_size
        return attrs.evolve(report, state=OrderState.FILLED, reason=None) if ended else report


@caught_by(ASKED_FOR, IN_STREAMS, PAST)
class EveryEndIsTheUsers(MisreadOrder):
    """Whoever ended an order, the user is said to have canceled it."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, reason=EndReason.BY_USER) if report.reason else report


@caught_by(ASKED_FOR, IN_STREAMS)
class ProtectionIsTheUser(MisreadOrder):
    """What disconnect protection canceled is said to have been canceled by the exchange."""

    @staticmethod
    def change(report: Any) -> Any:
        fired = report.reason is EndReason.DEAD_MAN
        return attrs.evolve(report, reason=EndReason.EXCHANGE) if fired else report


@caught_by(ASKED_FOR, IN_STREAMS)
class RejectedIsCanceled(MisreadOrder):
    """What the exchange refused after its acknowledgement is called open."""

    @staticmethod
    def change(report: Any) -> Any:
        refused = report.state is OrderState.REJECTED
        return attrs.evolve(report, state=OrderState.OPEN, reason=None) if refused else report


@caught_by(ASKED_FOR)
class WaitingIsOpen(MisreadOrder):
    """An order that waits for its trigger is called open."""

    @staticmethod
    def change(report: Any) -> Any:
        waits = report.state is OrderState.WAITING
        return attrs.evolve(report, state=OrderState.OPEN) if waits else report


@caught_by(ASKED_FOR, IN_STREAMS)
class FilledIsWhatIsLeft(MisreadOrder):
    """What is left of an order is taken for what was filled."""

    @staticmethod
    def change(report: Any) -> Any:
        if None in (report.size, report.filled_size):
            return report
        return attrs.evolve(report, filled_size=report.size - report.filled_size)


@caught_by(ASKED_FOR, IN_STREAMS)
class AveragePriceIsThePrice(MisreadOrder):
    """The price of an order is taken for the average price of its fills."""

    @staticmethod
    def change(report: Any) -> Any:
        known = report.average_price is not None and report.price is not None
        return attrs.evolve(report, average_price=report.price) if known else report


@caught_by(ASKED_FOR)
class ReduceOnlyIsntRead(MisreadOrder):
    """No order is reduce-only."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, reduce_only=False)


@caught_by(ASKED_FOR)
class TriggersFallWhereTheyRise(MisreadOrder):
    """The way to a trigger is read the wrong way round."""

    @staticmethod
    def change(report: Any) -> Any:
        trigger = report.trigger
        if trigger is None:
            return report
        return attrs.evolve(report, trigger=attrs.evolve(trigger, rises=not trigger.rises))


@caught_by(ASKED_FOR)
class TriggersAreOfTheLastPrice(MisreadOrder):
    """Every trigger is said to follow the last price."""

    @staticmethod
    def change(report: Any) -> Any:
        trigger = report.trigger
        if trigger is None:
            return report
        return attrs.evolve(report, trigger=attrs.evolve(trigger, by=TriggerBy.LAST))


@caught_by(ASKED_FOR)
class CreatedWhenItChanged(MisreadOrder):
    """The time of an order's last change is taken for that of its making."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, created_ns=report.exchange_time_ns)


@caught_by(ASKED_FOR)
class AsTheExchangeMadeIt(MisreadOrder):
    """Orders that were canceled by the exchange are said to be the exchange's."""

    @staticmethod
    def change(report: Any) -> Any:
        by_it = report.reason in (EndReason.LIQUIDATION, EndReason.DELEVERAGING)
        return attrs.evolve(report, by_exchange=True) if by_it else report


@caught_by(GONE)
class WhatIsDeniedIsMadeUp(Bybit):
    """An order that the exchange denies raises an error."""

    @staticmethod
    def _read(request: Any, value: Any) -> Any:
        if value is None:
            raise OrderNotFound("", "there is none")
        return value

    endpoints: ClassVar[Any] = {**Bybit.endpoints, **reading(GetOrder, _read)}


# --- lists ----------------------------------------------------------------------------------


def first_page(kind: type[Any]) -> dict[type[Any], Any]:
    """An endpoint that asks for no second page."""
    real = original(kind)

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        return attrs.evolve(real.decode(request, response, ns, cursor), cursor=None)

    return endpoint(kind, decode=decode)


@caught_by(OPEN)
class OpenOrdersOfTheFirstPage:
    """Only the first page of open orders is read."""

    endpoints = first_page(GetOpenOrders)


@caught_by(LISTED)
class FillsOfTheFirstPage:
    """Only the first page of fills is read."""

    endpoints = first_page(GetFills)


@caught_by(LISTED)
class FillsAtTheEndAreLeftOut:
    """The fills of a stretch's first moment are left out."""

    endpoints = reading(
        GetFills,
        lambda request, rows: [
            row for row in rows if row.exchange_time_ns > (request.start_ns or 0)
        ],
    )


@caught_by(LISTED)
class FillsOfOneMomentAreOne:
    """Of fills at the same time only the first is kept."""

    @staticmethod
    def _one(request: Any, rows: Any) -> Any:
        return list({row.exchange_time_ns: row for row in rows[::-1]}.values())[::-1]

    endpoints = reading(GetFills, _one)


@caught_by(LISTED)
class FillsOfAllOrders:
    """Which order's fills are wanted isn't asked."""

    endpoints = endpoint(
        GetFills,
        encode=lambda request, cursor: original(GetFills).encode(
            attrs.evolve(request, exchange_order_id=""), cursor
        ),
        decode=lambda request, *rest: original(GetFills).decode(
            attrs.evolve(request, exchange_order_id=""), *rest
        ),
    )


@caught_by(PAST)
class PastOrdersNewestFirst:
    """Past orders are told newest first."""

    endpoints = endpoint(
        GetOrderHistory, join=lambda pages: [row for page in pages for row in page[::-1]]
    )


@caught_by(PAST)
class PastOrdersWithoutUnfilledOnes:
    """Of past orders only those with fills are told."""

    endpoints = reading(GetOrderHistory, lambda _, rows: [row for row in rows if row.filled_size])


# --- fills ----------------------------------------------------------------------------------


@caught_by(FILLS)
class FeesAreRebates(MisreadFill):
    """The sign of fees is turned round."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, fee=None if report.fee is None else -report.fee)


@caught_by(FILLS)
class FeesAreInQuote(MisreadFill):
    """Fees of spot are said to be in the quote asset."""

    @staticmethod
    def change(report: Any) -> Any:
        spot = report.market.value == "spot"
        return attrs.evolve(report, fee_asset="", fee_in=FeeIn.QUOTE) if spot else report


@caught_by(FILLS)
class MakersAreTakers(MisreadFill):
    """Every fill is a taker's."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, liquidity=Liquidity.TAKER)


@caught_by(FILLS)
class FillsHaveThePriceOfTheirOrder(MisreadFill):
    """The price of the order is taken for that of the fill."""

    @staticmethod
    def change(report: Any) -> Any:
        price = report.native_fields.get("orderPrice")
        good = price is not None and Decimal(price) > 0
        return attrs.evolve(report, price=Decimal(price)) if good else report


@caught_by(FILLS)
class FillsHaveTheSizeOfTheirOrder(MisreadFill):
    """The size of the order is taken for that of the fill."""

    @staticmethod
    def change(report: Any) -> Any:
        size = report.native_fields.get("orderQty")
        return attrs.evolve(report, size=Decimal(size)) if size else report


@caught_by(ALIKE)
class FillsAreNumberedInLists(MisreadFill):
    """Lists name fills otherwise than streams."""

    in_streams = False

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, fill_id=f"l-{report.fill_id}")


@caught_by(FILLS)
class OrdersOfFillsAreTheirOwn(MisreadFill):
    """The id of a fill is taken for that of its order."""

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, exchange_order_id=report.fill_id)


@caught_by("test_early_fills_are_fills")
class EarlyFillsHaveIdsOfTheirOwn(Misreading):
    """What is told early of a fill has another id than the fill."""

    kind = EarlyFillReport

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, fill_id=report.exchange_order_id)


# --- positions and money --------------------------------------------------------------------


@caught_by(POSITIONS, MONEY)
class ShortPositionsAreLong(Misreading):
    """The size of a short position has no sign."""

    kind = PositionReport

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, size=abs(report.size))


@caught_by(POSITIONS, MONEY)
class EnteredAtTheMark(Misreading):
    """The mark price is taken for that of the entry."""

    kind = PositionReport

    @staticmethod
    def change(report: Any) -> Any:
        known = report.entry_price is not None
        return attrs.evolve(report, entry_price=report.mark_price) if known else report


@caught_by(MONEY)
class FlatPositionsArentTold(Misreading):
    """Streams don't tell that a position is gone, or turned round."""

    kind = PositionReport

    @staticmethod
    def change(report: Any) -> Any:
        return report if report.size > 0 else None


@caught_by(POSITIONS, MONEY)
class MoneyIsWhatIsAvailable(Misreading):
    """What is available is taken for what there is."""

    kind = Balance

    @staticmethod
    def change(report: Any) -> Any:
        available = report.available or Decimal(0)
        return attrs.evolve(report, total=available, wallet=available)


@caught_by("test_money_that_came_otherwise_is_told_once")
class TransfersAreBonuses(Misreading):
    """What came from outside is called a bonus."""

    kind = IncomeReport

    @staticmethod
    def change(report: Any) -> Any:
        transfer = report.kind is IncomeKind.TRANSFER
        return attrs.evolve(report, kind=IncomeKind.BONUS) if transfer else report


@caught_by("test_money_that_came_otherwise_is_told_once")
class IncomeIsWithoutItsSign(Misreading):
    """What went is told as what came."""

    kind = IncomeReport

    @staticmethod
    def change(report: Any) -> Any:
        return attrs.evolve(report, amount=abs(report.amount))


@caught_by("test_settings_and_the_account_are_told_as_they_are")
class MakersPayAsTakers:
    """The rates of makers and takers are taken for each other."""

    endpoints = reading(
        GetFeeRates,
        lambda _, rows: [attrs.evolve(row, maker=row.taker, taker=row.maker) for row in rows],
    )


@caught_by(POSITIONS)
class HedgesAreNet(Misreading):
    """Positions of linear contracts are said to be long or short ones of two."""

    kind = PositionReport

    @staticmethod
    def change(report: Any) -> Any:
        side = PositionSide.LONG if report.size > 0 else PositionSide.SHORT
        return attrs.evolve(report, side=side)
