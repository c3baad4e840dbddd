"""Which addresses a client dials, and that it dials no others."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import ccrs_core
from ccrs_core import (
    Client,
    Unsupported,
    UsageError,
    top_of_book,
)
from ccrs_core.transport.memory import MemoryTransport
from tests.scripted import TIME, Rest
from tests.toy import Toy


def dialled_by(**settings: Any) -> set[str]:
    """All addresses that a request and a stream with these settings dial."""
    rest = Rest(TIME)
    urls: set[str] = set()

    def reachable(url: str) -> bool:
        urls.add(url)
        return True

    rest.transport = MemoryTransport(rest.server, reachable=reachable)

    async def use(client: Client) -> None:
        await client.get_server_time()
        async with client.subscribe(top_of_book("BTC/USD")) as feed:
            await feed.ready()

    rest.play(use, **settings)
    return urls


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:8080", {"http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1"}),
        ("ws://127.0.0.1:8080/", {"http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1"}),
        ("https://box.test/api", {"https://box.test/api", "wss://box.test/api/v1"}),
    ],
)
def test_with_a_base_url_no_other_address_is_dialled(base_url: str, expected: set[str]) -> None:
    assert dialled_by(base_url=base_url) == expected


def test_a_base_url_tells_hosts_with_the_same_paths_apart() -> None:
    exchange = Toy()
    exchange.base_url_paths = {"rest": "/other"}  # type: ignore[misc]
    client = ccrs_core.connect(exchange, base_url="http://box.test/api/")
    assert client.addresses == {
        "rest": "http://box.test/api/other",
        "stream": "ws://box.test/api",
    }


def test_with_addresses_no_other_one_is_dialled() -> None:
    addresses = {"rest": "http://a.test/", "stream": "ws://b.test"}
    assert dialled_by(addresses=addresses) == {"http://a.test", "ws://b.test/v1"}
    assert dialled_by() == {"https://rest.toy", "wss://ws.toy/v1"}


def test_the_addresses_that_are_not_named_are_the_environments() -> None:
    assert dialled_by(addresses={"rest": "http://a.test/"}) == {"http://a.test", "wss://ws.toy/v1"}
    assert dialled_by(addresses={"stream": "ws://b.test"}) == {"https://rest.toy", "ws://b.test/v1"}


def test_every_request_carries_the_headers_of_its_environment() -> None:
    exchange = Rest(TIME).exchange
    live = exchange.environments["mainnet"]
    demo = attrs.evolve(live, headers={"x-simulated": "1"})
    exchange.environments = {"mainnet": live, "demo": demo}  # type: ignore[misc]
    for environment, expected in (("mainnet", None), ("demo", "1")):
        rest = Rest(TIME)

        async def use(client: Client) -> None:
            await client.get_server_time()

        rest.exchange = exchange
        rest.play(use, environment=environment)
        assert [each.headers.get("x-simulated") for _, each in rest.asked] == [expected]


@pytest.mark.parametrize(
    "settings",
    [
        {"addresses": {}},
        {"addresses": {"other": "http://a.test"}},
        {"addresses": {"rest": "http://a.test"}, "environment": "emulator"},
        {"addresses": {"rest": "http://a.test"}, "environment": "moon"},
        {"addresses": {"rest": "http://a", "stream": "ws://a", "more": "ws://a"}},
        {"addresses": {"rest": "http://a", "stream": "ws://a"}, "base_url": "http://a"},
        {"addresses": {"stream": 3}},
        {"addresses": {"stream": "a.test"}},
        {"base_url": "127.0.0.1:8080"},
        {"base_url": "ftp://a.test"},
        {"base_url": "http://"},
        {"base_url": "http://127.0.0.1:99999"},
        {"base_url": "http://127.0.0.1:port"},
        {"environment": "moon"},
        {"environment": "emulator"},
    ],
)
def test_incomplete_or_contradictory_addresses_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ccrs_core.connect(Toy(), **settings)


def test_what_an_environment_has_no_address_for_is_told_before_anything_is_dialled() -> None:
    exchange = Rest(TIME).exchange
    live = exchange.environments["mainnet"]
    bare = attrs.evolve(live, addresses={"other": "https://other.toy"})
    exchange.environments = {"mainnet": live, "bare": bare}  # type: ignore[misc]
    rest = Rest(TIME)
    rest.exchange = exchange

    async def use(client: Client) -> None:
        with pytest.raises(Unsupported, match=r"toy \(bare\) has no address 'rest', only other"):
            await client.get_server_time()
        with pytest.raises(Unsupported, match="has no address 'stream'"):
            async with client.subscribe(top_of_book("BTC/USD")):
                pass
        assert await client.get_instruments() == []

    rest.play(use, environment="bare")
    assert not rest.asked
