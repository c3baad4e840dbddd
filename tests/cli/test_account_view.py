"""The live table of accounts, and rows of orders and fills: they fit, and say what matters."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from ccrs_core import (
    Adjustment,
    AdjustmentKind,
    Balance,
    EndReason,
    Fill,
    FillKind,
    Liquidity,
    Margin,
    Market,
    Order,
    OrderState,
    OrderType,
    Origin,
    Position,
    PositionSide,
    Side,
    Synced,
    TimeInForce,
    Trigger,
)
from ccrs_core.cli.commands.account import _titled
from ccrs_core.cli.live.account_tables import BALANCES, FILLS, ORDERS, POSITIONS
from ccrs_core.cli.live.account_view import AccountPicture, Happenings, draw
from ccrs_core.cli.live.account_words import line
from ccrs_core.cli.live.listing import say
from ccrs_core.model.serialize import from_json

NOW = 1_767_225_600_000_000_000


def an_order(number: int = 1, state: OrderState = OrderState.OPEN, **more: Any) -> Order:
    told: dict[str, Any] = {
        "symbol": "BTC/USDT:USDT",
        "size": Decimal("0.0123"),
        "price": Decimal("64000.1"),
        "filled_size": Decimal("0.0023"),
        "average_price": Decimal("63999.95"),
        "created_ns": NOW,
        "post_only": True,
        **more,
    }
    return Order(
        exchange="toy",
        account="default",
        market=Market.LINEAR,
        client_order_id=f"ccrs-0123456789abcdef-{number}",
        side=Side.BUY,
        type=OrderType.LIMIT,
        state=state,
        origin=Origin.OWN,
        time_in_force=TimeInForce.GTC,
        **told,
    )


def a_fill(**more: Any) -> Fill:
    told: dict[str, Any] = {"fee": Decimal("0.32"), "fee_asset": "USDT", **more}
    return Fill(
        exchange="toy",
        symbol="BTC/USDT",
        exchange_time_ns=NOW,
        received_time_ns=NOW,
        account="default",
        number=7,
        market=Market.SPOT,
        fill_id="f1",
        exchange_order_id="o1",
        client_order_id="c1",
        side=Side.SELL,
        price=Decimal("64000.10"),
        size=Decimal("0.010"),
        value=Decimal("640.00100"),
        liquidity=Liquidity.MAKER,
        kind=FillKind.TRADE,
        origin=Origin.OWN,
        position_side=PositionSide.NET,
        **told,
    )


def a_position(symbol: str = "BTC/USDT:USDT", size: str = "-1.5") -> Position:
    return Position(
        exchange="toy",
        symbol=symbol,
        exchange_time_ns=NOW,
        received_time_ns=NOW,
        account="default",
        market=Market.LINEAR,
        side=PositionSide.NET,
        size=Decimal(size),
        settle="USDT",
        entry_price=Decimal("64000.123456789"),
        unrealised_profit=Decimal("-12.5"),
        leverage=Decimal(10),
    )


def a_balance(asset: str, **more: Any) -> Balance:
    return Balance(
        exchange="toy",
        symbol="",
        exchange_time_ns=NOW,
        received_time_ns=NOW,
        account="default",
        asset=asset,
        total=Decimal("1234.5678"),
        available=Decimal(1000),
        **more,
    )


def note(synced: bool) -> Synced:
    return Synced(
        exchange="toy",
        symbol="",
        exchange_time_ns=None,
        received_time_ns=NOW,
        account="default",
        synced=synced,
        reason="connection lost\x1b[31m\nand more, somewhere far away",
    )


def lines_of(renderable: Any, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, legacy_windows=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


STATES = st.lists(st.sampled_from(OrderState), max_size=30)


@settings(max_examples=60)
@given(st.integers(40, 200), st.integers(12, 60), st.lists(STATES, min_size=1, max_size=3))
@example(40, 12, [list(OrderState)] * 3)
@example(120, 30, [[]])
def test_the_table_fits_and_breaks_no_line(
    width: int, height: int, accounts: list[list[OrderState]]
) -> None:
    happenings = Happenings()
    for event in (a_fill(), note(synced=False), note(synced=True)) * 5:
        happenings.add("toy:maker", event, loud=True)
    pictures = [
        AccountPicture(
            name=f"toy:account{number}",
            synced=number % 2 == 0,
            reason="streams: connection lost; lists: not read yet",
            margin=Margin(equity=Decimal("10000.123"), initial_rate=Decimal("0.0321")),
            balances=[a_balance(asset) for asset in ("USDT", "BTC", "ETH")],
            positions=[a_position(), a_position("ETH/USDT:USDT", "12")],
            orders=[an_order(n, state) for n, state in enumerate(states)],
        )
        for number, states in enumerate(accounts)
    ]
    drawn = lines_of(
        draw(pictures, happenings, title="accounts", width=width, height=height), width
    )
    assert all(len(each) == width for each in drawn), "framed, and no line is broken"
    assert not any("\x1b" in each for each in drawn)
    if height >= 4 + 4 * len(accounts):
        assert len(drawn) <= height


def test_what_has_no_room_is_counted_and_uncertain_orders_come_first() -> None:
    orders = [an_order(n) for n in range(30)]
    unsure = an_order(99, OrderState.UNKNOWN)
    picture = AccountPicture(
        name="toy:a",
        synced=True,
        orders=[*orders, unsure],
        positions=[a_position()],
        balances=[a_balance("BTC"), a_balance("ETH")],
    )
    shown = lines_of(draw([picture], Happenings(), title="t", width=80, height=13), 80)
    assert len(shown) <= 13
    assert any(" unknown " in each for each in shown[:-1])
    assert any("1 position, 2 balances" in each for each in shown)
    shown = lines_of(draw([picture], Happenings(), title="t", width=80, height=60), 80)
    assert len(shown) <= 60
    assert "BTC/USDT:USDT" in "".join(shown)


def test_a_symbol_is_whole_as_long_as_another_column_can_go() -> None:
    held = [a_position(), a_position("BTC/USDT:USDT-270326-120000-C", "2")]
    shown = "\n".join(lines_of(POSITIONS.table(held, 62), 62))
    assert "BTC/USDT:USDT-270326-120000-C" in shown
    assert "margin" not in shown


def test_what_isnt_certain_stands_out() -> None:
    unsure = an_order(state=OrderState.UNKNOWN)
    behind = AccountPicture(name="toy:default", synced=False, orders=[unsure])
    shown = "\n".join(lines_of(draw([behind], Happenings(), title="t", width=140, height=40), 140))
    for word in ("syncing", "unknown", "1 unknown", "1 not synced"):
        assert word in shown


@pytest.mark.parametrize("width", [30, 50, 80, 120, 250])
def test_rows_of_all_kinds_keep_to_the_width_and_their_names(width: int) -> None:
    waiting = an_order(
        2,
        OrderState.WAITING,
        trigger=Trigger(price="1", rises=True),
        symbol="BTC/USDT:USDT-270326-120000-C",
        fills_complete=False,
    )
    ended = an_order(3, OrderState.EXPIRED, reason=EndReason.SELF_TRADE)
    for listing, values in (
        (ORDERS, [an_order(), waiting, ended]),
        (FILLS, [a_fill(), a_fill(fee=None, fee_asset="")]),
        (POSITIONS, [a_position(), a_position("ETH/USDT:USDT")]),
        (BALANCES, [a_balance("USDT"), a_balance("BTC")]),
    ):
        shown = lines_of(listing.table(values, width), width)  # type: ignore[attr-defined]
        assert len(shown) == 2 + len(values)
        assert all(len(each) <= width for each in shown)


def test_without_a_terminal_rows_are_lines_with_tabs_and_json_is_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say([a_fill()], FILLS, as_json=False, nothing="none")
    (shown,) = capsys.readouterr().out.splitlines()
    assert "0.010\t64000.10\t640.00100\t0.32 USDT\tmaker" in shown
    say([a_fill()], FILLS, as_json=True, nothing="none")
    assert from_json(capsys.readouterr().out) == a_fill()
    say([], FILLS, as_json=False, nothing="none at all")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "none at all\n")


def test_one_asset_in_two_wallets_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    held = [a_balance("USDT", purse="spot"), a_balance("USDT", purse="usdm")]
    say(held, BALANCES, as_json=False, nothing="nothing")
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["USDT spot", "USDT usdm"]


def test_what_was_computed_has_no_more_digits_than_say_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = attrs.evolve(a_position(), entry_price=Decimal("104250.60000000"))
    say([held], POSITIONS, as_json=False, nothing="nothing")
    assert "\t104250.6\t" in capsys.readouterr().out
    averaged = an_order(average_price=Decimal("104232.8409956653969368510618575154"))
    say([averaged], ORDERS, as_json=False, nothing="nothing")
    assert "\t104232.840996\t" in capsys.readouterr().out


def test_each_account_says_where_it_is_unless_all_are_at_one_place() -> None:
    wanted = [("toy", "a"), ("toy", "b"), ("bond", "a")]
    together = _titled(wanted, {"toy": "demo", "bond": "demo"})
    assert together == ("toy:a, toy:b, bond:a · demo", {})
    title, places = _titled(wanted, {"toy": "mainnet", "bond": "demo"})
    assert title == "toy:a, toy:b, bond:a"
    assert places == {"toy:a": "mainnet", "toy:b": "mainnet", "bond:a": "demo"}
    pictures = [AccountPicture(name=name, place=at, synced=True) for name, at in places.items()]
    lines = lines_of(draw(pictures, Happenings(), title=title, width=60, height=20), 60)
    assert [text.strip("│ ") for text in lines if "synced" in text] == [
        "● toy:a  synced   at mainnet",
        "● toy:b  synced   at mainnet",
        "● bond:a  synced   at demo",
    ]


def test_happenings_are_lines_that_a_terminal_obeys_in_nothing() -> None:
    assert line(note(synced=False)).count("\x1b") == 0
    assert "\n" not in line(note(synced=False))
    assert line(a_fill(), "toy:maker") == (
        "00:00:00.000 toy:maker FILL sell 0.010 BTC/USDT at 64000.10 as maker, fee 0.32 USDT"
    )
    unexplained = Adjustment(
        exchange="toy",
        symbol="",
        exchange_time_ns=None,
        received_time_ns=NOW,
        account="default",
        kind=AdjustmentKind.UNEXPLAINED,
        adjustment_id="a",
        amount=Decimal("-0.5"),
        asset="USDT",
    )
    assert "UNEXPLAINED -0.5 USDT" in line(unexplained)
