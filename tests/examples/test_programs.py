"""The programs for beginners run, and end with something to show."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parents[2] / "examples" / "programs"
PAGE = Path(__file__).parents[2] / "docs" / "programs" / "index.md"


def load(name: str) -> Any:
    """A program as a module, without running it."""
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_spread_monitor_compares_three_exchanges(capsys: pytest.CaptureFixture[str]) -> None:
    best = load("spread_monitor").main(["--seconds", "0.5"])
    assert {each.exchange for each in best.exchanges} == {"bybit", "binance", "okx"}
    assert best.best_bid is not None
    assert "BTC/USDT" in capsys.readouterr().out


def test_the_imbalance_of_200_books_is_ranked(capsys: pytest.CaptureFixture[str]) -> None:
    ranked = load("imbalance").main(["--seconds", "0.1"])
    assert "200 books on" in capsys.readouterr().out
    assert len(ranked) == 200
    values = [value for value, _ in ranked]
    assert values == sorted(values, reverse=True)
    assert all(-1 <= value <= 1 for value in values)


def test_what_was_recorded_is_played_back_and_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recording.jsonl.gz"
    program = load("record_and_replay")
    played, bars, snapshots = program.main(["--seconds", "2.5", "--path", str(path)])
    assert "frames" in capsys.readouterr().out
    assert played
    assert sum(bar.trades for bar in bars) == len(played)
    assert snapshots
    assert program.compute(path) == (played, bars, snapshots), "the same each time"


def test_a_history_is_whole_in_its_parquet_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "candles.parquet"
    rows = load("history_to_parquet").main(["--days", "5", "--output", str(path)])
    assert "100%" in capsys.readouterr().out
    times = parquet.read_table(path, columns=["open_time"])["open_time"].cast("int64").to_pylist()
    assert len(times) == rows
    assert rows in (5 * 24 * 60 - 1, 5 * 24 * 60), "but for the minute that is still open"
    assert {after - before for before, after in pairwise(times)} == {60 * 10**9}
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_history_that_takes_too_long_says_so_and_leaves_no_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    asked = ["--days", "2000", "--seconds", "0.2", "--output", str(tmp_path / "candles.parquet")]
    with pytest.raises(SystemExit, match=r"not whole after 0\.2 s"):
        load("history_to_parquet").main(asked)
    assert not list(tmp_path.iterdir())


def test_the_web_application_serves_prices_candles_and_its_health() -> None:
    module = load("web_app")

    async def ask(client: Any, url: str, wanted: int = 200) -> Any:
        answer = await client.get(url)
        assert answer.status_code == wanted, answer.text
        return answer.json()

    async def main() -> None:
        import httpx

        over = httpx.ASGITransport(app=module.app)
        async with (
            module.lifespan(module.app),
            httpx.AsyncClient(transport=over, base_url="http://app") as client,
        ):
            prices = module.app.state.prices
            while len(prices.quotes) < 2:  # noqa: ASYNC110 - there is nothing else to wait for
                await asyncio.sleep(0.01)
            quotes = await ask(client, "/quotes")
            assert set(quotes) == {"BTC/USDT", "ETH/USDT"}
            assert re.fullmatch(r"\d+(\.\d+)?", quotes["BTC/USDT"]["bid_price"])
            assert len(await ask(client, "/candles?symbol=BTC/USDT&limit=3")) == 3
            refused = await ask(client, "/candles?symbol=BCT/USDT", 422)
            assert "BTC/USDT" in refused["detail"]
            assert await ask(client, "/health") == {"reconnects": 0}
            prices.stale.add("BTC/USDT")
            assert "BTC/USDT" in (await ask(client, "/health", 503))["detail"]

    asyncio.run(main())


def cells(notebook: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    told = json.loads(notebook.read_text("utf-8"))
    assert told["nbformat"] == 4
    for cell in told["cells"]:
        assert not cell.get("outputs"), "a notebook is shipped without outputs"
    return ["".join(c["source"]) for c in told["cells"] if c["cell_type"] == "code"]


def test_the_notebook_runs_cell_by_cell_on_one_loop() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}

    async def main() -> None:
        for number, code in enumerate(cells(PROGRAMS / "notebook.ipynb")):
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compiled = compile(code, f"cell {number}", "exec", flags, dont_inherit=True)
            result = eval(compiled, names)
            if inspect.isawaitable(result):
                await result

    asyncio.run(main())
    assert names["spread"]


def test_every_program_is_told_of_and_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text("utf-8")
    for program in sorted(PROGRAMS.iterdir()):
        if program.suffix not in (".py", ".ipynb"):
            continue
        assert program.name in page, f"{PAGE} doesn't name {program.name}"
        if program.suffix == ".py":
            said = ast.get_docstring(ast.parse(program.read_text("utf-8")))
            assert said is not None
            assert program.name.removesuffix(".py") in said, "it says how it is run"
