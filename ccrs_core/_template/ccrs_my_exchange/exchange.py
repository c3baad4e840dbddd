"""My Exchange as the core sees it: capabilities, addresses, limits, routes, errors.

REPLACE BY YOUR EXCHANGE'S: addresses, limits, the route, ``max_silence``; cite the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ccrs_core import (
    Budget,
    Capabilities,
    CcrsError,
    Channel,
    Codec,
    Endpoint,
    Environment,
    Exchange,
    HttpResponse,
    Limits,
    Market,
    Request,
    Route,
    SequenceScope,
    Subscription,
)

from . import rest
from .channels import CHANNELS
from .codec import MyExchangeCodec

if TYPE_CHECKING:
    from ccrs_core.emulator import Dialect

# The exchange numbers its updates once for all connections, so that copies of one update can be
# told: connections may race. Where each connection is numbered for itself: CONNECTION.
ROUTE = Route(
    url="{public}/stream",
    sequence_scope=SequenceScope.GLOBAL,
    topics_per_connection=500,
    topics_per_request=50,
    messages=Budget(amount=20, seconds=1.0),
)


class MyExchange(Exchange):
    """My Exchange: spot market data."""

    name: ClassVar[str] = "my-exchange"
    contract: ClassVar[int] = 2
    title: ClassVar[str] = "My Exchange"
    # Nothing that is not declared here can be asked for, and all that is declared is tested.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels={Market.SPOT: frozenset(CHANNELS)} if CHANNELS else {},
        book_depths={Market.SPOT: (10, 50)} if Channel.BOOK in CHANNELS else {},
    )
    environments: ClassVar[Mapping[str, Environment]] = {
        "mainnet": Environment(
            addresses={
                "rest": "https://api.my-exchange.example",
                "public": "wss://stream.my-exchange.example",
            }
        )
    }
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = rest.ENDPOINTS
    limits: ClassVar[Limits] = Limits(
        connects=Budget(amount=60, seconds=60.0), requests=Budget(amount=20, seconds=1.0)
    )

    def route(self, subscription: Subscription) -> Route:
        return ROUTE

    def codec(self, route: Route) -> Codec:
        return MyExchangeCodec()

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return rest.error_of(response)

    def max_silence(self, subscription: Subscription) -> float | None:
        # The top of book is repeated every 5 s; silence of the other streams proves nothing.
        return 15.0 if subscription.channel is Channel.TOP_OF_BOOK else None

    def dialect(self) -> Dialect:
        from .emulator import MyExchangeDialect

        return MyExchangeDialect()
