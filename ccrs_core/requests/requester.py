"""Asks an exchange's REST endpoints: budgets, pauses, and retries of reads alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import orjson
import tenacity

from ccrs_core.contract.access import Access
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.rest import Answer, Endpoint, HttpRequest, HttpResponse, Request
from ccrs_core.errors import (
    CcrsError,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    GarbledAnswer,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    Unsupported,
    UsageError,
)
from ccrs_core.model.instruments import Market
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.requests.pages import Pages
from ccrs_core.requests.retention import check_retention
from ccrs_core.transport.context import Context
from ccrs_core.transport.limits import HostLimits, acquire_both

T = TypeVar("T")

log = logging.getLogger("ccrs.requests")

_BARRED = frozenset({403, 418, 429})
"""HTTP statuses of a rate limit that concern the host, not one kind of request alone."""
_UNKNOWN_PAUSE = 60.0
"""Pause (s) of a host after one of them that doesn't say how long it lasts."""
_TIMED_OUT = 408
"""HTTP status of a request that took too long: whatever became of it."""


@attrs.frozen
class _Page:
    """One page of an answer, as it is asked for."""

    request: Request[Any]
    endpoint: Endpoint[Any, Any]
    http: HttpRequest
    cursor: str | None
    share: float
    """The part of the request budget that may be spent."""
    patience: float | None
    """Seconds that it may wait for its turn; None: as long as it takes."""


class Requester:
    """Answers the unified questions of :mod:`ccrs_core.contract.rest` for one exchange."""

    def __init__(self, context: Context, account: Account | None = None) -> None:
        self._context = context
        self._account = account
        """For which what must be signed is asked."""
        self._used: dict[str, HostLimits] = {}
        """Budgets of the addresses that were asked, by name."""
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
        return max((limits.paused for limits in self._used.values()), default=0.0)

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
        name = context.exchange.rest_address(endpoint.encode(request, None))
        return context.rest(name)[1], endpoint.weight_of(request)

    async def ask(
        self,
        request: Request[T],
        *,
        share: float = 1.0,
        tries: int | None = None,
        most: int | None = None,
    ) -> T:
        """The answer, its pages joined and cut to the limit, oldest first where time orders it.

        Passing failures are tried again where the question is ``idempotent``. ``share`` is the part
        of the request budget that may be spent, ``tries`` how often each page is asked for (None:
        as the options say), ``most`` how many rows there is room for (None: for any number). What
        isn't idempotent goes by :meth:`once`, whatever these say.

        :raises Unsupported: where the exchange doesn't answer it; nothing was sent.
        :raises ExchangeError: (or kin) what the exchange says.
        :raises TransportError: where no answer comes; ``GarbledAnswer`` where what comes isn't the
            exchange's.
        :raises TooManyRows: where there are more than ``most``; the rest isn't asked for.
        """
        if not request.idempotent:
            return await self.once(request)
        attempts = tries or self._context.options.request_attempts
        return await self._all_pages(request, share, attempts, None, most)

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
        if patience is None:
            patience = self._context.options.request_patience
        return await self._all_pages(request, 1.0, 1, patience)

    async def _all_pages(
        self,
        request: Request[T],
        share: float,
        attempts: int,
        patience: float | None,
        most: int | None = None,
    ) -> T:
        endpoint = self.endpoint(request)
        if endpoint.signed and self._account is None:
            raise UsageError(f"{type(request).__name__} needs credentials")
        pages = Pages(request, endpoint, most)
        while not pages.complete:
            page = _Page(request, endpoint, pages.next_request(), pages.cursor, share, patience)
            answer = await self._read(page, attempts)
            if answer.left_out:
                self._tell(request, answer)
            if not request.idempotent:
                _check_whole(answer)
                only: T = answer.value
                return only
            pages.add(answer)
        return pages.joined()

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

    async def _read(self, page: _Page, attempts: int) -> Answer[Any]:
        """One page, tried again where its failure may pass."""
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

    async def _once(self, page: _Page) -> Answer[Any]:
        """Send it, once."""
        context, http = self._context, page.http
        name = context.exchange.rest_address(http)
        base_url, limits = context.rest(name)
        self._used[name] = limits
        await self._turn(limits, page)
        if context.headers:
            http = attrs.evolve(http, headers={**context.headers, **http.headers})
        if page.endpoint.signed:
            assert self._account is not None
            now_ms = context.clock.time_ns() // NS_PER_MS
            access = Access(now_ms=now_ms, url=base_url, credentials=self._account.credentials)
            http = context.exchange.sign(http, access)
        started = context.clock.monotonic()
        failure: Exception | None = None
        self.requests += 1
        try:
            return await self._exchanged(page, http, base_url, limits)
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

    async def _turn(self, limits: HostLimits, page: _Page) -> None:
        """Wait until the budgets have it leave."""
        weight = page.endpoint.weight_of(page.request, page.cursor)
        try:
            async with asyncio.timeout(page.patience):
                await self._granted(limits, page.endpoint, weight, page.share)
        except TimeoutError:
            text = f"the budget of requests lets none leave within {page.patience:g} s"
            raise RateLimited("", text) from None

    async def _granted(
        self, limits: HostLimits, endpoint: Endpoint[Any, Any], weight: int, share: float
    ) -> None:
        def hold() -> float:
            return self._hold(limits)

        if endpoint.pool is None:
            await limits.requests.acquire(weight, hold, share)
        else:
            own = limits.pool(endpoint.pool)
            await acquire_both(own, limits.requests, weight, hold, share)

    async def _exchanged(
        self, page: _Page, http: HttpRequest, base_url: str, limits: HostLimits
    ) -> Answer[Any]:
        """What is answered to it."""
        try:
            response = await self._context.transport.request(base_url, http)
        except Exception as error:
            if page.request.idempotent or _left_nothing(error):
                raise
            raise OutcomeUnknown("", f"no answer tells whether it was taken: {error}") from error
        try:
            return self._answer(page, http, base_url, limits, response)
        except Exception as error:
            if page.request.idempotent or _refuses(error, response):
                raise
            text = f"the answer doesn't tell whether it was taken: {error}"
            raise OutcomeUnknown("", text) from error

    def _answer(
        self,
        page: _Page,
        http: HttpRequest,
        base_url: str,
        limits: HostLimits,
        response: HttpResponse,
    ) -> Answer[Any]:
        """What a response says."""
        exchange, now_ns = self._context.exchange, self._context.clock.time_ns()
        used = exchange.weight_used(response)
        if used is not None:
            limits.requests.correct(used)
        try:
            if 300 <= response.status < 400:
                raise DecodeError("a redirect", response.body)
            refusal = exchange.error_of(response)
            if refusal is not None:
                _note_limit(limits, refusal, response)
            if refusal is None or not refusal.retryable:
                answered_ns = response.date_ns or now_ns
                check_retention(
                    exchange.name, page.endpoint, page.request, page.cursor, answered_ns
                )
            if refusal is not None:
                raise refusal
            return page.endpoint.decode(page.request, response, now_ns, page.cursor)
        except DecodeError as error:
            what = _garbled(response)
            if what is None:
                raise
            target = f"{http.method} {urlsplit(base_url).hostname}{http.path}"
            text = f"{target}: {what} instead of an answer (HTTP {response.status})"
            raise GarbledAnswer(text, response.status) from error

    def _hold(self, limits: HostLimits) -> float:
        """Seconds that requests must wait because the host has asked for a pause.

        :raises RateLimited: where they are more than the caller has patience for.
        """
        left = limits.paused
        if left > self._context.options.request_patience:
            text = f"no requests go there for another {left:.0f} s, since it refused one"
            raise RateLimited("", text, left)
        return left


def _left_nothing(error: Exception) -> bool:
    """Whether a transport's failure says for certain that nothing of a request has left."""
    if isinstance(error, TransportError):
        return error.nothing_sent
    return isinstance(error, UsageError)


def _check_whole(answer: Answer[Any]) -> None:
    """:raises OutcomeUnknown: where what was answered to a request that leaves once is a part,
    whose rest only sending it again would bring."""
    if answer.cursor is not None:
        text = f"it was taken, but the rest of its answer isn't asked for: {answer.cursor!r}"
        raise OutcomeUnknown("", text[:200])


def _refuses(error: Exception, response: HttpResponse) -> bool:
    """Whether this, read out of a response, says for certain that nothing was done."""
    if isinstance(error, OutcomeUnknown):
        return True  # said already
    if not isinstance(error, ExchangeError) or isinstance(error, ExchangeUnavailable):
        return False
    plain = type(error) is ExchangeError
    return not (plain and (response.status >= 500 or response.status == _TIMED_OUT))


def _garbled(response: HttpResponse) -> str | None:
    """What a response is that can't be read, where it isn't the exchange's; None where it may be.

    Which answers of its own an exchange spoils is for its plugin to say; but all are JSON.
    """
    if 300 <= response.status < 400:
        return "a redirect"
    body = response.body.strip()
    if 400 <= response.status < 500:
        return None
    if not body:
        return "nothing"
    try:
        orjson.loads(body)
    except ValueError:
        return "a page for people" if body.startswith(b"<") else "a part, or no JSON"
    return None


def _note_limit(limits: HostLimits, refusal: CcrsError, response: HttpResponse) -> None:
    """Pause the host, for everybody in the process, where that is what the exchange wants."""
    if isinstance(refusal, RateLimited):
        pause = refusal.retry_after
        if pause is None and response.status in _BARRED:
            pause = _UNKNOWN_PAUSE
        if pause is not None:
            limits.pause(pause)
