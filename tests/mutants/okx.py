"""Mutants of OKX's plugin: what strange rows, blank fields and small differences do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec

from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Candle

LISTED = "test_instruments_say_what_the_exchange_lists"
MARKET = "test_what_streams_bring_is_what_happened_in_the_market"
ORDERS = "test_orders_are_refused_by_the_rules_that_the_exchange_refuses_them_by"
STATES = "test_states_that_differ_are_all_delivered"
BLANK = "test_optional_fields_may_be_blank"

_RIGHT = Okx.endpoints[GetInstruments]


def _instruments(**changes: Any) -> dict[Any, Any]:
    return {**Okx.endpoints, GetInstruments: attrs.evolve(_RIGHT, **changes)}


class OneStrangeRowTakesAll(Okx):
    """A list of instruments fails with its strangest row."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        for row in orjson.loads(response.body)["data"]:
            if not row["instId"]:
                raise DecodeError("instId must be text", response.body)
        return _RIGHT.decode(request, response, now_ns, cursor)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class UnderlyingsTakenForFamilies(Okx):
    """Options are listed by the underlyings of OKX's list, which names no unified margin."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _RIGHT.decode(request, response, now_ns, cursor)
        if answer.cursor is None or not answer.cursor.startswith("["):
            return answer
        left = [each for each in orjson.loads(answer.cursor) if "_UM" not in each[0]]
        return attrs.evolve(answer, cursor=orjson.dumps(left).decode() if left else None)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class OneTickForAllPrices(Okx):
    """Bands of ticks are left out, so that prices come out that OKX refuses."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _RIGHT.decode(request, response, now_ns, cursor)
        value = [attrs.evolve(each, tick_bands=()) for each in answer.value]
        return attrs.evolve(answer, value=value)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class GreeksOfCoins(Okx):
    """Those are read that a position in coins has."""

    class Codec(OkxCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            mixed = frame.replace(b'"delta"', b'"x"').replace(b'"deltaBS"', b'"delta"')
            coins = mixed.replace(b'"x"', b'"deltaBS"') if b"opt-summary" in frame else frame
            return super().decode(coins, received_time_ns)

    def codec(self, route: Route) -> OkxCodec:
        return self.Codec()


class XPerpsTakenForFutures(Okx):
    """Perpetuals that are listed as futures expire in 2031."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        body = response.body.replace(b'"xperp"', b'"normal"')
        return _RIGHT.decode(request, attrs.evolve(response, body=body), now_ns, cursor)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class _Numbered(OkxCodec):
    def number(self, event: Any) -> int | None:
        raise NotImplementedError

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        for message in messages:
            if isinstance(message, Data):
                number = self.number(message.events[-1])
                message.sequence = message.sequence if number is None else number
        return messages


class CandlesToldByTheirMagnitude(Okx):
    """A candle's state is told by its volume's first digits."""

    class Codec(_Numbered):
        def number(self, event: Any) -> int | None:
            if not isinstance(event, Candle):
                return None
            grown = int(event.volume) * 1000
            return event.open_time_ns // 10**9 << 30 | min(grown, 2**29) << 1 | event.closed

    def codec(self, route: Route) -> OkxCodec:
        return self.Codec()


class RateAlwaysExpected(Okx):
    """A funding rate that is blank makes its frame unreadable."""

    class Codec(OkxCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            if b'"fundingRate":""' in frame:
                raise DecodeError("fundingRate is no number", frame)
            return super().decode(frame, received_time_ns)

    def codec(self, route: Route) -> OkxCodec:
        return self.Codec()


OWN: tuple[tuple[str, type[Exchange], str], ...] = (
    ("okx", OneStrangeRowTakesAll, LISTED),
    ("okx", UnderlyingsTakenForFamilies, LISTED),
    ("okx", XPerpsTakenForFutures, LISTED),
    ("okx", OneTickForAllPrices, ORDERS),
    ("okx", GreeksOfCoins, MARKET),
    ("okx", CandlesToldByTheirMagnitude, STATES),
    ("okx", RateAlwaysExpected, BLANK),
)
