"""The accountant's figures, against some that were worked out by hand."""

from __future__ import annotations

import ast
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ccrs_core.conformance.judges import accountant
from ccrs_core.conformance.judges.accountant import Accountant, TornTape


class Tape:
    """Writes lines as the emulator's money tape does."""

    def __init__(self) -> None:
        self.accountant = Accountant()
        self.count = 0

    def add(self, kind: str, **fields: Any) -> None:
        self.count += 1
        entry = {"kind": kind, "number": self.count, "time_ns": self.count, **fields}
        self.accountant.read([json.dumps(entry)])

    def trade(
        self, market: str, price: str, size: str, buyer: Any, seller: Any, **more: Any
    ) -> None:
        said = {
            "trade": self.count,
            "category": market,
            "symbol": "BTCUSD" if market == "inverse" else "BTCUSDT",
            "market": market,
            "base": "BTC",
            "quote": "USD" if market == "inverse" else "USDT",
            "settle": {"spot": None, "inverse": "BTC"}.get(market, "USDT"),
            "worth_of_one": "1",
            "price": price,
            "size": size,
            "buyer": buyer,
            "seller": seller,
        }
        self.add(more.pop("kind", "trade"), **{**said, **more})

    def money(self, account: str, asset: str, amount: str) -> None:
        self.add("transferred", account=account, asset=asset, amount=amount)


def party(account: str = "", fee: str = "0", fee_asset: str = "USDT", **more: Any) -> Any:
    return {
        "account": account,
        "order": 1 if account else None,
        "client_order_id": "",
        "position_side": "net",
        "maker": False,
        "fee": fee,
        "fee_asset": fee_asset,
        **more,
    }


def test_spot_moves_both_assets_and_the_fee() -> None:
    tape = Tape()
    tape.money("a", "USDT", "1000")
    tape.trade("spot", "100", "2", party("a", "0.002", "BTC"), party())
    tape.trade("spot", "110", "0.5", party(), party("a", "-0.01", "USDT", maker=True))
    books = tape.accountant.of("a")
    assert books.balances == {
        "USDT": Fraction("1000") - 200 + 55 + Fraction("0.01"),
        "BTC": Fraction("1.498"),
    }
    assert books.fees == {"BTC": Fraction("0.002"), "USDT": Fraction("-0.01")}
    assert [(f.buys, f.maker, f.value) for f in books.fills] == [
        (True, False, 200),
        (False, True, 55),
    ]
    assert not books.positions()
    assert not any(tape.accountant.totals().values())


def test_a_linear_position_has_average_cost_and_realises_what_is_closed() -> None:
    tape = Tape()
    tape.money("a", "USDT", "1000")
    tape.trade("linear", "100", "1", party("a", "0.06"), party())
    tape.trade("linear", "104", "3", party("a", "0.1872"), party())
    held = tape.accountant.of("a").holdings["linear", "BTCUSDT", "net"]
    assert (held.size, held.entry_price) == (4, 103)
    tape.trade("linear", "113", "1", party(), party("a", "0.0678"))
    assert (held.size, held.entry_price, held.profit) == (3, 103, 10)
    books = tape.accountant.of("a")
    assert books.balances["USDT"] == 1000 + 10 - Fraction("0.315") == 1000 + 10 - held.fees


def test_one_trade_through_zero_closes_all_and_opens_the_rest() -> None:
    tape = Tape()
    tape.trade("linear", "100", "2", party("a"), party())
    tape.trade("linear", "110", "5", party(), party("a"))
    held = tape.accountant.of("a").holdings["linear", "BTCUSDT", "net"]
    assert (held.size, held.entry_price, held.profit) == (-3, 110, 20)
    tape.trade("linear", "90", "3", party("a"), party())
    assert (held.size, held.entry_price, held.profit) == (0, None, 20 + 60)


def test_an_inverse_position_is_entered_at_the_harmonic_mean_and_paid_in_base() -> None:
    tape = Tape()
    tape.trade("inverse", "40000", "100", party("a", "0", "BTC"), party(fee_asset="BTC"))
    tape.trade("inverse", "60000", "100", party("a", "0", "BTC"), party(fee_asset="BTC"))
    held = tape.accountant.of("a").holdings["inverse", "BTCUSD", "net"]
    assert held.entry_price == 48000  # 200 / (100/40000 + 100/60000)
    tape.trade("inverse", "50000", "200", party(fee_asset="BTC"), party("a", "0", "BTC"))
    # 200 * (1/48000 - 1/50000)
    assert held.profit == Fraction(200, 48000) - Fraction(200, 50000) == Fraction(1, 6000)
    assert tape.accountant.of("a").balances["BTC"] == Fraction(1, 6000)


def test_a_short_inverse_position_gains_as_the_price_falls() -> None:
    tape = Tape()
    tape.trade("inverse", "50000", "100", party(fee_asset="BTC"), party("a", "0", "BTC"))
    tape.trade("inverse", "40000", "100", party("a", "0", "BTC"), party(fee_asset="BTC"))
    held = tape.accountant.of("a").holdings["inverse", "BTCUSD", "net"]
    assert held.profit == Fraction(100, 40000) - Fraction(100, 50000) > 0


def test_long_and_short_are_two_positions() -> None:
    tape = Tape()
    tape.trade("linear", "100", "5", party("a", position_side="long"), party())
    tape.trade("linear", "110", "2", party(), party("a", position_side="short"))
    books = tape.accountant.of("a")
    assert books.positions() == {
        ("linear", "BTCUSDT", "long"): 5,
        ("linear", "BTCUSDT", "short"): -2,
    }
    assert not books.balances["USDT"]


def test_premiums_of_options_move_at_once_and_their_worth_at_expiry() -> None:
    tape = Tape()
    option = {"symbol": "BTC-60000-C"}
    tape.trade("option", "500", "2", party("a", "3"), party(), **option)
    books = tape.accountant.of("a")
    assert books.balances["USDT"] == -1003
    tape.add(
        "delivered",
        account="a",
        category="option",
        symbol="BTC-60000-C",
        position_side="net",
        size="2",
        price="700",
        asset="USDT",
        fee="1",
    )
    assert books.balances["USDT"] == -1003 + 1400 - 1
    assert books.holdings["option", "BTC-60000-C", "net"].profit == 400
    assert books.income["delivery", "USDT"] == 1400
    assert not books.positions()


def test_funding_insurance_and_transfers_are_income_of_their_kinds() -> None:
    tape = Tape()
    tape.money("a", "USDT", "50")
    tape.trade("linear", "100", "1", party("a"), party())
    tape.add(
        "funded",
        account="a",
        category="linear",
        symbol="BTCUSDT",
        position_side="net",
        size="1",
        mark_price="100",
        rate="0.0001",
        asset="USDT",
        amount="-0.01",
    )
    tape.trade("linear", "40", "1", party("house"), party("a"), kind="liquidation")
    tape.add("insured", account="a", asset="USDT", amount="10.01")
    books = tape.accountant.of("a")
    assert books.income == {
        ("transfer", "USDT"): 50,
        ("funding", "USDT"): Fraction("-0.01"),
        ("insurance", "USDT"): Fraction("10.01"),
    }
    assert books.balances["USDT"] == 0
    assert books.holdings["linear", "BTCUSDT", "net"].funding == Fraction("-0.01")
    assert tape.accountant.of("house").balances["USDT"] == Fraction("-10.01")
    assert books.fills[-1].kind == "liquidation"


def test_figures_agree_but_for_roundings_alone() -> None:
    tape = Tape()
    tape.trade("inverse", "60000", "1", party("a", "0", "BTC"), party(fee_asset="BTC"))
    books = tape.accountant.of("a")
    third = Fraction(1, 60000)
    assert books.agrees(third, Decimal("0.000016666667"))
    assert not books.agrees(third, Decimal("0.0000166667"))
    assert books.agrees(third, Decimal("0.00001667"), finest=Decimal("1e-8"))


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "opened", "number": 2, "account": "a"},
        {"kind": "gifted", "number": 1, "account": "a"},
        {"kind": "funded", "number": 1, "account": "a", "category": "linear", "symbol": "X",
         "position_side": "net", "asset": "USDT", "amount": "1"},
    ],
)  # fmt: skip
def test_a_tape_that_lacks_something_is_not_read_on(entry: Any) -> None:
    with pytest.raises(TornTape):
        Accountant().read([json.dumps(entry)])


def test_the_accountant_shares_no_code_with_whom_it_judges() -> None:
    source = Path(accountant.__file__).read_text()
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert not {name for name in imported if name.startswith("ccrs")}
