"""Instruments: when they are fetched, and what a symbol finds among them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import attrs
import orjson
import pytest

from ccrs_core import (
    Answer,
    AuthError,
    Client,
    Endpoint,
    ExchangeError,
    GetInstruments,
    HttpResponse,
    Instrument,
    Options,
    PluginBroken,
    Request,
    UnknownInstrument,
    UsageError,
)
from ccrs_core.requests.instruments import NEWS_AFTER
from tests.scripted import BTC, Paged, Rest, page, status


class Listed(Paged):
    """Instruments come as [native, symbol] pairs."""

    @staticmethod
    def _instruments(
        _: Any, response: HttpResponse, now_ns: int, cursor: str | None
    ) -> Answer[list[Instrument]]:
        content = orjson.loads(response.body)
        found = [attrs.evolve(BTC, native=n, symbol=s, base=s) for n, s in content["items"]]
        return Answer(found, content["next"])

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Paged.endpoints,
        GetInstruments: attrs.evolve(Paged.endpoints[GetInstruments], decode=_instruments),
    }


def listing(*answers: HttpResponse | Exception | bytes) -> Rest:
    rest = Rest(*answers)
    rest.exchange = Listed()
    return rest


PAIRS = [["BTCUSDT", "BTC/USDT"], ["ETHUSDT", "ETH/USDT"], ["ETHUSDC", "ETH/USDC"]]


def test_an_unknown_symbol_names_its_near_misses() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        for wrong, near in (
            ("BTC/USDTT", "BTC/USDT"),
            ("btc/usdt", "BTC/USDT"),
            ("ETH/", None),
            ("ETH/USD", "ETH/USDT"),
        ):
            with pytest.raises((UnknownInstrument, UsageError)) as unknown:
                await client.instrument(wrong)
            if near is not None:
                assert isinstance(unknown.value, UnknownInstrument)
                assert near in unknown.value.near
                assert f"did you mean {unknown.value.near[0]}" in str(unknown.value)
        with pytest.raises(UnknownInstrument) as own:
            await client.instrument("BTCUSDT")  # the exchange's own name
        assert own.value.near[0] == "BTC/USDT"
        with pytest.raises(UnknownInstrument) as far:
            await client.instrument("DOGE/EUR")
        assert far.value.near == ()
        assert "did you mean" not in str(far.value)

    rest.play(use, instruments=())


@pytest.mark.parametrize(
    "pairs",
    [
        [["BTCUSDT", "BTC/USDT"], ["XBTUSDT", "BTC/USDT"]],
        [["BTCUSDT", "BTC/USDT"], ["BTCUSDT", "XBT/USDT"]],
    ],
)
def test_instruments_whose_names_are_not_one_to_one_are_refused_and_the_others_kept(
    pairs: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    rest = listing(page([*pairs, ["ETHUSDT", "ETH/USDT"]]))

    async def use(client: Client) -> None:
        for _, symbol in pairs:
            with pytest.raises(PluginBroken, match="ambiguous"):
                await client.instrument(symbol)
        assert (await client.instrument("ETH/USDT")).native == "ETHUSDT"
        found = await client.get_instruments("spot")
        assert [i.symbol for i in found] == ["ETH/USDT"]

    with caplog.at_level(logging.WARNING, "ccrs"):
        rest.play(use, instruments=())
    assert "ambiguous" in caplog.text


def test_the_same_instrument_on_two_pages_is_no_conflict() -> None:
    rest = listing(page(PAIRS, "more"), page(PAIRS))

    async def use(client: Client) -> None:
        assert len(await client.get_instruments()) == 3

    rest.play(use, instruments=())


def test_concurrent_callers_share_one_fetch_and_its_failure() -> None:
    rest = listing(status(400), page(PAIRS))

    async def use(client: Client) -> None:
        outcomes = await asyncio.gather(
            *(client.instrument("BTC/USDT") for _ in range(20)), return_exceptions=True
        )
        assert all(isinstance(outcome, ExchangeError) for outcome in outcomes)
        assert len(rest.asked) == 1
        found = await asyncio.gather(
            *(client.instrument("BTC/USDT") for _ in range(20)),
            *(client.get_instruments("spot") for _ in range(5)),
        )
        assert len(rest.asked) == 2
        assert found[0] == found[19]

    rest.play(use, instruments=())


def test_where_the_caller_who_fetches_is_cancelled_another_takes_over() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        callers = [asyncio.ensure_future(client.instrument("BTC/USDT")) for _ in range(4)]
        await asyncio.sleep(0.005)
        callers[0].cancel()
        callers[2].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
        assert cancelled == [True, False, True, False]
        assert isinstance(outcomes[1], Instrument)

    rest.play(use, instruments=())


def test_instruments_are_fetched_when_needed_and_again_when_they_are_old() -> None:
    rest = listing(page(PAIRS[:1]), page(PAIRS))

    async def use(client: Client) -> None:
        assert not rest.asked
        await client.instrument("BTC/USDT")
        await client.instrument("BTC/USDT")
        assert len(rest.asked) == 1
        await asyncio.sleep(101.0)
        await client.instrument("ETH/USDT")
        assert len(rest.asked) == 2
        await client.get_instruments()  # always anew
        assert len(rest.asked) == 3

    rest.play(use, instruments=(), options=Options(instruments_max_age=100.0))


def test_instruments_that_the_user_hands_in_are_not_fetched() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        await asyncio.sleep(10_000.0)
        assert await client.instrument("BTC/USD") == BTC
        assert not rest.asked

    rest.play(use)


def test_an_unknown_symbol_has_the_list_fetched_anew_at_most_once_in_some_seconds() -> None:
    rest = listing(page(PAIRS), page([*PAIRS, ["NEWUSDT", "NEW/USDT"]]))

    async def use(client: Client) -> None:
        await client.instrument("BTC/USDT")
        for _ in range(3):
            with pytest.raises(UnknownInstrument, match="lists no spot instrument NEW/USDT"):
                await client.instrument("NEW/USDT")
        assert len(rest.asked) == 1  # the list is as fresh as can be
        await asyncio.sleep(NEWS_AFTER / 2)
        with pytest.raises(UnknownInstrument, match="by its list of 5 s ago"):
            await client.instrument("NEW/USDT")
        await asyncio.sleep(NEWS_AFTER / 2)
        found = await asyncio.gather(*(client.instrument("NEW/USDT") for _ in range(5)))
        assert {each.native for each in found} == {"NEWUSDT"}
        assert len(rest.asked) == 2
        await asyncio.sleep(NEWS_AFTER)
        await client.instrument("BTC/USDT")
        assert len(rest.asked) == 2

    rest.play(use, instruments=())


def test_a_list_that_cannot_be_fetched_anew_is_not_asked_for_again_and_again() -> None:
    rest = listing(page(PAIRS), status(401))

    async def use(client: Client) -> None:
        await client.instrument("BTC/USDT")
        await asyncio.sleep(NEWS_AFTER)
        with pytest.raises(AuthError):
            await client.instrument("NEW/USDT")
        for _ in range(3):
            with pytest.raises(UnknownInstrument, match="by its list of 10 s ago"):
                await client.instrument("NEW/USDT")
        assert len(rest.asked) == 2

    rest.play(use, instruments=())
