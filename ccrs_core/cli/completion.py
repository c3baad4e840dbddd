"""What a shell offers while a command is typed: exchanges, environments, symbols. Never a network.

Symbols are those that ``ccrs instruments`` was told last, and where it never was, those of the
exchange's emulator, which are the well-known ones.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.errors import CcrsError
from ccrs_core.extensions import exchanges as plugins

if TYPE_CHECKING:
    from ccrs_core.model.instruments import Instrument

_MOST = 500
"""More are no help to anybody."""


def exchanges(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Installed exchanges; behind one and a colon its symbols."""
    name, colon, rest = incomplete.partition(":")
    names = {info.name for info in plugins.installed()}
    if colon and name in names:
        return [f"{name}:{symbol}" for symbol in _symbols(name, ctx, rest)]
    return sorted(each for each in names if each.startswith(incomplete))


def symbols(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Symbols of the exchange that stands before them, each once."""
    exchange = ctx.params.get("exchange") or ""
    if ":" in exchange:
        return exchanges(ctx, param, incomplete)
    taken = set(ctx.params.get("symbols") or ())
    return [each for each in _symbols(exchange, ctx, incomplete) if each not in taken]


def environments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Those of the exchange that has been typed, and the emulator."""
    found = {"mainnet", "emulator"}
    # Before an option that has no value yet, arguments aren't told apart.
    typed: str = ctx.params.get("exchange") or next(iter(ctx.args), "")
    exchange = typed.partition(":")[0]
    if exchange:
        with contextlib.suppress(CcrsError, AttributeError):
            found = {*plugins.load(exchange).environments, "emulator"}
    return sorted(each for each in found if each.startswith(incomplete))


def _symbols(exchange: str, ctx: click.Context, incomplete: str) -> list[str]:
    environment = ctx.params.get("environment") or "mainnet"
    known: Iterable[str] = ()
    if environment != "emulator":
        known = _remembered(exchange, environment)
    if not known:
        known = _emulated(exchange)
    wanted = incomplete.upper()
    return sorted(each for each in known if each.upper().startswith(wanted))[:_MOST]


# --- what is remembered ---


def _file(exchange: str, environment: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ccrs" / f"{exchange}-{environment}.symbols"


def remember(exchange: str, environment: str, found: Sequence[Instrument]) -> None:
    """Keep the symbols of an exchange for completion. Where that can't be done, nothing is lost."""
    file = _file(exchange, environment)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text("\n".join(each.symbol for each in found), "utf-8")
        fresh.replace(file)
    except OSError:
        pass


def _remembered(exchange: str, environment: str) -> list[str]:
    try:
        return _file(exchange, environment).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def _emulated(exchange: str) -> list[str]:
    import time

    from ccrs_core.model.instruments import unified_symbol

    try:
        dialect: Any = plugins.load(exchange)().dialect()
        listings = dialect.listings(time.time_ns())
    except Exception:  # a plugin's own mistake is no matter for whoever is typing
        return []
    return [
        unified_symbol(x.base, x.quote, x.settle, x.expiry_ns, x.strike, x.option_kind)
        for x in listings
    ]
