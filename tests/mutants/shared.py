"""Numbers of unusual spelling, and what all connections of a process share."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Message
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Ticker, TopOfBook
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

# --- numbers --------------------------------------------------------------------------------------
SPELLED = "test_numbers_with_exponents_are_read_exactly_or_refused"

_EXPONENT = re.compile(rb"(\d)[eE][+-]?\d+")
_MINUS_ZERO = re.compile(rb'("|:)-0(?:\.0+)?(?=[",}\]])')


class _MantissasAlone(Through):
    """Reads numbers up to their exponent."""

    def frame(self, frame: bytes) -> bytes:
        return _EXPONENT.sub(rb"\1", frame)


class _NoExponents(Through):
    """Refuses numbers with exponents."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if _EXPONENT.search(frame):
            raise DecodeError("not a plain number", frame)
        return super().decode(frame, received_time_ns)


class _SignOfZero(Through):
    """Stumbles over a minus before a zero."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if _MINUS_ZERO.search(frame):
            raise ZeroDivisionError("-0")
        return super().decode(frame, received_time_ns)


@caught_by(SPELLED)
class BybitReadsMantissas(Bybit):
    """What follows the digits of a number is dropped, whatever it is."""

    def codec(self, route: Route) -> Codec:
        return _MantissasAlone(super().codec(route))


@caught_by(SPELLED)
class OkxReadsMantissas(Okx):
    """What follows the digits of a number is dropped, whatever it is."""

    def codec(self, route: Route) -> Codec:
        return _MantissasAlone(super().codec(route))


@caught_by(SPELLED)
class KrakenRefusesExponents(Kraken):
    """Numbers of JSON with exponents are taken for malformed."""

    def codec(self, route: Route) -> Codec:
        return _NoExponents(super().codec(route))


@caught_by(SPELLED)
class BinanceStumblesOverMinusZero(Binance):
    """A minus before a zero isn't expected."""

    def codec(self, route: Route) -> Codec:
        return _SignOfZero(super().codec(route))


# --- what is shared -------------------------------------------------------------------------------
SHARED = "test_nothing_is_kept_in_classes_or_modules"


class _CountsInTheClass(Through):
    """Counts in its class what all connections have read."""

    read = 0

    def frame(self, frame: bytes) -> bytes:
        type(self).read += 1
        return frame


class _KeepsInTheClass(Through):
    """Keeps in its class the last price of each symbol."""

    last: ClassVar[dict[str, Decimal]] = {}

    def event(self, event: Any) -> Any:
        if isinstance(event, Ticker | TopOfBook):
            self.last[event.symbol] = event.bid_price or Decimal(0)
        return event


_RECENT: deque[bytes] = deque(maxlen=8)


class _KeepsInItsModule(Through):
    """Keeps the last frames of all connections in its module."""

    def frame(self, frame: bytes) -> bytes:
        _RECENT.append(frame[:60])
        return frame


class _KeepsInADefault(Through):
    """Keeps in the default of an argument what it has seen."""

    def event(self, event: Any, seen: list[Any] = []) -> Any:  # noqa: B006
        seen.append(event.symbol)
        return event


class _CountsForAllEmulators(SpeaksThrough):
    """Numbers frames over all emulators of the process."""

    said_so_far: ClassVar[list[int]] = [0]

    def said(self, payload: bytes) -> bytes | None:
        self.said_so_far[0] += 1
        return payload


@caught_by(SHARED)
class BybitCountsInTheClass(Bybit):
    """A number of the codec's class rises with every frame of any connection."""

    def codec(self, route: Route) -> Codec:
        return _CountsInTheClass(super().codec(route))


@caught_by(SHARED)
class OkxKeepsInTheClass(Okx):
    """The last prices are kept in the codec's class."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInTheClass(super().codec(route))


@caught_by(SHARED)
class BinanceKeepsInItsModule(Binance):
    """The last frames are kept in the codec's module."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInItsModule(super().codec(route))


@caught_by(SHARED)
class KrakenKeepsInADefault(Kraken):
    """What was seen is kept in a default argument, of which there is one."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInADefault(super().codec(route))


@caught_by(SHARED)
class OkxCountsForAllEmulators(Okx):
    """The dialect counts in its class."""

    def dialect(self) -> Dialect:
        return _CountsForAllEmulators(super().dialect())


@caught_by(SHARED)
class BybitRemembersItsCodecs(Bybit):
    """The exchange remembers what it was asked for."""

    def __init__(self) -> None:
        self._routes: list[str] = []

    def codec(self, route: Route) -> Codec:
        self._routes.append(route.url)
        return super().codec(route)
