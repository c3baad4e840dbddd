"""Tables that take several runs to write."""

from __future__ import annotations

import errno
import os
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import Funding, RecordingFailed, UsageError, from_json
from ccrs_core.frames.staged import STAGE, StagedWriter

ASKED = {"symbol": "BTC/USDT:USDT"}


def _row(number: int) -> Funding:
    return Funding("toy", "BTC/USDT:USDT", number, number, Decimal("0.1"), number)


def _read(path: Path) -> list[int]:
    if path.suffix == ".jsonl":
        return [from_json(line).received_time_ns for line in path.read_bytes().splitlines()]
    if path.suffix == ".csv":
        return [int(line.split(",")[2][-3:]) for line in path.read_text().splitlines()[1:]]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    column = next(name for name in table.column_names if name.startswith("received"))
    return [int(each.value) for each in table.column(column)]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@settings(max_examples=25, deadline=None)
@given(
    runs=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4), min_size=1, max_size=4
    )
)
def test_every_run_goes_on_behind_what_was_kept(
    suffix: str, runs: list[list[tuple[int, bool]]]
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rates{suffix}"
        kept = 0
        for steps in runs:
            with StagedWriter(path, "funding", question=ASKED) as writer:
                at = kept if writer.state is None else writer.state
                assert (at, writer.rows) == (kept, kept)
                for count, commits in steps:
                    writer.write([_row(at + n) for n in range(count)])
                    at += count
                    if commits:
                        writer.commit(at)
                        kept = at
            assert not path.exists()
        with StagedWriter(path, "funding", question=ASKED) as writer:
            writer.write([_row(kept)])
            writer.finish()
        assert _read(path) == list(range(kept + 1))
        assert [each.name for each in Path(folder).iterdir()] == [path.name]


def test_a_csv_names_its_columns_once(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    with StagedWriter(path, Funding, question=ASKED) as writer:
        for number in range(3):
            writer.write([_row(number)])
            writer.commit(number)
        writer.finish()
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert sum("rate" in line for line in lines) == 1


def test_a_file_without_rows_has_columns(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    with StagedWriter(path, Funding, question=ASKED) as writer:
        writer.finish()
    assert len(path.read_text().splitlines()) == 1


def test_a_beginning_without_rows_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "rates.jsonl"
    with StagedWriter(path, Funding, question={"symbol": "mistyped"}) as writer:
        writer.commit("of that one")
    with StagedWriter(path, Funding, question=ASKED) as writer:
        assert writer.state is None
        writer.write([_row(1)])
        writer.finish()
    assert _read(path) == [1]


def test_rows_that_a_commit_could_not_keep_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rates.jsonl"
    real = os.fsync

    def full(descriptor: int) -> None:
        if failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    failing = False
    monkeypatch.setattr(os, "fsync", full)
    with StagedWriter(path, Funding, question=ASKED) as writer:
        writer.write([_row(1)])
        writer.commit(1)
        writer.write([_row(2), _row(3)])
        failing = True
        with pytest.raises(RecordingFailed, match="No space left"):
            writer.commit(3)
        assert (writer.rows, writer.state) == (1, 1)
    failing = False
    with StagedWriter(path, Funding, question=ASKED) as writer:
        assert (writer.rows, writer.state) == (1, 1)
        writer.write([_row(2)])
        writer.finish()
    assert _read(path) == [1, 2]


def test_who_comes_second_leaves_the_first_ones_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rates.jsonl"
    with StagedWriter(path, Funding, question=ASKED) as writer:
        # Neither saw the other's folder when it looked.
        monkeypatch.setattr(Path, "exists", lambda _: False)
        with pytest.raises(UsageError, match="another process is writing"):
            StagedWriter(path, Funding, question=ASKED)
        monkeypatch.undo()
        writer.write([_row(1)])
        writer.finish()
    assert _read(path) == [1]


def test_two_cannot_write_at_once_nor_something_else_go_on(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    with StagedWriter(path, Funding, question=ASKED) as writer:
        writer.write([_row(1)])
        writer.commit(1)
        with pytest.raises(UsageError, match="another process is writing"):
            StagedWriter(path, Funding, question=ASKED)
    with pytest.raises(UsageError, match=r"something else \(symbol BTC/USDT:USDT there, E here"):
        StagedWriter(path, Funding, question={"symbol": "E"})
    with pytest.raises(UsageError, match="decimals exact there, float here"):
        StagedWriter(path, Funding, question=ASKED, decimals="float")
    state = path.with_name(path.name + STAGE) / "state.json"
    state.write_bytes(b"{")
    with pytest.raises(UsageError, match="can't be read: remove"):
        StagedWriter(path, Funding, question=ASKED)
