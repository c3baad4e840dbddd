"""Plugins of which nobody can tell whether a quiet stream is dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import Activity, GetActivity, HttpResponse, Request
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by

MUTED = "test_a_stream_that_is_acknowledged_and_stays_silent_is_told_of_and_revived"
FALLEN = "test_a_stream_that_falls_silent_while_requests_are_answered_is_told_of_and_revived"
QUIET = "test_a_market_in_which_nothing_happens_is_never_called_dead"
ASKED = "test_what_can_be_asked_about_is"

Mark = Callable[[Activity, HttpResponse], Activity]


def marking(plugin: type[Exchange], mark: Mark) -> dict[Any, Any]:
    """A plugin's endpoints, with other marks in what they tell of the last events."""
    right = plugin.endpoints[GetActivity]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: Any) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        return attrs.evolve(answer, value=[mark(each, response) for each in answer.value])

    return {**plugin.endpoints, GetActivity: attrs.evolve(right, decode=decode)}


def _the_same(activity: Activity, response: HttpResponse) -> Activity:
    return attrs.evolve(activity, mark="something")


def _of_the_clock(activity: Activity, response: HttpResponse) -> Activity:
    body = orjson.loads(response.body)
    now = body.get("time", "") if type(body) is dict else body[0].get("closeTime", "")
    return attrs.evolve(activity, mark=f"{activity.mark} {now}")


def _named_otherwise(activity: Activity, response: HttpResponse) -> Activity:
    return attrs.evolve(activity, native=activity.native.lower())


@caught_by(MUTED, FALLEN)
class MarksThatNeverChange(Bybit):
    """Whatever happens, the exchange seems to say that nothing has."""

    endpoints: ClassVar[Any] = marking(Bybit, _the_same)


@caught_by(QUIET)
class MarksOfTheClock(Bybit):
    """The time of an answer is taken for the time of what happened last."""

    endpoints: ClassVar[Any] = marking(Bybit, _of_the_clock)


@caught_by(MUTED)
class MarksOfNobody(Bybit):
    """What happened last is told under names that aren't the exchange's own."""

    endpoints: ClassVar[Any] = marking(Bybit, _named_otherwise)


@caught_by(ASKED)
class NothingIsAsked(Bybit):
    """The exchange could be asked, and the plugin says that nothing can be."""

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        return None


class BinanceMarksOfTheClock(Binance):
    """The end of the 24 hours of a ticker is taken for the time of the last trade."""

    endpoints: ClassVar[Any] = marking(Binance, _of_the_clock)


class BinanceAsksForQuotesAlone(Binance):
    """Trades are held against the best prices, which change without any trade."""

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        found = super().activity(subscription)
        if isinstance(found, GetActivity):
            return attrs.evolve(found, channel=Channel.BOOK)
        return found


class OkxAsksOfAnotherType(Okx):
    """Of perpetuals it is asked what happened to dated contracts."""

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        found = super().activity(subscription)
        if isinstance(found, GetActivity):
            return attrs.evolve(found, part=found.part.replace("SWAP", "FUTURES"))
        return found


ELSEWHERE: tuple[tuple[str, type[Any], str], ...] = (
    ("binance", BinanceMarksOfTheClock, QUIET),
    ("binance", BinanceAsksForQuotesAlone, QUIET),
    ("okx", OkxAsksOfAnotherType, MUTED),
)
