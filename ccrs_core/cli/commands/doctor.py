"""``ccrs doctor``: the way to an exchange, step by step, each with a verdict."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.output import progress
from ccrs_core.cli.verdicts import FAILED, OK, UNUSED, Verdict
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import Alive, Codec, Data, Outbound, Refused
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Exchange, resolve
from ccrs_core.errors import CcrsError, ConnectFailed, TimedOut, UsageError
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.transport.masking import shown_url
from ccrs_core.transport.trouble import said

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.transport.base import Connection, Transport, TransportOptions

_REQUESTS = 10
_REQUEST = "1"
"""Ids of requests are decimal digits."""
_PINGS = 5
_STEP_SECONDS = 10.0
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SKEW_MS = 1000.0
"""Beyond this exchanges begin to refuse signed requests."""
_CERTIFICATE_DAYS = 7


@click.command("doctor", short_help="Check the way to an exchange, step by step.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option(
    "--account",
    metavar="NAME",
    help="Check this account, too: its keys, what they may do, its mode, its streams.",
)
@options.target
def command(exchange: str, account: str | None, **where: Any) -> int:
    """Check the way to EXCHANGE: name, TCP, TLS, clock, REST, WebSocket, data; with --account also
    its keys, what they may do, its mode, its private streams. Nothing is placed.

    One line and a verdict each; ends with 1 where anything failed.
    """

    transport = options.settings(exchange, **where).transport

    async def main() -> int:
        failed = 0
        async with options.client(exchange, **where) as client:
            with progress(f"checking {exchange}"):
                async for verdict in examine(client, transport):
                    failed += verdict.outcome == FAILED
                    verdict.say()
            if account is not None:
                from ccrs_core.cli import account_check

                with progress(f"checking the account {account}"):
                    async for verdict in account_check.examine(client, exchange, account, **where):
                        failed += verdict.outcome == FAILED
                        verdict.say()
        return failed

    failed = interrupts.run(main())
    click.echo(f"{failed} of the checks failed" if failed else "all is well")
    return 1 if failed else 0


async def examine(client: Client, transport_name: str | None = None) -> AsyncIterator[Verdict]:
    """Check everything, one verdict after the other; what builds on a failed step is left out."""
    addresses, settings = client._addresses, client.options.transport
    assert addresses is not None
    exchange = client.exchange
    reachable: set[str] = set()
    from ccrs_core.transport.proxies import Proxies

    proxies = Proxies(settings)
    ways: dict[tuple[str, str, int], bool] = {}
    for url in (addresses["rest"], *_stream_urls(exchange, addresses)):
        proxy = proxies.to(url)
        ways[_host(url if proxy is None else str(proxy))] = proxy is not None
    for (scheme, host, port), through in ways.items():
        good = True
        async for verdict in _network(scheme, host, port, settings, through=through):
            good = good and verdict.outcome != FAILED
            yield verdict
        if good:
            reachable.add(host)
    from ccrs_core.transport.choice import described, make_transport

    transport = make_transport(transport_name, settings)
    try:
        yield Verdict("transport", OK, described(transport))
        first = proxies.to(addresses["rest"])
        if _host(addresses["rest"] if first is None else str(first))[1] not in reachable:
            return
        async for verdict in _rest(exchange, transport, addresses["rest"], client._headers):
            yield verdict
        market = next((m for m in Market if exchange.capabilities.channels.get(m)), None)
        if market is None:
            yield Verdict("market data", UNUSED, f"{exchange.name} declares no channels")
            return
        try:
            instrument = await _instrument(client, market)
            yield Verdict("instruments", OK, f"{instrument.symbol} stands for all in what follows")
        except Exception as error:  # the plugin's own mistakes are verdicts, too
            yield Verdict("instruments", FAILED, _text(error))
            return
        async for verdict in _stream(exchange, transport, instrument, addresses):
            yield verdict
    finally:
        await transport.aclose()


def _host(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    if parts.hostname is None:
        raise UsageError(f"{shown_url(url)} names no host")
    # REST and streams of one host share a line.
    scheme = "tls" if parts.scheme in {"https", "wss"} else "plain"
    return scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme, 1080)


def _stream_urls(exchange: Exchange, addresses: Any) -> list[str]:
    """What the routes of public streams dial, without asking for instruments first."""
    found = []
    for market, channels in exchange.capabilities.channels.items():
        sample = Instrument(
            exchange=exchange.name, symbol="A/B", native="AB", market=market, base="A", quote="B"
        )
        for channel in channels:
            with contextlib.suppress(Exception):  # a plugin may insist on a real instrument
                subscription = resolve(exchange, channel, sample, None, "1m")
                found.append(exchange.route(subscription).at(addresses))
                break
    return found


# --- Name, TCP, TLS -------------------------------------------------------------------------


async def _network(
    scheme: str, host: str, port: int, settings: TransportOptions, *, through: bool
) -> AsyncIterator[Verdict]:
    from ccrs_core.transport.names import dial, look_up

    began = time.perf_counter()
    try:
        found = await look_up(host, port, seconds=_STEP_SECONDS)
    except (OSError, ConnectFailed) as error:
        yield Verdict("resolve", FAILED, f"{host}: {_text(error)}")
        return
    ips = list(dict.fromkeys(str(info[4][0]) for info in found))
    shown = ", ".join(ips[:3]) + (f" and {len(ips) - 3} more" if len(ips) > 3 else "")
    yield Verdict("resolve", OK, f"{host} → {shown} in {_since(began)}")
    began = time.perf_counter()
    source = settings.source_address
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            sock = await dial(host, port, seconds=_STEP_SECONDS, source=source)
            _, writer = await asyncio.open_connection(sock=sock)
    except (OSError, TimeoutError, ConnectFailed) as error:
        yield Verdict("TCP", FAILED, f"{host}:{port}: {_text(error)}")
        return
    yield Verdict("TCP", OK, f"{host}:{port} in {_since(began)}")
    try:
        if scheme != "tls":
            reason = "to the proxy" if through else "the address is a plain one"
            yield Verdict("TLS", UNUSED, reason)
        else:
            yield await _tls(writer, host, settings)
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _tls(writer: asyncio.StreamWriter, host: str, settings: TransportOptions) -> Verdict:
    began = time.perf_counter()
    try:
        context = settings.ssl or ssl.create_default_context()
        async with asyncio.timeout(_STEP_SECONDS):
            await writer.start_tls(context, server_hostname=host)
    except (OSError, ssl.SSLError, TimeoutError) as error:
        return Verdict("TLS", FAILED, f"{host}: {_text(error)}")
    took = _since(began)
    tls: Any = writer.get_extra_info("ssl_object")
    text = f"{tls.version()} in {took}"
    expiry = (tls.getpeercert() or {}).get("notAfter")
    if expiry:
        days = (ssl.cert_time_to_seconds(expiry) - time.time()) / 86_400
        text += f", certificate valid for {days:.0f} days"
        if days < _CERTIFICATE_DAYS:
            text += " only"
    return Verdict("TLS", OK, text)


# --- REST -----------------------------------------------------------------------------------


async def _rest(
    exchange: Exchange, transport: Transport, base_url: str, headers: Mapping[str, str]
) -> AsyncIterator[Verdict]:
    from ccrs_core.contract.rest import GetServerTime

    endpoint = exchange.endpoints.get(GetServerTime)
    if endpoint is None:
        yield Verdict("REST round trip", UNUSED, f"{exchange.name} tells no time")
        return
    trips: list[float] = []
    offsets: list[tuple[float, float]] = []
    try:
        for _ in range(_REQUESTS):
            request = endpoint.encode(GetServerTime(), None)
            request = attrs.evolve(request, headers={**headers, **request.headers})
            sent_ns, began = time.time_ns(), time.perf_counter()
            response = await transport.request(base_url, request)
            took = (time.perf_counter() - began) * 1000
            error = exchange.error_of(response)
            if error is not None:
                raise error
            answer: int = endpoint.decode(GetServerTime(), response, time.time_ns(), None).value
            trips.append(took)
            # Half the round trip ago is the best guess of when the exchange read its clock.
            offsets.append((took, (answer - sent_ns) / 1e6 - took / 2))
    except Exception as failure:  # the plugin's own mistakes are verdicts, too
        yield Verdict("REST round trip", FAILED, _text(failure))
        return
    # The first one pays for the connection.
    yield Verdict(
        "REST round trip",
        OK,
        f"{_percentiles(trips[1:])} of {len(trips) - 1}, {form.ms(trips[0])} ms when connecting",
    )
    took, offset = min(offsets)
    fine = abs(offset) - took / 2 < _SKEW_MS
    side = "ahead of" if offset > 0 else "behind"
    text = f"the exchange is {form.ms(abs(offset))} ms {side} this machine (± {form.ms(took / 2)})"
    if not fine:
        text += ": set this machine's clock by NTP"
    yield Verdict("clock", OK if fine else FAILED, text)


async def _instrument(client: Client, market: Market) -> Instrument:
    """A lively one: its market's first, unless there is a well-known one."""
    found = await client.get_instruments(market)
    trading = [i for i in found if i.status is InstrumentStatus.TRADING]
    if not trading:
        raise UsageError(f"no {market.value} instrument is traded now")
    return min(trading, key=lambda i: (i.base != "BTC", i.quote not in {"USDT", "USD"}))


# --- WebSocket ------------------------------------------------------------------------------


async def _stream(
    exchange: Exchange, transport: Transport, instrument: Instrument, addresses: Any
) -> AsyncIterator[Verdict]:
    offered = exchange.capabilities.channels[instrument.market]
    channel = next(c for c in Channel if c in offered)
    subscription = resolve(exchange, channel, instrument, None, None)
    route = exchange.route(subscription)
    url = route.at(addresses)
    began = time.perf_counter()
    try:
        connection = await transport.connect(url, route.headers)
    except ConnectFailed as error:
        yield Verdict("WebSocket handshake", FAILED, str(error))
        return
    yield Verdict("WebSocket handshake", OK, f"{shown_url(url)} in {_since(began)}")
    line = _Line(exchange.codec(route), connection, url)
    try:
        yield await line.pings()
        yield await line.data(subscription)
    except Exception as error:  # the plugin's own mistakes are verdicts, too
        yield Verdict("WebSocket", FAILED, _text(error))
    finally:
        await connection.close()


class _Line:
    """An open WebSocket, asked one thing after the other."""

    def __init__(self, codec: Codec, connection: Connection, url: str) -> None:
        self._codec = codec
        self._connection = connection
        self._url = url

    async def _send(self, frame: Outbound) -> None:
        access = Access(now_ms=time.time_ns() // NS_PER_MS, url=self._url)
        await self._connection.send(self._codec.sign(frame, access))

    async def _await(self, *kinds: type[Any]) -> Any:
        """The next message of one of these kinds."""
        async with asyncio.timeout(_STEP_SECONDS):
            while True:
                for frame in await self._connection.receive():
                    if self._codec.compression is not None:
                        frame = inflate(frame, self._codec.compression)  # noqa: PLW2901
                    for message in self._codec.decode(frame, time.time_ns()):
                        if isinstance(message, kinds):
                            return message

    async def pings(self) -> Verdict:
        what = "WebSocket ping"
        trips = []
        for number in range(_PINGS):
            ping = self._codec.ping(str(number))
            if ping is None:
                return Verdict(what, UNUSED, "protocol-level pings can't be timed from here")
            began = time.perf_counter()
            await self._send(ping)
            try:
                await self._await(Alive)
            except TimeoutError:
                return Verdict(what, FAILED, f"no pong in {_STEP_SECONDS:g} s")
            trips.append((time.perf_counter() - began) * 1000)
        return Verdict(what, OK, f"{_percentiles(trips)} of {len(trips)}")

    async def data(self, subscription: Subscription) -> Verdict:
        what = "market data"
        began = time.perf_counter()
        await self._send(self._codec.subscribe([subscription], _REQUEST))
        try:
            message = await self._await(Data, Refused)
            if isinstance(message, Refused):
                return Verdict(what, FAILED, f"{subscription}: {message.text}")
        except TimeoutError:
            return Verdict(what, FAILED, f"{subscription}: nothing in {_STEP_SECONDS:g} s")
        return Verdict(what, OK, f"{subscription}: first event after {_since(began)}")


# --- Texts ----------------------------------------------------------------------------------


def _since(began: float) -> str:
    return f"{form.ms((time.perf_counter() - began) * 1000)} ms"


def _percentiles(trips: Sequence[float]) -> str:
    ordered = sorted(trips)
    p90 = ordered[min(int(len(ordered) * 0.9), len(ordered) - 1)]
    return (
        f"p50 {form.ms(statistics.median(ordered))} ms, p90 {form.ms(p90)} ms, "
        f"max {form.ms(ordered[-1])} ms"
    )


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer in {_STEP_SECONDS:g} s"
    if isinstance(error, TimedOut | CcrsError):
        return str(error)
    if isinstance(error, OSError):
        return said(error)
    return f"{type(error).__name__}: {error}"
