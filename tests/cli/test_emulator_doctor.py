"""``ccrs emulator``, ``ccrs doctor`` and ``ccrs instruments``."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core.cli import run
from ccrs_core.cli.commands import doctor
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import Fault, FaultKind
from ccrs_core.errors import ConnectFailed
from ccrs_core.extensions import exchanges as plugins
from tests.cli.conftest import SECONDS, Command


def test_the_doctor_finds_a_healthy_exchange_well(ccrs: Command) -> None:
    done = ccrs("doctor", "bybit", "--environment", "emulator")
    assert done.returncode == 0, done.stdout
    text = done.stdout.decode()
    for step in ("resolve", "TCP", "REST round trip", "clock", "WebSocket ping", "market data"):
        assert re.search(rf"✓ {step} +ok ", text), step
    assert re.search(r"· TLS +not used", text)
    assert "all is well" in text


def test_the_doctor_names_what_fails(ccrs: Command) -> None:
    done = ccrs("doctor", "bybit", "--base-url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert re.search(r"✗ TCP +FAILED +127.0.0.1:1: connection refused", done.stdout.decode())
    with ccrs.start("emulator", "bybit", "--fault", "refuse,status=403") as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            done = ccrs("doctor", "bybit", "--base-url", url)
        finally:
            process.terminate()
    assert done.returncode == 1
    assert re.search(r"✗ WebSocket handshake +FAILED .*403", done.stdout.decode())


def test_an_emulator_with_tls_says_how_to_trust_it(ccrs: Command) -> None:
    pytest.importorskip("trustme")
    with ccrs.start("emulator", "bybit", "--tls") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].decode()
        hint = process.stdout.readline().decode()
        ca_file = Path(hint.split("--ca-file ")[1].split()[0])
        assert url.startswith("https://")
        distrusted = ccrs("watch", "bybit", "BTC/USDT", "--base-url", url, "--count", "1", "--json")
        done = ccrs("doctor", "bybit", "--base-url", url, "--ca-file", str(ca_file))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert distrusted.returncode == 1
    assert b"certificate" in distrusted.stderr
    assert done.returncode == 0, done.stdout
    assert re.search(r"✓ TLS +ok +TLSv1\.3", done.stdout.decode())
    assert not ca_file.exists()


def test_the_emulator_plays_recordings(ccrs: Command, emulator: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    made = ccrs(
        *("record", "bybit", "BTC/USDT", "--base-url", emulator, "-o", str(path)),
        *("--count", "80", "--connections", "2"),
    )
    assert made.returncode == 0, made.stderr
    recorded = ccrs("replay", "bybit", str(path), "--json").stdout.splitlines()
    wanted = [json.loads(line)["sequence"] for line in recorded]
    with ccrs.start("emulator", "bybit", "--replay", str(path), "--speed", "5") as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            done = ccrs(
                *("watch", "bybit", "BTC/USDT", "--base-url", url),
                *("--count", str(len(wanted) - 5), "--seconds", "10", "--json"),
            )
        finally:
            process.terminate()
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    sequences = [e["sequence"] for e in events if "sequence" in e]
    assert len(sequences) > 10
    assert sequences == [n for n in wanted if n in set(sequences)]


def test_the_emulator_keeps_a_tape_of_what_touches_money(ccrs: Command, tmp_path: Path) -> None:
    path = tmp_path / "money.jsonl"
    options = ("--account", "mine:secret", "--money-tape", str(path))
    with ccrs.start("emulator", "bybit", *options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["number"] for each in entries] == list(range(1, len(entries) + 1))
    opened = [each["account"] for each in entries if each["kind"] == "opened"]
    assert opened[-1] == "mine"
    money = {each["asset"] for each in entries if each["account"] == "mine" and "asset" in each}
    assert {"USDT", "BTC"} <= money


def test_an_occupied_port_is_one_line_and_code_2(ccrs: Command, emulator: str) -> None:
    done = ccrs("emulator", "bybit", "--port", emulator.rpartition(":")[2])
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_instruments_are_listed_and_searched(ccrs: Command, emulator: str) -> None:
    found = ccrs(
        *("instruments", "bybit", "--base-url", emulator),
        *("--market", "linear", "--search", "btc", "--json"),
    )
    assert found.returncode == 0, found.stderr
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert rows
    assert all("BTC" in row["symbol"] and row["market"] == "linear" for row in rows)
    assert all(isinstance(row["tick_size"], str) for row in rows)
    plain = ccrs("instruments", "bybit", "--base-url", emulator, "--search", "BTC/USDT")
    assert b"BTC/USDT\tBTCUSDT\tspot\ttrading" in plain.stdout


def test_what_a_server_says_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.Verdict("websocket", doctor.FAILED, "closed: \x1b[2J\x1b]0;mine\x07 bye").say()
    shown = capsys.readouterr().out
    assert "closed:  [2J ]0;mine  bye" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("exchange", sorted(info.name for info in plugins.installed()))
def test_the_doctor_finds_every_installed_exchange_well(ccrs: Command, exchange: str) -> None:
    done = ccrs("doctor", exchange, "--environment", "emulator")
    text = done.stdout.decode()
    assert done.returncode == 0, text + done.stderr.decode()
    assert re.search(r"✓ market data +ok ", text)


def test_every_fault_and_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["emulator", "bybit", "--fault", "help"]) == 0
    shown = capsys.readouterr().out.splitlines()
    explained = [line.split(maxsplit=1) for line in shown if line.startswith("  ")]
    settings = [field.name for field in attrs.fields(Fault) if field.name != "kind"]
    assert [name for name, _ in explained] == [*(kind.value for kind in FaultKind), *settings]


def test_the_doctor_asks_as_the_environment_wants_it() -> None:
    class Told:
        """Notes the headers of what it is asked, and has no answer."""

        headers: ClassVar[list[Mapping[str, str]]] = []

        async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
            self.headers.append(request.headers)
            raise ConnectFailed("nobody there")

    async def main() -> None:
        headers = {"x-simulated-trading": "1"}
        transport: Any = Told()
        exchange = plugins.load("okx")()
        async for verdict in doctor._rest(exchange, transport, "https://a.b", headers):
            assert verdict.outcome == doctor.FAILED

    asyncio.run(main())
    assert Told.headers == [{"x-simulated-trading": "1"}]
