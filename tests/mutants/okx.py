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
        left = [name for name in (answer.cursor or "").split(",") if not name.endswith("_UM")]
        return attrs.evolve(answer, cursor=",".join(left) or None)

    endpoints: ClassVar[Any] = _instruments(decode=_decode)


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
    ("okx", CandlesToldByTheirMagnitude, STATES),
    ("okx", RateAlwaysExpected, BLANK),
)
