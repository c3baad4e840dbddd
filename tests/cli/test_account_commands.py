"""The commands of accounts, against the emulator: what they show, ask, and leave behind."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ccrs_core import (
    FeeRate,
    Fill,
    GetFills,
    GetOrderHistory,
    LedgerName,
    Market,
    Order,
    OrderState,
    Origin,
    UsageError,
)
from ccrs_core.cli import accounts, run
from ccrs_core.cli.commands import doctor
from ccrs_core.cli.commands.order import _certain
from ccrs_core.client.credentials import PLAY_MONEY
from ccrs_core.errors import CredentialsMissing
from ccrs_core.model.serialize import converter, from_json
from ccrs_core.trading.choose_store import default_path
from ccrs_core.trading.file_lock import FileLock
from tests.cli.conftest import Command
from tests.cli.test_account_view import an_order

SECRET = "playmoneysecretofnobody"


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The address of an emulator with an account of these tests'."""
    arguments = ("--rate", "50", "--seed", "7", "--account", f"tester:{SECRET}")
    with Command().start("emulator", "bybit", *arguments) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[3].decode()
        finally:
            process.terminate()


@pytest.fixture
def ccrs(
    emulator: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """Runs a command against it: exit code, lines of standard output, standard error."""
    monkeypatch.setenv("CCRS_BYBIT_API_KEY", "tester")
    monkeypatch.setenv("CCRS_BYBIT_SECRET", SECRET)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path_factory.getbasetemp() / "ledgers"))

    def command(*arguments: str) -> tuple[int, list[str], str]:
        code = run([*arguments, "--base-url", emulator])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return code, said.out.splitlines(), said.err

    return command


def orders(lines: list[str]) -> list[Order]:
    return [converter().structure(json.loads(line), Order) for line in lines]


def test_an_order_goes_its_way_from_the_command_line(ccrs: Any) -> None:
    place = ("order", "place", "bybit", "BTC/USDT", "buy", "--size", "0.01", "--price", "100000")
    code, lines, said = ccrs(*place)
    assert (code, lines) == (2, [])
    assert "buy 0.01 BTC, limit, at most 100000 USDT" in said
    assert "nobody is there to be asked: add --yes" in said
    assert ccrs("order", "list", "bybit", "--json")[1] == [], "nothing was sent"

    code, lines, _ = ccrs(*place, "--tag", "mine", "--yes", "--json")
    (order,) = orders(lines)
    assert (code, order.state, order.tag) == (0, OrderState.OPEN, "mine")
    identity = order.client_order_id
    code, lines, _ = ccrs("order", "amend", "bybit", identity, "--price", "99999", "--yes")
    assert code == 0
    assert "\t99999\t" in lines[0]
    code, lines, _ = ccrs("order", "show", "bybit", order.exchange_order_id)
    shown = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert shown["client order id"] == identity
    assert shown["price"] == "99999"
    assert re.fullmatch(r"20\d\d-.*", shown["created"])
    code, lines, _ = ccrs("order", "cancel", "bybit", identity, "--json")
    assert code == 0
    assert orders(lines)[0].state is OrderState.CANCELED
    code, lines, said = ccrs(
        "order", "cancel", "bybit", identity, "nowhere", "--symbol", "BTC/USDT"
    )
    assert code == 1
    assert len(lines) == 1, "one that had ended is no error"
    assert "nowhere" in said
    code, lines, said = ccrs("order", "show", "bybit", identity)
    assert code == 2
    assert "say --symbol" in said
    code, lines, _ = ccrs("order", "list", "bybit", "--past", "--symbol", "BTC/USDT", "--json")
    assert [each.client_order_id for each in orders(lines)] == [identity]


def test_what_was_traded_is_told_alike_by_all_commands(ccrs: Any) -> None:
    code, lines, _ = ccrs(
        *("order", "place", "bybit", "BTC/USDT:USDT", "sell", "--size", "0.02", "--at-market"),
        *("--yes", "--json"),
    )
    (order,) = orders(lines)
    assert (code, order.state) == (0, OrderState.FILLED)
    _, lines, _ = ccrs("fills", "bybit", "--market", "linear", "--json")
    fills = [from_json(line) for line in lines]
    assert [f.client_order_id for f in fills if isinstance(f, Fill)] == [order.client_order_id]
    _, lines, _ = ccrs("positions", "bybit", "--json")
    (position,) = [json.loads(line) for line in lines]
    assert (position["symbol"], position["size"]) == ("BTC/USDT:USDT", "-0.020")
    _, lines, said = ccrs("balance", "bybit", "--asset", "usdt")
    assert [line.split("\t")[0] for line in lines] == ["USDT"]
    assert "equity" in said
    _, lines, _ = ccrs("balance", "bybit", "--json")
    assert {json.loads(line)["type"] for line in lines} == {"balance", "margin"}
    _, lines, _ = ccrs("fees", "bybit", "BTC/USDT:USDT", "--json")
    rate = converter().structure(json.loads(lines[0]), FeeRate)
    assert fills[0].fee == fills[0].value * rate.taker  # type: ignore[union-attr]
    code, lines, _ = ccrs("account", "watch", "bybit", "--count", "3", "--json")
    assert code == 0
    assert len(lines) == 3
    assert all(json.loads(line)["account"] == "default" for line in lines)


def test_what_is_refused_ends_with_one_and_says_why(ccrs: Any) -> None:
    limit = ("order", "place", "bybit", "BTC/USDT", "buy", "--size", "0.01", "--yes")
    code, lines, said = ccrs(*limit, "--price", "1000000000")
    assert (code, lines) == (1, [])
    assert said.startswith("Error: ")
    code, lines, said = ccrs(*limit, "--price", "200000.0000001")
    assert code == 2, said
    code, lines, said = ccrs(*limit, "--price", "104600", "--post-only", "--json")
    assert (code, orders(lines)[0].state) == (1, OrderState.REJECTED)
    assert "it was refused" in said


def test_all_open_orders_are_canceled_and_told(ccrs: Any) -> None:
    for price in ("99000", "98000"):
        ccrs(
            *("order", "place", "bybit", "BTC/USDT", "buy", "--size", "0.01", "--yes"),
            *("--price", price),
        )
    code, lines, said = ccrs("order", "cancel-all", "bybit", "--symbol", "BTC/USDT")
    assert (code, lines) == (2, [])
    assert "2 at present" in said
    there = [each.exchange_order_id for each in orders(ccrs("order", "list", "bybit", "--json")[1])]
    code, lines, _ = ccrs("order", "cancel-all", "bybit", "--yes", "--json")
    assert code == 0
    assert sorted(json.loads(line)["exchange_order_id"] for line in lines) == sorted(there)
    code, lines, said = ccrs("order", "cancel-all", "bybit", "--yes")
    assert (code, lines) == (0, [])
    assert "nothing was canceled" in said


def test_the_doctor_checks_an_account(ccrs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, lines, _ = ccrs("doctor", "bybit", "--account", "default")
    said = {line[2:22].strip(): line for line in lines}
    assert code == 0, lines
    assert "test… from the variable CCRS_BYBIT_API_KEY" in said["keys"]
    told = ("login", "permissions", "expiry", "mode", "account's clock", "private streams")
    for what in told:
        assert " ok " in said[what], what
    assert "disconnect" in said["protection"]
    monkeypatch.setenv("CCRS_BYBIT_API_KEY", "stranger")
    code, lines, _ = ccrs("doctor", "bybit", "--account", "default")
    assert code == 1
    assert "FAILED" in next(line for line in lines if line[2:].startswith("login"))
    assert doctor.command.params


def test_what_is_placed_is_an_own_order_of_the_ledger_which_agrees_with_the_exchange(
    ccrs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path))
    monkeypatch.setattr("ccrs_core.trading.compare._RECENT_NS", 0)
    buy = ("order", "place", "bybit", "ETH/USDT", "buy", "--size", "0.1", "--at-market", "--yes")
    code, lines, _ = ccrs(*buy, "--json")
    (order,) = orders(lines)
    assert (code, order.origin, order.tag) == (0, Origin.OWN, "cli")
    (path,) = tmp_path.glob("*.sqlite")
    code, lines, said = ccrs("ledger", "check", "bybit", "--json")
    assert code == 0, ([line for line in lines if "FAILED" in line], said)
    verdicts = [json.loads(line) for line in lines]
    assert {"compared"} <= {each["what"] for each in verdicts}
    ccrs(*buy)  # which reads the exchange's lists anew
    of = f"kind = 'fill' AND content LIKE '%{order.client_order_id}%'"
    number = f"(SELECT max(number) FROM entries WHERE {of})"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"DELETE FROM entries WHERE number = {number}")
    code, lines, _ = ccrs("ledger", "check", str(path), "--json")
    assert code == 1
    (lost,) = [each for each in map(json.loads, lines) if each["what"] == "fill"]
    assert "the ledger has none" in lost["text"]
    assert ccrs("ledger", "check", str(path), "--offline")[0] == 1


def test_a_ledger_that_a_program_keeps_is_left_to_it_and_said(
    ccrs: Any, emulator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path))
    name = LedgerName("bybit", emulator.removeprefix("http://"), "default")
    place = ("order", "place", "bybit", "BTC/USDT", "buy", "--size", "0.01", "--price", "99000")
    held = FileLock(default_path(name).with_name(f"{default_path(name).name}.lock"), "it")
    try:
        code, lines, said = ccrs(*place, "--yes", "--json")
    finally:
        held.release()
    assert code == 0
    assert "a program of yours keeps the ledger" in said
    (order,) = orders(lines)
    assert not default_path(name).exists()
    assert ccrs("order", "cancel", "bybit", order.client_order_id, "--symbol", "BTC/USDT")[0] == 0
    assert ccrs(*place, "--yes", "--no-ledger", "--json")[0] == 0
    assert not default_path(name).exists()
    assert ccrs("order", "cancel-all", "bybit", "--yes")[0] == 0


def test_a_list_that_is_told_of_one_symbol_at_a_time_wants_one() -> None:
    trading = SimpleNamespace(by_symbol={GetFills}, features={Market.SPOT: frozenset()})
    here: Any = SimpleNamespace(
        client=SimpleNamespace(exchange=SimpleNamespace(name="toy", trading=trading))
    )
    assert accounts.parts(here, "BTC/USDT", None, GetFills) == [{"symbol": "BTC/USDT"}]
    assert accounts.parts(here, None, None, GetOrderHistory) == [{"market": "spot"}]
    with pytest.raises(UsageError, match="add --symbol"):
        accounts.parts(here, None, None, GetFills)


@pytest.mark.parametrize(
    ("state", "fills_complete", "certain"),
    [
        (OrderState.OPEN, True, True),
        (OrderState.OPEN, False, True),
        (OrderState.FILLED, True, True),
        (OrderState.FILLED, False, False),
        (OrderState.ACCEPTED, True, False),
        (OrderState.UNKNOWN, True, False),
    ],
)
def test_what_has_been_placed_is_waited_for_with_its_fills(
    state: OrderState, fills_complete: bool, certain: bool
) -> None:
    assert _certain(an_order(state=state, fills_complete=fills_complete)) is certain


# --- what costs real money ------------------------------------------------------------------

PLACE = {
    **dict.fromkeys(("base_url", "proxy", "ca_file", "transport"), None),
    "proxy_from_env": False,
    "ways": (),
    "rate": 50.0,
}


@pytest.mark.parametrize(
    ("environment", "base_url", "real"),
    [
        (None, None, True),
        ("mainnet", None, True),
        ("testnet", None, False),
        ("demo", None, False),
        ("emulator", None, False),
        ("emulator", "http://127.0.0.1:1", False),
        (None, "http://127.0.0.1:1", True),
    ],
)
def test_all_but_play_money_is_asked_for(
    environment: str | None, base_url: str | None, real: bool
) -> None:
    where = {**PLACE, "environment": environment, "base_url": base_url}
    assert accounts.is_real("bybit", **where) is real


def test_a_no_sends_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    answers = io.StringIO("n\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)
    from click import Abort

    with pytest.raises(Abort):
        accounts.sure(["This goes out:", "\x1b[31mred"], real=True, yes=False)
    said = capsys.readouterr().err
    assert "This goes out:" in said
    assert "\x1b" not in said
    accounts.sure([], real=True, yes=True)
    accounts.sure([], real=False, yes=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("balance", "nosuch"), "no exchange plugin|isn't installed|no exchange"),
        (("order", "list", "bybit", "--environment", "moon"), "moon"),
        (("balance", "BTC/USDT"), "is no exchange"),
        (("balance", "bybit"), "CCRS_BYBIT_API_KEY"),
        (
            ("account", "watch", "bybit:maker", "--environment", "testnet"),
            "CCRS_BYBIT_MAKER_API_KEY",
        ),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_do(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.delenv("CCRS_BYBIT_API_KEY", raising=False)
    assert run([*arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert re.search(said, told.err), told.err
    if "moon" in said:
        assert "keys" not in told.err


def test_an_emulator_at_an_address_takes_play_money_where_it_is_called_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("CCRS_BYBIT_API_KEY", "real")
    monkeypatch.setenv("CCRS_BYBIT_SECRET", "real")
    there = {**PLACE, "environment": "emulator", "base_url": "http://127.0.0.1:1"}
    found = accounts.keys("bybit", "default", **there).credentials
    assert found == PLAY_MONEY
    with pytest.raises(CredentialsMissing):
        accounts.keys("bybit", "other", **there)
