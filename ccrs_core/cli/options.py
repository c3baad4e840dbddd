"""What several commands share: options, and turning them into clients and interests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ccrs_core.cli import completion
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import (
    ACCOUNT_CHANNELS,
    INTERVALS,
    MARKET_CHANNELS,
    Channel,
    Interest,
)
from ccrs_core.model.times import nanoseconds
from ccrs_core.several.names import is_qualified, qualified, split

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.client.settings import Settings
    from ccrs_core.several.clients import Clients
    from ccrs_core.transport.base import Transport

F = TypeVar("F", bound=Callable[..., Any])

NAMES = {
    channel.value.replace("_", "-"): channel
    for channel in Channel
    if channel not in ACCOUNT_CHANNELS | MARKET_CHANNELS
}
"""Channels as the command line calls them."""


class TimeType(click.ParamType[int]):
    """A time: ISO 8601, in UTC unless it says otherwise, or nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        what = param.opts[0] if param is not None else "a time"
        try:
            if text.isascii() and text.isdecimal() and len(text) > 8:
                found = nanoseconds(what, int(text))
            else:
                moment = datetime.fromisoformat(text)
                aware = moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
                found = nanoseconds(what, aware)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            self.fail(
                f"{value!r} is no time: say 2026-01-01, 2026-01-01T12:30, or nanoseconds",
                param,
                ctx,
            )
        assert found is not None
        return found


class ChannelType(click.ParamType[Channel]):
    """A channel by name; underscores will do as well."""

    name = "channel"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Channel:
        if isinstance(value, Channel):
            return value
        found = NAMES.get(str(value).replace("_", "-"))
        if found is None:
            import difflib

            near = difflib.get_close_matches(str(value), NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(NAMES)}"
            self.fail(f"no channel {value!r}; {hint}", param, ctx)
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(each) for each in NAMES if each.startswith(incomplete)]

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[" + "|".join(NAMES) + "]"


def target(command: F) -> F:
    """The options that say where an exchange is and how to get there."""
    for option in reversed(
        (
            click.option(
                "--environment",
                shell_complete=completion.environments,
                show_default="mainnet",
                metavar="NAME",
                help="mainnet, testnet or demo, where the exchange has them; or emulator.",
            ),
            click.option("--base-url", metavar="URL", help="One address instead of all others."),
            click.option("--proxy", metavar="URL", help="http://… or socks5://…, for everything."),
            click.option(
                "--proxy-from-env",
                is_flag=True,
                help="Through HTTPS_PROXY, ALL_PROXY and kin, but for NO_PROXY.",
            ),
            click.option(
                "--way",
                "ways",
                multiple=True,
                metavar="WAY",
                help="Once for each way that connections go in turn: a local IP address, a proxy's "
                "URL, NAME=URL of an address of the exchange, with commas between; or direct.",
            ),
            click.option(
                "--ca-file",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="Trust these certificates (PEM) instead of the system's.",
            ),
            click.option(
                "--transport",
                metavar="NAME",
                help="aiohttp, or that of an installed package (picows). By itself: the only one "
                "installed besides aiohttp that can do what is asked for.",
            ),
            click.option("--seed", default=0, help="Of the emulator's market."),
            click.option(
                "--rate", default=50.0, help="Changes per second of the emulator's market."
            ),
        )
    ):
        command = option(command)
    return command


def bounds(command: F) -> F:
    """When to stop by oneself."""
    positive = click.FloatRange(min=0, min_open=True)
    command = click.option("--seconds", type=positive, help="Stop after so many seconds.")(command)
    return click.option("--count", type=click.IntRange(min=1), help="Stop after so many.")(command)


def streams(command: F) -> F:
    """Details of what is subscribed to."""
    for option in reversed(
        (
            click.option(
                "--connections",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help="Redundant connections to race.",
            ),
            click.option(
                "--depth",
                type=click.IntRange(min=1),
                help="Of the book, in levels per side: any number up to the exchange's deepest.",
            ),
            click.option(
                "--interval",
                type=click.Choice(list(INTERVALS)),
                default="1m",
                show_default=True,
                help="Of the candles.",
            ),
        )
    ):
        command = option(command)
    return command


market_option = click.option(
    "--market", type=click.Choice([m.value for m in Market]), help="Kind of market."
)


def place(exchange: str, **where: Any) -> str:
    """What to call the place that the options of :func:`target` lead to."""
    from ccrs_core.transport.addresses import named

    told = settings(exchange, **where)
    return named(told.environment, told.base_url, told.addresses)


def interests(
    symbols: Sequence[str], channels: Sequence[Channel], depth: int | None, interval: str
) -> list[Interest]:
    """Every channel of every symbol."""
    return [
        Interest(
            channel,
            symbol,
            depth=depth if channel is Channel.BOOK else None,
            interval=interval if channel is Channel.CANDLES else None,
        )
        for symbol in symbols
        for channel in channels
    ]


async def spelled_out(client: Client, wanted: Sequence[Interest]) -> list[Interest]:
    """What interests stand for now, patterns included; what can't be had is told at once.

    :raises CcrsError: where something isn't listed, or the lists can't be fetched.
    """
    from ccrs_core.client.following import expanded, nothing_like
    from ccrs_core.model.instruments import Instrument
    from ccrs_core.model.symbol_patterns import is_pattern

    fetched: dict[Market, list[Instrument]] = {}
    found: dict[Interest, None] = {}
    for each in wanted:
        if not is_pattern(each.symbol):
            await client.instrument(each.symbol)
            found[each] = None
            continue
        for market in client.placement.candidates(each):
            if market not in fetched:
                fetched[market] = await client.get_instruments(market)
        known = [instrument for instruments in fetched.values() for instrument in instruments]
        these = [interest for interest, _ in expanded(client.exchange, each, known)]
        if not these:
            raise nothing_like(client.exchange, each, known)
        found |= dict.fromkeys(these)
    return list(found)


def client(
    exchange: str, *, wrap: Callable[[Transport], Transport] | None = None, **where: Any
) -> Client:
    """A client from the options of :func:`target`; ``wrap`` puts something around its transport."""
    from ccrs_core.client.client import connect

    check_exchange(exchange)
    arguments = settings(exchange, **where).arguments()
    if wrap is not None:
        from ccrs_core.transport.choice import make_transport

        network = arguments["options"].transport
        arguments["transport"] = wrap(make_transport(arguments["transport"], network))
    return connect(exchange, **arguments, seed=where["seed"], rate=where["rate"])


def clients(exchanges: Sequence[str], **where: Any) -> Clients:
    """Clients of several exchanges from the options of :func:`target`."""
    from ccrs_core.several.clients import connect_many

    if where["base_url"] is not None:
        raise UsageError("--base-url is the address of one exchange: ccrs watch EXCHANGE SYMBOL...")
    return connect_many(*(client(exchange, **where) for exchange in exchanges))


def settings(
    exchange: str,
    *,
    environment: str | None,
    base_url: str | None,
    proxy: str | None,
    proxy_from_env: bool,
    ways: Sequence[str],
    ca_file: Path | None,
    transport: str | None,
    rate: float,
    **_: Any,
) -> Settings:
    """What the options of :func:`target` say of an exchange, and of what they don't the variables
    and the file."""
    from ccrs_core.client.settings import load_settings

    if not 0 < rate < math.inf:
        raise UsageError(f"--rate must be above zero, not {rate:g}")
    return load_settings(
        exchange,
        environment=environment,
        base_url=base_url,
        proxy=proxy,
        trust_env=proxy_from_env or None,
        ways=list(ways) or None,
        ca_file=ca_file,
        transport=transport,
    )


def addressed(exchange: str, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
    """The exchanges, and the symbols: plain ones of one exchange, or each with its own.

    :raises UsageError: where it isn't told whose a symbol is.
    """
    if not is_qualified(exchange):
        check_exchange(exchange)
        if not symbols:
            raise click.UsageError("Missing argument 'SYMBOL...'.", click.get_current_context())
        if any(is_qualified(each) for each in symbols):
            each_with_its_own = " ".join(
                each if is_qualified(each) else qualified(exchange, each) for each in symbols
            )
            raise UsageError(f"one exchange for all, or each with its own: {each_with_its_own}")
        return [exchange], list(dict.fromkeys(symbols))
    wanted = list(dict.fromkeys([exchange, *symbols]))
    for each in wanted:
        if not is_qualified(each):
            raise UsageError(f"whose {each}? Say {qualified(split(exchange)[0] or '', each)}")
    return list(dict.fromkeys(split(each)[0] or "" for each in wanted)), wanted


def check_exchange(name: str) -> None:
    """A symbol where an exchange belongs is told as what it is.

    :raises UsageError: where it is one.
    """
    if "/" in name:
        raise UsageError(
            f"{name} is no exchange: its name stands first, then the symbols (ccrs exchanges lists "
            "those that are installed)"
        )
