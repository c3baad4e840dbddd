"""Plugins that lose or double what lies at the borders of pages, and pages that cost too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import (
    Answer,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpRequest,
    HttpResponse,
)
from ccrs_core.emulator import Dialect
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough

WHOLE = "test_histories_are_whole_at_every_border"
PASSING = "test_a_history_stays_whole_while_time_passes"
SPOILED = "test_a_row_that_cannot_be_read_is_not_the_end_of_a_history"
COST = "test_further_pages_cost_what_is_said"
LISTED = "test_lists_of_instruments_are_whole_in_any_number_of_pages"
TRADES = "test_the_last_trades_are_as_many_as_asked_for"

Change = Callable[[Any, "str | None", HttpResponse, Answer[Any]], Answer[Any]]


def paging(plugin: type[Exchange], kind: type[Any], change: Change) -> dict[type[Any], Any]:
    """A plugin's endpoints, one of whose answers are changed page by page."""
    right = plugin.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        return change(request, cursor, response, answer)

    return {**plugin.endpoints, kind: attrs.evolve(right, decode=decode)}


def asking(
    plugin: type[Exchange], kind: type[Any], change: Callable[[HttpRequest], HttpRequest]
) -> dict[type[Any], Any]:
    """A plugin's endpoints, one of whose requests are written otherwise."""
    right = plugin.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> HttpRequest:
        return change(right.encode(request, cursor))

    return {**plugin.endpoints, kind: attrs.evolve(right, encode=encode)}


def with_changes(plugin: type[Exchange], kind: type[Any], **changes: Any) -> dict[type[Any], Any]:
    """A plugin's endpoints, one of them declared otherwise."""
    return {**plugin.endpoints, kind: attrs.evolve(plugin.endpoints[kind], **changes)}


def _moved(cursor: str | None, by_ms: int) -> str | None:
    """A cursor that begins with a time, which is another one."""
    if cursor is None or not cursor.partition(":")[0].isdecimal():
        return cursor
    at, colon, rest = cursor.partition(":")
    return f"{int(at) + by_ms}{colon}{rest}"


def _query(request: HttpRequest, name: str, by: int) -> HttpRequest:
    query = tuple((n, str(int(v) + by) if n == name else v) for n, v in request.query)
    return attrs.evolve(request, query=query)


# --- borders of pages ----------------------------------------------------------------------------


@caught_by(WHOLE)
class BordersAreLost(Bybit):
    """The next page, further back, begins one candle too far."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetCandles,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=_moved(answer.cursor, -60_000) if request.start_ns is None else None
        ),
    )


@caught_by(WHOLE)
class BordersAreDoubled(Binance):
    """The next page of funding rates, further on, begins with the last one of this page."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetFundingHistory,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=_moved(answer.cursor, -1) if request.start_ns is not None else None
        ),
    )


@caught_by(WHOLE)
class TheEndIsTaken(Okx):
    """The time after which is asked is moved: a page ends with the row that the last began with."""

    endpoints: ClassVar[Any] = asking(Okx, GetCandles, lambda asked: _query(asked, "after", 1))


@caught_by(WHOLE)
class TheStartIsLeftOut(Okx):
    """The time before which is asked is taken to be inclusive: the first candles are lost."""

    endpoints: ClassVar[Any] = asking(Okx, GetCandles, lambda asked: _query(asked, "before", 1))


@caught_by(WHOLE)
class TheEndIsInclusiveAtBybit(Bybit):
    """The end is sent as it is asked for less a whole candle, as if Bybit counted its end."""

    endpoints: ClassVar[Any] = asking(
        Bybit, GetCandles, lambda asked: _query(asked, "end", -60_000)
    )


@caught_by(WHOLE)
class OnlyWhatIsRecent(Okx):
    """The call for recent candles is used for all of them."""

    endpoints: ClassVar[Any] = asking(
        Okx,
        GetCandles,
        lambda asked: attrs.evolve(asked, path=asked.path.replace("history-candles", "candles")),
    )


@caught_by(WHOLE)
class OnePageIsEnough(Okx):
    """Of funding rates one page is asked for, however many are wanted."""

    endpoints: ClassVar[Any] = paging(
        Okx,
        GetFundingHistory,
        lambda request, cursor, response, answer: attrs.evolve(answer, cursor=None),
    )


@caught_by(WHOLE)
class AShortPageIsTheLast(Binance):
    """A page of candles that isn't full is taken for the last one."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetCandles,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=answer.cursor if len(orjson.loads(response.body)) >= 1000 else None
        ),
    )


@caught_by(WHOLE)
class AnEmptyPageIsTheLast(Binance):
    """A stretch without any funding rate is taken for the time before the listing."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetFundingHistory,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=answer.cursor if answer.value else None
        ),
    )


@caught_by(WHOLE)
class AFullPageIsTheLast(Bybit):
    """Whoever asks for as many as one page holds, or fewer, gets one page of what there is."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetCandles,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=answer.cursor if request.limit > 1000 else None
        ),
    )


def _by_the_clock(
    request: Any, cursor: str | None, response: HttpResponse, answer: Answer[Any]
) -> Answer[Any]:
    if request.start_ns is not None or answer.cursor is None:
        return answer
    left = int(answer.cursor.partition(":")[2])
    seen = request.limit - left
    end_ms = request.end_ns // 10**6 if request.end_ns else orjson.loads(response.body)["time"]
    return attrs.evolve(answer, cursor=f"{(end_ms // 60_000 - seen + 1) * 60_000}:{left}")


@caught_by(PASSING)
class PagesByTheClock(Bybit):
    """Where the next page begins is reckoned from the present time and the rows that were told."""

    endpoints: ClassVar[Any] = paging(Bybit, GetCandles, _by_the_clock)


def _newest_again(
    request: Any, cursor: str | None, response: HttpResponse, answer: Answer[Any]
) -> Answer[Any]:
    # The first page is asked for by number, as other exchanges want it: so many rows are skipped.
    if request.start_ns is not None or answer.cursor is None or not answer.value:
        return answer
    at, _, left = answer.cursor.partition(":")
    late_ms = (answer.value[0].received_time_ns - 20 * 10**9) // 60_000_000_000 * 60_000
    first_ms = 1_767_225_600_000
    return attrs.evolve(answer, cursor=f"{int(at) + max(0, late_ms - first_ms)}:{left}")


@caught_by(PASSING)
class PagesByNumber(Okx):
    """Pages are counted from the newest row, which is another one a minute later."""

    endpoints: ClassVar[Any] = paging(Okx, GetCandles, _newest_again)


@caught_by(PASSING)
class WhatIsOpenStaysOpen(Binance):
    """The last candle of every page is called open, whichever page it is."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetCandles,
        lambda request, cursor, response, answer: attrs.evolve(
            answer,
            value=[
                *answer.value[:-1],
                *(attrs.evolve(each, closed=False) for each in answer.value[-1:]),
            ],
        ),
    )


@caught_by(SPOILED)
class ReadableRowsFillAPage(Bybit):
    """A page of candles of which a row can't be read isn't full, and so the last one."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetCandles,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=None if answer.left_out else answer.cursor
        ),
    )


@caught_by(SPOILED)
class RatesThatCountAreRead(Binance):
    """A page of funding rates of which a row can't be read isn't full, and so the last one."""

    endpoints: ClassVar[Any] = paging(
        Binance,
        GetFundingHistory,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, cursor=answer.cursor if len(answer.value) >= 1000 else None
        ),
    )


class _WithoutTheOpenOne(SpeaksThrough):
    """An exchange that tells closed candles alone."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path != "/api/v5/market/candles":
            return response
        body = orjson.loads(response.body)
        body["data"] = [row for row in body["data"] if row[8] == "1"]
        return attrs.evolve(response, body=orjson.dumps(body))


@caught_by(WHOLE)
class TheOpenCandleIsNoHistory(Okx):
    """Emulator and plugin agree that a history ends with the last closed candle."""

    def dialect(self) -> Dialect:
        return _WithoutTheOpenOne(super().dialect())


class _AnHourLate(SpeaksThrough):
    """An exchange that has a rate in its history an hour after it was paid."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not request.path.endswith("/fundingRate") or response.status != 200:
            return response
        rows = orjson.loads(response.body)
        now_ms = self.venue.now_ns // 10**6
        kept = [row for row in rows if row["fundingTime"] + 3_600_000 <= now_ms]
        return attrs.evolve(response, body=orjson.dumps(kept))


@caught_by(WHOLE)
class TheLastRateComesLate(Binance):
    """Emulator and plugin agree that the last rate isn't history yet."""

    def dialect(self) -> Dialect:
        return _AnHourLate(super().dialect())


# --- what pages cost -----------------------------------------------------------------------------


@caught_by(COST)
class FurtherPagesAreSmall(Binance):
    """Each page is counted as if it asked for as many candles as are wanted in all."""

    endpoints: ClassVar[Any] = with_changes(Binance, GetCandles, page_weight=None)


@caught_by(COST)
class HistoryIsAsCheap(Okx):
    """Past candles are counted like recent ones, of which twice as many may be asked for."""

    endpoints: ClassVar[Any] = with_changes(Okx, GetCandles, weight=1)


@caught_by(COST)
class FurtherPagesAreFree(Okx):
    """Further pages of funding rates are counted as one."""

    endpoints: ClassVar[Any] = with_changes(
        Okx, GetFundingHistory, page_weight=lambda request, cursor: 1
    )


@caught_by(COST)
class FurtherPagesCostOne(Binance):
    """Further pages of candles are counted as one, of whichever market."""

    endpoints: ClassVar[Any] = with_changes(
        Binance, GetCandles, page_weight=lambda request, cursor: 1
    )


# --- lists of instruments ------------------------------------------------------------------------


@caught_by(LISTED)
class TheFirstThousand(Bybit):
    """Cursors of lists are forgotten: the first page is all."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetInstruments,
        lambda request, cursor, response, answer: attrs.evolve(
            answer,
            cursor=None if "cursor=" in (answer.cursor or "") else answer.cursor,
        ),
    )


@caught_by(LISTED)
class NoOptionsOfACoinNoOptions(Bybit):
    """A coin without options ends the list of options."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetInstruments,
        lambda request, cursor, response, answer: attrs.evolve(
            answer,
            cursor=answer.cursor
            if answer.value or request.market.value != "option" or "cursor=" in (cursor or "")
            else None,
        ),
    )


@caught_by(LISTED)
class ReadableRowsAreCounted(Bybit):
    """A page of which a row can't be read isn't full, and so the last one."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetInstruments,
        lambda request, cursor, response, answer: attrs.evolve(
            answer,
            cursor=answer.cursor
            if len(answer.value) == 1000
            or "cursor=" not in (answer.cursor or "")
            or request.market.value == "option"
            else "status=PreLaunch",
        ),
    )


@caught_by(LISTED)
class NoPerpetualsNoContracts(Okx):
    """Where no perpetual is listed, dated contracts aren't asked for."""

    endpoints: ClassVar[Any] = paging(
        Okx,
        GetInstruments,
        lambda request, cursor, response, answer: attrs.evolve(
            answer,
            cursor=answer.cursor if answer.value or request.market.value == "option" else None,
        ),
    )


# --- trades --------------------------------------------------------------------------------------


@caught_by(TRADES)
class OneTradeLess(Bybit):
    """Of as many trades as a page holds, the first is cut off."""

    endpoints: ClassVar[Any] = paging(
        Bybit,
        GetTrades,
        lambda request, cursor, response, answer: attrs.evolve(
            answer, value=answer.value[1:] if len(answer.value) >= 60 else answer.value
        ),
    )


@caught_by(TRADES)
class TwoTradesAreEnough(Okx):
    """Of more trades than one, two are asked for."""

    endpoints: ClassVar[Any] = asking(
        Okx,
        GetTrades,
        lambda asked: attrs.evolve(
            asked,
            query=tuple((n, "2" if n == "limit" and v != "1" else v) for n, v in asked.query),
        ),
    )
