"""Mutants whose emulator lets a connection carry more streams, or fewer, than the exchange does;
and errors of streams in another form."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

LIMITS = "test_declared_limits_are_within_the_documented_ones"
ALLOWED = "test_the_emulator_allows_what_the_documents_do"
ERRORS = "test_errors_mean_what_the_documents_say"
REPLIES = "test_the_emulator_replies_as_the_samples_do"


def _streams(dialect: Any, streams: int, *prefixes: str) -> Dialect:
    """Binance's dialect, of which some paths let a connection have other numbers of streams."""
    dialect._roots = {
        path: attrs.evolve(root, streams=streams) if path.startswith(prefixes) else root
        for path, root in dialect._roots.items()
    }
    right: Dialect = dialect
    return right


@caught_by(LIMITS, ALLOWED)
class StreamsDoubledInBoth(Binance):
    """A connection is taken to carry 2,048 streams."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topics_per_connection=2048)

    def dialect(self) -> Dialect:
        return _streams(super().dialect(), 2048, "")


@caught_by(ALLOWED)
class FuturesAsTheyWereInBoth(Binance):
    """A connection of futures is taken to carry 200 streams, as it did years ago."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        spot = subscription.instrument.market is Market.SPOT
        return route if spot else attrs.evolve(route, topics_per_connection=200)

    def dialect(self) -> Dialect:
        return _streams(super().dialect(), 200, "/")


@caught_by(ALLOWED)
class OneStreamFewer(Binance):
    """The emulator refuses the last stream that Binance takes."""

    def dialect(self) -> Dialect:
        return _streams(super().dialect(), 1023, "")


class _Counting(SpeaksThrough):
    """Hears a request to subscribe as another one, from so many on."""

    counted: ClassVar[str]
    limit: ClassVar[int]

    def __init__(self, dialect: Dialect | None) -> None:
        super().__init__(dialect)
        self.count = 0

    def asked(self, frame: str | bytes) -> str | bytes:
        text = frame if isinstance(frame, str) else frame.decode()
        if '"subscribe"' not in text or self.counted not in text:
            return frame
        topics = orjson.loads(text)["args"]
        self.count += self.cost(topics)
        return frame if self.count <= self.limit else text.replace(self.counted, "nothing.")

    def cost(self, topics: list[str]) -> int:
        return len(topics)


@caught_by(ALLOWED)
class FewOptions(Bybit):
    """The emulator refuses options from the five hundredth on; Bybit takes as many as fit."""

    def dialect(self) -> Dialect:
        class Mistaken(_Counting):
            counted, limit = "-USDT", 500

        return Mistaken(super().dialect())


@caught_by(ALLOWED)
class FewCharacters(Bybit):
    """The emulator refuses names beyond 20,999 characters; Bybit takes one more."""

    def dialect(self) -> Dialect:
        class Mistaken(_Counting):
            counted, limit = ".", 20_999

            def cost(self, topics: list[str]) -> int:
                return sum(map(len, topics))

        return Mistaken(super().dialect())


# --- errors of streams ----------------------------------------------------------------------


@caught_by(ERRORS, REPLIES)
class ErrorsFlatInBoth(Binance):
    """Errors of streams are said, and read, as the documents print them: without error around."""

    def codec(self, route: Route) -> Codec:
        class Mistaken(Through):
            def frame(self, frame: bytes) -> bytes:
                return b'{"strange":1}' if frame.startswith(b'{"error":{') else frame

        return Mistaken(super().codec(route))

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def said(self, payload: bytes) -> bytes:
                if not payload.startswith(b'{"error":{'):
                    return payload
                message = orjson.loads(payload)
                return orjson.dumps({**message.pop("error"), **message})

        return Mistaken(super().dialect())


@caught_by(ERRORS)
class ErrorsUnderAnotherNameInBoth(Okx):
    """Errors of streams are taken to be told by event "err"."""

    def codec(self, route: Route) -> Codec:
        class Mistaken(Through):
            def frame(self, frame: bytes) -> bytes:
                if b'"event":"error"' in frame:
                    return frame.replace(b'"event":"error"', b'"event":"strange"')
                return frame.replace(b'"event":"err"', b'"event":"error"')

        return Mistaken(super().codec(route))

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def said(self, payload: bytes) -> bytes:
                return payload.replace(b'"event":"error"', b'"event":"err"')

        return Mistaken(super().dialect())
