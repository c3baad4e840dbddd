"""The tokens that private connections show: asked for once, shared, renewed when it is time."""

from __future__ import annotations

import asyncio

import attrs

from ccrs_core.contract.access import Token
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import Request
from ccrs_core.errors import AuthError, ExchangeError, PluginBroken
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.base import Discreet
from ccrs_core.transport.context import Context
from ccrs_core.transport.masking import UNSHOWN


@attrs.define(eq=False)
class _Held:
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    value: str = attrs.field(default="", repr=False)
    good_until: float = float("-inf")


class Tokens:
    """The tokens of one account. Connections whose question is the same share one."""

    def __init__(self, context: Context, requester: Requester) -> None:
        self._exchange = context.exchange
        self._requester = requester
        self._clock = context.clock
        self._transport = context.transport
        self._held: dict[Request[Token], _Held] = {}

    async def get(self, route: Route) -> Token | None:
        """The token for a connection of a route that is good now, asked for or renewed if need be;
        None where the exchange has none. ``renew_after`` counts from now.

        :raises CcrsError: where it can't be had.
        """
        question = self._exchange.token(route)
        if question is None:
            return None
        held = self._held.setdefault(question, _Held())
        async with held.turn:
            now = self._clock.monotonic()
            if now >= held.good_until:
                unshown = UNSHOWN.set(True)
                try:
                    token = self._checked(await self._ask(question, route, held.value))
                finally:
                    UNSHOWN.reset(unshown)
                if isinstance(self._transport, Discreet):
                    self._transport.hide(token.value)
                now = self._clock.monotonic()
                held.value = token.value
                seconds = token.renew_after
                held.good_until = float("inf") if seconds is None else now + seconds
            left = held.good_until - now
            return Token(held.value, None if left == float("inf") else left)

    def _checked(self, token: Token) -> Token:
        value: object = token.value
        after = token.renew_after
        if type(value) is not str or not value or not (after is None or after > 0):
            name = self._exchange.name
            raise PluginBroken(f"{name}'s plugin gives no token that is good: {token}")
        return token

    async def _ask(self, first: Request[Token], route: Route, held: str) -> Token:
        renewal = self._exchange.token(route, held) if held else None
        if renewal is not None:
            try:
                token = await self._requester.ask(renewal)
            except AuthError:
                raise
            except ExchangeError as error:
                if error.retryable:
                    raise
                # It may have gone already: a new one then.
            else:
                return token if token.value else attrs.evolve(token, value=held)
        return await self._requester.ask(first)
