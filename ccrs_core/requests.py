"""Asks an exchange's REST endpoints: budgets, pauses, pages, and retries of reads."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
import tenacity

from ccrs_core.errors import (
    CcrsError,
    DecodeError,
    RateLimited,
    Unsupported,
    UsageError,
)
from ccrs_core.model import Market
from ccrs_core.rest import Endpoint, HttpRequest, HttpResponse, Request
from ccrs_core.supervisor import Context

T = TypeVar("T")

_PASSING_PAUSE = 60.0
"""Pause (s) of a host after a rate limit that doesn't say how long it lasts and isn't a reply to
one request alone (HTTP 403, 418)."""


class Requester:
    """Answers the unified questions of :mod:`ccrs_core.rest` for one exchange."""

    def __init__(self, context: Context, base_url: str) -> None:
        self._context = context
        self._base_url = base_url
        self._limits = context.host_limits(base_url)
        self.requests = 0
        self.errors = 0

    @property
    def paused(self) -> float:
        return self._limits.paused

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

    async def ask(self, request: Request[T]) -> T:
        """The answer, all of its pages joined, oldest first where there is an order in time.

        Passing failures are tried again; everything here only reads.

        :raises ExchangeError: (or kin) what the exchange says.
        :raises TransportError: where no answer comes.
        """
        endpoint = self.endpoint(request)
        pages: list[Any] = []
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            http = endpoint.encode(request, cursor)
            answer = await self._read(request, endpoint, http)
            pages.append(answer.value)
            cursor = answer.cursor
            if cursor is None:
                break
            if cursor in seen:
                raise DecodeError(f"the pages of {type(request).__name__} repeat: {cursor!r}")
            seen.add(cursor)
        if len(pages) == 1:
            return pages[0]  # type: ignore[no-any-return]
        if endpoint.newest_first:
            pages.reverse()
        return [item for page in pages for item in page]  # type: ignore[return-value]

    async def _read(
        self, request: Request[Any], endpoint: Endpoint[Any, Any], http: HttpRequest
    ) -> Any:
        options = self._context.options
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(options.request_attempts),
            wait=tenacity.wait_random_exponential(multiplier=options.backoff_initial, max=10.0),
            retry=tenacity.retry_if_exception(_worth_trying),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                response, now_ns = await self._once(request, endpoint, http)
                return endpoint.decode(request, response, now_ns)
        raise AssertionError("unreachable")

    async def _once(
        self, request: Request[Any], endpoint: Endpoint[Any, Any], http: HttpRequest
    ) -> tuple[HttpResponse, int]:
        context = self._context
        limits = self._limits
        if limits.paused > context.options.request_patience:
            raise RateLimited(
                "",
                f"the exchange asked for no requests for another {limits.paused:.0f} s",
                limits.paused,
            )
        await limits.requests.acquire(endpoint.weight)
        await limits.unpaused()
        if endpoint.signed:
            if context.credentials is None:
                raise UsageError(f"{type(request).__name__} needs credentials")
            now_ms = context.clock.time_ns() // 1_000_000
            http = context.exchange.sign(http, context.credentials, now_ms)
        started = context.clock.monotonic()
        failure: CcrsError | None = None
        self.requests += 1
        try:
            response = await context.transport.request(self._base_url, http)
            now_ns = context.clock.time_ns()
            failure = context.exchange.error_of(response)
            if isinstance(failure, RateLimited):
                pause = failure.retry_after
                if pause is None and response.status in (403, 418, 429):
                    pause = _PASSING_PAUSE
                if pause is not None:
                    limits.pause(pause)
            if failure is not None:
                raise failure
        except CcrsError as error:
            failure = error
            self.errors += 1
            raise
        finally:
            context.hook(
                "ccrs_request_finished",
                exchange=context.exchange.name,
                request=type(request).__name__,
                seconds=context.clock.monotonic() - started,
                error=None if failure is None else str(failure),
            )
        return response, now_ns


def _worth_trying(error: BaseException) -> bool:
    if isinstance(error, RateLimited):
        return error.retry_after is not None and error.retry_after <= 10.0
    return isinstance(error, CcrsError) and error.retryable


def _market_of(request: Request[Any]) -> Market | None:
    market = getattr(request, "market", None)
    if market is None and attrs.has(type(request)) and hasattr(request, "instrument"):
        market = request.instrument.market
    return market
