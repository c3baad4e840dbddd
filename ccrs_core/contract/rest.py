"""REST as data: the unified questions, and how an exchange's endpoints answer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

import attrs

from ccrs_core.contract.budgets import Pool
from ccrs_core.model.events import BookUpdate, Candle, Funding, OpenInterest, TopOfBook, Trade
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.times import ALL
from ccrs_core.model.units import NS_PER_SECOND

T = TypeVar("T")
R = TypeVar("R", bound="Request[Any]")


@attrs.frozen
class HttpRequest:
    """One HTTP request, not signed yet. ``path`` starts with a slash; ``query`` keeps its order."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = attrs.field(
        factory=dict, repr=lambda headers: str(sorted(headers))
    )
    body: bytes = b""

    @property
    def query_string(self) -> str:
        """The query exactly as it is sent (and signed), percent-encoded per RFC 3986."""
        return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.query)


@attrs.frozen
class HttpResponse:
    """One HTTP response. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date_ns(self) -> int | None:
        """The sender's clock, nanoseconds UTC in whole seconds (RFC 9110's ``Date``); None where it
        doesn't say."""
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(self.headers["date"])
            return int(moment.timestamp()) * NS_PER_SECOND
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            return None


# --- The unified questions ------------------------------------------------------------------


@attrs.frozen
class Request(Generic[T]):
    """A unified question, or a request to do something; ``T`` is the type of its answer."""

    idempotent: ClassVar[bool] = False
    """Whether it may be sent again although it may have been taken, since that changes nothing: so
    reads, and nothing that places or amends. Unless a class says so, it is sent once at most."""

    @property
    def market(self) -> Market | None:
        """What it is about, where that is one market: other endpoints may answer for another."""
        return None

    @property
    def limit(self) -> int | None:
        """How many rows are wanted at most: what pages bring above that is cut off."""
        return None

    @property
    def start_ns(self) -> int | None:
        """From when on rows are wanted: with it the first ``limit``, without it the last."""
        return None


@attrs.frozen
class _Read(Request[T]):
    idempotent: ClassVar[bool] = True


@attrs.frozen
class _ReadOfOne(_Read[T]):
    """About one instrument."""

    instrument: Instrument

    @property
    def market(self) -> Market:
        return self.instrument.market


@attrs.frozen
class GetServerTime(_Read[int]):
    """The exchange's clock, nanoseconds UTC."""


@attrs.frozen
class GetInstruments(_Read[list[Instrument]]):
    """All instruments of a market that are not closed."""

    market: Market


@attrs.frozen
class GetTopOfBook(_ReadOfOne[TopOfBook]):
    """Best bid and ask now."""


@attrs.frozen
class GetBook(_ReadOfOne[BookUpdate]):
    """The order book now, best level first, at most ``depth`` levels per side.

    Its ``sequence`` is 0 where the exchange numbers no states. ``rpi``: with orders of retail price
    improvement, of exchanges alone that declare such books."""

    depth: int
    rpi: bool = False


@attrs.frozen
class GetTrades(_ReadOfOne[list[Trade]]):
    """The most recent public trades, at most ``limit``, oldest first."""

    limit: int


def _all_if_none(limit: int | None) -> int:
    return ALL if limit is None else limit


@attrs.frozen
class GetTradeHistory(_ReadOfOne[list[Trade]]):
    """Public trades in ``start_ns <= exchange_time_ns < end_ns``, oldest first: the first ``limit``
    of them (None: all).

    What an exchange doesn't keep it can't answer: see ``Endpoint.retention``. Where it keeps a
    number of trades, not a time, ``decode`` raises :class:`~ccrs_core.Unsupported` of a stretch
    that reaches further back, says since when it tells, and never answers with a part.
    """

    start_ns: int
    end_ns: int | None = None
    limit: int = attrs.field(default=None, converter=_all_if_none)


@attrs.frozen
class GetCandles(_ReadOfOne[list[Candle]]):
    """Candles that open in ``start_ns <= open_time_ns < end_ns``, at most ``limit`` (None: all),
    oldest first.

    Without ``start_ns`` the last ``limit`` before ``end_ns`` (or now); with it the first ones.
    """

    interval: str
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = attrs.field(default=None, converter=_all_if_none)


@attrs.frozen
class GetMarkCandles(GetCandles):
    """Candles of the mark price; as of :class:`GetCandles`, but nothing is traded in them:
    ``volume`` is 0 and ``turnover`` None."""


@attrs.frozen
class GetIndexCandles(GetCandles):
    """Candles of the index that an instrument follows; as of :class:`GetMarkCandles`."""


@attrs.frozen
class GetFundingHistory(_ReadOfOne[list[Funding]]):
    """Past funding rates in ``start_ns <= funding_time_ns < end_ns``, as for candles."""

    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = attrs.field(default=None, converter=_all_if_none)


@attrs.frozen
class GetOpenInterestHistory(_ReadOfOne[list[OpenInterest]]):
    """Past open interest, once every ``interval``, in ``start_ns <= exchange_time_ns < end_ns``, as
    for candles."""

    interval: str
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = attrs.field(default=None, converter=_all_if_none)


@attrs.frozen
class GetOpenInterest(_ReadOfOne[OpenInterest]):
    """How much of a derivative is held open now."""


@attrs.frozen
class Activity:
    """The last thing that happened to an instrument: ``mark`` is another text after each that a
    stream must tell of, and the same one as long as nothing happens."""

    native: str
    mark: str


@attrs.frozen
class GetActivity(_Read[list[Activity]]):
    """What happened last to each instrument of a market, in one answer: to its ``TRADES``, to its
    ``BOOK`` (the best prices and sizes), or to its ``LIQUIDATIONS``.

    Quiet streams are told from dead ones by it (see ``Exchange.activity``). ``part`` is what the
    exchange has to be asked for separately, such as a type of contracts, in its own words.
    Instruments to which nothing is known to have happened, or of other markets, may be in the
    answer or not.
    """

    market: Market
    channel: Channel
    part: str = ""


# --- How an exchange answers them -----------------------------------------------------------


@attrs.frozen
class Answer(Generic[T]):
    """A decoded response. ``cursor`` asks for the next page; None means that this was the last.

    ``left_out`` is how many rows of the page couldn't be read, and ``reason`` why not (see
    :func:`ccrs_core.wire.read_rows`): the client tells of them, and goes on without.
    ``answered_ns`` is when the exchange answered, by its clock, where it says so.
    """

    value: T
    cursor: str | None = None
    left_out: int = 0
    reason: str = ""
    answered_ns: int | None = None


@attrs.frozen(kw_only=True)
class Endpoint(Generic[R, T]):
    """A REST call as data plus two pure functions.

    ``encode(request, cursor)`` builds a page's HTTP request (cursor None: the first page);
    ``decode(request, response, received_time_ns, cursor)`` reads the answer to that page, which
    ``Exchange.error_of`` has already found to be no error. ``weight`` is what a page costs of the
    request budget, a number or a function of the request; ``page_weight(request, cursor)`` what the
    page of a cursor costs, where the first page's weight isn't every page's.
    ``pool`` is what it may spend besides, itself or with others (or a function of the request that
    says which), and ``pool_weight`` what a page costs of that: of a batch its orders, where the
    exchange counts those. ``urgent``: it leaves before others that wait, and what pools and
    addresses reserve is there for it: so of cancels. ``most(request)`` is how many items the answer
    holds at most, of a book how many levels a side (None: nobody knows).
    ``newest_first`` (a truth, or a function of the request): each further page is older than the
    one before, so pages are joined in reverse (items within a page are always oldest first).
    ``retention`` (nanoseconds, or a function of the request; None: no end is known) is how far back
    the exchange tells: of what began earlier it keeps nothing, and most exchanges leave it out
    without a word. Of a stretch that reaches further back the client raises ``Unsupported``, which
    says since when rows are told, instead of a part.
    ``join`` makes one answer out of those of its pages, in the order in which they were asked for,
    where rows one after another aren't it; lists are cut to the limit afterwards.
    ``instead(request, cursor)`` is what stands for a page of a read that the exchange refuses for
    good (None: its refusal stands), for answers of several parts that not every environment tells.
    ``denied``: the codes of refusals by which a read is answered that there is nothing of the kind:
    its value is None then.
    ``also`` is a further pool (or a function of the request that says which), from which it spends
    as much as from ``pool``: that of an account's whole, beside one for each instrument.
    """

    encode: Callable[[R, str | None], HttpRequest]
    decode: Callable[[R, HttpResponse, int, str | None], Answer[T]]
    markets: frozenset[Market]
    signed: bool = False
    weight: int | Callable[[R], int] = 1
    newest_first: bool | Callable[[R], bool] = False
    page_weight: Callable[[R, str], int] | None = None
    pool: Pool | Callable[[R], Pool | None] | None = None
    pool_weight: int | Callable[[R], int] = 1
    urgent: bool = False
    most: Callable[[R], int] | None = None
    retention: int | Callable[[R], int | None] | None = None
    join: Callable[[Sequence[Any]], T] | None = None
    instead: Callable[[R, str | None], Answer[T] | None] | None = None
    denied: frozenset[str] = frozenset()
    also: Pool | Callable[[R], Pool | None] | None = None

    def retention_of(self, request: R) -> int | None:
        """How far back, in nanoseconds, the exchange tells what is asked for; None: no end is
        known."""
        kept = self.retention
        return kept(request) if callable(kept) else kept

    def goes_back(self, request: R) -> bool:
        """Whether each further page of the answer is older than the one before."""
        back = self.newest_first
        return back if isinstance(back, bool) else back(request)

    def pool_of(self, request: R) -> Pool | None:
        """The pool that a request spends from, if any."""
        pool = self.pool
        return pool(request) if callable(pool) else pool

    def further_pool_of(self, request: R) -> Pool | None:
        """The further pool that it spends from, if any."""
        also = self.also
        return also(request) if callable(also) else also

    def pool_weight_of(self, request: R) -> int:
        """What a page of it costs of that."""
        weight = self.pool_weight
        return weight if isinstance(weight, int) else weight(request)

    def weight_of(self, request: R, cursor: str | None = None) -> int:
        """What the first page of an answer costs of ``Limits.requests``, or that of a cursor."""
        if cursor is not None and self.page_weight is not None:
            return self.page_weight(request, cursor)
        return self.weight if isinstance(self.weight, int) else self.weight(request)
