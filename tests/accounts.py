"""The toy exchange with accounts: a private stream of balances, which have no instrument."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import orjson

from ccrs_core import (
    Balance,
    Channel,
    Client,
    Codec,
    Credentials,
    Data,
    DecodeError,
    Interest,
    Message,
    Outbound,
    Route,
    Subscription,
)
from ccrs_core.contract.accounts import Account
from ccrs_core.transport.memory import Peer
from tests.toy import Toy, ToyCodec, ToyServer

BALANCES = "balances"


def balances(account: str = "default") -> Interest:
    return Interest(Channel.BALANCES, "", account=account)


class AccountCodec(ToyCodec):
    """Also of ``balances``, whose rows are pairs of asset and total."""

    def topic(self, subscription: Subscription) -> str:
        return BALANCES if subscription.account is not None else super().topic(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().subscribe(subscriptions, request_id)
        for each in subscriptions:
            if each.account is not None:
                self.known[BALANCES] = each.account
        return frame

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None if BALANCES.encode() in frame else super().peek(frame)

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if message.get("t") != BALANCES or BALANCES not in self.known:
            return super()._read(message, now_ns)
        account = self.known[BALANCES]
        try:
            rows = [
                Balance("toy", "", now_ns, now_ns, account, asset, Decimal(total))
                for asset, total in message["rows"]
            ]
        except (ValueError, TypeError, ArithmeticError) as error:
            raise DecodeError(str(error), topics=(BALANCES,)) from error
        return Data(BALANCES, rows)


class AccountToy(Toy):
    """Balances come on a private route of their own, or (``together``) on the one of all."""

    capabilities = attrs.evolve(Toy.capabilities, account_channels=frozenset({Channel.BALANCES}))

    def __init__(self, *, together: bool = False) -> None:
        super().__init__(private=together)
        self._own = self._route if together else Route(url="{stream}/private", private=True)

    def route(self, subscription: Subscription) -> Route:
        return self._route if subscription.account is None else self._own

    def codec(self, route: Route) -> Codec:
        return AccountCodec()


class AccountServer(ToyServer):
    """Knows accounts by their keys."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[Peer, str] = {}
        """Who has logged in on a connection."""

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "login" in message:
            self.keys[peer] = message["login"]
        super().received(peer, frame)

    def show(self, peer: Peer, topic: str) -> None:
        if topic == BALANCES:
            self.tell(self.keys[peer], ("USD", "0"))
        else:
            super().show(peer, topic)

    def tell(self, key: str, *rows: object) -> None:
        """What an account has now, to those who follow it."""
        for peer in self.open:
            if self.keys.get(peer) == key and BALANCES in self.topics[peer]:
                self._push(peer, BALANCES, {"t": BALANCES, "rows": rows})


def second(client: Client, name: str, key: str) -> None:
    """Give a client one more account."""
    client._accounts[name] = Account(name, Credentials(key, "secret"))
