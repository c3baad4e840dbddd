"""Mutants of budgets, lifetimes and refusals: what goes wrong at bounds and as time passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.codec import Ack, Codec, Data, Message, Outbound, Refused
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetBook, GetFundingHistory, HttpResponse, Request
from ccrs_core.emulator import Dialect
from ccrs_core.model.subscriptions import Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

REFUSED = "test_what_is_refused_is_told_and_nothing_else_is"
FOR_NOW = "test_what_is_refused_for_now_is_asked_for_again"
HUNDREDS = "test_hundreds_of_streams_are_carried"


# --- refused, granted or dead: the exchange's word ------------------------------------------


class _Granting(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            return Ack(message.request_id, message.topics)
        return super().message(message)


@caught_by(REFUSED)
class RefusalTakenForAGrant(Okx):
    """A refusal is read as an acknowledgement."""

    def codec(self, route: Route) -> Codec:
        return _Granting(super().codec(route))


@caught_by(REFUSED)
class FailedTopicsTakenForGranted(Bybit):
    """Topics that an answer lists as failed are taken for granted, as those beside them."""

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        return _Granting(codec) if "option" in route.url else codec


class _Deaf(Through):
    def message(self, message: Message) -> Message | None:
        return None if isinstance(message, Refused) else super().message(message)


@caught_by(REFUSED)
class RefusalPassedOver(Kraken):
    """Refusals are passed over in silence."""

    def codec(self, route: Route) -> Codec:
        return _Deaf(super().codec(route))


class _OnceOnly(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._told: set[str] = set()

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            if message.text in self._told:
                return None
            self._told.add(message.text)
        return super().message(message)


@caught_by(REFUSED)
class RefusalToldOnceOnly(Bybit):
    """A refusal that was read before is taken for a repeat, and dropped."""

    def codec(self, route: Route) -> Codec:
        return _OnceOnly(super().codec(route))


class _OfAnother(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._asked: list[str] = []

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._asked = [self.topic(each) for each in subscriptions]
        return super().subscribe(subscriptions, request_id)

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused) and self._asked:
            return attrs.evolve(message, topics=(self._asked[-1],))
        return super().message(message)


@caught_by("test_a_bad_symbol_in_a_request_fails_alone")
class RefusalOfAnotherTopic(Okx):
    """A refusal is taken to be of the last topic of its request."""

    def codec(self, route: Route) -> Codec:
        return _OfAnother(super().codec(route))


class _AcknowledgesAll(SpeaksThrough):
    def said(self, payload: bytes) -> bytes:
        if b'"code":"60018"' not in payload:
            return payload
        told = orjson.loads(payload)
        text = told["msg"].removeprefix("Wrong URL or ").partition(" doesn't exist")[0]
        arg = dict(part.split(":", 1) for part in text.split(","))
        return orjson.dumps({"id": told.get("id"), "event": "subscribe", "arg": arg})


@caught_by(REFUSED)
class ExchangeThatAcknowledgesAll(Okx):
    """Exchange and codec agree that whatever is asked for is acknowledged."""

    def dialect(self) -> Dialect:
        return _AcknowledgesAll(super().dialect())


class _LeavesOut(SpeaksThrough):
    def said(self, payload: bytes) -> bytes:
        return b'{"channel":"heartbeat"}' if b"not supported" in payload else payload


class _TakesAll(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Ack):
            return Ack(message.request_id)
        return super().message(message)


@caught_by("test_a_bad_symbol_in_a_request_fails_alone")
class RefusedLeftOutOfGranted(Kraken):
    """The exchange tells what it grants alone, and the codec takes one grant for all of them."""

    def codec(self, route: Route) -> Codec:
        return _TakesAll(super().codec(route))

    def dialect(self) -> Dialect:
        return _LeavesOut(super().dialect())


class _ForGood(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            return attrs.evolve(message, later=False)
        return super().message(message)


@caught_by(FOR_NOW)
class BusyForGood(Okx):
    """What is refused for now is taken for refused for good."""

    def codec(self, route: Route) -> Codec:
        return _ForGood(super().codec(route))


@caught_by(FOR_NOW)
class TooOftenForGood(Kraken):
    """A request too many is taken for refused for good."""

    def codec(self, route: Route) -> Codec:
        return _ForGood(super().codec(route))


class _OneOfTwo(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused) and message.code == "64007":
            return attrs.evolve(message, later=False)
        return super().message(message)


@caught_by(FOR_NOW)
class OneBusyCodeForGood(Okx):
    """Of two codes by which the exchange says "later" one is taken for good."""

    def codec(self, route: Route) -> Codec:
        return _OneOfTwo(super().codec(route))


class _BusyIsGranted(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused) and message.later:
            return Ack(message.request_id)
        return super().message(message)


@caught_by(FOR_NOW)
class BusyTakenForAGrant(Kraken):
    """A refusal for now is read as an acknowledgement."""

    def codec(self, route: Route) -> Codec:
        return _BusyIsGranted(super().codec(route))


class _NeverForGood(Through):
    def message(self, message: Message) -> Message | None:
        if isinstance(message, Refused):
            return attrs.evolve(message, later=True)
        return super().message(message)


@caught_by(REFUSED)
class NothingIsForGood(Okx):
    """Every refusal is taken for one that is lifted later, so that the user hears late of it."""

    def codec(self, route: Route) -> Codec:
        return _NeverForGood(super().codec(route))


class _AtMost(Through):
    """Asks for what it has room for, and for the same again of what is beyond."""

    most = 80

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._known: dict[str, Subscription] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for each in subscriptions:
            if len(self._known) < self.most:
                self._known[self.topic(each)] = each
        fit = [each for each in subscriptions if self.topic(each) in self._known]
        return super().subscribe(fit or list(self._known.values())[:1], request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for each in subscriptions:
            self._known.pop(self.topic(each), None)
        return super().unsubscribe(subscriptions, request_id)


@caught_by(HUNDREDS)
class EightyAreAskedFor(Binance):
    """Of more than 80 streams on a connection the rest is never asked for."""

    def codec(self, route: Route) -> Codec:
        return _AtMost(super().codec(route))


class _FirstAlone(Through):
    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        # Ten are the most that spot takes in one request, and so it is everywhere.
        return super().unsubscribe(subscriptions[:10], request_id)


@caught_by(HUNDREDS)
class TenAreUnsubscribed(Okx):
    """Of more than ten streams in a request to unsubscribe the rest goes on."""

    def codec(self, route: Route) -> Codec:
        return _FirstAlone(super().codec(route))


# --- every declared depth -------------------------------------------------------------------

DEPTHS = "test_changes_lost_at_any_depth_never_leave_a_wrong_valid_book"
OTHER_DEPTHS = "test_books_of_every_depth_are_the_markets_after_each_update"


class _Unchained(Through):
    """Of the topics of one depth, what an update follows isn't told."""

    prefix = ""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Data) and message.topic.startswith(self.prefix):
            events = [attrs.evolve(each, previous_sequence=None) for each in message.events]
            message = attrs.evolve(message, events=events)
        return super().message(message)


class _Unchained1000(_Unchained):
    prefix = "orderbook.1000."


@caught_by(DEPTHS)
class DeepestUnchained(Bybit):
    """What an update follows isn't told of the deepest books."""

    def codec(self, route: Route) -> Codec:
        return _Unchained1000(super().codec(route))


@caught_by(DEPTHS)
class DeepUnsummed(Kraken):
    """Of deep books, checksums aren't verified."""

    def checksum(self, subscription: Subscription) -> Any:
        deep = (subscription.depth or 0) >= 100
        return None if deep else super().checksum(subscription)


class _SecondSnapshot(Through):
    """Of some books, the first whole one is taken for all of them."""

    mark = ""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._begun: set[str] = set()

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Data) and self.mark in message.topic:
            begun = message.topic in self._begun
            self._begun.add(message.topic)
            if begun:
                events = [attrs.evolve(each, snapshot=False) for each in message.events]
                message = attrs.evolve(message, events=events)
        return super().message(message)


class _SecondOf20(_SecondSnapshot):
    mark = "@depth20"


class _SecondOf200(_SecondSnapshot):
    mark = "orderbook.200."


@caught_by(OTHER_DEPTHS)
class WholeBooksTakenForChanges(Binance):
    """Of 20 levels, which are sent whole every time, all but the first are taken for changes."""

    def codec(self, route: Route) -> Codec:
        return _SecondOf20(super().codec(route))


@caught_by(OTHER_DEPTHS)
class SecondSnapshotTakenForAChange(Bybit):
    """Of 200 levels, the whole book that comes after subscribing again is taken for a change."""

    def codec(self, route: Route) -> Codec:
        return _SecondOf200(super().codec(route))


# --- budgets --------------------------------------------------------------------------------

WEIGHED = "test_requests_weigh_what_the_exchange_counts"
FULL_SPEED = "test_full_speed_over_several_windows_is_never_refused"
ROOM = "test_room_is_left_to_other_programs_of_the_address"
MESSAGES = "test_messages_at_full_speed_are_never_too_many"
FULLEST = "test_the_largest_requests_and_the_fullest_connections_are_taken"


@caught_by(WEIGHED, ROOM)
class SpentByOthersUnread(Binance):
    """What the exchange says of the weight that is spent isn't read."""

    def weight_used(self, response: HttpResponse) -> int | None:
        return None


@caught_by(WEIGHED, ROOM)
class SpentReadOfAnotherHeader(Binance):
    """The weight that is spent is looked for under a header that only orders have."""

    def weight_used(self, response: HttpResponse) -> int | None:
        text = response.headers.get("x-mbx-order-count-1m", "")
        return int(text) if text.isdigit() else None


def _weighing(plugin: type[Exchange], kind: type[Request[Any]], weight: Any) -> dict[Any, Any]:
    changed = attrs.evolve(plugin.endpoints[kind], weight=weight)
    return {**plugin.endpoints, kind: changed}


@caught_by(WEIGHED)
class DeepestBookTooLight(Binance):
    """Books of more than 1,000 levels are said to weigh no more than those."""

    endpoints: ClassVar[Any] = _weighing(
        Binance,
        GetBook,
        lambda request: min(Binance.endpoints[GetBook].weight_of(request), 50),
    )


@caught_by(FULL_SPEED)
class CountedApartOverlooked(Binance):
    """That funding rates are counted apart, in five minutes, isn't told by their weight."""

    endpoints: ClassVar[Any] = _weighing(Binance, GetFundingHistory, 10)


@caught_by(FULL_SPEED)
class RareCallsTooLight(Okx):
    """Every call is said to weigh the same, though some are allowed more seldom."""

    endpoints: ClassVar[Any] = {
        kind: attrs.evolve(each, weight=1) for kind, each in Okx.endpoints.items()
    }


@caught_by(FULL_SPEED)
class WindowTooShort(Bybit):
    """What is allowed in five seconds is taken to be allowed in two."""

    limits: ClassVar[Limits] = attrs.evolve(Bybit.limits, requests=Budget(amount=500, seconds=2.0))


def _paced(route: Route, amount: int, seconds: float) -> Route:
    return attrs.evolve(route, messages=Budget(amount=amount, seconds=seconds))


@caught_by(MESSAGES)
class NoRoomForPongs(Binance):
    """All messages that the exchange allows are used, though pongs are counted among them."""

    def route(self, subscription: Subscription) -> Route:
        return _paced(super().route(subscription), 5, 1.0)


@caught_by(MESSAGES)
class HourTakenForAMinute(Okx):
    """What is allowed in an hour is taken to be allowed in a minute."""

    def route(self, subscription: Subscription) -> Route:
        return _paced(super().route(subscription), 480, 60.0)


@caught_by(MESSAGES)
class AFewMoreAnHour(Okx):
    """Heartbeats aren't reckoned with, and 700 requests an hour are allowed."""

    def route(self, subscription: Subscription) -> Route:
        return _paced(super().route(subscription), 700, 3600.0)


@caught_by(FULLEST)
class RequestsTooLarge(Okx):
    """So many topics are put into a request that it has more bytes than the exchange takes."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topics_per_request=2000)


@caught_by(FULLEST)
class TooManyStreams(Binance):
    """More streams are put onto a connection than it takes."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topics_per_connection=1100)


@caught_by(FULLEST)
class TooManyCharacters(Bybit):
    """More characters of topics are put onto a connection than it takes."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(
            super().route(subscription),
            topic_chars_per_connection=24_000,
            topics_per_connection=1100,
        )
