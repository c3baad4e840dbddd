"""``ccrs order``: placing, amending, canceling and finding orders."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import accounts, completion, form, interrupts, options, order_words
from ccrs_core.cli.order_words import NUMBER
from ccrs_core.cli.output import note, progress
from ccrs_core.contract.trading_requests import GetOrderHistory
from ccrs_core.errors import CcrsError, OrderNotFound, OutcomeUnknown, UsageError
from ccrs_core.model.orders import Order, OrderState

if TYPE_CHECKING:
    from ccrs_core.trading.account import Account
    from ccrs_core.trading.asks import Via
    from ccrs_core.trading.sweeping import Swept

_IDS = "Yours (client order id) or the exchange's."
symbol_option = click.option(
    "--symbol", shell_complete=completion.symbols, help="Of which it is; needed once it has ended."
)


via_option = click.option(
    "--via",
    type=click.Choice(["rest", "websocket"]),
    default="rest",
    show_default=True,
    help="Which way it goes.",
)


@click.group("order", short_help="Place, amend, cancel and find orders.")
def command() -> None:
    """Orders of an account: place, amend, cancel, list, show."""


# --- placing --------------------------------------------------------------------------------


@command.command("place", short_help="Place an order.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("symbol", shell_complete=completion.symbols)
@click.argument("side", type=click.Choice(["buy", "sell"]))
@order_words.options
@via_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="For what becomes of it.",
)
@accounts.ledger_option
@accounts.yes_option
@accounts.json_option
@accounts.account_option
@options.target
def place(
    exchange: str,
    symbol: str,
    side: str,
    via: Via,
    wait: float,
    ledger: bool,
    yes: bool,
    as_json: bool,
    account: str,
    **more: Any,
) -> int:
    """Place one order of SYMBOL at EXCHANGE: buy or sell.

    Where it costs real money, what will be sent is shown, and you are asked. It leaves once. Where
    the answer is lost, the exchange is asked what has become of it; it is never sent again. It is
    kept in the account's ledger, as an order of your own, unless a program of yours has that at
    present. Its client order id ends in the tag: cli, unless --tag says another.

    Ends with 0 where the exchange has taken it, with 1 where it was refused, or where nobody
    knows yet (which is said).
    """
    told = {name: more.pop(name) for name in list(more) if name in order_words.NAMES}
    request = order_words.request_of(symbol, side, **told)

    async def main() -> Order:
        accounts.keys(exchange, account, **more)
        async with options.client(exchange, **more) as client:
            instrument = await client.instrument(symbol)
            title = f"{exchange} {options.place(exchange, **more)}, account {account}"
            lines = [f"This order goes to {title}:"]
            lines += [f"  {line}" for line in order_words.described(request, instrument)]
            real = accounts.is_real(exchange, **more)
            # The ledger isn't held while somebody thinks.
            await asyncio.to_thread(accounts.sure, lines, real=real, yes=yes)
            async with accounts.trading(client, exchange, account, ledger=ledger, **more) as held:
                try:
                    live = await held.place(request, via=via)
                except OutcomeUnknown as error:
                    order: Order = error.order
                    note(f"{error}: asking what has become of {order.client_order_id}")
                    return await _settled(held, order.client_order_id, max(wait, 10.0))
                return await _settled(held, live.id, wait)

    order = interrupts.run(main())
    show([order], as_json=as_json)
    if order.state is OrderState.UNKNOWN:
        note(
            f"nobody knows yet whether {order.client_order_id} was placed: don't place it again, "
            f"look with: ccrs order show {exchange} {order.client_order_id} --symbol {symbol}"
        )
    refused = order.state in (OrderState.REJECTED, OrderState.NOT_SENT, OrderState.ABSENT)
    if refused:
        note(f"it was refused: {order.reason_text or order.reason or 'no reason given'}")
    return 1 if refused or order.state is OrderState.UNKNOWN else 0


async def _settled(held: Account, identity: str, seconds: float) -> Order:
    """The order once it is known what has become of it and what it was filled at, or after so many
    seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), held.events(since=held.number) as feed:
            if not _certain(_known(held, identity)):
                async for _ in feed:
                    if _certain(_known(held, identity)):
                        break
    return _known(held, identity)


def _certain(order: Order) -> bool:
    if order.state.final:
        return order.fills_complete
    return order.state not in (OrderState.SENT, OrderState.UNKNOWN, OrderState.ACCEPTED)


def _known(held: Account, identity: str) -> Order:
    found = held.order(identity)
    if found is None:
        raise OrderNotFound("", f"no order {identity} is known")
    return found


# --- amending -------------------------------------------------------------------------------


@command.command("amend", short_help="Change an open order in place.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("identity", metavar="ID")
@click.option("--price", type=NUMBER, help="The new price.")
@click.option("--size", type=NUMBER, help="The new whole size, what is filled included.")
@symbol_option
@via_option
@accounts.ledger_option
@accounts.yes_option
@accounts.json_option
@accounts.account_option
@options.target
def amend(
    exchange: str,
    identity: str,
    price: Decimal | None,
    size: Decimal | None,
    symbol: str | None,
    via: Via,
    ledger: bool,
    yes: bool,
    as_json: bool,
    account: str,
    **where: Any,
) -> None:
    """Change price or size of the open order ID at EXCHANGE; it stays the same order."""
    if price is None and size is None:
        raise UsageError("say the new --price, or --size")

    async def main() -> Order:
        async with accounts.asked(exchange, account, **where) as here:
            order = await find(here.account, identity, symbol)
        async with options.client(exchange, **where) as client:
            lines = [f"Of {order} at {exchange} {options.place(exchange, **where)}, {account}:"]
            lines += [] if price is None else [f"  the price becomes {price:f}"]
            lines += [] if size is None else [f"  the whole size becomes {size:f}"]
            real = accounts.is_real(exchange, **where)
            await asyncio.to_thread(accounts.sure, lines, real=real, yes=yes)
            async with accounts.trading(client, exchange, account, ledger=ledger, **where) as held:
                known = held.order(order.exchange_order_id) or held.order(identity)
                if known is None:
                    known = await held.fetch_order(identity, symbol=order.symbol)
                changed = await held.amend(known, price=price, size=size, via=via)
                return await _told(held, changed, price, size)

    show([interrupts.run(main())], as_json=as_json)


async def _told(held: Account, order: Order, price: Decimal | None, size: Decimal | None) -> Order:
    """The order once the exchange has told what it has become, or after some seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.0), held.events(since=held.number) as feed:
            while not held.newest(order).state.final and (
                price not in (None, held.newest(order).price)
                or size not in (None, held.newest(order).size)
            ):
                await anext(feed)
    return held.newest(order)


# --- canceling ------------------------------------------------------------------------------


@command.command("cancel", short_help="Cancel open orders.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("identities", nargs=-1, required=True, metavar="ID...")
@symbol_option
@via_option
@accounts.json_option
@accounts.account_option
@options.target
def cancel(
    exchange: str,
    identities: Sequence[str],
    symbol: str | None,
    via: Via,
    as_json: bool,
    account: str,
    **where: Any,
) -> int:
    """Cancel the orders ID... at EXCHANGE, and say how each ended. One that had ended before is no
    error. With --symbol they leave at once; without it the open orders are read first."""

    async def one(held: Account, identity: str) -> Order | CcrsError:
        try:
            which = identity if symbol is not None else await find(held, identity, None)
            outcome = await held.cancel(which, symbol=symbol, via=via, send_within=_URGENT)
            return await _ended(held, outcome.order)
        except CcrsError as error:
            return error

    async def main() -> list[Order | CcrsError]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            if symbol is None:
                await held.fetch_open_orders()
            else:
                await here.client.instrument(symbol)
            return await asyncio.gather(*(one(held, each) for each in dict.fromkeys(identities)))

    outcomes = interrupts.run(main())
    orders = [each for each in outcomes if isinstance(each, Order)]
    if orders:
        show(orders, as_json=as_json)
    going_on = [each for each in orders if not each.state.final]
    for order in going_on:
        note(f"the exchange took the cancel, and hasn't told yet that it ended: {order}")
    failed = [
        (identity, each)
        for identity, each in zip(dict.fromkeys(identities), outcomes, strict=True)
        if isinstance(each, CcrsError)
    ]
    for identity, error in failed:
        note(f"Error: {identity}: {error}")
    return 1 if failed or going_on else 0


@command.command("cancel-all", short_help="Cancel all open orders.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--symbol", shell_complete=completion.symbols, help="Only of this.")
@options.market_option
@accounts.yes_option
@accounts.json_option
@accounts.account_option
@options.target
def cancel_all(
    exchange: str,
    symbol: str | None,
    market: str | None,
    yes: bool,
    as_json: bool,
    account: str,
    **where: Any,
) -> int:
    """Cancel all orders that are open at EXCHANGE, whoever placed them, those that wait for a
    trigger (stop-losses, say) included.

    It leaves at once, unless you are to be asked, for which they are listed. Told are the orders
    that the exchange names as canceled, and those that are open still; then it ends with 1."""
    ask = accounts.is_real(exchange, **where) and not yes

    async def main() -> Swept:
        async with accounts.asked(exchange, account, **where) as here:
            there = await _open_orders(here.account, symbol, market) if ask else []
            if not ask:
                return await here.account.sweep(symbol=symbol, market=market)
        of = symbol or market or "all markets"
        lines = [
            f"All open orders of {of} are to be canceled, {len(there)} at present,",
            f"at {exchange} {options.place(exchange, **where)}, account {account}:",
            *(f"  {order}" for order in there[:_SHOWN]),
        ]
        lines += [f"  and {len(there) - _SHOWN} more"] if len(there) > _SHOWN else []
        await asyncio.to_thread(accounts.sure, lines, real=True, yes=False)
        async with accounts.asked(exchange, account, **where) as here:
            return await here.account.sweep(symbol=symbol, market=market)

    swept = interrupts.run(main())
    from ccrs_core.cli.live.account_tables import SWEPT
    from ccrs_core.cli.live.listing import say

    say(swept.canceled, SWEPT, as_json=as_json, nothing="nothing was canceled")
    for order in swept.left:
        note(f"still open: {order}")
    for what, error in swept.failures.items():
        note(f"Error: {what}: {error}")
    return 0 if swept.clean else 1


_SHOWN = 20
_URGENT = 20.0
"""Seconds within which a cancel leaves, or isn't sent any more."""
_LOOKS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between two looks at what becomes of a canceled order."""


async def _ended(held: Account, order: Order) -> Order:
    """The order as it ended, or as it is after some seconds."""
    for pause in _LOOKS:
        if order.state.final and order.fills_complete:
            break
        await asyncio.sleep(pause)
        with contextlib.suppress(CcrsError):
            order = await held.fetch_order(held.key_of(order), symbol=order.symbol)
        if order.state.final:
            break
    return order


# --- finding --------------------------------------------------------------------------------


@command.command("list", short_help="Open orders, or past ones.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--symbol", shell_complete=completion.symbols, help="Only of this.")
@options.market_option
@click.option("--past", is_flag=True, help="Those that have ended instead.")
@click.option("--from", "start", type=options.TimeType(), help="Of past ones: 2026-01-01, UTC.")
@click.option("--to", "end", type=options.TimeType(), help="The end, which isn't included; now.")
@accounts.json_option
@accounts.account_option
@options.target
def list_(
    exchange: str,
    symbol: str | None,
    market: str | None,
    past: bool,
    start: int | None,
    end: int | None,
    as_json: bool,
    account: str,
    **where: Any,
) -> None:
    """Orders of the account at EXCHANGE that are open, those that wait for a trigger included; with
    --past those that have ended (of the last seven days, unless --from says otherwise)."""
    if not past and (start is not None or end is not None):
        raise UsageError("--from and --to go with --past")

    async def main() -> list[Order]:
        async with accounts.asked(exchange, account, **where) as here:
            held = here.account
            with progress("asking for orders"):
                if not past:
                    return await _open_orders(held, symbol, market)
                found = [
                    await held.fetch_order_history(**each, start=start, end=end)
                    for each in accounts.parts(here, symbol, market, GetOrderHistory)
                ]
        return sorted(
            (order for orders in found for order in orders), key=lambda o: o.created_ns or 0
        )

    nothing = "no past orders" if past else "no open orders"
    show(interrupts.run(main()), as_json=as_json, nothing=nothing)


async def _open_orders(held: Account, symbol: str | None, market: str | None) -> list[Order]:
    found = await held.fetch_open_orders(symbol=symbol, market=market)
    return sorted(found, key=lambda order: order.created_ns or 0)


@command.command("show", short_help="All that is known of an order.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("identity", metavar="ID")
@symbol_option
@accounts.json_option
@accounts.account_option
@options.target
def show_(
    exchange: str, identity: str, symbol: str | None, as_json: bool, account: str, **where: Any
) -> None:
    """All that is known of the order ID at EXCHANGE: yours (client order id) or the exchange's."""

    async def main() -> Order:
        async with accounts.asked(exchange, account, **where) as here:
            return await find(here.account, identity, symbol)

    order = interrupts.run(main())
    if as_json:
        show([order], as_json=True)
        return
    for name, text in details(order):
        click.echo(f"{name:<24}{form.printable(text)}")


async def find(held: Account, identity: str, symbol: str | None) -> Order:
    """An order by either id.

    :raises UsageError: where none that is open has it, and its symbol isn't told.
    :raises OrderNotFound: where the exchange doesn't show it.
    """
    if symbol is None and held.order(identity) is None:
        await held.fetch_open_orders()
    known = held.order(identity)
    if known is not None and symbol in (None, known.symbol):
        return known
    if symbol is None:
        raise UsageError(f"no open order has the id {identity}; of one that has ended say --symbol")
    return await held.fetch_order(identity, symbol=symbol)


def details(order: Order) -> Iterator[tuple[str, str]]:
    """What is known of an order, line by line; what it doesn't have is left out."""
    from ccrs_core.model.serialize import to_plain

    yield "order", str(order)
    plain = to_plain(order)
    for group in ("", "asked", "times", "native"):
        inner = plain if not group else plain[group] or {}
        for name, value in inner.items():
            if not group and name in ("asked", "times", "native", "exchange"):
                continue
            if value is not None and value not in ("", False, [], {}):
                words = f"{group} {name.removesuffix('_ns').replace('_', ' ')}".strip()
                yield words, _text(name, value)


def _text(name: str, value: Any) -> str:
    from ccrs_core.model.times import shown

    if isinstance(value, dict):
        return ", ".join(f"{inner} {_text(inner, each)}" for inner, each in value.items() if each)
    if isinstance(value, list):
        return ", ".join(_text(name, each) for each in value)
    if value is True:
        return "yes"
    return shown(value) if name.endswith("_ns") else str(value)


def show(orders: Sequence[Order], *, as_json: bool, nothing: str = "nothing") -> None:
    """Orders, as a table or as JSON."""
    from ccrs_core.cli.live.account_tables import ORDERS
    from ccrs_core.cli.live.listing import say

    say(orders, ORDERS, as_json=as_json, nothing=nothing)
