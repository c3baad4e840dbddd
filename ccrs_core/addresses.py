"""Which addresses a client dials: an environment's, or those that override every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.exchange import Exchange

EMULATOR = "emulator"
"""The environment that runs inside the process."""


def resolve_addresses(
    exchange: Exchange,
    environment: str,
    base_url: str | None,
    addresses: Mapping[str, str] | None,
) -> dict[str, str] | None:
    """The addresses to dial, None for those of the emulator, which has yet to be started."""
    known = exchange.environments["mainnet"].addresses
    if base_url is not None and addresses is not None:
        raise UsageError("give either base_url or addresses, not both")
    if base_url is not None:
        return everything_at(base_url, exchange)
    if addresses is not None:
        if set(addresses) != set(known):
            raise UsageError(
                f"addresses must name all of {', '.join(sorted(known))} (so that nothing else is "
                f"dialled), not {', '.join(sorted(addresses)) or 'none'}"
            )
        return {name: url.rstrip("/") for name, url in addresses.items()}
    if environment == EMULATOR:
        if exchange.dialect() is None:
            raise Unsupported(f"{exchange.name} ships no emulator")
        return None
    if environment not in exchange.environments:
        names = ", ".join([*exchange.environments, EMULATOR])
        raise UsageError(f"{exchange.name} has no environment {environment!r}; it has {names}")
    return dict(exchange.environments[environment].addresses)


def named(environment: str, base_url: str | None, addresses: Mapping[str, str] | None) -> str:
    """What to call the place that is dialled: the environment, or the host that takes its place.

    Without user name and password, wherever they may stand.
    """
    override = base_url or next(iter((addresses or {}).values()), None)
    if override is None:
        return environment
    return urlsplit(override).netloc.rpartition("@")[2]


def everything_at(base_url: str, exchange: Exchange) -> dict[str, str]:
    """The addresses of an exchange all of whose hosts are one, such as its emulator."""
    parts = urlsplit(base_url)
    plain = {"http": False, "ws": False, "https": True, "wss": True}
    if parts.scheme not in plain or not parts.netloc:
        raise UsageError(f"base_url must look like http://127.0.0.1:8080, not {base_url!r}")
    secure = "s" if plain[parts.scheme] else ""
    rest = parts.netloc + parts.path.rstrip("/")
    return {
        name: f"{'ws' if url.startswith('ws') else 'http'}{secure}://{rest}"
        + exchange.base_url_paths.get(name, "")
        for name, url in exchange.environments["mainnet"].addresses.items()
    }
