"""One order that is about to be placed, how it is to leave, and what an outcome says of that."""

from __future__ import annotations

import copy
from typing import Protocol

import attrs

from ccrs_core.contract.trading_requests import (
    CancelOrder,
    Done,
    PlaceOrder,
    Replaced,
    ReplaceOrder,
)
from ccrs_core.errors import (
    CcrsError,
    EndReason,
    NotSent,
    NotWritten,
    OrderRejected,
    RateLimited,
    StoreFailed,
    TransportError,
    UsageError,
)
from ccrs_core.model.accounts import AccountInfo
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.order_requests import OrderRequest
from ccrs_core.model.orders import Order
from ccrs_core.trading.sending import Sending


class Watcher(Protocol):
    """Who finds out what isn't known."""

    def find_out(self, client_order_id: str) -> None:
        """An order's placement has no answer that tells."""

    def owes(self, key: str, since: float) -> None:
        """The exchange has taken something of an order that left at a time (monotonic seconds): its
        stream has to tell of it, or has."""


@attrs.frozen(kw_only=True)
class How:
    """How a request is to leave."""

    via: str | None = None
    send_before: float | None = None
    """Monotonic seconds after which it isn't sent any more."""
    patience: float | None = None
    """Seconds that it may wait for its turn in the budgets; None: as the options say."""


@attrs.frozen
class Intent:
    """One order that is about to be placed."""

    request: OrderRequest
    instrument: Instrument
    client_order_id: str
    account: AccountInfo | None
    replaces: CancelOrder | None = None
    """The cancel with which it leaves."""
    sending: Sending[Order] = attrs.field(factory=Sending)

    @property
    def asked(self) -> PlaceOrder | ReplaceOrder:
        """What is asked of the exchange."""
        if self.replaces is None:
            return self.item
        return ReplaceOrder(self.instrument, self.replaces, self.item)

    @property
    def item(self) -> PlaceOrder:
        return PlaceOrder(self.instrument, self.request, self.client_order_id, self.account)


# --- what an outcome says ---


class NotReplaced(OrderRejected):
    """Nothing was placed, as the order that was to make room wasn't canceled."""


def placed_of(found: Replaced) -> Done:
    """What became of the placement of the two."""
    if found.placed is not None:
        return found.placed
    text = f"nothing was placed, as the order that it replaces isn't canceled: {found.canceled}"
    return NotReplaced("", text, EndReason.OTHER)


def attributed(error: CcrsError) -> CcrsError:
    """An error of a batch as that of one of its items, which may be given an order of its own."""
    found = copy.copy(error)
    found.__cause__ = error.__cause__
    return found


def nothing_left(error: BaseException) -> bool:
    """Whether a request's failure says for certain that nothing of it has left."""
    if isinstance(error, NotSent | UsageError | StoreFailed):
        return True
    if isinstance(error, TransportError):
        return error.nothing_sent
    return isinstance(error, RateLimited) and not error.code


def why_not_sent(error: BaseException) -> EndReason:
    if isinstance(error, RateLimited):
        return EndReason.RATE_LIMIT
    late = isinstance(error, NotSent) and not isinstance(error, NotWritten)
    return EndReason.TOO_LATE if late else EndReason.OTHER


def with_order(error: CcrsError, order: Order | None) -> CcrsError:
    """An error that says of which order it is, where its kind can."""
    if hasattr(error, "order"):
        error.order = order
    return error
