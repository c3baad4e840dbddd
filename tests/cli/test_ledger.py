"""``ccrs ledger``: what a file holds, whether its figures agree, and its rows as tables."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

import ccrs_core
from ccrs_core import Comparison, Fill, LedgerName, SqliteStore, limit, market
from ccrs_core.cli import ledger_compared, run
from ccrs_core.model.serialize import from_json


async def trade(path: Path) -> list[Fill]:
    """Some orders on the emulator, in a ledger of a file."""
    client = ccrs_core.connect("bybit", environment="emulator")
    async with client, client.account(store=SqliteStore(path)) as account:
        for symbol, quote in (("BTC/USDT", "100"), ("ETH/USDT", "50")):
            order = await account.place(market(symbol, "buy", quote_size=quote))
            await order.ended(timeout=10)
        bid = (await client.get_top_of_book("BTC/USDT")).bid_price
        assert bid is not None
        await account.place(limit("BTC/USDT", "buy", price=bid - 1000, size="0.01"))
        fills = []
        async with account.fills() as feed:
            async with asyncio.timeout(10):
                async for event in feed:
                    fills += [event] if isinstance(event, Fill) else []
                    done = {order.symbol for order in account.orders() if order.fills_complete}
                    sums = sum((f.size for f in fills), Decimal(0))
                    if sums == sum(o.filled_size for o in account.orders()) and len(done) == 2:
                        break
            feed.acknowledge(fills[-1])
        return fills


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Fill]]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    return path, asyncio.run(trade(path))


Out = pytest.CaptureFixture[str]


def test_a_ledger_is_counted(traded: tuple[Path, list[Fill]], capsys: Out) -> None:
    path, fills = traded
    assert run(["ledger", "show", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["exchange"], found["environment"]) == ("bybit", "emulator")
    assert (found["orders"], found["open_orders"]) == (3, 1)
    assert found["fills"] == found["entries"]["fill"] == len(fills)
    assert found["acknowledged"] == {"fills": fills[-1].number}
    assert run(["ledger", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "bybit emulator, default" in shown
    assert "3, 1 not done with" in shown


def test_a_right_ledger_is_well(traded: tuple[Path, list[Fill]], capsys: Out) -> None:
    path, _ = traded
    assert run(["ledger", "check", str(path), "--offline"]) == 0
    assert "all is well" in capsys.readouterr().out
    assert run(["ledger", "check", str(path), "--offline", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["outcome"] for line in lines} == {"ok"}


FILLS = "FROM entries WHERE kind = 'fill'"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (f"DELETE FROM entries WHERE number = (SELECT max(number) {FILLS})", "come to"),
        ('UPDATE entries SET content = replace(content, \'"size":"\', \'"size":"1\')', "come to"),
        ("UPDATE entries SET content = '{}'", "can't be read"),
        ("UPDATE orders SET content = '{\"symbol\": 7}'", "can't be read"),
        ("DELETE FROM orders", "has fills, and no row"),
        ("UPDATE orders SET facts = '[\"9' || substr(facts, 3)", "it says 9"),
    ],
)
def test_a_wrong_ledger_is_told(
    traded: tuple[Path, list[Fill]], tmp_path: Path, capsys: Out, spoil: str, said: str
) -> None:
    path = copied(traded[0], tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(spoil)
    connection.close()
    code = run(["ledger", "check", str(path), "--offline"])
    shown = capsys.readouterr().out
    assert said in shown
    assert code == 1


def copied(path: Path, folder: Path) -> Path:
    there = folder / "copy.sqlite"
    source, target = sqlite3.connect(path), sqlite3.connect(there)
    source.backup(target)
    source.close()
    target.close()
    return there


def test_entries_are_exported_in_exact_digits(
    traded: tuple[Path, list[Fill]], tmp_path: Path, capsys: Out
) -> None:
    path, fills = traded
    assert run(["ledger", "export", str(path)]) == 0
    assert [from_json(line) for line in capsys.readouterr().out.splitlines()] == fills
    told = ["ledger", "export", str(path), "--symbol", "ETH/USDT", "--after", "1"]
    assert run(told) == 0
    of_eth = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert of_eth == [fill for fill in fills if fill.symbol == "ETH/USDT"]
    table = tmp_path / "fills.csv"
    assert run(["ledger", "export", str(path), "-o", str(table)]) == 0
    rows = table.read_text("utf-8").splitlines()
    assert len(rows) == 1 + len(fills)
    assert str(fills[0].price) in rows[1]
    assert run(["ledger", "export", str(path), "-o", str(table)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert run(["ledger", "export", str(path), "--kind", "order", "-o", str(table), "--force"]) == 0


def test_a_check_of_which_a_list_was_not_answered_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def compared(*_: object) -> Comparison:
        return Comparison(
            looked_at=("fills",), left_out=("too young",), unread=("positions: busy",)
        )

    monkeypatch.setattr(ledger_compared, "_compared", compared)
    name = LedgerName("bybit", "testnet", "default")
    where = {
        "environment": "testnet",
        "base_url": None,
        "proxy": None,
        "proxy_from_env": False,
        "ways": (),
        "ca_file": None,
        "transport": None,
        "rate": 50.0,
    }
    found = list(ledger_compared.verdicts(name, Path("ledger.sqlite"), None, where))
    assert [(each.outcome, each.text) for each in found] == [
        ("ok", "fills"),
        ("careful", "too young"),
        ("FAILED", "positions: busy"),
    ]


def test_what_is_no_ledger_is_told(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path))
    assert run(["ledger", "show", "bybit"]) == 2
    assert "has no ledger of the account default" in capsys.readouterr().err
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    assert run(["ledger", "show", str(other)]) == 2
    assert "holds no ledger" in capsys.readouterr().err
    other.write_bytes(b"no database at all" * 100)
    assert run(["ledger", "check", str(other)]) == 1
    assert "can't be read as a ledger" in capsys.readouterr().err
    assert run(["ledger", "show", str(tmp_path / "nowhere.sqlite")]) == 2


def test_the_usual_file_of_an_account_is_found(
    traded: tuple[Path, list[Fill]], tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ccrs_core.trading.choose_store import default_path
    from ccrs_core.trading.store import LedgerName

    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path))
    shutil.copy(copied(traded[0], tmp_path), default_path(LedgerName("bybit", "emulator", "a")))
    assert run(["ledger", "show", "bybit", "--environment", "emulator", "--account", "a"]) == 0
    assert "bybit emulator" in capsys.readouterr().out
