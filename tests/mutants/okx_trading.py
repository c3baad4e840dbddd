"""Mutants of OKX's trading: what its words, units and two kinds of orders invite to confuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_okx import Okx
from ccrs_okx.trading import TRADING

from ccrs_core import (
    AmendOrder,
    Answer,
    Balance,
    Channel,
    ClientIds,
    Codec,
    Data,
    FillReport,
    GetFills,
    HttpResponse,
    Market,
    Message,
    OrderReport,
    PlaceOrder,
    PlaceOrders,
    PositionReport,
    Route,
    SetDeadMan,
    SetLeverage,
)
from ccrs_core.errors import EndReason
from tests.mutants.mutant import caught_by

AS_ASKED = "test_orders_of_each_declared_feature_are_placed_as_asked"
AMENDED = "test_an_amendment_changes_what_it_names_alone"
TOLD = "test_streams_tell_each_order_as_it_was"
FILLS = "test_streams_tell_each_fill_once"
MONEY = "test_streams_tell_positions_and_balances_as_they_are"
TIMER = "test_disconnect_protection_is_set_and_told"

Body = dict[str, Any]


def _asking(kind: type[Any], change: Callable[[Body, Any], object]) -> dict[Any, Any]:
    """Endpoints of which one's requests have another body."""
    real = Okx.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> Any:
        http = real.encode(request, cursor)
        body = json.loads(http.body)
        change(body, request)
        return attrs.evolve(http, body=orjson.dumps(body))

    return {**Okx.endpoints, kind: attrs.evolve(real, encode=encode)}


def _reading(kind: type[Any], change: Callable[[Any], Any]) -> dict[Any, Any]:
    """Endpoints of which one's answers are read otherwise."""
    real = Okx.endpoints[kind]

    def decode(request: Any, response: HttpResponse, ns: int, cursor: str | None) -> Answer[Any]:
        answer = real.decode(request, response, ns, cursor)
        return attrs.evolve(answer, value=change(answer.value))

    return {**Okx.endpoints, kind: attrs.evolve(real, decode=decode)}


class _Mishearing(Okx):
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


@caught_by(AS_ASKED)
class OkxBuysForQuoteUnlessTold(Okx):
    """What a market order's size is in isn't said: of a buy OKX takes it for dollars."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda body, _: body.pop("tgtCcy", None))


@caught_by(AS_ASKED)
class OkxSizesAreBaseUnits(Okx):
    """Sizes of linear contracts are sent in base units, where OKX counts contracts."""

    endpoints: ClassVar[Any] = _asking(
        PlaceOrder,
        lambda body, r: (
            body.update(sz=f"{r.order.size:f}")
            if r.instrument.market is Market.LINEAR and r.order.size is not None
            else None
        ),
    )


@caught_by(AS_ASKED)
class OkxPostOnlyOrdersTake(Okx):
    """Post-only orders are sent as plain ones."""

    endpoints: ClassVar[Any] = _asking(
        PlaceOrder,
        lambda body, _: body.update(ordType="limit") if body["ordType"] == "post_only" else None,
    )


@caught_by(AS_ASKED)
class OkxStopsAreProfits(Okx):
    """What waits for its trigger is sent as taking a profit where it stops a loss."""

    @staticmethod
    def _turned(body: Body, _: Any) -> None:
        for name in [name for name in body if name.startswith("sl")]:
            body[f"tp{name[2:]}"] = body.pop(name)

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _turned)


@caught_by(AS_ASKED)
class OkxTriggersFollowTheLastPrice(Okx):
    """Which price a trigger follows isn't said."""

    @staticmethod
    def _unsaid(body: Body, _: Any) -> None:
        for name in ("tpTriggerPxType", "slTriggerPxType"):
            body.pop(name, None)

    endpoints: ClassVar[Any] = _asking(PlaceOrder, _unsaid)


@caught_by(AS_ASKED)
class OkxExitsAreForgotten(Okx):
    """Take profit and stop loss aren't attached."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda body, _: body.pop("attachAlgoOrds", 0))


@caught_by(AS_ASKED)
class OkxReduceOnlyOrdersOpen(Okx):
    """Reduce-only is forgotten."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda body, _: body.pop("reduceOnly", None))


@caught_by(AMENDED)
class OkxAmendedSizesAreWhatIsLeft(Okx):
    """A new size is sent as another one than the whole order's."""

    endpoints: ClassVar[Any] = _asking(
        AmendOrder,
        lambda body, _: (
            body.update(newSz=f"{Decimal(body['newSz']) * 2:f}") if "newSz" in body else None
        ),
    )


@caught_by(AS_ASKED)
class OkxOrdersAreAnonymous(Okx):
    """The client's id isn't sent."""

    endpoints: ClassVar[Any] = _asking(PlaceOrder, lambda body, _: body.pop("clOrdId", None))


@caught_by("test_settings_and_the_account_are_told_as_they_are")
class OkxLeverageIsAnotherOne(Okx):
    """Another leverage is set than was asked for."""

    endpoints: ClassVar[Any] = _asking(SetLeverage, lambda body, _: body.update(lever="11"))


@caught_by(TIMER)
class OkxTimersAreNeverTurnedOff(Okx):
    """Who turns the timer off sets it to its shortest."""

    endpoints: ClassVar[Any] = _asking(
        SetDeadMan, lambda body, _: body.update(timeOut="10") if body["timeOut"] == "0" else None
    )


@caught_by(TIMER)
class OkxTimersAreOfAnotherTag(Okx):
    """The timer is of orders that nobody has marked so."""

    endpoints: ClassVar[Any] = _asking(SetDeadMan, lambda body, _: body.update(tag="nobodys"))


@caught_by("test_batches_answer_for_each_item_in_order")
class OkxOutcomesOfBatchesAreTurnedRound(Okx):
    """The outcomes of a batch are given in the opposite order."""

    endpoints: ClassVar[Any] = _reading(PlaceOrders, lambda done: list(done)[::-1])


@caught_by("test_client_order_ids_fit_the_exchanges_grammar")
class OkxIdsMayHaveHyphens(Okx):
    """Client order ids are declared to take what OKX refuses."""

    trading = attrs.evolve(TRADING, client_ids=ClientIds(longest=32, separator="-", for_ever=False))


# --- what is read ---------------------------------------------------------------------------


@caught_by(FILLS)
class OkxFeesAreRebates(_Mishearing):
    """What OKX writes below zero, as it is paid, is taken for a rebate."""

    kind = FillReport

    @staticmethod
    def change(report: FillReport) -> FillReport:
        return report if report.fee is None else attrs.evolve(report, fee=-report.fee)


@caught_by(TOLD)
class OkxPostOnlyEndsAreCancels(_Mishearing):
    """A post-only order that would take is told to be canceled by its owner."""

    kind = OrderReport

    @staticmethod
    def change(report: OrderReport) -> OrderReport:
        if report.reason is EndReason.POST_ONLY:
            return attrs.evolve(report, reason=EndReason.BY_USER)
        return report


@caught_by(TOLD)
class OkxWaitingOrdersAreUnheard(Okx):
    """The stream of orders that wait for a trigger isn't listened to."""

    capabilities = attrs.evolve(
        Okx.capabilities,
        account_channels=Okx.capabilities.account_channels - {Channel.WAITING_ORDERS},
    )


@caught_by(MONEY)
class OkxShortsAreLongs(_Mishearing):
    """The sign of a position is lost."""

    kind = PositionReport

    @staticmethod
    def change(report: PositionReport) -> PositionReport:
        return attrs.evolve(report, size=abs(report.size))


@caught_by(MONEY)
class OkxWalletsAreWhatIsFree(_Mishearing):
    """What may be spent is taken for what there is."""

    kind = Balance

    @staticmethod
    def change(report: Balance) -> Balance:
        free = report.available if report.available is not None else report.total
        return attrs.evolve(report, wallet=free)


@caught_by("test_lists_and_streams_tell_the_same_fills")
class OkxFillsOfListsAreBills(Okx):
    """Fills of lists are named by their bills, so that each is there twice."""

    endpoints: ClassVar[Any] = _reading(
        GetFills,
        lambda fills: [
            attrs.evolve(each, fill_id=f"bill{each.native_fields.get('billId', '')}")
            if isinstance(each, FillReport)
            else each
            for each in fills
        ],
    )


@caught_by("test_fills_are_listed_once_over_pages_and_windows")
class OkxOrdersHaveOneFillEach(Okx):
    """Pages of fills are put together by order, so that of one in parts the last part is left."""

    endpoints: ClassVar[Any] = {
        **Okx.endpoints,
        GetFills: attrs.evolve(
            Okx.endpoints[GetFills],
            join=lambda pages: list(
                {each.exchange_order_id: each for page in pages for each in page}.values()
            ),
        ),
    }


@caught_by("test_orders_that_cannot_be_are_refused_for_what_they_lack")
class OkxRefusalsSayNothing(Okx):
    """Of whatever an order is refused for, the reason isn't told."""

    def error_of(self, response: HttpResponse) -> Any:
        body = orjson.loads(response.body)
        for row in body.get("data") or ():
            if isinstance(row, dict) and row.get("sCode", "0") != "0":
                row["sCode"] = "51149"
        return super().error_of(attrs.evolve(response, body=orjson.dumps(body)))
