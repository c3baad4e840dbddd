"""Mutants of Binance's plugin: what strange rows, blank fields and small differences do to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_binance.codec import BinanceCodec

from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.exchange import Environment, Exchange, Route
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.errors import DecodeError

LISTED = "test_instruments_say_what_the_exchange_lists"
STATES = "test_states_that_differ_are_all_delivered"
BLANK = "test_optional_fields_may_be_blank"
ADDRESSES = "test_the_environments_addresses_are_well_formed"

_RIGHT = Binance.endpoints[GetInstruments]


def _instruments(**changes: Any) -> dict[Any, Any]:
    return {**Binance.endpoints, GetInstruments: attrs.evolve(_RIGHT, **changes)}


class OneRowWithoutMarginTakesAll(Binance):
    """A list of contracts fails with the one of which little is known yet."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _RIGHT.decode(request, response, now_ns, cursor)
        if answer.left_out:
            raise DecodeError("marginAsset is missing", response.body)
        return answer

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class DelistedPairsAreHalted(Binance):
    """What was delisted long ago is listed as if it could come back."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        body = response.body.replace(b'"BREAK"', b'"HALT"')
        return _RIGHT.decode(request, attrs.evolve(response, body=body), now_ns, cursor)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class DeliveredContractsSettle(Binance):
    """Contracts that were delivered years ago are settling still."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        body = orjson.loads(response.body)
        for row in body["symbols"]:
            row["deliveryDate"] = max(row.get("deliveryDate", 0), body["serverTime"] + 1)
        response = attrs.evolve(response, body=orjson.dumps(body))
        return _RIGHT.decode(request, response, now_ns, cursor)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class AsciiAlone(Binance):
    """Names with letters of other alphabets are passed over."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _RIGHT.decode(request, response, now_ns, cursor)
        return attrs.evolve(answer, value=[i for i in answer.value if i.native.isascii()])

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


class _Strict(BinanceCodec):
    blank: ClassVar[bytes]

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if self.blank in frame:
            raise DecodeError("not a plausible number", frame)
        return super().decode(frame, received_time_ns)


class IndexAlwaysExpected(Binance):
    """An index price that isn't told makes its frame unreadable."""

    class Codec(_Strict):
        blank: ClassVar[bytes] = b'"i":""'

    def codec(self, route: Route) -> BinanceCodec:
        return self.Codec()


class LastPriceAlwaysExpected(Binance):
    """A ticker before the first trade makes its frame unreadable."""

    class Codec(_Strict):
        blank: ClassVar[bytes] = b'"c":"0.00000000"'

    def codec(self, route: Route) -> BinanceCodec:
        return self.Codec()


class TickersToldByTheMinute(Binance):
    """Tickers are told apart by the minute of their time."""

    class Codec(BinanceCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            messages = super().decode(frame, received_time_ns)
            for message in messages:
                if isinstance(message, Data) and message.topic.endswith("@ticker"):
                    assert isinstance(message.sequence, int)
                    message.sequence //= 60_000
            return messages

    def codec(self, route: Route) -> BinanceCodec:
        return self.Codec()


class AnEnvironmentWithoutStreams(Binance):
    """An environment has an address of requests, but none of any stream."""

    environments: ClassVar[Mapping[str, Environment]] = {
        **Binance.environments,
        "data": Environment(addresses={"rest": "https://data-api.binance.vision"}),
    }


OWN: tuple[tuple[str, type[Exchange], str], ...] = (
    ("binance", OneRowWithoutMarginTakesAll, LISTED),
    ("binance", DelistedPairsAreHalted, LISTED),
    ("binance", DeliveredContractsSettle, LISTED),
    ("binance", AsciiAlone, LISTED),
    ("binance", IndexAlwaysExpected, BLANK),
    ("binance", LastPriceAlwaysExpected, BLANK),
    ("binance", TickersToldByTheMinute, STATES),
    ("binance", AnEnvironmentWithoutStreams, ADDRESSES),
)
