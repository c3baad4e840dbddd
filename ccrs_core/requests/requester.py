"""Asks an exchange's REST endpoints: budgets, pauses, pages, and retries of reads."""

from __future__ import annotations

import logging
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import orjson
import tenacity

from ccrs_core.contract.rest import Answer, Endpoint, HttpRequest, HttpResponse, Request
from ccrs_core.errors import (
    CcrsError,
    DecodeError,
    GarbledAnswer,
    RateLimited,
    Unsupported,
    UsageError,
)
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.transport.context import Context
from ccrs_core.transport.limits import HostLimits

T = TypeVar("T")

log = logging.getLogger("ccrs.requests")

_BARRED = frozenset({403, 418, 429})
"""HTTP statuses of a rate limit that concern the host, not one kind of request alone."""
_UNKNOWN_PAUSE = 60.0
"""Pause (s) of a host after one of them that doesn't say how long it lasts."""


class Requester:
    """Answers the unified questions of :mod:`ccrs_core.contract.rest` for one exchange."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._used: dict[str, HostLimits] = {}
        """Budgets of the addresses that were asked, by name."""
        self.requests = 0
        self.errors = 0
        self.left_out = 0
        """Rows of answers that couldn't be read."""
        self._told: dict[tuple[str, Market | None], int] = {}

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
        market = _market_of(request)
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

    async def ask(self, request: Request[T], *, share: float = 1.0, tries: int | None = None) -> T:
        """The answer, its pages joined and cut to the limit, oldest first where time orders it.

        Passing failures are tried again; everything here only reads. ``share`` is the part of the
        request budget that may be spent, ``tries`` how often each page is asked for (None: as the
        options say).

        :raises Unsupported: where the exchange doesn't answer it; nothing was sent.
        :raises ExchangeError: (or kin) what the exchange says.
        :raises TransportError: where no answer comes; ``GarbledAnswer`` where what comes isn't the
            exchange's.
        """
        endpoint = self.endpoint(request)
        if endpoint.signed and self._context.credentials is None:
            raise UsageError(f"{type(request).__name__} needs credentials")
        pages: list[Any] = []
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            http = endpoint.encode(request, cursor)
            answer = await self._read(request, endpoint, http, cursor, share, tries)
            if answer.left_out:
                self._tell(request, answer)
            pages.append(answer.value)
            cursor = answer.cursor
            if cursor is None:
                break
            if cursor in seen:
                raise DecodeError(f"the pages of {type(request).__name__} repeat: {cursor!r}")
            seen.add(cursor)
        if len(pages) == 1 and not isinstance(pages[0], list):
            return pages[0]  # type: ignore[no-any-return]
        if endpoint.goes_back(request):
            pages.reverse()
        joined = [item for page in pages for item in page]
        limit = getattr(request, "limit", None)
        if limit is not None and len(joined) > limit:
            # A page may bring more than is left to ask for.
            from_start = getattr(request, "start_ns", None) is not None
            joined = joined[:limit] if from_start else joined[-limit:]
        return joined  # type: ignore[return-value]

    def _tell(self, request: Request[Any], answer: Answer[Any]) -> None:
        """Count rows that couldn't be read; tell of each kind once, and whenever there are more."""
        kind, count = type(request).__name__, answer.left_out
        self.left_out += count
        market = _market_of(request)
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

    async def _read(
        self,
        request: Request[Any],
        endpoint: Endpoint[Any, Any],
        http: HttpRequest,
        cursor: str | None,
        share: float,
        tries: int | None,
    ) -> Answer[Any]:
        """One page, tried again where its failure may pass."""
        options = self._context.options

        def worth_trying(error: BaseException) -> bool:
            if isinstance(error, RateLimited):
                wait = error.retry_after
                return wait is not None and wait <= options.request_patience
            return isinstance(error, CcrsError) and error.retryable

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(tries or options.request_attempts),
            wait=tenacity.wait_random_exponential(
                multiplier=options.backoff_initial, max=options.backoff_max
            ),
            retry=tenacity.retry_if_exception(worth_trying),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._once(request, endpoint, http, cursor, share)
        raise AssertionError("unreachable")

    async def _once(
        self,
        request: Request[Any],
        endpoint: Endpoint[Any, Any],
        http: HttpRequest,
        cursor: str | None,
        share: float,
    ) -> Answer[Any]:
        context = self._context
        name = context.exchange.rest_address(http)
        base_url, limits = context.rest(name)
        self._used[name] = limits
        await limits.requests.acquire(
            endpoint.weight_of(request, cursor), lambda: self._hold(limits), share
        )
        if context.headers:
            http = attrs.evolve(http, headers={**context.headers, **http.headers})
        if endpoint.signed:
            assert context.credentials is not None
            now_ms = context.clock.time_ns() // 1_000_000
            http = context.exchange.sign(http, context.credentials, now_ms)
        started = context.clock.monotonic()
        failure: Exception | None = None
        self.requests += 1
        try:
            response = await context.transport.request(base_url, http)
            now_ns = context.clock.time_ns()
            used = context.exchange.weight_used(response)
            if used is not None:
                limits.requests.correct(used)
            try:
                if 300 <= response.status < 400:
                    raise DecodeError("a redirect", response.body)
                refusal = context.exchange.error_of(response)
                if refusal is not None:
                    _note_limit(limits, refusal, response)
                    raise refusal
                return endpoint.decode(request, response, now_ns, cursor)
            except DecodeError as error:
                what = _garbled(response)
                if what is None:
                    raise
                target = f"{http.method} {urlsplit(base_url).hostname}{http.path}"
                text = f"{target}: {what} instead of an answer (HTTP {response.status})"
                raise GarbledAnswer(text, response.status) from error
        except Exception as error:
            failure = error
            self.errors += 1
            raise
        finally:
            context.hook(
                "ccrs_request_finished",
                exchange=context.exchange.name,
                request=type(request).__name__,
                seconds=context.clock.monotonic() - started,
                error=None if failure is None else str(failure) or type(failure).__name__,
            )

    def _hold(self, limits: HostLimits) -> float:
        """Seconds that requests must wait because the host has asked for a pause.

        :raises RateLimited: where they are more than the caller has patience for.
        """
        left = limits.paused
        if left > self._context.options.request_patience:
            text = f"the exchange asked for no requests for another {left:.0f} s"
            raise RateLimited("", text, left)
        return left


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


def _market_of(request: Request[Any]) -> Market | None:
    market: Market | None = getattr(request, "market", None)
    if market is None and hasattr(request, "instrument"):
        instrument: Instrument = request.instrument
        return instrument.market
    return market
