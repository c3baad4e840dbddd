"""Orders of the command line: what their options ask for, and what is said before they are sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given

from ccrs_core import (
    Exit,
    Instrument,
    Market,
    OrderRequest,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
    UsageError,
)
from ccrs_core.cli import order_words
from tests.orders import REQUESTS

SPOT = Instrument(
    exchange="toy",
    symbol="BTC/USDT",
    native="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
)
INVERSE = Instrument(
    exchange="toy",
    symbol="BTC/USD:BTC",
    native="BTCUSD",
    market=Market.INVERSE,
    base="BTC",
    quote="USD",
    settle="BTC",
    quote_per_contract=Decimal(1),
)


def asked(*arguments: str) -> OrderRequest:
    """The order that options describe."""
    made: list[OrderRequest] = []

    @click.command()
    @click.argument("side")
    @order_words.options
    def command(side: str, **told: Any) -> None:
        assert set(told) == order_words.NAMES
        made.append(order_words.request_of("BTC/USDT", side, **told))

    done = CliRunner().invoke(command, list(arguments))
    if done.exception is not None:
        raise done.exception
    return made[0]


def test_options_become_the_order_that_they_describe() -> None:
    order = asked(
        *("sell", "--size", "0.010", "--price", "64000.10", "--post-only", "--reduce-only"),
        *("--position-side", "long", "--self-trade-prevention", "cancel-maker"),
        *("--falls-to", "63000", "--trigger-by", "mark", "--take-profit", "70000"),
        *("--stop-loss", "60000", "--tag", "mine", "--client-order-id", "x-1"),
    )
    assert (str(order.size), str(order.price)) == ("0.010", "64000.10")
    assert order == OrderRequest(
        symbol="BTC/USDT",
        side=Side.SELL,
        type=OrderType.LIMIT,
        size="0.010",
        price="64000.10",
        post_only=True,
        reduce_only=True,
        position_side=PositionSide.LONG,
        self_trade_prevention=SelfTradePrevention.CANCEL_MAKER,
        trigger=Trigger(price="63000", rises=False, by=TriggerBy.MARK),
        take_profit=Exit(price="70000", by=TriggerBy.MARK),
        stop_loss=Exit(price="60000", by=TriggerBy.MARK),
        tag="mine",
        client_order_id="x-1",
    )
    market = asked("buy", "--at-market", "--quote-size", "50")
    assert (market.type, market.quote_size) == (OrderType.MARKET, Decimal(50))
    ioc = asked("buy", "--size", "1", "--price", "2", "--time-in-force", "ioc", "--rises-to", "3")
    assert ioc.time_in_force is TimeInForce.IOC
    assert isinstance(ioc.trigger, Trigger)
    assert ioc.trigger.rises
    sell = ("sell", "--size", "1", "--at-market")
    assert asked(*sell, "--trails-by", "1.5%").trigger == Trailing(share="0.015")
    follows = asked(*sell, "--trails-by", "150", "--trails-from", "70000", "--trigger-by", "mark")
    assert follows.trigger == Trailing(distance=150, activation=70000, by=TriggerBy.MARK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("buy", "--size", "1"), "say --price"),
        (("buy", "--size", "1", "--price", "2", "--at-market"), "say --price"),
        (("buy", "--price", "2"), "say --size"),
        (("buy", "--quote-size", "5", "--price", "2"), "--quote-size is for market orders"),
        (("buy", "--size", "1", "--quote-size", "5", "--at-market"), "one of them"),
        (("buy", "--size", "0", "--at-market"), "above zero"),
        (("buy", "--size", "-1", "--price", "2"), "above zero"),
        (("buy", "--size", "1", "--at-market", "--post-only"), "can't be post-only"),
        (
            ("buy", "--size", "1", "--price", "2", "--rises-to", "1", "--falls-to", "2"),
            "exclude each other",
        ),
        (("buy", "--size", "1", "--price", "2", "--tag", "no blanks"), "a tag is"),
        (("buy", "--size", "1", "--at-market", "--trails-from", "2"), "goes with --trails-by"),
        (("buy", "--size", "1", "--at-market", "--trails-by", "100%"), "all of the price"),
        (
            ("buy", "--size", "1", "--at-market", "--trails-by", "1", "--falls-to", "2"),
            "exclude each other",
        ),
    ],
)
def test_what_describes_no_order_is_told(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(*arguments)


@pytest.mark.parametrize("text", ["x", "1e", "nan", "inf", "0x1", ""])
def test_what_is_no_number_is_a_wrong_call(text: str) -> None:
    done = CliRunner().invoke(
        click.Command("c", params=[click.Option(["--size"], type=order_words.NUMBER)]),
        ["--size", text],
    )
    assert done.exit_code == 2
    assert "number" in done.output


@given(REQUESTS)
def test_all_of_an_order_is_said_before_it_is_sent(order: OrderRequest) -> None:
    said = " ".join(order_words.described(order, SPOT))
    words = set(said.replace(",", " ").replace("(", " ").replace(")", " ").split())
    numbers = [order.size, order.price]
    trigger = order.trigger
    if isinstance(trigger, Trailing):
        numbers += [trigger.distance, trigger.activation]
        if trigger.share is not None:
            assert f"{(trigger.share * 100).normalize():f}%" in words
        assert ("falls" if order.side is Side.SELL else "rises") in words
    elif trigger is not None:
        numbers.append(trigger.price)
        assert ("rises" if trigger.rises else "falls") in words
    numbers += [each and each.price for each in (order.take_profit, order.stop_loss)]
    exits = (order.take_profit, order.stop_loss)
    numbers += [each and each.limit_price for each in exits]
    assert {f"{each:f}" for each in numbers if each is not None} <= words
    assert {order.side.value, "BTC/USDT", "BTCUSDT", "spot"} <= words
    limited = order.type is OrderType.LIMIT
    assert (order.time_in_force.value.upper() in words) is limited
    assert ("limit" in said.split("BTCUSDT")[0]) is limited
    assert ("market" in said.split("BTCUSDT")[0]) is not limited
    assert ("post-only" in words) is order.post_only
    assert ("reduce-only" in words) is order.reduce_only
    assert ("position" in words) is (order.position_side is not PositionSide.NET)
    for text in (order.tag, order.client_order_id):
        assert text in said
    if order.self_trade_prevention is not None:
        assert order.self_trade_prevention.value.replace("_", " ") in said
    if order.trigger is not None:
        assert order.trigger.by.value in words


def test_contracts_are_told_as_contracts_and_quote_sizes_as_money() -> None:
    contracts = OrderRequest(
        symbol="BTC/USD:BTC", side=Side.BUY, type=OrderType.LIMIT, size=100, price=50_000
    )
    said = list(order_words.described(contracts, INVERSE))
    assert said[0] == "buy 100 contracts of 1 USD each, limit, at most 50000 USD"
    assert "worth 100 USD at that price" in said
    for_money = OrderRequest(symbol="BTC/USDT", side=Side.BUY, type=OrderType.MARKET, quote_size=50)
    said = list(order_words.described(for_money, SPOT))
    assert said[0] == "buy for 50 USDT, at whatever price the market has"
