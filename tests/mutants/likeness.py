"""Mutants whose emulator and codec share a mistake about the form of what the exchange sends.

Their codecs read the exchange's form as well, so that the samples are read as they say: only the
emulator beside them shows that it speaks otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import (
    Endpoint,
    GetCandles,
    GetInstruments,
    GetServerTime,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Request,
)
from ccrs_core.emulator import Dialect
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

STREAMED = "test_the_emulator_streams_what_the_samples_show"
ANSWERED = "test_the_emulator_answers_what_the_samples_show"
REPLIED = "test_the_emulator_replies_as_the_samples_do"


class Both(SpeaksThrough):
    """Says something else than the exchange (``wrong``), in frames or in answers."""

    wrong: ClassVar[tuple[bytes, bytes]]
    """A pattern and what stands in its place."""

    def said(self, payload: bytes) -> bytes:
        return re.sub(*self.wrong, payload)


class BothAnswer(SpeaksThrough):
    """Answers something else than the exchange."""

    wrong: ClassVar[tuple[bytes, bytes]]

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return attrs.evolve(response, body=re.sub(*self.wrong, response.body))


def streaming(right: tuple[bytes, bytes], wrong: tuple[bytes, bytes]) -> Any:
    """What overrides codec and dialect: frames are changed by ``wrong``, and back by ``right``."""

    class Reading(Through):
        def frame(self, frame: bytes) -> bytes:
            return re.sub(*right, frame)

        def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
            return None

    class Speaking(Both):
        pass

    Speaking.wrong = wrong

    class Mixed:
        def codec(self, route: Route) -> Codec:
            return Reading(super().codec(route))  # type: ignore[misc]

        def dialect(self) -> Dialect:
            return Speaking(super().dialect())  # type: ignore[misc]

    return Mixed


def answering_both(
    plugin: type[Exchange],
    kind: type[Request[Any]],
    right: tuple[bytes, bytes],
    wrong: tuple[bytes, bytes],
) -> Any:
    """The same for the answers to a question."""
    endpoint = plugin.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Any:
        body = re.sub(*right, response.body)
        return endpoint.decode(request, attrs.evolve(response, body=body), now_ns, cursor)

    class Speaking(BothAnswer):
        pass

    Speaking.wrong = wrong

    class Mixed:
        endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
            **plugin.endpoints,
            kind: attrs.evolve(endpoint, decode=decode),
        }

        def dialect(self) -> Dialect:
            return Speaking(super().dialect())  # type: ignore[misc]

    return Mixed


_BYBIT_SECONDS = streaming(
    (rb'"T":(1\d{9}),', rb'"T":\g<1>000,'), (rb'"T":(1\d{9})\d{3},', rb'"T":\1,')
)
_OKX_NUMBERS = streaming((rb'"px":([\d.]+)', rb'"px":"\1"'), (rb'"px":"([\d.]+)"', rb'"px":\1'))
_BINANCE_RENAMED = streaming((rb'"mp":', rb'"p":'), (rb'"p":(?="[\d.]+","ap")', rb'"mp":'))
_KRAKEN_CAPITALS = streaming(
    (rb'"side":\s*"(?:BUY|buy)"', rb'"side":"buy"'), (rb'"side":\s*"buy"', rb'"side":"BUY"')
)
_KRAKEN_RENAMED = streaming((rb'"quantity":', rb'"qty":'), (rb'"qty":', rb'"quantity":'))
_BYBIT_WORDS = streaming((rb'"S":"S"', rb'"S":"Sell"'), (rb'"S":"Sell"', rb'"S":"S"'))


@caught_by(STREAMED)
class TimesOfTradesInSeconds(_BYBIT_SECONDS, Bybit):  # type: ignore[misc]
    """Times of trades are said in seconds, and read in either unit."""


@caught_by(STREAMED)
class PricesAsNumbers(_OKX_NUMBERS, Okx):  # type: ignore[misc]
    """Prices of trades are said as numbers, and read as those or as text."""


@caught_by(STREAMED)
class MarkPriceRenamed(_BINANCE_RENAMED, Binance):  # type: ignore[misc]
    """Mark prices have a name that only the emulator knows, and are read by either."""


@caught_by(STREAMED)
class SidesInCapitals(_KRAKEN_CAPITALS, Kraken):  # type: ignore[misc]
    """Who buys is said in capitals, and read in either."""


@caught_by(STREAMED)
class SizesRenamed(_KRAKEN_RENAMED, Kraken):  # type: ignore[misc]
    """Sizes have a name that only the emulator knows, and are read by either."""


@caught_by(STREAMED)
class SidesAbbreviated(_BYBIT_WORDS, Bybit):  # type: ignore[misc]
    """Who sells is said by a letter, and read by it or by the word."""


_TIME_IN_SECONDS = answering_both(
    Binance,
    GetServerTime,
    (rb'"serverTime":(\d{10})\}', rb'"serverTime":\g<1>000}'),
    (rb'"serverTime":(\d{10})\d{3}\}', rb'"serverTime":\1}'),
)
_TICKS_AS_NUMBERS = answering_both(
    Okx,
    GetInstruments,
    (rb'"tickSz":([\d.]+)', rb'"tickSz":"\1"'),
    (rb'"tickSz":"([\d.]+)"', rb'"tickSz":\1'),
)
_IDS_RENAMED = answering_both(
    Bybit,
    GetTrades,
    (rb'"tradeId":', rb'"execId":'),
    (rb'"execId":', rb'"tradeId":'),
)
_CANDLES_AS_NUMBERS = answering_both(
    Okx,
    GetCandles,
    (rb"\[(\d{13}),", rb'["\1",'),
    (rb'\["(\d{13})",', rb"[\1,"),
)


@caught_by(ANSWERED)
class ServerTimeInSeconds(_TIME_IN_SECONDS, Binance):  # type: ignore[misc]
    """The server's time is said in seconds, and read in either unit."""


@caught_by(ANSWERED)
class TicksAsNumbers(_TICKS_AS_NUMBERS, Okx):  # type: ignore[misc]
    """Ticks are said as numbers, and read as those or as text."""


@caught_by(ANSWERED)
class TradeIdsRenamed(_IDS_RENAMED, Bybit):  # type: ignore[misc]
    """Ids of trades have a name that only the emulator knows, and are read by either."""


@caught_by(ANSWERED)
class CandleTimesAsNumbers(_CANDLES_AS_NUMBERS, Okx):  # type: ignore[misc]
    """Times of candles are said as numbers, and read as those or as text."""


_ACKS_RENAMED = streaming((rb'"ok":null', rb'"result":null'), (rb'"result":null', rb'"ok":null'))
_PONGS_RENAMED = streaming(
    (rb'"reply":"pong"', rb'"method":"pong"'), (rb'"method":\s*"pong"', rb'"reply":"pong"')
)
_SUCCESS_AS_TEXT = streaming(
    (rb'"success":"true"', rb'"success":true'), (rb'"success":true', rb'"success":"true"')
)
_EVENTS_IN_CAPITALS = streaming(
    (rb'"event":"SUBSCRIBE"', rb'"event":"subscribe"'),
    (rb'"event":"subscribe"', rb'"event":"SUBSCRIBE"'),
)


@caught_by(REPLIED)
class AcknowledgementsRenamed(_ACKS_RENAMED, Binance):  # type: ignore[misc]
    """Acknowledgements are of a kind that only the emulator knows."""


@caught_by(REPLIED)
class PongsRenamed(_PONGS_RENAMED, Kraken):  # type: ignore[misc]
    """Answers to heartbeats are of a kind that only the emulator knows."""


@caught_by(REPLIED)
class SuccessAsText(_SUCCESS_AS_TEXT, Bybit):  # type: ignore[misc]
    """Success is said as text, and read as that or as a truth."""


@caught_by(REPLIED)
class EventsInCapitals(_EVENTS_IN_CAPITALS, Okx):  # type: ignore[misc]
    """What is acknowledged is said in capitals, and read in either."""
