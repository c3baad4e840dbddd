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
from ccrs_bybit.trading import TRADING

from ccrs_core import (
    AmendOrder,
    AmendOrders,
    Answer,
    CancelAll,
    CancelOrders,
    Codec,
    Data,
    EndReason,
    Feature,
    FillReport,
    GetDeadMan,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    HttpResponse,
    LoginRefused,
    Market,
    Message,
    OrderReport,
    PlaceOrder,
    PlaceOrders,
    Route,
    SetDeadMan,
    SetLeverage,
    Wallet,
)
from ccrs_core.contract.access import Access
from ccrs_core.errors import (
    CcrsError,
    ClockRefused,
    DecodeError,
    ExchangeUnavailable,
    InvalidRequest,
    OrderRejected,
)
from tests.mutants.mutant import caught_by, endpoint, original

AS_ASKED = "test_orders_of_each_declared_feature_are_placed_as_asked"
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


# --- lists of which something can't be read -------------------------------------------------------

ROWS = "test_a_strange_row_in_an_accounts_lists_is_counted_and_takes_none_away"


def answering(kind: type[Any], change: Callable[[Answer[Any]], Answer[Any]]) -> dict[Any, Any]:
    """An endpoint whose answers say something else of themselves."""
    real = original(kind)

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        return change(real.decode(request, response, ns, cursor))

    return endpoint(kind, decode=decode)


def _unsaid(answer: Answer[Any]) -> Answer[Any]:
    return attrs.evolve(answer, left_out=0)


def _all_or_nothing(answer: Answer[Any]) -> Answer[Any]:
    if answer.left_out:
        raise DecodeError("a row can't be read", b"")
    return answer


def _without_size(kind: type[Any]) -> dict[Any, Any]:
    """An endpoint that skips rows which say no size."""
    real = original(kind)

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        body = json.loads(response.body)
        rows = body["result"]["list"]
        body["result"]["list"] = [
            row
            for row in rows
            if not isinstance(row, dict) or row.get("size") or row.get("execQty") or not row
        ]
        changed = HttpResponse(response.status, response.headers, orjson.dumps(body))
        return real.decode(request, changed, ns, cursor)

    return endpoint(kind, decode=decode)


@caught_by(ROWS)
class PositionsThatCanNotBeReadAreFlat:
    """Rows of positions that can't be read are left out without a word."""

    endpoints = answering(GetPositions, _unsaid)


@caught_by(ROWS)
class BalancesThatCanNotBeReadAreNothing:
    """Rows of the wallet that can't be read are left out without a word."""

    endpoints = answering(GetWallet, _unsaid)


@caught_by(ROWS)
class OneStrangeOpenOrderHidesAll:
    """An open order that can't be read takes the list's others away."""

    endpoints = answering(GetOpenOrders, _all_or_nothing)


@caught_by(ROWS)
class FillsThatCanNotBeReadHaveNotBeen:
    """Rows of fills that can't be read are left out without a word."""

    endpoints = answering(GetFills, _unsaid)


@caught_by("test_a_row_of_an_account_with_a_spoilt_field_is_read_or_counted")
class PositionsWithoutSizeAreFlat:
    """A position that says no size is taken for none."""

    endpoints = _without_size(GetPositions)


@caught_by("test_fills_are_listed_once_over_pages_and_windows")
class FillsLeadBackToTheirLastPage:
    """After the last page of fills the same one comes, again and again."""

    @staticmethod
    def _again(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        answer = original(GetFills).decode(request, response, ns, cursor)
        return attrs.evolve(answer, cursor=answer.cursor or cursor)

    endpoints = endpoint(GetFills, decode=_again)


# --- what clients rely on -------------------------------------------------------------------

LIFE = "test_a_lost_answer_is_found_out_and_nothing_is_placed_twice"


@caught_by("test_two_accounts_never_mix")
class TheFirstKeySignsForAll(Bybit):
    """Whoever is acted for, requests are signed with the key that was seen first."""

    def __init__(self) -> None:
        self._first: Any = None

    def sign(self, request: Any, access: Any) -> Any:
        self._first = self._first or access.credentials
        known = Access(now_ms=access.now_ms, url=access.url, credentials=self._first)
        return super().sign(request, known)


@caught_by("test_a_key_that_is_refused_is_told_once_and_not_tried_on")
class RefusedLoginsAreForNow(Bybit):
    """A login that was refused is said to be granted later."""

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        real = codec.decode

        def decode(frame: bytes, received_time_ns: int) -> Sequence[Message]:
            return [
                attrs.evolve(message, later=True) if isinstance(message, LoginRefused) else message
                for message in real(frame, received_time_ns)
            ]

        codec.decode = decode  # type: ignore[method-assign]
        return codec


@caught_by(LIFE)
class OutagesAreRefusals(Bybit):
    """What doesn't tell whether an order was taken is said to have refused it."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        if isinstance(error, ExchangeUnavailable):
            return OrderRejected(error.code, error.text)
        return error


@caught_by("test_orders_go_on_though_the_exchanges_clock_jumps")
class ClocksAreNobodysMatter(Bybit):
    """That a timestamp is outside the exchange's window is a malformed request."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        if isinstance(error, ClockRefused):
            return InvalidRequest(error.code, error.text)
        return error


@caught_by("test_an_order_that_changed_rules_forbid_is_refused_before_it_is_sent")
class PricesOffTheTickAreForAnyReason(_OtherError):
    """That a price is off the tick is taken for a rejection that says nothing of the rules."""

    codes = ("110003", "170134")

    def other(self, error: Any) -> CcrsError:
        return OrderRejected(error.code, error.text, EndReason.OTHER)


@caught_by("test_what_is_more_than_an_account_may_send_at_once_leaves_in_portions")
class BatchesWeighNothing:
    """A batch is counted as one request, where Bybit counts its orders."""

    endpoints = endpoint(PlaceOrders, pool_weight=1)


@caught_by("test_disconnect_protection_is_set_and_told")
class ProtectionIsAlwaysThere:
    """Disconnect protection is told to be in force, whatever the exchange says."""

    endpoints = reading(GetDeadMan, lambda _, told: told or 10.0)


@caught_by("test_disconnect_protection_is_set_and_told")
class ProtectionIsOfHalfTheTime:
    """Half of the seconds that were asked for are set."""

    endpoints = asking(
        SetDeadMan, lambda body, _: body.update(timeWindow=max(3, body["timeWindow"] // 2))
    )


@caught_by(AS_ASKED)
class OptionsHaveTriggers(Bybit):
    """Options are declared to have orders that wait for a trigger."""

    trading = attrs.evolve(
        TRADING,
        features={
            **TRADING.features,
            Market.OPTION: TRADING.features[Market.OPTION] | {Feature.TRIGGER_LAST},
        },
    )


__all__ = ["InvalidRequest", "Misreading", "asking", "reading"]
