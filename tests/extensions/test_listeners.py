"""Listeners that a program hands to its clients."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from ccrs_kraken import Kraken

import ccrs_core
from ccrs_core import Options, UsageError, hookimpl, top_of_book
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.transport.memory import run


class Counting:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None]] = []
        self.states: list[str] = []

    @hookimpl
    def ccrs_request_finished(self, request: str, error: str | None) -> None:
        self.requests.append((request, error))

    @hookimpl
    def ccrs_session_changed(self, state: str) -> None:
        self.states.append(state)


class Raising:
    """A listener with a bug."""

    @hookimpl
    def ccrs_session_changed(self, state: str) -> None:
        raise RuntimeError(f"cannot count {state}")


def drop_once(*listeners: object) -> None:
    """A client whose connection is dropped once, in virtual time."""

    async def main() -> None:
        exchange = Kraken()
        venue = EmulatedExchange(exchange.dialect(), start_ns=1_790_000_000 * 10**9)
        client = ccrs_core.connect(
            exchange,
            base_url="http://emulator.invalid",
            transport=EmulatorTransport(venue),
            options=Options(backoff_initial=0.1),
            listeners=listeners,
        )
        async with client, client.subscribe(top_of_book("BTC/USD")) as feed:
            await feed.ready()
            venue.faults.add("drop")
            async for event in feed:
                if event.type == "resumed":
                    break

    run(main())


def test_a_listener_hears_what_happens_to_its_client_in_order_and_another_ones_not() -> None:
    heard, elsewhere = Counting(), Counting()
    drop_once(heard)
    drop_once(elsewhere)
    assert heard.states == ["connecting", "open", "waiting", "connecting", "open", "closed"]
    assert heard.requests
    assert all(error is None for _, error in heard.requests)
    assert elsewhere.states == heard.states, "each heard its own client alone"


def test_of_several_listeners_one_that_raises_is_logged_and_the_others_hear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, last = Counting(), Counting()
    with caplog.at_level(logging.ERROR, "ccrs.plugins"):
        drop_once(first, Raising(), last)
    assert first.states == last.states != []
    assert "cannot count open" in caplog.text


class Typo:
    @hookimpl
    def ccrs_request_finnished(self) -> None: ...


class Colour:
    @hookimpl
    def ccrs_request_finished(self, colour: str) -> None: ...


class Awaited:
    @hookimpl
    async def ccrs_request_finished(self) -> None: ...


class Deaf:
    def ccrs_request_finished(self) -> None: ...


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        (Typo(), "ccrs_request_finnished, which doesn't exist"),
        (Colour(), "colour"),
        (Awaited(), "never awaited"),
        (Deaf(), "hookimpl"),
        (None, "hookimpl"),
    ],
)
def test_what_could_never_be_called_is_refused_at_once(listener: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ccrs_core.connect(Kraken(), listeners=[listener])


def test_a_listener_given_twice_is_refused() -> None:
    twice = Counting()
    with pytest.raises(UsageError):
        ccrs_core.connect(Kraken(), listeners=[twice, twice])


def test_the_clients_of_several_exchanges_share_their_listeners() -> None:
    heard = Counting()
    clients = ccrs_core.connect_many(Kraken(), environment="emulator", listeners=iter([heard]))
    assert clients["kraken"]._hooks.get_plugins() == {heard}
