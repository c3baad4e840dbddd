"""Values that the exchange has never used, taken for ones that are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Message
from ccrs_core.contract.rest import GetInstruments, GetTrades, HttpResponse
from tests.mutants.around import reading, rewritten
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import Through

NEW_FLAG = "test_a_new_side_or_flag_is_taken_for_no_known_one"
NEW_SIDE = "test_a_new_side_in_an_answer_is_taken_for_no_known_one"
NEW_KIND = "test_an_instrument_of_a_new_kind_or_status_does_not_trade"


def known(fields: Mapping[str, Mapping[Any, Any]], default: Mapping[str, Any]) -> Any:
    """Takes values of some fields that aren't known for the default."""

    def change(obj: dict[str, Any]) -> dict[str, Any]:
        return {
            key: default[key]
            if key in fields and not isinstance(value, dict | list) and value not in fields[key]
            else value
            for key, value in obj.items()
        }

    return change


def defaulting(key: str, values: tuple[Any, ...], default: Any) -> type[Through]:
    """A codec for which a new value of a field is its default."""
    change = known({key: dict.fromkeys(values)}, {key: default})

    class Defaulting(Through):
        def frame(self, frame: bytes) -> bytes:
            return rewritten(frame, change)

    return Defaulting


@caught_by(NEW_FLAG)
class ANewSideSells(Bybit):
    """A taker that doesn't buy sells, whatever else is said."""

    codec = reading(Bybit, defaulting("S", ("Buy", "Sell"), "Sell"))


@caught_by(NEW_FLAG)
class ANewSideBuys(Okx):
    """A taker that doesn't sell buys, whatever else is said."""

    codec = reading(Okx, defaulting("side", ("buy", "sell"), "buy"))


@caught_by(NEW_FLAG)
class WhatIsNotFalseIsTrue(Binance):
    """A maker's flag that is neither true nor false is taken for true."""

    codec = reading(Binance, defaulting("m", (True, False), True))


@caught_by(NEW_FLAG)
class ANewConfirmCloses(Binance):
    """A candle that doesn't say whether it is closed is called closed."""

    codec = reading(Binance, defaulting("x", (True, False), True))


class ConfirmedUnlessOpen(Through):
    """Takes each candle that isn't said to be open for a closed one."""

    def frame(self, frame: bytes) -> bytes:
        if b'"candle' not in frame:
            return frame
        try:
            value = json.loads(frame)
            for row in value["data"]:
                row[8] = "0" if row[8] == "0" else "1"
        except (ValueError, KeyError, IndexError, TypeError):
            return frame
        return json.dumps(value, separators=(",", ":")).encode()


@caught_by(NEW_FLAG)
class UnconfirmedIsClosed(Okx):
    """A candle whose confirmation is new is called closed."""

    codec = reading(Okx, ConfirmedUnlessOpen)


@caught_by(NEW_FLAG)
class ANewActionReplacesTheBook(Okx):
    """A frame of a book whose action is new replaces the book."""

    codec = reading(Okx, defaulting("action", ("snapshot", "update"), "snapshot"))


@caught_by(NEW_FLAG)
class ANewTypeChangesTheBook(Bybit):
    """A frame of a book whose type is new is applied as a change."""

    codec = reading(Bybit, defaulting("type", ("snapshot", "delta", "COMMAND_RESP"), "delta"))


class Silently(Through):
    """Leaves out what it doesn't know without a word."""

    def message(self, message: Message) -> Message | None:
        return message if type(message).__name__ != "Unrecognised" else None


@caught_by(NEW_FLAG)
class ANewSideIsLostInSilence(Bybit):
    """A trade of a new side is left out, and nobody is told."""

    codec = reading(Bybit, Silently)


class AnswersThrough:
    """Endpoints that read other bodies."""

    @staticmethod
    def of(base: Any, kind: Any, change: Callable[[Any], Any]) -> Any:
        right = base.endpoints[kind]

        def decode(request: Any, response: HttpResponse, now_ns: int, cursor: Any) -> Any:
            body = rewritten(response.body, change)
            return right.decode(request, attrs.evolve(response, body=body), now_ns, cursor)

        return {**base.endpoints, kind: attrs.evolve(right, decode=decode)}


@caught_by(NEW_SIDE)
class ANewSideOfAnAnswerSells(Bybit):
    """A trade of an answer whose side is new is a sale."""

    endpoints = AnswersThrough.of(
        Bybit, GetTrades, known({"side": {"Buy": 0, "Sell": 0}}, {"side": "Sell"})
    )


@caught_by(NEW_SIDE)
class ANewSideOfAnAnswerBuys(Okx):
    """A trade of an answer whose side is new is a purchase."""

    endpoints = AnswersThrough.of(
        Okx, GetTrades, known({"side": {"buy": 0, "sell": 0}}, {"side": "buy"})
    )


@caught_by(NEW_KIND)
class ANewStatusTrades(Binance):
    """An instrument whose status is new trades."""

    endpoints = AnswersThrough.of(
        Binance,
        GetInstruments,
        known(
            {"status": dict.fromkeys(("TRADING", "BREAK", "HALT", "PENDING_TRADING"))},
            {"status": "TRADING"},
        ),
    )


@caught_by(NEW_KIND)
class ANewStateTrades(Okx):
    """An instrument whose state is new trades."""

    endpoints = AnswersThrough.of(
        Okx,
        GetInstruments,
        known(
            {"state": dict.fromkeys(("live", "suspend", "preopen", "settling", "expired"))},
            {"state": "live"},
        ),
    )


@caught_by(NEW_KIND)
class ANewContractIsPerpetual(Bybit):
    """A contract of a new type never expires."""

    endpoints = AnswersThrough.of(
        Bybit,
        GetInstruments,
        known(
            {"contractType": dict.fromkeys(("InverseFutures", "LinearFutures", "LinearPerpetual"))},
            {"contractType": "InversePerpetual"},
        ),
    )


@caught_by(NEW_KIND)
class ANewOptionIsAPut(Okx):
    """An option that isn't a call is a put."""

    endpoints = AnswersThrough.of(
        Okx,
        GetInstruments,
        known({"optType": dict.fromkeys(("C", "P", ""))}, {"optType": "P"}),
    )
