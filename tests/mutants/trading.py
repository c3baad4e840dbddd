"""Mutants of trading: orders asked for otherwise, and orders, fills and money read otherwise, than
they are. Streams and answers are changed alike, unless a mutant is about their difference."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_bybit import Bybit

from ccrs_core import (
    AmendOrder,
    AmendOrders,
    Answer,
    Balance,
    CancelAll,
    CancelOrders,
    Codec,
    Data,
    EarlyFillReport,
    EndReason,
    FeeIn,
    FillReport,
    GetFeeRates,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    GetPositions,
    HttpResponse,
    IncomeKind,
    IncomeReport,
    Liquidity,
    Message,
    OrderReport,
    OrderState,
    PlaceOrder,
    PlaceOrders,
    PositionReport,
    PositionSide,
    Route,
    SetLeverage,
    TriggerBy,
    Wallet,
)
from ccrs_core.errors import (
    CcrsError,
    DecodeError,
    ExchangeUnavailable,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
)
from tests.mutants.mutant import caught_by, endpoint, original

AS_ASKED = "test_orders_of_each_declared_feature_are_placed_as_asked"
ASKED_FOR = "test_an_order_is_told_as_it_is_when_it_is_asked_for"
IN_STREAMS = "test_streams_tell_each_order_as_it_was"
OPEN = "test_lists_of_open_orders_tell_each_as_it_is"
PAST = "test_histories_of_orders_tell_each_once_oldest_first"
FILLS = "test_streams_tell_each_fill_once"
LISTED = "test_fills_are_listed_once_over_pages_and_windows"
ALIKE = "test_lists_and_streams_tell_the_same_fills"
POSITIONS = "test_positions_and_wallet_are_told_as_they_are"
MONEY = "test_streams_tell_positions_and_balances_as_they_are"
BATCHES = "test_batches_answer_for_each_item_in_order"
GONE = "test_a_cancel_of_what_is_not_open_is_a_typed_outcome"
IDS = "test_client_order_ids_fit_the_exchanges_grammar"
AMENDED = "test_an_amendment_changes_what_it_names_alone"
STRANGE = "test_a_strange_row_of_an_account_takes_no_other_away"

Body = dict[str, Any]


# --- what many of them do -------------------------------------------------------------------


def asking(kind: type[Any], change: Callable[[Body, Any], None]) -> dict[type[Any], Any]:
    """An endpoint whose requests have another body."""
    real = original(kind)

    def encode(request: Any, cursor: str | None) -> Any:
        http = real.encode(request, cursor)
        body = json.loads(http.body)
        change(body, request)
        return attrs.evolve(http, body=orjson.dumps(body))

    return endpoint(kind, encode=encode)


def reading(kind: type[Any], change: Callable[[Any, Any], Any]) -> dict[type[Any], Any]:
    """An endpoint whose answers are read otherwise."""
    real = original(kind)

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        answer = real.decode(request, response, ns, cursor)
        return attrs.evolve(answer, value=change(request, answer.value))

    return endpoint(kind, decode=decode)


class Misreading(Bybit):
    """Reads reports otherwise, in streams and answers."""

    kind: ClassVar[type[Any]]
    in_streams: ClassVar[bool] = True
    in_answers: ClassVar[bool] = True

    @staticmethod
    def change(report: Any) -> Any:
        """What is read instead; None for nothing."""
        return report

    def _changed(self, value: Any) -> Any:
        if isinstance(value, self.kind):
            return self.change(value)
        if isinstance(value, Wallet):
            return attrs.evolve(value, balances=tuple(self._changed(list(value.balances))))
        if isinstance(value, list):
            found = [self._changed(each) for each in value]
            return [each for each in found if each is not None]
        return value

    @property
    def endpoints(self) -> Mapping[Any, Any]:  # type: ignore[override]
        if not self.in_answers:
            return Bybit.endpoints
        wanted = (GetOrder, GetOpenOrders, GetOrderHistory, GetFills, GetPositions, GetIncome)
        found = dict(Bybit.endpoints)
        from ccrs_core import GetWallet

        for kind in (*wanted, GetWallet):
            found |= reading(kind, lambda _, value: self._changed(value))
        return found

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        if route.private and self.in_streams:
            real, changed = codec.decode, self._changed

            def decode(frame: bytes, received_time_ns: int) -> Sequence[Message]:
                messages: list[Message] = []
                for message in real(frame, received_time_ns):
                    if not isinstance(message, Data):
                        messages.append(message)
                    elif events := changed(list(message.events)):
                        messages.append(Data(message.topic, events, message.sequence))
                return messages

            codec.decode = decode  # type: ignore[method-assign]
        return codec


class MisreadOrder(Misreading):
    kind = OrderReport


class MisreadFill(Misreading):
    kind = FillReport


# --- what is asked for ----------------------------------------------------------------------


@caught_by(AS_ASKED, "test_orders_of_any_kind_are_placed_as_asked")
class SellsWhatIsToBeBought:
    """Sides of orders are turned round."""

    endpoints = asking(
        PlaceOrder,
        lambda body, _: body.update(side={"Buy": "Sell", "Sell": "Buy"}[body["side"]]),
    )


@caught_by(AS_ASKED)
class PostOnlyOrdersTake:
    """Post-only is forgotten."""

    endpoints = asking(
        PlaceOrder,
        lambda body, r: body.update(timeInForce="GTC") if r.order.post_only else None,
    )


@caught_by(AS_ASKED)
class AllOrdersRest:
    """Orders that are to be filled at once or not at all rest."""

    endpoints = asking(
        PlaceOrder,
        lambda body, r: (
            body.update(timeInForce="GTC") if body.get("timeInForce") in ("IOC", "FOK") else None
        ),
    )


@caught_by(AS_ASKED)
class ReduceOnlyOrdersOpen:
    """Reduce-only is forgotten."""

    endpoints = asking(PlaceOrder, lambda body, _: body.pop("reduceOnly", None))


@caught_by(AS_ASKED)
class TriggersFollowTheLastPrice:
    """A trigger follows the last price whatever was asked for."""

    endpoints = asking(
        PlaceOrder,
        lambda body, _: body.update(triggerBy="LastPrice") if "triggerBy" in body else None,
    )


@caught_by(AS_ASKED)
class StopLossesAreForgotten:
    """An order's stop-loss isn't sent."""

    endpoints = asking(
        PlaceOrder,
        lambda body, _: [body.pop(name) for name in list(body) if name.startswith(("stopL", "sl"))],
    )


@caught_by(AS_ASKED)
class SelfTradePreventionIsForgotten:
    """The rule against trading with oneself isn't sent."""

    endpoints = asking(PlaceOrder, lambda body, _: body.pop("smpType", None))


@caught_by(AS_ASKED)
class OrdersAreAnonymous:
    """The client's id isn't sent."""

    endpoints = asking(PlaceOrder, lambda body, _: body.pop("orderLinkId", None))


@caught_by(IDS)
class LongIdsAreCut:
    """Only the first 30 characters of a client's id are sent."""

    endpoints = asking(
        PlaceOrder, lambda body, _: body.update(orderLinkId=body["orderLinkId"][:30])
    )


@caught_by(AS_ASKED)
class AmountsOfQuoteAreSizes:
    """An amount of quote is sent as a size in base units."""

    endpoints = asking(
        PlaceOrder,
        lambda body, _: body.update(marketUnit="baseCoin") if "marketUnit" in body else None,
    )


@caught_by(AS_ASKED)
class ShortsAreLongs:
    """In hedge mode orders of the short position are sent as of the long one."""

    endpoints = asking(
        PlaceOrder,
        lambda body, _: body.update(positionIdx=1) if body.get("positionIdx") == 2 else None,
    )


@caught_by(AMENDED)
class AmendedSizesAreForgotten:
    """An amended size isn't sent."""

    endpoints = asking(
        AmendOrder,
        lambda body, _: body.update(price=body.get("price", "1")) if body.pop("qty", None) else 0,
    )


@caught_by(AMENDED)
class AmendedSizesAreWhatIsAdded:
    """An amended size is taken for a lot more than what is wanted."""

    endpoints = asking(
        AmendOrder,
        lambda body, _: body.update(qty=str(Decimal(body["qty"]) * 2)) if "qty" in body else None,
    )


@caught_by("test_conditional_orders_are_amended_and_canceled")
class AmendedTriggersArePrices:
    """An amended trigger is sent as the order's price."""

    endpoints = asking(
        AmendOrder,
        lambda body, _: (
            body.update(price=body.pop("triggerPrice")) if "triggerPrice" in body else None
        ),
    )


@caught_by("test_cancel_all_cancels_what_it_says")
class CancelAllCancelsConditionalOrdersToo:
    """Of spot, orders that wait for a trigger are canceled in place of the others."""

    endpoints = asking(
        CancelAll,
        lambda body, _: (
            body.update(orderFilter="StopOrder") if body.get("orderFilter") == "Order" else None
        ),
    )


@caught_by("test_settings_and_the_account_are_told_as_they_are")
class LeverageIsWholeTens:
    """The leverage that is set is another one."""

    endpoints = asking(
        SetLeverage, lambda body, _: body.update(buyLeverage="10.1", sellLeverage="10.1")
    )


# --- batches --------------------------------------------------------------------------------


@caught_by(BATCHES)
class OutcomesOfBatchesAreTurnedRound:
    """The outcomes of a batch are given in the opposite order."""

    endpoints = reading(PlaceOrders, lambda _, done: list(done)[::-1])


@caught_by(BATCHES)
class RefusedItemsOfBatchesAreLeftOut:
    """Items that were refused have no outcome."""

    endpoints = reading(
        PlaceOrders, lambda _, done: [each for each in done if not isinstance(each, CcrsError)]
    )


@caught_by(BATCHES)
class OneRefusalIsAllOfTheBatch:
    """One refused item makes the whole batch fail."""

    @staticmethod
    def _all(request: Any, done: Any) -> Any:
        error = next((each for each in done if isinstance(each, CcrsError)), None)
        return done if error is None else [error] * len(done)

    endpoints = reading(PlaceOrders, _all)


@caught_by(BATCHES)
class BatchesOfCancelsKnowNoErrors:
    """A cancel that was refused in a batch counts as done."""

    @staticmethod
    def _fine(request: Any, done: Any) -> Any:
        good = next(each for each in done if not isinstance(each, CcrsError))
        return [good if isinstance(each, CcrsError) else each for each in done]

    endpoints = reading(CancelOrders, _fine)


@caught_by(BATCHES)
class BatchesAmendTheFirstAlone:
    """Of a batch of amendments the prices of all but the first are left out."""

    endpoints = asking(
        AmendOrders,
        lambda body, _: [item.update(price="0.5") for item in body["request"][1:]],
    )


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


# --- strange rows and errors ----------------------------------------------------------------


@caught_by(STRANGE)
class OneStrangeRowLosesTheFrame(Bybit):
    """A row that can't be read takes the frame's other rows away."""

    def codec(self, route: Route) -> Codec:
        from ccrs_core import LeftOut

        codec = super().codec(route)
        if route.private:
            real = codec.decode

            def decode(frame: bytes, received_time_ns: int) -> Sequence[Message]:
                messages = real(frame, received_time_ns)
                if any(isinstance(message, LeftOut) for message in messages):
                    raise DecodeError("a row can't be read", frame)
                return messages

            codec.decode = decode  # type: ignore[method-assign]
        return codec


class _OtherError(Bybit):
    codes: ClassVar[tuple[str, ...]] = ()

    def other(self, error: Any) -> CcrsError:
        raise NotImplementedError

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        return self.other(error) if getattr(error, "code", None) in self.codes else error


@caught_by(GONE)
class WhatIsGoneIsBusy(_OtherError):
    """That there is no such open order is taken for a passing failure."""

    codes = ("110001", "170213")

    def other(self, error: Any) -> CcrsError:
        return ExchangeUnavailable(error.code, error.text)


@caught_by(IDS)
class UsedIdsAreMalformed(_OtherError):
    """That a client's id was used before is taken for a rejection of any kind."""

    codes = ("110072", "170141")

    def other(self, error: Any) -> CcrsError:
        return OrderRejected(error.code, error.text, EndReason.OTHER)


REFUSED = "test_orders_that_cannot_be_are_refused_for_what_they_lack"


@caught_by(REFUSED)
class BrokenRulesAreOutages(_OtherError):
    """That an order breaks a rule is taken for an outage."""

    codes = ("170134", "10001", "110003")

    def other(self, error: Any) -> CcrsError:
        return ExchangeUnavailable(error.code, error.text)


@caught_by(REFUSED)
class WhatReducesNothingIsPoor(_OtherError):
    """That there is nothing to reduce is taken for a lack of money."""

    codes = ("110017",)

    def other(self, error: Any) -> CcrsError:
        return OrderRejected(error.code, error.text, EndReason.BALANCE)


__all__ = ["InvalidRequest", "Misreading", "asking", "reading"]
