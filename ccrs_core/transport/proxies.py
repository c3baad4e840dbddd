"""Which proxy leads to a URL: that of the options, or on request that of the environment.

The variables are those that curl knows: ``https_proxy`` (for wss:// too), ``http_proxy`` (for
ws:// too), ``all_proxy`` for either, ``no_proxy`` for what is reached directly; in capitals as
well, small letters first. A name in ``no_proxy`` means its subdomains, too; addresses may be
networks (``10.0.0.0/8``), each may have a port, and ``*`` means everything.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from ccrs_core.errors import UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.proxy import Proxy, parse_proxy

_SECURE = {"https": True, "wss": True, "http": False, "ws": False}
_PORTS = {True: 443, False: 80}


class Proxies:
    """The proxies of one transport, read once.

    :raises UsageError: where one isn't a proxy; the text isn't repeated.
    """

    def __init__(
        self, options: TransportOptions, environment: Mapping[str, str] | None = None
    ) -> None:
        self._fixed = None if options.proxy is None else parse_proxy(options.proxy)
        self._secure: Proxy | None = None
        self._plain: Proxy | None = None
        self._direct: list[tuple[str, int | None]] = []
        if self._fixed is None and options.trust_env:
            told = os.environ if environment is None else environment
            every = _read(told, "all_proxy")
            self._secure = _read(told, "https_proxy") or every
            self._plain = _read(told, "http_proxy") or every
            self._direct = [_rule(text) for text in _variable(told, "no_proxy").split(",")]

    @property
    def all(self) -> tuple[Proxy, ...]:
        """Each of them."""
        return tuple(p for p in (self._fixed, self._secure, self._plain) if p is not None)

    def to(self, url: str) -> Proxy | None:
        """The one that leads to a URL; None: it is dialled directly.

        What the environment names isn't used for this machine itself.
        """
        if self._fixed is not None or (self._secure is None and self._plain is None):
            return self._fixed
        try:
            parts = urlsplit(url)
            host, port, secure = parts.hostname, parts.port, _SECURE[parts.scheme]
        except (KeyError, ValueError):
            return None  # whoever dials it says what is wrong
        found = self._secure if secure else self._plain
        if found is None or host is None or _is_here(host):
            return None
        wanted = _PORTS[secure] if port is None else port
        for rule, only in self._direct:
            if only in (None, wanted) and _matches(host, rule):
                return None
        return found


def _variable(environment: Mapping[str, str], name: str) -> str:
    found = environment.get(name)
    if found is None and not (name == "http_proxy" and "REQUEST_METHOD" in environment):
        # In a CGI script HTTP_PROXY may be what a visitor has sent as a header.
        found = environment.get(name.upper())
    return (found or "").strip()


def _read(environment: Mapping[str, str], name: str) -> Proxy | None:
    text = _variable(environment, name)
    if not text:
        return None
    try:
        return parse_proxy(text if "://" in text else f"http://{text}")
    except UsageError as error:
        raise UsageError(f"{name} of the environment: {error}") from None


def _rule(text: str) -> tuple[str, int | None]:
    """A host, network or ``*``, and the only port that is meant."""
    host, colon, port = text.strip().lower().rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        return host.strip("[]").lstrip("."), int(port)
    return text.strip().lower().strip("[]").lstrip("."), None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _matches(host: str, rule: str) -> bool:
    if not rule:
        return False
    if rule == "*":
        return True
    address = _address(host)
    if address is None:
        return host == rule or host.endswith(f".{rule}")
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
