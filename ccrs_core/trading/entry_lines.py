"""An account's sockets for orders: one for each route of ``Exchange.entry_route``, which may be one
for all markets, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from ccrs_core.connections.entry_line import EntryLine
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import Request
from ccrs_core.errors import Unsupported
from ccrs_core.model.instruments import Market


@attrs.frozen
class OpenLine:
    """A socket for orders, and the markets whose orders go there."""

    line: EntryLine
    markets: tuple[Market, ...]


class EntryLines:
    """Opens each socket when the first order is to go there.

    :param markets: those that the account trades on.
    :param addresses: of the environment, which may lack that of a market's socket.
    :param dial: opens a socket.
    """

    def __init__(
        self,
        exchange: Exchange,
        markets: Iterable[Market],
        addresses: Mapping[str, str],
        dial: Callable[[Route], EntryLine],
    ) -> None:
        self._exchange = exchange
        self._markets = tuple(markets)
        self._addresses = addresses
        self._dial = dial
        self._lines: dict[Route, EntryLine] = {}

    @property
    def open(self) -> list[OpenLine]:
        """Those that have been opened."""
        of = {market: self._exchange.entry_route(market) for market in self._markets}
        return [
            OpenLine(line, tuple(market for market in of if of[market] == route))
            for route, line in self._lines.items()
        ]

    def start(self) -> None:
        """Dial all that there are.

        :raises Unsupported: where the exchange, or its environment, has none for any market.
        """
        refusal: Unsupported | None = None
        for market in self._markets:
            try:
                self._of(market)
            except Unsupported as error:
                refusal = error
        if not self._lines and refusal is not None:
            raise refusal

    def carrying(self, request: Request[Any], *, insists: bool) -> EntryLine | None:
        """The socket by which a request can leave at once; None: it goes by REST.

        :param insists: whether the caller has asked for a socket by name.
        :raises Unsupported: where it insists, and there is none for the request's market.
        """
        market = request.market
        try:
            line = None if market is None else self._of(market)
        except Unsupported:
            if insists:
                raise
            return None
        return line if line is not None and line.ready and line.carries(request) else None

    def _of(self, market: Market) -> EntryLine:
        route = self._exchange.entry_route(market)
        if route is None:
            raise Unsupported(
                f"{self._exchange.name} has no order entry over WebSocket for {market.value}"
            )
        line = self._lines.get(route)
        if line is None:
            route.at(self._addresses)  # raises where the environment has none
            line = self._lines[route] = self._dial(route)
        return line

    async def aclose(self) -> None:
        """End those that were opened."""
        for line in self._lines.values():
            await line.aclose()
