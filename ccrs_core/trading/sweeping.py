"""Everything that is open canceled at once, by the exchange's own request where it has one: nothing
is asked before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import attrs

from ccrs_core.contract.trading_requests import CancelAll, Placed
from ccrs_core.errors import CcrsError, DecodeError, NotSent, OutcomeUnknown, RateLimited
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.trading.canceling import Canceling, CancelResult
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.intents import How
from ccrs_core.trading.listing import counted

_ROUNDS = 5
_PAUSE = 0.5
"""How often a cancel of all is sent that a limit refuses, and seconds before the next one."""


@attrs.frozen
class SweptOrder:
    """An order that an exchange has named as canceled."""

    market: Market
    exchange_order_id: str
    client_order_id: str = ""


@attrs.frozen(kw_only=True)
class Swept:
    """What came of canceling everything."""

    canceled: tuple[SweptOrder, ...] = ()
    """Those that the exchange has named; not every exchange names any."""
    left: tuple[Order, ...] = ()
    """Those that are open still, by its lists read afterwards."""
    failures: dict[str, CcrsError] = attrs.field(factory=dict)
    """What couldn't be done or read, by what it is about."""

    @property
    def clean(self) -> bool:
        """Whether nothing is known to be open any more, and all was read."""
        return not self.left and not self.failures


async def cancel_market(
    context: AccountContext, market: Market, instrument: Instrument | None
) -> tuple[list[Placed], CcrsError | None]:
    """Have the exchange cancel all there is of a market, or of an instrument: what it has named,
    and the last thing that went wrong."""
    settles = context.trading.settles.get(market) or ("",)
    kinds = [{"everything": True}]
    if market not in context.trading.cancels_both:
        kinds = [{"everything": False}, {"everything": False, "conditional": True}]
    pairs = itertools.product(settles if instrument is None else ("",), kinds)
    named: list[Placed] = []
    failure: CcrsError | None = None
    for settle, kind in pairs:
        request = CancelAll(market=market, instrument=instrument, settle=settle, **kind)
        wrong: CcrsError | None = None
        for _ in range(_ROUNDS):
            try:
                done, _times = await context.asks.once(request)
                named += done
                wrong = None
            except RateLimited as error:
                wrong = error
                await asyncio.sleep(error.retry_after or _PAUSE)
                continue
            except OutcomeUnknown as error:
                wrong = error  # not sent again: it would take what is placed from now on
            except CcrsError as error:
                wrong = error
            except Exception as error:  # a plugin's mistake: what is open is canceled one by one
                wrong = NotSent(f"it can't be sent: {error!r}")
                wrong.__cause__ = error
            break
        failure = wrong or failure
    return named, failure


async def sweep(
    context: AccountContext,
    canceling: Canceling,
    markets: Sequence[Market],
    instrument: Instrument | None,
    known: Sequence[Order] = (),
) -> Swept:
    """Cancel all that is open of an instrument, or of markets; then read what is, and cancel that
    one by one.

    :param known: orders that may be open as far as the ledger knows: lists lag, so that where no
        request has canceled all they are canceled, too.
    """
    unswept = set(markets)
    canceled: list[SweptOrder] = []
    failures: dict[str, CcrsError] = {}
    if CancelAll in context.exchange.endpoints:
        done = await asyncio.gather(*(cancel_market(context, m, instrument) for m in markets))
        for market, (named, failure) in zip(markets, done, strict=True):
            if failure is None:
                unswept.discard(market)
            ids = {each.exchange_order_id: each.client_order_id for each in named}
            canceled += [SweptOrder(market, *each) for each in ids.items()]
    gone = {each.exchange_order_id for each in canceled}
    left = await _open(context, markets, instrument, gone, failures)
    listed = set(map(context.key, left))
    newest = [context.ledger.order(context.key(each)) or each for each in known]
    left += [
        each
        for each in newest
        if each.market in unswept
        and not each.state.final
        and context.key(each) not in listed
        and (not each.exchange_order_id or each.exchange_order_id not in gone)
    ]
    if left:
        outcomes = await canceling.cancel_many(left, How())
        for order, outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome, CcrsError):
                failures[f"order {context.key(order)}"] = outcome
                continue
            now = outcome.order
            if outcome.result is CancelResult.ACCEPTED or now.state is OrderState.CANCELED:
                canceled.append(SweptOrder(now.market, now.exchange_order_id, now.client_order_id))
            if outcome.result is not CancelResult.NOT_FOUND and now.exchange_order_id:
                gone.add(now.exchange_order_id)
        left = await _open(context, markets, instrument, gone, failures)
    return Swept(canceled=tuple(canceled), left=tuple(left), failures=failures)


async def _open(
    context: AccountContext,
    markets: Sequence[Market],
    instrument: Instrument | None,
    gone: set[str],
    failures: dict[str, CcrsError],
) -> list[Order]:
    """What is open by the lists but for what was canceled a moment ago: lists lag. That is read
    once more after that time."""
    left: list[Order] = []
    for again in (False, True):
        left.clear()
        asked = (counted(context, [market], instrument) for market in markets)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for market, answer in zip(markets, answers, strict=True):
            failures.pop(f"open orders of {market.value}", None)
            if isinstance(answer, CcrsError):
                failures[f"open orders of {market.value}"] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                orders, untold = answer
                left += orders
                if untold:
                    text = f"orders that can't be read, or of no known instrument: {untold}"
                    failures[f"open orders of {market.value}"] = DecodeError(text)
        if again or not any(order.exchange_order_id in gone for order in left):
            return left
        if any(order.exchange_order_id not in gone for order in left):
            return [order for order in left if order.exchange_order_id not in gone]
        await asyncio.sleep(min(context.trading.visible_within, 2.0))
    return left
