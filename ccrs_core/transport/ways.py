"""Different ways to an exchange, so that racing connections don't share what slows one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.masking import shown_url


def _checked_source(instance: Any, field: Any, value: Any) -> None:
    import ipaddress  # on first use, as all that only ways need

    if value is None:
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise UsageError(
            f"the source of a way is an IP address of this machine, not {value!r:.100}"
        ) from None


def _checked_proxy(instance: Any, field: Any, value: Any) -> None:
    if value is not None:
        _shown_proxy(str(value))


def _shown_proxy(url: str) -> str:
    """A proxy without its credentials.

    :raises UsageError: where it is none.
    """
    from ccrs_core.transport.proxy import parse_proxy

    return str(parse_proxy(url))


def _checked_addresses(instance: Any, field: Any, value: Mapping[str, str]) -> None:
    for name, url in value.items():
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.netloc:
            raise UsageError(f"the address {name!r:.100} of a way must look like wss://host")


def _bare(urls: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(urls, Mapping):
        raise UsageError(f"the addresses of a way are URLs by name, not {urls!r:.100}")
    return {name: str(url).rstrip("/") for name, url in urls.items()}


@attrs.frozen(kw_only=True)
class Way:
    """How a connection reaches its exchange; what isn't said is as in ``Options.transport``.

    ``source`` is the local IP address to connect from, ``proxy`` a proxy's URL (as
    ``TransportOptions.proxy``), ``addresses`` are URLs by name (as of :func:`connect`) that the
    streams have there.

    :raises UsageError: for a source, a proxy or an address that is none.
    """

    source: str | None = attrs.field(default=None, validator=_checked_source)
    proxy: str | None = attrs.field(default=None, repr=False, validator=_checked_proxy)
    addresses: Mapping[str, str] = attrs.field(
        factory=dict,
        repr=lambda urls: repr({name: shown_url(url) for name, url in urls.items()}),
        converter=_bare,
        validator=_checked_addresses,
    )

    @classmethod
    def parse(cls, text: str) -> Way:
        """A way as text, its parts separated by commas: ``10.0.0.2``, ``socks5://host:1080``,
        ``public=wss://host``; ``direct`` alone for one that says nothing.

        :raises UsageError: where a part is none of these, or is said twice.
        """
        source: str | None = None
        proxy: str | None = None
        addresses: dict[str, str] = {}
        for part in [] if text.strip() == "direct" else map(str.strip, text.split(",")):
            name, equals, url = part.partition("=")
            if equals and name.isidentifier() and name not in addresses:
                addresses[name] = url
            elif "://" in part and proxy is None:
                proxy = part
            elif part and "://" not in part and not equals and source is None:
                source = part
            else:
                raise UsageError(
                    "a way is an IP address of this machine, a proxy's URL, NAME=URL of an address "
                    "of the exchange, several of them with commas between, or direct"
                )
        return cls(source=source, proxy=proxy, addresses=addresses)

    def __str__(self) -> str:
        said = [] if self.source is None else [f"from {self.source}"]
        if self.proxy is not None:
            said.append(f"through {_shown_proxy(self.proxy)}")
        said += [f"{name} at {shown_url(url)}" for name, url in self.addresses.items()]
        return ", ".join(said) or "direct"

    def options(self, usual: TransportOptions) -> TransportOptions:
        """What its transport is set to."""
        return attrs.evolve(
            usual,
            proxy=usual.proxy if self.proxy is None else self.proxy,
            source_address=usual.source_address if self.source is None else self.source,
        )

    def exit(self, usual: TransportOptions) -> str:
        """What tells the address apart by which exchanges know and limit who comes this way; empty
        where it is the usual one."""
        own = self.options(usual)
        if (own.proxy, own.source_address) == (usual.proxy, usual.source_address):
            return ""
        proxy = "" if own.proxy is None else _shown_proxy(own.proxy)
        return f"{own.source_address or ''}>{proxy}"


def check_ways(exchange: Exchange, ways: Iterable[Way]) -> None:
    """Refuse addresses that an exchange doesn't know the names of.

    :raises UsageError: naming those that it has.
    """
    known = exchange.environments["mainnet"].addresses
    for way in ways:
        unknown = sorted(set(way.addresses) - set(known))
        if unknown:
            raise UsageError(
                f"{exchange.name} has no address {', '.join(unknown)} ({way}); it has "
                f"{', '.join(sorted(known))}"
            )
