"""``ccrs emulator``: an exchange on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import completion, form, interrupts
from ccrs_core.cli.output import note
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.model.instruments import Market, unified_symbol

if TYPE_CHECKING:
    from ccrs_core.cli.live.counting import CountingServer
    from ccrs_core.emulator import EmulatedExchange


_REPORT_SECONDS = 0.5

_FAULTS = {
    "refuse": "refuse WebSocket handshakes, with status=, else by dropping TCP",
    "slow_handshake": "let handshakes take seconds=",
    "drop": "abort the TCP connection",
    "close": "close the WebSocket with code= and reason=",
    "half_open": "neither read nor send any more, but keep the socket open",
    "shutdown_notice": "announce a shutdown, as the exchange does",
    "stall": "send no data of topic=; requests are still answered",
    "mute": "acknowledge subscriptions that are made from now on, and send nothing of them",
    "silence": "send nothing more of what is subscribed now, until it is subscribed anew",
    "stall_all": "send nothing at all, not even answers",
    "delay": "send frames seconds= late",
    "duplicate": "send a data frame twice",
    "reorder": "send a data frame after the topic's next one",
    "truncate": "cut a data frame short",
    "corrupt": "overwrite some characters of a data frame",
    "gap": "leave out a data frame",
    "restart": "begin the exchange's update numbers anew",
    "slow_ack": "acknowledge subscriptions seconds= late",
    "no_ack": "serve subscriptions without acknowledging them",
    "busy": "refuse requests to subscribe for now, as the exchange does where it is busy",
    "http": "answer REST requests with status=; with effect=yes after carrying them out",
    "garble": "spoil the answers to REST requests: how=empty, html, cut, gzip or redirect",
    "blank": "leave optional fields blank",
    "lose_answer": "drop the connection instead of answering; effect=no: before carrying it out",
    "slow_answer": "answer requests seconds= late",
    "unclear": "answer as the exchange does where it doesn't know what came of a request",
    "lag": "let lists of an account tell seconds= later of what has happened",
    "no_login": "never answer logins on WebSockets",
    "revoke": "let keys like key= not work",
    "clock": "let the exchange's clock be seconds= fast (below zero: slow)",
    "ban": "refuse all requests and handshakes, with status=403 unless told",
}
_SETTINGS = {
    "target": "all, random or the number of a connection",
    "path": "only connections (requests) of such a path; * and ? are wildcards",
    "topic": "only topics of such a name; * and ? are wildcards",
    "after": "seconds until it begins",
    "every": "begin again after so many seconds",
    "duration": "seconds until it is over",
    "probability": "of each hit, above 0 and at most 1",
    "count": "hits until it is over",
    "seconds": "how long delays are",
    "status": "of HTTP answers",
    "code": "of closed WebSockets",
    "reason": "of closed WebSockets",
    "how": "answers are garbled",
    "effect": "yes or no: whether a request whose answer is spoiled was carried out",
    "key": "only such keys; * and ? are wildcards",
}


@click.command("emulator", short_help="Run an exchange of its own protocol on this machine.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port to listen on; 0: a free one."
)
@click.option("--seed", default=0, show_default=True, help="Decides everything that is random.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=50.0,
    show_default=True,
    help="Changes per second of each market's best bid or ask.",
)
@click.option("--tls", is_flag=True, help="Serve https:// and wss://.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="Such as drop,every=5,target=random; may be repeated. --fault help lists them.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="KEY:SECRET",
    help="Open an account with play money for such a key; may be repeated. There always is one for "
    "emulator:emulator.",
)
@click.option(
    "--money-tape",
    "tape",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all that touches accounts' money to a file, as lines of JSON.",
)
@click.option(
    "--replay",
    "recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play a recording instead of simulated markets.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the recording.",
)
def command(
    exchange: str,
    host: str,
    port: int,
    seed: int,
    rate: float,
    tls: bool,
    faults: Sequence[str],
    accounts: Sequence[str],
    tape: Path | None,
    recording: Path | None,
    speed: float,
) -> None:
    """Run an emulated EXCHANGE that any client of the real one can be pointed at, until Ctrl-C."""
    if "help" in faults:
        _list_faults()
        return
    from ccrs_core.cli.live.counting import CountingServer
    from ccrs_core.emulator import EmulatedExchange, parse_fault
    from ccrs_core.extensions import exchanges as plugins

    dialect = plugins.load(exchange)().dialect()
    if dialect is None:
        raise Unsupported(f"{exchange} ships no emulator")
    wanted = [parse_fault(fault) for fault in faults]
    venue = EmulatedExchange(
        dialect,
        seed=seed,
        rate=rate,
        start_ns=time.time_ns(),
        rebroadcast=None if recording is None else _rebroadcast(recording, speed),
    )
    for account in accounts:
        _open(venue, account)
    if tape is not None:
        # Unbuffered, so that what has happened is there whatever ends this process.
        file = tape.open("wb", buffering=0)
        venue.desk.tape.copy_to(lambda line: file.write(line.encode()))
    server = CountingServer(venue, host=host, port=port, tls=tls, faults=wanted)
    interrupts.run(_serve(server, exchange, recording, trades=venue.dialect.desk is not None))


def _open(venue: EmulatedExchange, text: str) -> None:
    """Open an account with play money, for a key and its secret."""
    from ccrs_core.emulator import ApiKey

    name, _, secret = text.partition(":")
    if not name or not secret:
        raise UsageError("--account is KEY:SECRET")
    desk = venue.desk
    if name not in desk.accounts:
        desk.open_account(name)
    desk.add_key(ApiKey(key=name, secret=secret, account=name))


def _list_faults() -> None:
    for title, meanings in (("Faults", _FAULTS), ("Settings", _SETTINGS)):
        click.echo(f"{title}:")
        for name, meaning in meanings.items():
            click.echo(f"  {name:16}{meaning}")
    click.echo("Such as: --fault drop,every=5,target=random --fault stall,after=10,duration=3")


def _rebroadcast(path: Path, speed: float) -> Any:
    from ccrs_core.emulator import Rebroadcast, RecordedFrame
    from ccrs_core.recordings.replay import received_frames

    frames = [RecordedFrame(ns, frame) for ns, frame in received_frames(path)]
    if not frames:
        raise UsageError(f"{path} holds no frames")
    return Rebroadcast(frames, speed=speed)


async def _serve(
    server: CountingServer, exchange: str, recording: Path | None, *, trades: bool
) -> None:
    async with server:
        with _trusted(server) as ca_file:
            option = "" if ca_file is None else f" --ca-file {ca_file}"
            click.echo(f"{exchange} emulator at {server.url} and {server.ws_url}")
            symbol = "SYMBOL" if recording is not None else _first_symbol(server)
            click.echo(
                f"try: ccrs watch {exchange} {symbol} --base-url {server.url}{option} "
                "--connections 5"
            )
            if trades:
                click.echo(
                    f"play money: ccrs balance {exchange} --environment emulator "
                    f"--base-url {server.url}{option}; key, secret and passphrase are emulator"
                )
            sys.stdout.flush()
            await _report(server)


def _first_symbol(server: CountingServer) -> str:
    """One that is worth watching."""
    spot = [x for x in server.venue.listings.values() if x.market is Market.SPOT]
    found = min(spot, key=lambda x: (x.base != "BTC", x.quote != "USDT"), default=None)
    return "SYMBOL" if found is None else unified_symbol(found.base, found.quote)


@contextlib.contextmanager
def _trusted(server: CountingServer) -> Iterator[Path | None]:
    """The throw-away certificate authority as a file for clients in other processes."""
    if server.ssl_context is None:
        yield None
        return
    own = [
        der
        for der, known in zip(
            server.ssl_context.get_ca_certs(binary_form=True),
            server.ssl_context.get_ca_certs(),
            strict=True,
        )
        if "trustme" in str(known.get("subject"))
    ]
    with interrupts.scratch("ccrs-emulator-") as folder:
        path = Path(folder) / "ca.pem"
        path.write_text("".join(map(ssl.DER_cert_to_PEM_cert, own)))
        yield path


async def _report(server: CountingServer) -> None:
    """Say what goes on, in one line that is overwritten, on terminals only; for ever."""
    if not sys.stderr.isatty():
        await asyncio.Event().wait()
    began, last, last_at = time.monotonic(), 0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            now, sent = time.monotonic(), server.frames
            pace = (sent - last) / (now - last_at)
            last, last_at = sent, now
            text = (
                f"{form.span(now - began)}  {server.connections} connections  "
                f"{form.count(sent)} frames  {form.rate(pace)}/s"
            )
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
    finally:
        note("")
