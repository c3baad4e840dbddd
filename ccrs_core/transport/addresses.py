"""Which addresses a client dials: an environment's, or those that override every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from ccrs_core.contract.exchange import Environment, Exchange
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.transport.masking import shown_url

EMULATOR = "emulator"
"""The environment that runs inside the process."""

_SECURE = {"http": False, "ws": False, "https": True, "wss": True}


def resolve_addresses(
    exchange: Exchange,
    environment: str,
    base_url: str | None,
    addresses: Mapping[str, str] | None,
) -> dict[str, str] | None:
    """The addresses to dial, None for those of the emulator, which has yet to be started."""
    if base_url is not None and addresses is not None:
        raise UsageError("give either base_url or addresses, not both")
    if base_url is not None:
        return everything_at(base_url, exchange)
    if environment == EMULATOR and addresses is None:
        if exchange.dialect() is None:
            raise Unsupported(f"{exchange.name} ships no emulator")
        return None
    known = {} if environment == EMULATOR else _environment(exchange, environment).addresses
    if addresses is None:
        return dict(known)
    names = exchange.environments["mainnet"].addresses
    if not addresses or not set(addresses) <= set(names):
        raise UsageError(
            f"addresses may name {', '.join(sorted(names))}, not "
            f"{', '.join(sorted(set(addresses) - set(names))) or 'none of them'}"
        )
    if environment == EMULATOR and set(names) != set(addresses):
        raise UsageError(
            f"addresses must name all of {', '.join(sorted(names))}: the emulator is started only "
            "where none is named"
        )
    for name, url in addresses.items():
        if not _is_place(str(url)):
            shown = shown_url(str(url))
            raise UsageError(f"the address {name} must look like wss://host, not {shown!r:.100}")
    return {**known, **{name: url.rstrip("/") for name, url in addresses.items()}}


class Reachable(dict[str, str]):
    """Addresses by name; to ask for one that the environment hasn't is a mistake of the user's."""

    def __init__(self, addresses: Mapping[str, str], where: str) -> None:
        super().__init__(addresses)
        self._where = where

    def but(self, others: Mapping[str, str]) -> Reachable:
        """The same with others in the place of some."""
        return Reachable({**self, **others}, self._where)

    def __missing__(self, name: str) -> str:
        raise Unsupported(
            f"{self._where} has no address {name!r}, only {', '.join(sorted(self))}: choose "
            "another environment, or name the address (addresses={...})"
        )


def _environment(exchange: Exchange, name: str) -> Environment:
    if name not in exchange.environments:
        names = ", ".join([*exchange.environments, EMULATOR])
        raise UsageError(f"{exchange.name} has no environment {name!r}; it has {names}")
    return exchange.environments[name]


def headers_of(exchange: Exchange, environment: str) -> Mapping[str, str]:
    """What each request of an environment carries, whatever host takes its place."""
    found = exchange.environments.get(environment)
    return {} if found is None else found.headers


def named(environment: str, base_url: str | None, addresses: Mapping[str, str] | None) -> str:
    """What to call the place that is dialled: the environment, or the host that takes its place.

    Without user name and password, wherever they may stand.
    """
    override = base_url or next(iter((addresses or {}).values()), None)
    if override is None:
        return environment
    return urlsplit(str(override)).netloc.rpartition("@")[2]


def _has_port_or_none(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:  # no number, or above 65535
        return False


def _is_place(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in _SECURE and bool(parts.netloc) and _has_port_or_none(parts)


def everything_at(base_url: str, exchange: Exchange) -> dict[str, str]:
    """The addresses of an exchange all of whose hosts are one, such as its emulator."""
    parts = urlsplit(base_url)
    if not _is_place(base_url):
        raise UsageError(
            f"base_url must look like http://127.0.0.1:8080, not {shown_url(base_url)!r}"
        )
    secure = "s" if _SECURE[parts.scheme] else ""
    rest = parts.netloc + parts.path.rstrip("/")
    return {
        name: f"{'ws' if url.startswith('ws') else 'http'}{secure}://{rest}"
        + exchange.base_url_paths.get(name, "")
        for name, url in exchange.environments["mainnet"].addresses.items()
    }
