"""The suite asks nothing too much: plugins that read strange exchanges right pass."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
import pytest
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken

from ccrs_core.conformance import ConformanceSuite, Profile, Subject
from ccrs_core.conformance.workbench.material import parsed, spelled
from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Capabilities, Exchange, Route
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import BookUpdate
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.lifetimes import Mortal
from tests.mutants.wrappers import SpeaksThrough, Through

_NUMBER = re.compile(rb"(?<=[:\[,])(-?\d+\.\d+)(?=[,}\]])")


class _Scientific(SpeaksThrough):
    """Spells its numbers with exponents, as servers do that print floating point."""

    def said(self, payload: bytes) -> bytes | None:
        return _NUMBER.sub(lambda found: f"{Decimal(found[1].decode()):E}".encode(), payload)


class Scientific(Kraken):
    """Kraken, were its numbers spelled with exponents."""

    def dialect(self) -> Dialect:
        return _Scientific(super().dialect())


class _WholeBooks(SpeaksThrough):
    """Sends each book as a whole."""

    def __init__(self, dialect: Dialect | None) -> None:
        super().__init__(dialect)
        self._books: dict[tuple[str, str], dict[str, str]] = {}

    def said(self, payload: bytes) -> bytes | None:
        if b'"channel":"book"' not in payload.replace(b" ", b"") or b'"data"' not in payload:
            return payload
        frame = orjson.loads(payload)
        (row,) = frame["data"]
        rows = re.findall(rb'\{"price":([^,]+),"qty":([^}]+)\}', payload.replace(b" ", b""))
        sizes = [(price.decode(), size.decode()) for price, size in rows]
        whole: dict[str, list[tuple[str, str]]] = {}
        for side, better in (("bids", -1), ("asks", 1)):
            count = len(row[side])
            told, sizes = sizes[:count], sizes[count:]
            book = self._books.setdefault((row["symbol"], side), {})
            if frame["type"] == "snapshot":
                book.clear()
            for price, size in told:
                book[price] = size
                if not Decimal(size):
                    del book[price]
            ordered = sorted(book.items(), key=lambda level: Decimal(level[0]) * better)
            self._books[row["symbol"], side] = dict(ordered[:10])
            whole[side] = ordered[:10]
        head = {**frame, "type": "snapshot", "data": []}
        sides = ",".join(
            f'"{side}":[' + ",".join(f'{{"price":{p},"qty":{q}}}' for p, q in levels) + "]"
            for side, levels in whole.items()
        )
        text = (
            f'{{"symbol":"{row["symbol"]}","timestamp":"{row["timestamp"]}",{sides},"checksum":0}}'
        )
        return orjson.dumps(head).replace(b'"data":[]', f'"data":[{text}]'.encode())


class _Unnumbered(Through):
    """Books of which each frame is whole, and none is numbered."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Data) and isinstance(message.events[0], BookUpdate):
            events: list[Any] = list(message.events)
            events = [attrs.evolve(event, checksum=None) for event in events]
            return attrs.evolve(message, events=events)
        return message


class WholeBooks(Kraken):
    """Kraken, were its books sent as a whole each time, without checksums."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        Kraken.capabilities, book_depths={Market.SPOT: (10,)}
    )

    def codec(self, route: Route) -> Codec:
        return _Unnumbered(super().codec(route))

    def checksum(self, subscription: Subscription) -> None:  # type: ignore[override]
        return None

    def dialect(self) -> Dialect:
        return _WholeBooks(super().dialect())


class TradesAlone(Kraken):
    """Kraken, had it nothing but trades."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        channels={Market.SPOT: frozenset({Channel.TRADES})}
    )


class _Shortlived(Mortal):
    hours = 4


class FourHours(Kraken):
    """Kraken, did it end connections after four hours: those that may race, and the others."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), max_age=3.5 * 3600)

    def dialect(self) -> Dialect:
        return _Shortlived(super().dialect())


class FourHoursOfBooks(FourHours):
    """And had it no connections that may race."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        Kraken.capabilities, channels={Market.SPOT: frozenset({Channel.BOOK})}
    )


class _Decimals(SpeaksThrough):
    """States ticks as numbers of decimals alone."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        def places(found: re.Match[bytes]) -> bytes:
            step = Decimal(found[2].decode())
            return found[1] + b"1E-%d" % max(0, -int(step.normalize().as_tuple().exponent))

        body = re.sub(rb'("tick_size": ?")([^"]+)', places, response.body)
        return attrs.evolve(response, body=body)


class DecimalsAlone(Kraken):
    """Kraken, did it state ticks as a number of decimals, which makes powers of ten up to one."""

    def dialect(self) -> Dialect:
        return _Decimals(super().dialect())


def _turned(frame: bytes) -> bytes:
    if b'"trade"' not in frame or b'"data"' not in frame:
        return frame
    tree = parsed(frame)
    return spelled({**tree, "data": tree["data"][::-1]})


class _ListsNewestFirst(SpeaksThrough):
    def said(self, payload: bytes) -> bytes | None:
        return _turned(payload)


class _ReadsNewestFirst(Through):
    def frame(self, frame: bytes) -> bytes:
        return _turned(frame)


class NewestFirst(Kraken):
    """Kraken, did it list the newest trade of a frame first."""

    def codec(self, route: Route) -> Codec:
        return _ReadsNewestFirst(super().codec(route))

    def dialect(self) -> Dialect:
        return _ListsNewestFirst(super().dialect())


class _Unglanced(Through):
    """Tells no number at a glance."""

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        told = super().peek(frame)
        return None if told is None or isinstance(told[1], int) else told


class NothingAtAGlance(Bybit):
    """Bybit, were numbers known by decoding alone."""

    def codec(self, route: Route) -> Codec:
        return _Unglanced(super().codec(route))


NothingAtAGlance.__module__ = "ccrs_bybit"


class ReadBackwards(Kraken):
    """Kraken, read wrong: the newest trade is taken to stand first."""

    def codec(self, route: Route) -> Codec:
        return _ReadsNewestFirst(super().codec(route))


_KRAKENS = (Scientific, WholeBooks, TradesAlone, FourHours, FourHoursOfBooks, DecimalsAlone)
for _each in (*_KRAKENS, NewestFirst, ReadBackwards):
    _each.__module__ = "ccrs_kraken"  # where its samples are

NUMBERS = (
    "test_what_streams_bring_is_what_happened_in_the_market",
    "test_streamed_decimals_are_the_exact_text_of_the_wire",
    "test_the_spelling_of_numbers_changes_no_value",
    "test_numbers_with_exponents_are_read_exactly_or_refused",
    "test_the_book_is_the_markets_after_each_update",
    "test_rows_of_several_frames_in_one_say_the_same",
    "test_any_value_of_a_frame_may_be_of_the_wrong_kind",
)
BOOKS = (
    "test_what_streams_bring_is_what_happened_in_the_market",
    "test_a_lost_repeated_or_swapped_delta_never_leaves_a_wrong_valid_book",
    "test_a_delta_before_its_snapshot_is_not_applied",
    "test_a_hole_in_a_books_sequence_is_told_before_what_follows",
    "test_a_valid_book_is_well_formed_and_as_deep_as_subscribed",
    "test_the_plugins_checksum_is_the_exchanges",
    "test_sequences_rise_between_gaps",
)
FEW = (
    "test_everything_declared_is_delivered",
    "test_what_is_not_declared_is_refused_without_io",
    "test_topics_of_one_route_tell_depths_intervals_and_symbols_apart",
    "test_who_joins_a_shared_stream_hears_the_present_state",
    "test_a_second_feed_hears_the_present_state_at_once",
    "test_a_stream_that_lives_alone_is_never_called_silent",
    "test_under_any_faults_of_frames_a_book_is_right_or_unreadable",
)

STEPS = (
    "test_the_mapping_survives_a_refresh",
    "test_a_changed_tick_is_told_once_and_used_from_then_on",
    "test_a_change_of_any_rule_of_an_instrument_is_told",
    "test_no_field_of_an_answer_has_a_twin",
)
GLANCES = (
    "test_a_glance_at_a_frame_says_what_decoding_it_says",
    "test_rows_of_several_frames_in_one_say_the_same",
    "test_a_burst_keeps_the_newest_state_of_each_topic",
    "test_racing_connections_deliver_what_one_does",
)
ORDERS = (
    "test_rows_of_several_frames_in_one_say_the_same",
    "test_what_streams_bring_is_what_happened_in_the_market",
)
AGES = (
    "test_connections_are_replaced_before_the_exchange_ends_them",
    "test_a_connection_lives_until_the_exchanges_limit_of_age",
)


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        *((Scientific, name) for name in NUMBERS),
        *((WholeBooks, name) for name in BOOKS),
        *((TradesAlone, name) for name in FEW),
        *((DecimalsAlone, name) for name in STEPS),
        *((NothingAtAGlance, name) for name in GLANCES),
        *((NewestFirst, name) for name in ORDERS),
        *((each, name) for each in (FourHours, FourHoursOfBooks) for name in AGES),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_strange_exchange_that_is_read_right_passes(exchange: type[Exchange], name: str) -> None:
    suite: Any = ConformanceSuite()
    with contextlib.suppress(pytest.skip.Exception):  # what isn't declared isn't asked for
        getattr(suite, name)(Subject(exchange, profile=Profile.QUICK))


def test_rows_that_are_read_backwards_are_no_strange_exchange() -> None:
    suite: Any = ConformanceSuite()
    with pytest.raises(AssertionError):
        suite.test_what_streams_bring_is_what_happened_in_the_market(
            Subject(ReadBackwards, profile=Profile.QUICK)
        )


def test_the_strange_exchanges_are_strange() -> None:
    books: Sequence[Any] = _events(WholeBooks, Channel.BOOK)
    assert len(books) > 5
    assert all(each.snapshot for each in books)
    frames = _frames(Scientific, Channel.TOP_OF_BOOK)
    assert any(re.search(rb"\dE[+-]?\d", frame) for frame in frames)


def _wire(exchange: type[Exchange], channel: Channel) -> Any:
    subject = Subject(exchange, profile=Profile.QUICK)
    subscription = subject.subscription(channel, subject.instrument(Market.SPOT))
    wire = subject.line().open(subject.exchange.route(subscription))
    wire.subscribe(subscription)
    return wire


def _events(exchange: type[Exchange], channel: Channel) -> list[Any]:
    messages = _wire(exchange, channel).run(3.0)
    return [event for m in messages if isinstance(m, Data) for event in m.events]


def _frames(exchange: type[Exchange], channel: Channel) -> list[bytes]:
    wire = _wire(exchange, channel)
    wire.run(3.0)
    found: list[bytes] = wire.frames
    return found
