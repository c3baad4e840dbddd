"""Mutants of Binance's trading: what three products with one language invite to confuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_binance.trading import TRADING

from ccrs_core import (
    AmendOrder,
    Answer,
    Balance,
    CancelAll,
    CancelOrder,
    ClientIds,
    Codec,
    Data,
    EarlyFillReport,
    EndReason,
    FillReport,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrder,
    GetPositions,
    HttpResponse,
    Market,
    Message,
    OrderReport,
    OrderState,
    PlaceOrder,
    PlaceOrders,
    PositionReport,
    Route,
    SetDeadMan,
    SetLeverage,
    Trigger,
)
from ccrs_core.errors import ExchangeUnavailable, OrderRejected
from tests.mutants.mutant import caught_by

AS_ASKED = "test_orders_of_each_declared_feature_are_placed_as_asked"
AMENDED = "test_an_amendment_changes_what_it_names_alone"
TOLD = "test_streams_tell_each_order_as_it_was"
FILLS = "test_streams_tell_each_fill_once"
MONEY = "test_streams_tell_positions_and_balances_as_they_are"
TIMER = "test_disconnect_protection_is_set_and_told"
SAME_FILLS = "test_lists_and_streams_tell_the_same_fills"

Fields = dict[str, str]


def _asking(kind: type[Any], change: Callable[[Fields, Any], object]) -> dict[Any, Any]:
    """Endpoints of which one's requests have other fields."""
    real = Binance.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> Any:
        http = real.encode(request, cursor)
        told = dict(http.query)
        change(told, request)
        return attrs.evolve(http, query=tuple(told.items()))

    return {**Binance.endpoints, kind: attrs.evolve(real, encode=encode)}


def _reading(kind: type[Any], change: Callable[[Any], Any]) -> dict[Any, Any]:
    """Endpoints of which one's answers are read otherwise."""
    real = Binance.endpoints[kind]

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        answer = real.decode(request, response, ns, cursor)
        return attrs.evolve(answer, value=change(answer.value))

    return {**Binance.endpoints, kind: attrs.evolve(real, decode=decode)}


class _Mishearing(Binance):
    """Reads what private streams bring otherwise."""

    kind: ClassVar[type[Any]]

    @staticmethod
    def change(report: Any) -> Any:
        """What is read instead; None for nothing."""
        return report

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        if not route.private:
            return codec
        real, kind, change = codec.decode, self.kind, self.change

        def decode(frame: bytes, received_time_ns: int) -> Sequence[Message]:
            found: list[Message] = []
            for message in real(frame, received_time_ns):
                if not isinstance(message, Data):
                    found.append(message)
                    continue
                events = [change(e) if isinstance(e, kind) else e for e in message.events]
                events = [each for each in events if each is not None]
                if events:
                    found.append(Data(message.topic, events, message.sequence))
            return found

        codec.decode = decode  # type: ignore[method-assign]
        return codec


# --- what is asked for ----------------------------------------------------------------------


def _money_as_size(told: Fields, _: Any) -> None:
    if "quoteOrderQty" in told:
        told["quantity"] = told.pop("quoteOrderQty")


@caught_by(AS_ASKED)
class BinanceMoneyIsASize(Binance):
    """For how much money to buy is sent as how much to buy."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _money_as_size)


def _taking(told: Fields, _: Any) -> None:
    if told.get("type") == "LIMIT_MAKER":
        told |= {"type": "LIMIT", "timeInForce": "GTC"}
    if told.get("timeInForce") == "GTX":
        told["timeInForce"] = "GTC"


@caught_by(AS_ASKED)
class BinancePostOnlyOrdersTake(Binance):
    """Post-only orders are sent as plain ones."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _taking)


def _turned(told: Fields, _: Any) -> None:
    for one, other in (
        ("STOP_LOSS", "TAKE_PROFIT"),
        ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"),
        ("STOP_MARKET", "TAKE_PROFIT_MARKET"),
    ):
        if told.get("type") in (one, other):
            told["type"] = other if told["type"] == one else one
            return


@caught_by(AS_ASKED)
class BinanceStopsAreProfits(Binance):
    """What waits for its trigger is sent as taking a profit where it stops a loss."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _turned)


@caught_by(AS_ASKED)
class BinanceTriggersFollowTheLastPrice(Binance):
    """Which price a trigger follows isn't said."""

    endpoints: ClassVar[Any] = _asking(
        PlaceOrder, lambda told, _: told.pop("workingType", None) if "algoType" in told else None
    )


@caught_by(AS_ASKED)
class BinanceReduceOnlyOrdersOpen(Binance):
    """Reduce-only is forgotten."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda told, _: told.pop("reduceOnly", None))


@caught_by(AS_ASKED)
class BinanceBothSidesAreOne(Binance):
    """Which of two positions an order is of isn't said."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda told, _: told.pop("positionSide", None))


@caught_by(AS_ASKED)
class BinanceSelfTradesAreLeftToIt(Binance):
    """Which side of a self-trade is to go isn't said."""

    endpoints: ClassVar[Any] = _asking(
        PlaceOrder, lambda told, _: told.pop("selfTradePreventionMode", None)
    )


def _anonymous(told: Fields, _: Any) -> None:
    for name in ("newClientOrderId", "clientAlgoId", "workingClientOrderId"):
        told.pop(name, None)


@caught_by(AS_ASKED)
class BinanceOrdersAreAnonymous(Binance):
    """The client's id isn't sent."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _anonymous)


def _doubled(told: Fields, _: Any) -> None:
    for name in {"quantity", "newQty"} & told.keys():
        told[name] = f"{Decimal(told[name]) * 2:f}"


@caught_by(AMENDED)
class BinanceAmendedSizesAreAdded(Binance):
    """A new size is sent as another one than the whole order's."""

    endpoints: ClassVar[Any] = _asking(AmendOrder, _doubled)


@caught_by("test_settings_and_the_account_are_told_as_they_are")
class BinanceLeverageIsAnotherOne(Binance):
    """Another leverage is set than was asked for."""

    endpoints: ClassVar[Any] = _asking(SetLeverage, lambda told, _: told.update(leverage="11"))


@caught_by(TIMER)
class BinanceTimersCountSeconds(Binance):
    """Seconds are sent where Binance counts milliseconds."""

    endpoints: ClassVar[Any] = _asking(
        SetDeadMan, lambda told, request: told.update(countdownTime=str(round(request.seconds)))
    )


@caught_by(TIMER)
class BinanceTimersAreNeverTurnedOff(Binance):
    """Who turns the timer off sets it to its shortest."""

    endpoints: ClassVar[Any] = _asking(
        SetDeadMan,
        lambda told, _: told.update(countdownTime="1000") if told["countdownTime"] == "0" else None,
    )


@caught_by("test_batches_answer_for_each_item_in_order")
class BinanceOutcomesOfBatchesAreTurnedRound(Binance):
    """The outcomes of a batch are given in the opposite order."""

    endpoints: ClassVar[Any] = _reading(PlaceOrders, lambda done: list(done)[::-1])


@caught_by("test_client_order_ids_fit_the_exchanges_grammar")
class BinanceIdsMayHaveDots(Binance):
    """Client order ids are declared as futures have them, and spot refuses them."""

    trading = attrs.evolve(TRADING, client_ids=ClientIds(longest=36, separator=".", for_ever=False))


@caught_by("test_cancel_all_cancels_what_it_says")
class BinanceCancelsAllButWhatWaits(Binance):
    """Canceling all that waits for a trigger cancels the others once more."""

    @staticmethod
    def _encode(request: Any, cursor: str | None) -> Any:
        return Binance.endpoints[CancelAll].encode(attrs.evolve(request, conditional=False), cursor)

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        CancelAll: attrs.evolve(Binance.endpoints[CancelAll], encode=_encode.__func__),  # type: ignore[attr-defined]
    }


# --- what is read ---------------------------------------------------------------------------


@caught_by(FILLS)
class BinanceFeesAreRebates(_Mishearing):
    """What Binance writes above zero, as it is paid, is taken for a rebate."""

    kind = FillReport

    @staticmethod
    def change(report: FillReport) -> FillReport:
        return report if report.fee is None else attrs.evolve(report, fee=-report.fee)


@caught_by(FILLS)
class BinanceFeesAreInDollars(_Mishearing):
    """What a fee is in isn't read."""

    kind = FillReport

    @staticmethod
    def change(report: FillReport) -> FillReport:
        return attrs.evolve(report, fee_asset="USDT")


@caught_by(FILLS)
class BinanceContractsAreCoins(_Mishearing):
    """Contracts of COIN-M are taken for coins."""

    kind = FillReport

    @staticmethod
    def change(report: FillReport) -> FillReport:
        if report.market is not Market.INVERSE:
            return report
        return attrs.evolve(report, size=report.size * 100 / report.price)


@caught_by(TOLD)
class BinanceExpiredOrdersAreCanceled(_Mishearing):
    """An order that found nobody is told to be canceled by its owner."""

    kind = OrderReport

    @staticmethod
    def change(report: OrderReport) -> OrderReport:
        if report.state is OrderState.EXPIRED:
            return attrs.evolve(report, state=OrderState.CANCELED, reason=EndReason.BY_USER)
        return report


@caught_by(TOLD)
class BinanceCancelsAreOrders(_Mishearing):
    """The client's id of a cancel is taken for the order's."""

    kind = OrderReport

    @staticmethod
    def change(report: OrderReport) -> OrderReport:
        if report.market is Market.SPOT and report.state is OrderState.CANCELED:
            return attrs.evolve(report, client_order_id=f"cancel{report.exchange_order_id}")
        return report


@caught_by(TOLD)
class BinancePartsAreWholes(_Mishearing):
    """An order of which a part is filled is told as filled."""

    kind = OrderReport

    @staticmethod
    def change(report: OrderReport) -> OrderReport:
        if report.state is OrderState.OPEN and report.filled_size:
            return attrs.evolve(report, state=OrderState.FILLED)
        return report


@caught_by("test_early_fills_are_fills")
class BinanceEarlyFillsAreWholeOrders(_Mishearing):
    """What the early word on a fill calls the order's size is taken for the fill's."""

    kind = EarlyFillReport

    @staticmethod
    def change(report: EarlyFillReport) -> EarlyFillReport:
        return attrs.evolve(report, size=report.size * 2)


@caught_by(MONEY)
class BinanceShortsAreLongs(_Mishearing):
    """The sign of a position is lost."""

    kind = PositionReport

    @staticmethod
    def change(report: PositionReport) -> PositionReport:
        return attrs.evolve(report, size=abs(report.size))


@caught_by(MONEY)
class BinanceWalletsAreWhatIsFree(_Mishearing):
    """What may be spent is taken for what there is."""

    kind = Balance

    @staticmethod
    def change(report: Balance) -> Balance:
        free = report.available if report.available is not None else report.total
        return attrs.evolve(report, total=free)


@caught_by(MONEY)
class BinanceHasOneWallet(_Mishearing):
    """Money of futures is taken for spot's."""

    kind = Balance

    @staticmethod
    def change(report: Balance) -> Balance:
        return attrs.evolve(report, purse="spot")


@caught_by(SAME_FILLS)
class BinanceFillsOfListsAreOrders(Binance):
    """Fills of lists are named by their order, so that each is there twice."""

    endpoints: ClassVar[Any] = _reading(
        GetFills,
        lambda fills: [
            attrs.evolve(each, fill_id=each.exchange_order_id)
            if isinstance(each, FillReport)
            else each
            for each in fills
        ],
    )


@caught_by("test_lists_of_open_orders_tell_each_as_it_is")
class BinanceListsLeaveOutWhatWaits(Binance):
    """Orders that wait for a trigger are left out of the list of open orders."""

    @staticmethod
    def _decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        answer = Binance.endpoints[GetOpenOrders].decode(request, response, ns, cursor)
        return attrs.evolve(answer, cursor=None)

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        GetOpenOrders: attrs.evolve(Binance.endpoints[GetOpenOrders], decode=_decode.__func__),  # type: ignore[attr-defined]
    }


@caught_by("test_positions_and_wallet_are_told_as_they_are")
class BinanceShortsOfListsAreLongs(Binance):
    """The sign of a listed position is lost."""

    endpoints: ClassVar[Any] = _reading(
        GetPositions, lambda rows: [attrs.evolve(each, size=abs(each.size)) for each in rows]
    )


@caught_by("test_money_that_came_otherwise_is_told_once")
class BinanceIncomeIsASpending(Binance):
    """The sign of income is lost."""

    endpoints: ClassVar[Any] = _reading(
        GetIncome, lambda rows: [attrs.evolve(each, amount=-each.amount) for each in rows]
    )


@caught_by("test_money_that_came_otherwise_is_told_once")
class BinanceIncomeComesByPages(Binance):
    """Pages of income that overlap are put together as they are, so that some is told twice."""

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        GetIncome: attrs.evolve(
            Binance.endpoints[GetIncome],
            join=lambda pages: [each for page in (*pages, *pages[:1]) for each in page],
        ),
    }


@caught_by("test_lists_of_open_orders_tell_each_as_it_is")
class BinanceTriggersRiseForFalls(Binance):
    """Of listed orders that wait the trigger is on the other side."""

    endpoints: ClassVar[Any] = _reading(
        GetOpenOrders,
        lambda rows: [
            attrs.evolve(each, trigger=attrs.evolve(each.trigger, rises=not each.trigger.rises))
            if isinstance(each.trigger, Trigger)
            else each
            for each in rows
        ],
    )


@caught_by("test_a_lost_answer_is_found_out_and_nothing_is_placed_twice")
class BinanceUnknownIsRefused(Binance):
    """That nobody knows what came of an order is taken for its refusal."""

    def error_of(self, response: HttpResponse) -> Any:
        error = super().error_of(response)
        if isinstance(error, ExchangeUnavailable):
            return OrderRejected(error.code, error.text, EndReason.OTHER)
        return error


@caught_by("test_orders_that_cannot_be_are_refused_for_what_they_lack")
class BinanceRefusalsSayNothing(Binance):
    """Of whatever an order is refused for, the reason isn't told."""

    def error_of(self, response: HttpResponse) -> Any:
        body = orjson.loads(response.body)
        if isinstance(body, dict) and type(body.get("code")) is int and body["code"] < -1010:
            body = {"code": -2010, "msg": "no reason given"}
        return super().error_of(attrs.evolve(response, body=orjson.dumps(body)))


@caught_by("test_signed_calls_go_where_the_documents_say")
class BinanceCancelsWeighNothing(Binance):
    """Weight isn't counted of some requests."""

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        CancelOrder: attrs.evolve(Binance.endpoints[CancelOrder], weight=0),
        GetOrder: attrs.evolve(Binance.endpoints[GetOrder], weight=0),
    }
