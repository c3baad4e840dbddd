"""Emulators that are kinder than the exchange, and plugins that stand nothing strange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, LeftOut, Message, Unchanged
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import Dialect, Listing, Oddity
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import InstrumentStatus
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by

ODD = "test_the_emulator_is_as_odd_as_the_exchange"
BLANK = "test_optional_fields_may_be_blank"

Change = Callable[[Dialect], None]


def speaking(plugin: type[Exchange], change: Change) -> Callable[[Exchange], Dialect | None]:
    """A plugin's ``dialect`` with something about it changed."""

    def dialect(self: Exchange) -> Dialect | None:
        found = plugin.dialect(self)
        assert found is not None
        change(found)
        return found

    return dialect


def listing(change: Callable[[Sequence[Listing]], Sequence[Listing]]) -> Change:
    """Let a dialect list other things."""

    def apply(dialect: Dialect) -> None:
        listings = dialect.listings
        dialect.listings = lambda start_ns: change(listings(start_ns))  # type: ignore[method-assign]

    return apply


def without_halts(dialect: Dialect) -> None:
    """Let a dialect answer as if all had been traded all the time."""
    http = dialect.http

    def answer(request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        venue = dialect.venue
        listed = venue.listings
        venue.listings = {key: attrs.evolve(each, halts=()) for key, each in listed.items()}
        try:
            return http(request, address, now_ns)
        finally:
            venue.listings = listed

    dialect.http = answer  # type: ignore[method-assign]


def listed_once(dialect: Dialect) -> None:
    """Let a dialect answer by what was listed when it was first asked."""
    http = dialect.http
    first: list[Mapping[tuple[str, str], Listing]] = []

    def answer(request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        venue = dialect.venue
        listed = venue.listings
        first.append(listed)
        venue.listings = dict(first[0])
        try:
            return http(request, address, now_ns)
        finally:
            venue.listings = listed

    dialect.http = answer  # type: ignore[method-assign]


def _trading(listings: Sequence[Listing]) -> Sequence[Listing]:
    return [each for each in listings if each.status is InstrumentStatus.TRADING]


def _shallow(listings: Sequence[Listing]) -> Sequence[Listing]:
    return [attrs.evolve(each, levels=min(each.levels, 200)) for each in listings]


def _excuse(reason: str, *oddities: Oddity) -> Change:
    def apply(dialect: Dialect) -> None:
        lacks = {**dialect.lacks, **dict.fromkeys(oddities, reason)}
        dialect.lacks = lacks  # type: ignore[misc]

    return apply


@caught_by(ODD)
class HistoryWithoutHoles(Bybit):
    """The emulator has candles of when nothing was traded."""

    dialect = speaking(Bybit, without_halts)


@caught_by(ODD)
class NothingIsListedAnew(Bybit):
    """The emulator lists what it listed in the beginning, whatever comes."""

    dialect = speaking(Bybit, listed_once)


@caught_by(ODD)
class EverythingTrades(Bybit):
    """The emulator lists nothing that is announced or over."""

    dialect = speaking(Bybit, listing(_trading))


@caught_by(ODD)
class ShallowBooks(Bybit):
    """No emulated book is deeper than 200 levels."""

    dialect = speaking(Bybit, listing(_shallow))


@caught_by(ODD)
class ExcuseWithoutReason(Bybit):
    """The dialect says that the exchange never does something, but not how one knows."""

    dialect = speaking(Bybit, _excuse(" ", *Oddity))


@caught_by(ODD)
class ExcuseForWhatIsShown(Bybit):
    """The dialect says that histories have no holes; they do."""

    dialect = speaking(Bybit, _excuse("none were seen", Oddity.HOLES))


class BinanceWithoutHoles(Binance):
    """The emulator has candles of when nothing was traded."""

    dialect = speaking(Binance, without_halts)


class BinanceListsNothingAnew(Binance):
    """The emulator lists what it listed in the beginning, whatever comes."""

    dialect = speaking(Binance, listed_once)


# --- what repeats itself --------------------------------------------------------------------------


ALONE = "test_a_stream_that_lives_alone_is_never_called_silent"


def _new_alone(messages: Sequence[Message]) -> Sequence[Message]:
    return [message for message in messages if not isinstance(message, Unchanged)]


class BinanceRepetitionsUntold(Binance):
    """A mark price frame without a new funding rate says nothing at all."""

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        decode = codec.decode
        codec.decode = lambda frame, ns: _new_alone(decode(frame, ns))  # type: ignore[method-assign]
        return codec


@caught_by(ALONE)
class ImpatientCandles(Bybit):
    """Candles are expected as often as trades come in a lively market."""

    def max_silence(self, subscription: Subscription) -> float | None:
        return 2.0 if subscription.channel is Channel.CANDLES else super().max_silence(subscription)


class ImpatientFunding(Okx):
    """Funding rates are expected ten times as often as they are told."""

    def max_silence(self, subscription: Subscription) -> float | None:
        usual = super().max_silence(subscription)
        return 20.0 if subscription.channel is Channel.FUNDING else usual


# --- rows of frames -------------------------------------------------------------------------------


ROWS = "test_a_strange_row_takes_none_of_the_others_away"


def decoding(
    plugin: type[Exchange], change: Callable[[Sequence[Message]], Sequence[Message]]
) -> Any:
    """A plugin's ``codec`` that changes what frames with strange rows say."""

    def codec(self: Exchange, route: Route) -> Codec:
        found = plugin.codec(self, route)
        decode = found.decode
        found.decode = lambda frame, ns: change(decode(frame, ns))  # type: ignore[method-assign]
        return found

    return codec


def _all_or_nothing(messages: Sequence[Message]) -> Sequence[Message]:
    for message in messages:
        if isinstance(message, LeftOut):
            raise DecodeError(message.reason, topics=(message.topic,))
    return messages


def _in_silence(messages: Sequence[Message]) -> Sequence[Message]:
    return [message for message in messages if not isinstance(message, LeftOut)]


def _told_last(messages: Sequence[Message]) -> Sequence[Message]:
    return sorted(messages, key=lambda message: isinstance(message, LeftOut))


@caught_by(ROWS)
class OneRowTakesAll(Bybit):
    """A trade that can't be read takes those away that came in the same frame."""

    codec = decoding(Bybit, _all_or_nothing)


@caught_by(ROWS)
class RowsLostInSilence(Bybit):
    """Trades that can't be read are left out, and nobody is told."""

    codec = decoding(Bybit, _in_silence)


class OkxRowsToldElsewhere(Okx):
    """What was left out is told after all that came after it."""

    codec = decoding(Okx, _told_last)


class OkxRowsLostInSilence(Okx):
    """Trades that can't be read are left out, and nobody is told."""

    codec = decoding(Okx, _in_silence)


ELSEWHERE: tuple[tuple[str, type[Any], str], ...] = (
    ("binance", BinanceWithoutHoles, ODD),
    ("binance", BinanceListsNothingAnew, ODD),
    ("binance", BinanceRepetitionsUntold, ALONE),
    ("okx", ImpatientFunding, ALONE),
    ("okx", OkxRowsToldElsewhere, ROWS),
    ("okx", OkxRowsLostInSilence, ROWS),
)
