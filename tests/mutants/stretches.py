"""Plugins that lose, double or mistake what was traded, held or marked in a stretch of time."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.rest import (
    GetFundingHistory,
    GetMarkCandles,
    GetOpenInterestHistory,
    GetTradeHistory,
    HttpRequest,
)
from ccrs_core.wire import within
from tests.mutants.histories import asking, paging, with_changes
from tests.mutants.mutant import caught_by

TRADES = "test_trades_of_a_stretch_all_come_or_an_error"
FORGOTTEN = "test_what_is_kept_no_more_is_refused_and_never_cut_off"
REACH = "test_histories_reach_as_far_back_as_the_documents_say"
WHOLE = "test_histories_are_whole_at_every_border"


def _by_number(cursor: str | None, by: int) -> str | None:
    """A cursor that asks for trades from another number on."""
    if cursor is None or not cursor.startswith("id:"):
        return cursor
    kind, number, left = cursor.split(":")
    return f"{kind}:{int(number) + by}:{left}"


@caught_by(TRADES)
class TradesComeTwice(Binance):
    """The next page begins with the trade that the last one ended with."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetTradeHistory,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=_by_number(answer.cursor, -1)
        ),
    )


@caught_by(TRADES)
class OnlyAPage(Okx):
    """Of a stretch of trades the last page is all that comes."""

    endpoints: ClassVar[Any] = paging(
        Okx,
        GetTradeHistory,
        lambda request, cursor, response, answer: attrs.evolve(answer, cursor=None),
    )


def _whatever_there_is(request: Any, response: Any, now_ns: int, cursor: str | None) -> Any:
    """As the right one, for a stretch that is never too long."""
    right = Bybit.endpoints[GetTradeHistory]
    latest = 2**62
    asked = attrs.evolve(request, start_ns=latest, end_ns=None)
    all_of_them = attrs.evolve(request, start_ns=0, end_ns=None)
    try:
        answer = right.decode(all_of_them, response, now_ns, cursor)
    except ValueError:
        answer = right.decode(asked, response, now_ns, cursor)
    return attrs.evolve(
        answer, value=[t for t in answer.value if within(request, t.exchange_time_ns or 0)]
    )


@caught_by(TRADES)
class SilentlyCut(Bybit):
    """Of a stretch that reaches further back than the exchange tells nothing comes: no error."""

    endpoints: ClassVar[Any] = {
        **Bybit.endpoints,
        GetTradeHistory: attrs.evolve(Bybit.endpoints[GetTradeHistory], decode=_whatever_there_is),
    }


def _of_trades(request: HttpRequest) -> HttpRequest:
    return attrs.evolve(request, path=request.path.replace("mark-price-kline", "kline"))


@caught_by(WHOLE)
class LastPricesForMarks(Bybit):
    """Candles of the mark price are those of the trades, read from the first columns."""

    endpoints: ClassVar[Any] = asking(Bybit, GetMarkCandles, _of_trades)


def _both_sides(request: Any, cursor: Any, response: Any, answer: Any) -> Any:
    rows = [attrs.evolve(row, open_interest=2 * row.open_interest) for row in answer.value]
    return attrs.evolve(answer, value=rows)


@caught_by(WHOLE)
class BothSides(Bybit):
    """Open interest is the sum of long and short positions."""

    endpoints: ClassVar[Any] = paging(Bybit, GetOpenInterestHistory, _both_sides)


@caught_by(FORGOTTEN, REACH)
class WholeForAll(Okx):
    """Funding rates of years are asked for, of which OKX tells three months."""

    endpoints: ClassVar[Any] = with_changes(Okx, GetFundingHistory, retention=None)


@caught_by(FORGOTTEN, REACH)
class RefusedInItsWords(Binance):
    """Open interest of last year is refused by the exchange, in words that don't say why."""

    endpoints: ClassVar[Any] = with_changes(Binance, GetOpenInterestHistory, retention=None)


@caught_by(REACH)
class RefusedWhatThereIs(Binance):
    """Of open interest a day is said to be kept."""

    endpoints: ClassVar[Any] = with_changes(
        Binance, GetOpenInterestHistory, retention=86_400 * 10**9
    )
