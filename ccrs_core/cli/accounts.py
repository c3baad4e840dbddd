"""What the commands of accounts share: options, opening an account, and what costs real money."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from ccrs_core.cli import form, options
from ccrs_core.cli.output import note, progress
from ccrs_core.client.credentials import PLAY_MONEY, FoundCredentials, find_credentials
from ccrs_core.contract.accounts import DEFAULT
from ccrs_core.errors import StoreFailed, StoreInUse, TimedOut, UsageError
from ccrs_core.transport.addresses import EMULATOR, resolve_addresses

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.contract.rest import Request
    from ccrs_core.trading.account import Account
    from ccrs_core.trading.choose_store import StoreChoice

F = TypeVar("F", bound=Callable[..., Any])

_PLAY = frozenset({EMULATOR, "testnet", "demo"})
"""Environments in which orders cost nothing. All others, addresses of one's own too, count as
real."""

account_option = click.option(
    "--account",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Whose keys: those of this name, from variables, the file of keys or the keyring.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
ledger_option = click.option(
    "--no-ledger",
    "ledger",
    flag_value=False,
    default=True,
    help="Keep it in memory alone, not in the ledger that programs of yours keep of the account.",
)
yes_option = click.option("--yes", is_flag=True, help="Don't ask, also where it costs real money.")


def keys(exchange: str, account: str, **where: Any) -> FoundCredentials:
    """The keys of an account at the place that the options lead to, and where they were.

    :raises CredentialsMissing: (or kin) where there are none.
    :raises PluginError: where there is no such exchange, which is told first.
    :raises UsageError: where it has no such environment.
    """
    from ccrs_core.extensions import exchanges as plugins

    options.check_exchange(exchange)
    told = options.settings(exchange, **where)
    resolve_addresses(plugins.load(exchange)(), told.environment, told.base_url, told.addresses)
    if told.environment == EMULATOR and account == DEFAULT:
        # Also where it runs in another process, at an address.
        found = find_credentials(exchange, EMULATOR, account)
        return found if found.credentials != PLAY_MONEY else FoundCredentials(*_play_money())
    return find_credentials(exchange, options.place(exchange, **where), account)


def _play_money() -> tuple[Any, str]:
    return PLAY_MONEY, "the emulator's own"


def is_real(exchange: str, **where: Any) -> bool:
    """Whether orders may cost real money there."""
    return options.settings(exchange, **where).environment not in _PLAY


@attrs.frozen
class Opened:
    """An account, and the client that it belongs to."""

    client: Client
    account: Account


@asynccontextmanager
async def opened(exchange: str, account: str, **more: Any) -> AsyncIterator[Opened]:
    """An account that is followed, for as long as a command lasts; its ledger is in memory, so
    that it disturbs no program that keeps it."""
    found = keys(exchange, account, **more)
    async with options.client(exchange, **more) as client, AsyncExitStack() as stack:
        with progress(f"opening the account {account} of {exchange}"):
            opening = client.account(account, credentials=found.credentials, store="memory")
            held = await stack.enter_async_context(opening)
        yield Opened(client, held)


@asynccontextmanager
async def asked(exchange: str, account: str, **more: Any) -> AsyncIterator[Opened]:
    """An account that isn't followed: opening it asks nothing, so that an urgent cancel leaves at
    once.

    :raises TimedOut: where what is done takes longer than :data:`LONGEST` seconds.
    """
    found = keys(exchange, account, **more)
    limit = asyncio.timeout(LONGEST)
    try:
        async with limit, options.client(exchange, **more) as client:
            opening = client.account(account, credentials=found.credentials, follow=False)
            async with opening as held:
                yield Opened(client, held)
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut(
            f"{exchange}: not done within {LONGEST:.0f} seconds, given up; what was sent may have "
            f"been carried out all the same: look with ccrs order list {exchange}"
        ) from None


LONGEST = 60.0
"""Seconds that a command takes at most which only asks, or cancels."""


@asynccontextmanager
async def trading(
    client: Client, exchange: str, account: str, *, ledger: bool, **more: Any
) -> AsyncIterator[Account]:
    """An account that is followed, to place or amend, of an open client. It keeps the ledger of the
    user's programs where none of them has it at present; else, or without ``ledger``, one in
    memory."""
    found = keys(exchange, account, **more)
    told = options.settings(exchange, **more)
    # Accounts of an emulator end with it.
    stores: list[StoreChoice] = ["memory"]
    if ledger and told.environment != EMULATOR:
        stores.insert(0, None)
    async with AsyncExitStack() as stack:
        for store in stores:
            opening = client.account(account, credentials=found.credentials, store=store)
            try:
                with progress(f"opening the account {account} of {exchange}"):
                    held = await stack.enter_async_context(opening)
                break
            except StoreInUse:
                if store == "memory":
                    raise
                note(
                    f"a program of yours keeps the ledger of {account} at present: to it this is "
                    "the order of another program"
                )
            except StoreFailed as error:
                raise StoreFailed(f"{error}; --no-ledger does without it") from error
        yield held


def parts(
    here: Opened, symbol: str | None, market: str | None, listed: type[Request[Any]]
) -> list[dict[str, Any]]:
    """What a list has to be asked for one by one: a symbol, a market, or each market that is
    traded.

    :raises UsageError: where it is told of one symbol at a time alone, and none is named.
    """
    if symbol is not None:
        return [{"symbol": symbol}]
    exchange, trading = here.client.exchange, here.client.exchange.trading
    if trading is not None and listed in trading.by_symbol:
        raise UsageError(
            f"{exchange.name} lists this of one symbol at a time alone: add --symbol BTC/USDT, or "
            "whichever it is (what programs of yours have in their ledger: ccrs ledger export)"
        )
    traded = [] if trading is None else [each.value for each in trading.features]
    return [{"market": each} for each in traded if market in (None, each)]


def sure(lines: Iterable[str], *, real: bool, yes: bool) -> None:
    """Ask before something costs real money, having said what.

    :raises UsageError: where nobody is there to be asked.
    :raises click.Abort: where the answer is no.
    """
    if not real or yes:
        return
    for line in lines:
        click.echo(form.printable(line), err=True)
    if not sys.stdin.isatty():
        raise UsageError("this may cost real money, and nobody is there to be asked: add --yes")
    click.confirm("Send it?", default=False, abort=True, err=True)
