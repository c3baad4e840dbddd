"""Files hold what was written, appear when they are whole, and cost no more memory when long."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    FrameWriter,
    Gap,
    Reason,
    RecordingFailed,
    Trade,
    UsageError,
    from_json,
    to_arrow,
)
from ccrs_core.frames import writer as writers
from ccrs_core.model.serialize import exact
from tests.frames.test_tables import some, trade

GAP = Gap("toy", "A/B", None, 1, Channel.TRADES, Reason.SEQUENCE)
FORMATS = (".parquet", ".csv", ".jsonl")
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")


def read(path: Path) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


@settings(max_examples=20)
@given(st.lists(some(Trade), max_size=4), st.integers(1, 5))
def test_portions_of_any_size_make_one_file(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Any]], portion: int
) -> None:
    folder, every = tmp_path_factory.mktemp("w"), list(chain(*batches))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "CHUNK", portion)
        for suffix in FORMATS:
            with FrameWriter(folder / f"t{suffix}", Trade) as writer:
                for batch in batches:
                    writer.write(batch)
            assert writer.rows == len(every)
    table = pq.read_table(folder / "t.parquet")
    assert table.to_pylist() == to_arrow(every, kind=Trade, decimals="exact").to_pylist()
    lines = (folder / "t.jsonl").read_bytes().splitlines()
    assert [from_json(line) for line in lines] == every
    found = read(folder / "t.csv")
    assert [row["price"] for row in found] == [exact(each.price) for each in every]
    assert [row["trade_id"] for row in found] == [each.trade_id for each in every]


def test_a_csv_has_times_that_people_read_and_nothing_where_nothing_is(tmp_path: Path) -> None:
    with FrameWriter(tmp_path / "t.csv") as writer:
        writer.write([trade(1_767_225_600_000_000_007)])
    (row,) = read(tmp_path / "t.csv")
    assert row["time"] == row["exchange_time"] == "2026-01-01T00:00:00.000000007Z"
    assert (row["sequence"], row["block"], row["side"]) == ("", "false", "buy")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_text("of yesterday")
    with contextlib.suppress(ZeroDivisionError), FrameWriter(path) as writer:
        writer.write([trade()])
        writer.flush()
        assert path.read_text() == "of yesterday"
        raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "of yesterday"
    with FrameWriter(path) as writer:
        writer.write([trade()])
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() != b"of yesterday"
    with pytest.raises(UsageError, match="closed"):
        writer.write([trade()])
    writer.close()


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_events_make_an_empty_file_of_a_known_kind_and_none_of_an_unknown(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"t{suffix}"
    with pytest.raises(UsageError, match="no kind"), FrameWriter(path):
        pass
    assert not list(tmp_path.iterdir())
    with FrameWriter(path, "trade"):
        pass
    assert path.exists()
    if suffix == ".parquet":
        assert pq.read_table(path).schema.names[0] == "time"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("t.xlsx", {}, r"must end in \.parquet, \.csv, \.jsonl"),
        ("t.csv", {"decimals": "double"}, "float, exact or text"),
        ("t.csv", {"kind": "tick"}, "no event is of the type"),
        ("nowhere/t.csv", {}, "can't write"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        FrameWriter(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@needs_full
def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.with_name("t.csv.part").symlink_to("/dev/full")
    with pytest.raises(RecordingFailed, match="No space left"), FrameWriter(path) as writer:
        writer.write([trade()])
    assert not path.exists()


def test_floats_are_the_nearest_ones_shortest_digits(tmp_path: Path) -> None:
    with FrameWriter(tmp_path / "t.csv", decimals="float") as writer:
        writer.write([trade(price="0.10")])
    assert read(tmp_path / "t.csv")[0]["price"] == "0.1"
    assert Decimal("0.10") == trade(price="0.10").price


class FailingDisk(io.FileIO):
    """A file on a disk that is full for one write."""

    full = False

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("why", ["full", "misfit", "another kind"])
def test_a_file_that_rows_are_missing_from_never_passes_for_whole(
    tmp_path: Path, suffix: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "misfit" and suffix != ".parquet":
        return  # text holds all digits
    monkeypatch.setattr(writers, "open", FailingDisk, raising=False)
    path, good = tmp_path / f"t{suffix}", [trade()] * 200
    path.write_text("of yesterday")
    writer = FrameWriter(path)
    writer.write(good)
    writer.flush()
    disk = writer._file
    assert isinstance(disk, FailingDisk)
    disk.full = why == "full"
    bad: list[Any] = {"full": good, "misfit": [trade(price="1e30")], "another kind": [GAP]}[why]
    writer.write(bad)
    with pytest.raises((RecordingFailed, UsageError)) as first:
        writer.flush()
    disk.full = False
    for call in (lambda: writer.write(good), writer.flush, writer.close):
        with pytest.raises(type(first.value)) as again:
            call()
        assert again.value is first.value
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "of yesterday"
