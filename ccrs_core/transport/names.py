"""Names to addresses, on threads of our own, so that look-ups that hang can't pile up.

The system's look-up can't be cancelled, and where the name server is gone it hangs for half a
minute. asyncio does it on the executor that everybody uses: hanging ones, one per attempt, fill it,
and what comes after the name server's return waits behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import aiohappyeyeballs  # aiohttp brings it
import attrs

from ccrs_core.errors import ConnectFailed
from ccrs_core.transport.base import SYSTEM_CLOCK
from ccrs_core.transport.pace import Deadline

AGAIN = 2.5
"""Seconds after which a look-up that hangs is begun anew beside it. Where more than EAGER hang, so
many times longer."""
EAGER = 3
MOST = 16
"""Look-ups of one name that run at a time; all but one of them hang."""
MOST_OF_ALL = 128
"""Look-ups of all names that run at a time."""

_HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds after which the next address of a name is tried as well (RFC 8305)."""

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""As ``socket.getaddrinfo`` has it."""

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[list[Address]]"]


@attrs.define(eq=False)
class _Name:
    """What is being looked up: who waits for it, and when the look-ups that run were begun."""

    host: str
    family: int
    waiters: set[_Waiter] = attrs.field(factory=set)
    running: dict[int, float] = attrs.field(factory=dict)
    count: int = 0


_lock = threading.Lock()
_names: dict[tuple[str, int], _Name] = {}
"""Of the process: clients and event loops share look-ups."""


async def look_up(
    host: str, port: int, *, seconds: float, family: int = socket.AF_UNSPEC
) -> list[Address]:
    """The addresses of a host.

    :raises OSError: where it has none; a ``socket.gaierror`` as a rule.
    :raises ConnectFailed: where none is found within so many seconds.
    """
    try:  # an address needs no thread
        found = _ask(host, family, socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await _wait(host, family, seconds)
    return [(*each[:4], (each[4][0], port, *each[4][2:])) for each in found]


async def dial(host: str, port: int, *, seconds: float, source: str | None = None) -> socket.socket:
    """A socket that is connected to one of a host's addresses, whichever is there first.

    :param seconds: for finding the addresses, not for connecting.
    :raises OSError: where none can be reached.
    :raises ConnectFailed: where none is found in time.
    """
    local = None if source is None else await look_up(source, 0, seconds=seconds)
    return await aiohappyeyeballs.start_connection(
        await look_up(host, port, seconds=seconds),
        local_addr_infos=local,
        happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY,
    )


async def one_address(host: str, seconds: float) -> str:
    """One of a host's addresses, as text, for those that take but one. See :func:`look_up`."""
    found = await look_up(host, 0, seconds=seconds)
    return text_of(min(found, key=lambda each: each[0] != socket.AF_INET)[4])


def text_of(address: tuple[Any, ...]) -> str:
    """An address without its port."""
    scope = address[3] if len(address) == 4 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])


async def _wait(host: str, family: int, seconds: float) -> list[Address]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()
    waiter = loop, answer
    with _lock:
        name = _names.setdefault((host, family), _Name(host, family))
        name.waiters.add(waiter)
        _begin(name)
    try:
        async with Deadline(seconds):
            while not (await asyncio.wait([answer], timeout=AGAIN))[0]:
                with _lock:
                    _begin(name)
    except TimeoutError:
        raise ConnectFailed(
            f"no address of {host} found within {seconds:g} s: the name server doesn't answer"
        ) from None
    finally:
        with _lock:
            name.waiters.discard(waiter)
            _forget(name)
        answer.cancel()
    return answer.result()


def _begin(name: _Name) -> None:
    """Begin a look-up, unless one runs that hasn't hung for long."""
    running, now = name.running, SYSTEM_CLOCK.monotonic()
    if running:
        pause = AGAIN * max(1, len(running) - EAGER)
        # Timers may be a little early.
        if now < max(running.values()) + 0.9 * pause or len(running) >= MOST:
            return
    if sum(len(each.running) for each in _names.values()) >= MOST_OF_ALL:
        return
    number = name.count = name.count + 1
    # A daemon: one that hangs mustn't keep the process from its end.
    thread = threading.Thread(
        target=_run, args=(name, number), name=f"ccrs look-up of {name.host}", daemon=True
    )
    with contextlib.suppress(RuntimeError):  # no thread can be had: the next round tries again
        thread.start()
        running[number] = now


def _run(name: _Name, number: int) -> None:
    found: list[Address] = []
    failure: Exception | None = None
    try:
        flags = 0 if name.host == "localhost" else socket.AI_ADDRCONFIG
        found = _ask(name.host, name.family, flags)
    except Exception as error:
        failure = error
    with _lock:
        name.running.pop(number, None)
        # Where a later one runs, it knows more of the present than the failure of this one.
        if failure is not None and any(other > number for other in name.running):
            return
        waiters, name.waiters = name.waiters, set()
        _forget(name)
    for loop, answer in waiters:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle, answer, found, failure)


def _forget(name: _Name) -> None:
    if not name.running and not name.waiters:
        key = name.host, name.family
        if _names.get(key) is name:
            del _names[key]


def _settle(
    answer: asyncio.Future[list[Address]], found: list[Address], failure: Exception | None
) -> None:
    if answer.done():
        return
    if failure is None:
        answer.set_result(found)
    else:  # each gets its own, since tracebacks grow
        answer.set_exception(type(failure)(*failure.args))


def _ask(host: str, family: int, flags: int) -> list[Address]:
    return list(_usable(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, 0, flags)))


def _usable(found: list[Any]) -> Iterator[Address]:
    for family, kind, protocol, name, address in found:
        if len(address) == 4 or family == socket.AF_INET:
            yield family, kind, protocol, name, address
