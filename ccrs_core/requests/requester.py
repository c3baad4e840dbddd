"""Asks an exchange's REST endpoints: budgets, pauses, and retries of reads alone."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import attrs
import tenacity

from ccrs_core.contract.access import Access
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.rest import Answer, Endpoint, HttpRequest, HttpResponse, Request
from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import (
    CcrsError,
    ClockRefused,
    DecodeError,
    ExchangeError,
    GarbledAnswer,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    Unsupported,
    UsageError,
    tells_refusal,
)
from ccrs_core.model.instruments import Market
from ccrs_core.model.orders import Times
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.requests.decoding import decoded, garbled
from ccrs_core.requests.one_page import How, Page, Passage
from ccrs_core.requests.pages import Pages, encoded
from ccrs_core.requests.retention import check_retention
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.requests.turns import Turn, Turns
from ccrs_core.transport.context import Context
from ccrs_core.transport.departure import leaving
from ccrs_core.transport.gate import Priority
from ccrs_core.transport.limits import HostLimits

if TYPE_CHECKING:
    from ccrs_core.requests.exchange_clock import ExchangeClock

T = TypeVar("T")

log = logging.getLogger("ccrs.requests")

_GRAIN = 0.001
"""Seconds by which a timer may go off early."""
_TIMED_OUT = 408
"""HTTP status of a request that took too long: whatever became of it."""


class Requester:
    """Answers the unified questions of :mod:`ccrs_core.contract.rest` for one exchange.

    :param account: for which what must be signed is asked.
    :param share: of the budgets, where other processes of the account spend the rest.
    """

    def __init__(
        self, context: Context, account: Account | None = None, *, share: float = 1.0
    ) -> None:
        self._context = context
        self._account = account
        self.turns = Turns(context, account, share)
        self.clock: ExchangeClock | None = None
        """That by which what is signed is timed; None: what is known of it."""
        self.requests = 0
        self.errors = 0
        self.left_out = 0
        """Rows of answers that couldn't be read."""
        self._told: dict[tuple[str, Market | None], int] = {}

    @property
    def now_ns(self) -> int:
        """The time by the local clock."""
        return self._context.clock.time_ns()

    @property
    def paused(self) -> float:
        return self.turns.paused

    def endpoint(self, request: Request[Any]) -> Endpoint[Any, Any]:
        """The endpoint that answers a question.

        :raises Unsupported: where the exchange has none for it, or not for this market.
        """
        name = type(request).__name__
        exchange = self._context.exchange
        endpoint = exchange.endpoints.get(type(request))
        if endpoint is None:
            offered = ", ".join(sorted(kind.__name__ for kind in exchange.endpoints)) or "nothing"
            raise Unsupported(f"{exchange.name} doesn't answer {name}; it answers {offered}")
        market = request.market
        if market is not None and market not in endpoint.markets:
            markets = ", ".join(sorted(m.value for m in endpoint.markets))
            raise Unsupported(
                f"{exchange.name} answers {name} for {markets}, not for {market.value}"
            )
        return endpoint

    def price(self, request: Request[Any]) -> tuple[HostLimits, int]:
        """The budgets of the address that the first page of an answer is asked of, and what the
        page costs of them."""
        context, endpoint = self._context, self.endpoint(request)
        name = context.exchange.rest_address(encoded(endpoint, request, None))
        return context.rest(name)[1], endpoint.weight_of(request)

    async def ask(
        self,
        request: Request[T],
        *,
        share: float = 1.0,
        tries: int | None = None,
        most: int | None = None,
        priority: Priority | None = None,
    ) -> T:
        """The answer, its pages joined and cut to the limit, oldest first where time orders it.

        Passing failures are tried again where the question is ``idempotent``. ``share`` is the part
        of the request budget that may be spent, ``tries`` how often each page is asked for (None:
        as the options say), ``most`` how many rows there is room for (None: for any number),
        ``priority`` who goes first (None: as the endpoint says). What isn't idempotent goes by
        :meth:`once`, whatever these say.

        :raises Unsupported: where the exchange doesn't answer it; nothing was sent.
        :raises ExchangeError: (or kin) what the exchange says.
        :raises TransportError: where no answer comes; ``GarbledAnswer`` where what comes isn't the
            exchange's.
        :raises TooManyRows: where there are more than ``most``; the rest isn't asked for.
        """
        if not request.idempotent:
            return await self.once(request)
        attempts = tries or self._context.options.request_attempts
        how = How(share=share, priority=priority)
        return (await self._all_pages(request, attempts, how, most))[0]

    async def counted(
        self,
        request: Request[T],
        *,
        priority: Priority | None = None,
        pages: SharedPages | None = None,
    ) -> tuple[T, int]:
        """:meth:`ask`, of an idempotent question, and how many rows couldn't be read and are left
        out of the answer. ``pages``: those that were asked for already aren't asked for again."""
        how = How(priority=priority, pages=pages)
        attempts = self._context.options.request_attempts
        value, passage = await self._all_pages(request, attempts, how)
        return value, passage.left_out

    async def once(self, request: Request[T], *, patience: float | None = None) -> T:
        """The answer to a request that leaves once at most, whatever becomes of it: for what places
        or amends.

        It waits for its turn in the budgets up to ``patience`` seconds (None: the options'
        ``request_patience``), and is signed when it leaves.

        :raises RateLimited: where budgets or exchange let none leave now, or the exchange refused
            it for that.
        :raises ExchangeError: (or kin) where the exchange refused it.
        :raises TransportError: where nothing of it has left (``nothing_sent``).
        :raises OutcomeUnknown: where it may have been taken and nothing that came tells, unless it
            is ``idempotent``. So, too, where the caller is cancelled, who isn't told.
        """
        return (await self.timed(request, patience=patience))[0]

    async def timed(
        self,
        request: Request[T],
        *,
        patience: float | None = None,
        send_before: float | None = None,
        on_sent: Callable[[int], None] | None = None,
        priority: Priority | None = None,
    ) -> tuple[T, Times]:
        """:meth:`once`, with when it passed where.

        ``patience`` 0.0 means now or not at all. ``on_sent`` is called with the local time right
        before its first byte leaves; it mustn't raise. It leaves only before ``send_before``, a
        time of the client's monotonic clock.

        :raises NotSent: where it didn't by then, and never will.
        """
        if patience is None:
            patience = self._context.options.request_patience
        how = How(patience=patience, send_before=send_before, on_sent=on_sent, priority=priority)
        value, passage = await self._all_pages(request, 1, how)
        times = Times(
            sent_ns=passage.sent_ns,
            taken_ns=value.taken_ns if isinstance(value, Placed) else None,
            answered_ns=passage.answered_ns,
            received_ns=passage.received_ns,
        )
        return value, times

    async def _all_pages(
        self, request: Request[T], attempts: int, how: How, most: int | None = None
    ) -> tuple[T, Passage]:
        endpoint = self.endpoint(request)
        if endpoint.signed and self._account is None:
            raise UsageError(f"{type(request).__name__} needs credentials")
        pages, left_out = Pages(request, endpoint, most), 0
        while not pages.complete:
            page = Page(request, endpoint, pages.next_request(), pages.cursor, how)
            try:
                answer = await self._read(page, attempts)
            except ExchangeError as error:
                answer = _instead(page, error)
            if answer.left_out:
                self._tell(request, answer)
            left_out += answer.left_out
            if not request.idempotent:
                _check_whole(answer)
                only: T = answer.value
                return only, page.passage
            pages.add(answer)
        page.passage.left_out = left_out
        return pages.joined(), page.passage

    def _tell(self, request: Request[Any], answer: Answer[Any]) -> None:
        """Count rows that couldn't be read; tell of each kind once, and whenever there are more."""
        kind, count = type(request).__name__, answer.left_out
        self.left_out += count
        market = request.market
        key = kind, market
        if count > self._told.get(key, 0):
            self._told[key] = count
            log.warning(
                "%s: %d rows of %s%s can't be read and are left out: %s",
                self._context.exchange.name,
                count,
                kind,
                "" if market is None else f" ({market.value})",
                answer.reason,
            )

    async def _read(self, page: Page, attempts: int) -> Answer[Any]:
        """One page, tried again where its failure may pass."""
        if attempts == 1:
            return await self._once(page)
        options = self._context.options

        def worth_trying(error: BaseException) -> bool:
            if isinstance(error, RateLimited):
                wait = error.retry_after
                return wait is not None and wait <= options.request_patience
            return isinstance(error, CcrsError) and error.retryable

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_random_exponential(
                multiplier=options.backoff_initial, max=options.backoff_max
            ),
            retry=tenacity.retry_if_exception(worth_trying),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._once(page)
        raise AssertionError("unreachable")

    async def _once(self, page: Page) -> Answer[Any]:
        """Send it, once; and once more where the exchange found its time wrong, which proves that
        it wasn't taken."""
        generation = self._context.exchange_time.generation
        try:
            return await self._leave(page)
        except ClockRefused:
            if not page.endpoint.signed or self.clock is None:
                raise
            await self.clock.resync(generation)
        return await self._leave(page)

    async def _leave(self, page: Page) -> Answer[Any]:
        """Send it, unless another asks the same."""
        pages = page.how.pages
        if pages is None:
            return await self._send(page)

        def ask(heard: Callable[[HttpResponse], None]) -> Awaitable[Answer[Any]]:
            page.passage.heard = heard
            return self._send(page)

        return await pages.answer(page.http, ask, lambda response: self._read_of(page, response))

    async def _send(self, page: Page) -> Answer[Any]:
        """Send it when it is its turn."""
        name = self._context.exchange.rest_address(page.http)
        base_url = self._context.rest(name)[0]
        page.passage.clear()
        if page.endpoint.signed and self.clock is not None:
            await self.clock.ready()
        turn = await self._turn(name, page)
        try:
            return await self._go(page, base_url, turn)
        finally:
            if page.passage.sent_ns is None:
                turn.give_back()
            else:
                turn.answered()

    async def _go(self, page: Page, base_url: str, turn: Turn) -> Answer[Any]:
        context, http = self._context, page.http
        if context.headers:
            http = attrs.evolve(http, headers={**context.headers, **http.headers})
        if page.endpoint.signed:
            assert self._account is not None
            now_ms = context.now_ns() // NS_PER_MS
            access = Access(now_ms=now_ms, url=base_url, credentials=self._account.credentials)
            http = context.exchange.sign(http, access)
        started = context.clock.monotonic()
        failure: Exception | None = None
        self.requests += 1
        try:
            return await self._exchanged(page, http, base_url, turn)
        except Exception as error:
            failure = error
            self.errors += 1
            raise
        finally:
            context.hook(
                "ccrs_request_finished",
                exchange=context.exchange.name,
                request=type(page.request).__name__,
                seconds=context.clock.monotonic() - started,
                error=None if failure is None else str(failure) or type(failure).__name__,
            )

    async def _turn(self, name: str, page: Page) -> Turn:
        """Wait until the budgets have it leave."""
        how, before = page.how, page.how.send_before
        patience = how.patience
        left = None if before is None else before - self._context.clock.monotonic()
        if left is not None:
            self._check_in_time(page)
            patience = left if patience is None else min(patience, left)
        try:
            return await self.turns.at(
                name,
                page.endpoint,
                page.request,
                page.cursor,
                share=how.share,
                priority=how.priority,
                patience=patience,
            )
        except RateLimited:
            self._check_in_time(page)
            raise

    def _check_in_time(self, page: Page) -> None:
        """:raises NotSent: where it is too late for it to leave."""
        before = page.how.send_before
        if before is not None and self._context.clock.monotonic() >= before - _GRAIN:
            raise NotSent("it couldn't leave in the time that it was given")

    async def _exchanged(
        self, page: Page, http: HttpRequest, base_url: str, turn: Turn
    ) -> Answer[Any]:
        """What is answered to it."""
        clock, passage = self._context.clock, page.passage

        def leaves() -> None:
            if passage.sent_ns is None:
                self._check_in_time(page)
                left(clock.time_ns())

        def left(at_ns: int) -> None:
            passage.sent_ns = at_ns
            if page.how.on_sent is not None:
                page.how.on_sent(at_ns)

        self._check_in_time(page)
        called_ns = clock.time_ns()
        try:
            with leaving(leaves) as departure:
                response = await self._context.transport.request(base_url, http)
        except BaseException as error:
            nothing = _left_nothing(error)
            if passage.sent_ns is None and departure.watched:
                nothing = nothing or not isinstance(error, Exception)
            elif passage.sent_ns is None and not nothing:
                left(called_ns)  # a transport that doesn't tell when
            if page.request.idempotent or nothing or not isinstance(error, Exception):
                raise
            raise OutcomeUnknown("", f"no answer tells whether it was taken: {error}") from error
        passage.received_ns = clock.time_ns()
        if passage.sent_ns is None:
            left(called_ns)
        try:
            return self._answer(page, turn, response)
        except Exception as error:
            if page.request.idempotent or _refuses(error):
                raise
            text = f"the answer doesn't tell whether it was taken: {error}"
            raise OutcomeUnknown("", text) from error

    def _answer(self, page: Page, turn: Turn, response: HttpResponse) -> Answer[Any]:
        """What a response says."""
        exchange = self._context.exchange
        used = exchange.weight_used(response)
        if used is not None and turn.limits is not None:
            turn.limits.requests.correct(used)
        self.turns.told(turn, page.request, response.headers)
        return self._read_of(page, response, turn)

    def _read_of(self, page: Page, response: HttpResponse, turn: Turn | None = None) -> Answer[Any]:
        """What a response says of a page, its own (that had a ``turn``) or another's."""
        exchange, now_ns = self._context.exchange, self._context.clock.time_ns()
        try:
            if 300 <= response.status < 400:
                raise DecodeError("a redirect", response.body)
            refusal = exchange.error_of(response)
            if refusal is not None and turn is not None:
                self.turns.refused(turn, refusal, response)
            if refusal is None and turn is not None and page.passage.heard is not None:
                page.passage.heard(response)
            if refusal is None or not refusal.retryable:
                answered_ns = response.date_ns or now_ns
                check_retention(
                    exchange.name, page.endpoint, page.request, page.cursor, answered_ns
                )
            if refusal is not None:
                raise refusal
            answer = decoded(page.endpoint, page.request, response, now_ns, page.cursor)
        except DecodeError as error:
            what = garbled(response)
            if what is None:
                raise
            http = page.http
            base_url = self._context.rest(exchange.rest_address(http))[0]
            target = f"{http.method} {urlsplit(base_url).hostname}{http.path}"
            text = f"{target}: {what} instead of an answer (HTTP {response.status})"
            raise GarbledAnswer(text, response.status) from error
        page.passage.answered_ns = answer.answered_ns
        return answer


def _left_nothing(error: BaseException) -> bool:
    """Whether a transport's failure says for certain that nothing of a request has left."""
    if isinstance(error, TransportError):
        return error.nothing_sent
    return isinstance(error, UsageError | NotSent)


def _instead(page: Page, refusal: ExchangeError) -> Answer[Any]:
    """What stands for a page that was refused for good.

    :raises ExchangeError: the refusal, where nothing does.
    """
    if refusal.code in page.endpoint.denied:
        return Answer(None)
    instead = page.endpoint.instead
    passes = refusal.retryable or isinstance(refusal, ClockRefused)
    answer = None if instead is None or passes else instead(page.request, page.cursor)
    if answer is None:
        raise refusal
    return answer


def _check_whole(answer: Answer[Any]) -> None:
    """:raises OutcomeUnknown: where what was answered to a request that leaves once is a part,
    whose rest only sending it again would bring."""
    if answer.cursor is not None:
        text = f"it was taken, but the rest of its answer isn't asked for: {answer.cursor!r}"
        raise OutcomeUnknown("", text[:200])


def _refuses(error: Exception) -> bool:
    """Whether this, read out of a response, says for certain that nothing was done."""
    if isinstance(error, OutcomeUnknown):
        return True  # said already
    return tells_refusal(error)
