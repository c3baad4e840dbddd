"""One row taken for all, in frames and in answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import (
    Answer,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpResponse,
    Request,
)
from ccrs_core.errors import DecodeError
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import Through

# --- lists in frames ------------------------------------------------------------------------------
ROWS = "test_rows_of_several_frames_in_one_say_the_same"


class _Rows(Through):
    """Changes the list of rows in frames that have one."""

    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        """The rows that are read instead."""
        return rows

    def frame(self, frame: bytes) -> bytes:
        try:
            message = orjson.loads(frame)
            rows = message["data"]
            if type(rows) is list and rows:
                changed = self.rows(rows, message)
                return orjson.dumps({**message, "data": changed}) if changed != rows else frame
        except (TypeError, ValueError, KeyError):
            pass
        return frame


class _FirstRow(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        return rows[:1]


class _LastRow(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        return rows[-1:] if "liquidation" in frame.get("topic", "").lower() else rows


class _NamedByTheFirst(_Rows):
    """Takes what names the instrument in the first row for all of them."""

    names = ("symbol", "instId")

    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        first = {name: rows[0][name] for name in self.names if name in rows[0]}
        return [{**row, **first} for row in rows]


class _TimedByTheFirst(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        first = {name: rows[0][name] for name in ("T", "ts") if name in rows[0]}
        return [{**row, **first} for row in rows]


@caught_by(ROWS)
class OkxReadsTheFirstRow(Okx):
    """Of a list that usually has one row the first is read, as the emulator sends it."""

    def codec(self, route: Route) -> Codec:
        return _FirstRow(super().codec(route))


@caught_by(ROWS)
class BybitReadsTheLastLiquidation(Bybit):
    """Of the liquidations of half a second the last is read."""

    def codec(self, route: Route) -> Codec:
        return _LastRow(super().codec(route))


@caught_by(ROWS)
class KrakenNamesAllByTheFirst(Kraken):
    """All rows of a frame are taken to be of the first one's symbol."""

    def codec(self, route: Route) -> Codec:
        return _NamedByTheFirst(super().codec(route))


@caught_by(ROWS)
class OkxNamesAllByTheFirst(Okx):
    """All liquidations of a frame are taken to be of the first one's instrument."""

    def codec(self, route: Route) -> Codec:
        return _NamedByTheFirst(super().codec(route))


@caught_by(ROWS)
class BybitTimesAllByTheFirst(Bybit):
    """The first trade's time is taken for that of all in the frame."""

    def codec(self, route: Route) -> Codec:
        return _TimedByTheFirst(super().codec(route))


class _NumberedByTheFirst(Through):
    """Gives all that a frame says the number of its first row."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        first = next((m.sequence for m in messages if isinstance(m, Data)), None)
        return [attrs.evolve(m, sequence=first) if isinstance(m, Data) else m for m in messages]


@caught_by(ROWS)
class OkxNumbersAllByTheFirst(Okx):
    """All states in a frame share the number of the first."""

    def codec(self, route: Route) -> Codec:
        return _NumberedByTheFirst(super().codec(route))


class _PeeksAtTheFirst(Through):
    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        found = re.search(rb'"seqId":(\d+)', frame)
        told = [m for m in self._codec.decode(frame, 0) if isinstance(m, Data)]
        if found is None or not told or not isinstance(told[0].sequence, int):
            return self._codec.peek(frame)
        return told[0].topic, int(found[1]), told[0].restart


@caught_by(ROWS)
class OkxPeeksAtTheFirst(Okx):
    """The number that is seen at a glance is that of the first row."""

    def codec(self, route: Route) -> Codec:
        return _PeeksAtTheFirst(super().codec(route))


# --- lists in answers -----------------------------------------------------------------------------
ANSWERS = "test_lists_in_answers_may_be_short_and_in_any_order"
ROWS_OF_ANSWERS = "test_a_strange_row_of_an_answer_takes_none_of_the_others_away"

Change = Callable[[Any, list[Any], Answer[Any]], Answer[Any]]


def listing(
    plugin: type[Exchange],
    kind: type[Request[Any]],
    rows: Callable[[Any], list[Any]],
    change: Change,
) -> dict[type[Request[Any]], Any]:
    """A plugin's endpoints, one of which makes something else of the rows of its answer."""
    right = plugin.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: Any) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        return change(request, rows(orjson.loads(response.body)), answer)

    return {**plugin.endpoints, kind: attrs.evolve(right, decode=decode)}


def _of_bybit(body: Any) -> list[Any]:
    found: list[Any] = body["result"]["list"]
    return found


def _of_okx(body: Any) -> list[Any]:
    found: list[Any] = body["data"]
    return found


def _as_listed(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if int(rows[0]["time"]) > int(rows[-1]["time"]):
        return attrs.evolve(answer, value=answer.value[::-1])
    return answer


def _never_empty(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if not rows:
        raise DecodeError("no candles", b"")
    return answer


def _not_one(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    return answer if len(rows) > 1 else attrs.evolve(answer, value=[])


def _after_the_last(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if answer.cursor is None:
        return answer
    return attrs.evolve(answer, cursor=rows[-1]["fundingRateTimestamp"])


def _without_the_first(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    """A header is expected where there is none once the list is turned round."""
    turned = len(rows) > 1 and rows[0]["symbol"] > rows[-1]["symbol"]
    return attrs.evolve(answer, value=answer.value[1:]) if turned else answer


def _of_binance(body: Any) -> list[Any]:
    return [{"time": row.get("time", row.get("T"))} for row in body]


@caught_by(ANSWERS)
class BinanceTradesAsListed(Binance):
    """Trades are handed on in the order in which they are listed."""

    endpoints: ClassVar[Any] = listing(
        Binance,
        GetTrades,
        lambda b: b if "time" in b[0] else [{"time": r["T"]} for r in b],
        _as_listed,
    )


@caught_by(ANSWERS)
class OkxCandlesNeverEmpty(Okx):
    """An answer without candles is taken for none at all."""

    endpoints: ClassVar[Any] = listing(Okx, GetCandles, _of_okx, _never_empty)


@caught_by(ANSWERS)
class OkxOneFundingRateIsNone(Okx):
    """A single row of a history is taken for the present one, which isn't history yet."""

    endpoints: ClassVar[Any] = listing(Okx, GetFundingHistory, _of_okx, _not_one)


@caught_by(ANSWERS)
class BybitPagesFollowTheLastRow(Bybit):
    """The next page is asked for from the last row on, whichever that is."""

    endpoints: ClassVar[Any] = listing(Bybit, GetFundingHistory, _of_bybit, _after_the_last)


@caught_by(ANSWERS)
class BybitListLosesOneTurnedRound(Bybit):
    """Which row isn't an instrument is told by its place in the list."""

    endpoints: ClassVar[Any] = listing(Bybit, GetInstruments, _of_bybit, _without_the_first)


def _whole_or_nothing(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if answer.left_out:
        raise DecodeError("malformed rates", b"")
    return answer


def _in_silence(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    return attrs.evolve(answer, left_out=0)


@caught_by(ROWS_OF_ANSWERS)
class BybitFundingWholeOrNothing(Bybit):
    """One rate that can't be read takes all others away."""

    endpoints: ClassVar[Any] = listing(Bybit, GetFundingHistory, _of_bybit, _whole_or_nothing)


@caught_by(ROWS_OF_ANSWERS)
class OkxCandlesLeftOutInSilence(Okx):
    """Candles that can't be read are left out, and nobody is told."""

    endpoints: ClassVar[Any] = listing(Okx, GetCandles, _of_okx, _in_silence)
