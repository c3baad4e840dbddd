"""What plugins read off the wire: exact, bounded, and nothing that only looks like a number."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import wire
from ccrs_core.errors import DecodeError

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", Path(__file__).parents[3] / "shared" / "fixtures"))

READERS = (wire.decimal, wire.price, wire.size, wire.fresh_size, wire.price_or_none)


@pytest.mark.parametrize(
    "text",
    [
        *(" 1.5", "1.5 ", "1_000", "\uff11\uff12", "\u0663"),
        *("+1", "1.", ".5", "--1", "0x10", "1,5"),
        *("NaN", "Infinity", "-inf", "sNaN", "1e", "e5", "1e5.0", "1e9999", "1\n", "1" * 65),
        *("9" * 100_000, "0." + "0" * 100 + "1", 1, 1.5, True, [], b"1"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_number_is_none(text: Any) -> None:
    for read in READERS:
        with pytest.raises(wire.MALFORMED):
            read(text)
    assert text not in wire.DECIMALS if isinstance(text, str) else True


@given(st.from_regex(r"\A(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9])?\Z"))
@example("1e-8")
@example("0E-8")
@example("1" * 64)
def test_a_numbers_digits_stay_as_they_were_written(text: str) -> None:
    number = Decimal(text)
    assert str(wire.decimal(text)) == str(number)
    assert str(wire.size(text)) == str(wire.fresh_size(text)) == str(number)
    if len(text) < wire.LONGEST:
        assert wire.decimal(f"-{text}") == number.copy_negate()


@given(st.text("0123456789.eE+-_ \u0663NaInf", max_size=66))
@example("1E+63")
@example("1E+64")
@example("1E-63")
@example("1E-64")
@example("-0")
@example("0E+64")
@example("1E+5")
@example("sNaN1")
def test_one_rule_says_what_is_a_number_whether_its_spelling_is_usual_or_not(text: str) -> None:
    spelled = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text)
    number = Decimal(text) if spelled and len(text) <= wire.LONGEST else Decimal(-(10**64))
    plausible = -64 < number.adjusted() < 64
    for read, allowed in (
        (wire.decimal, True),
        (wire.price, number > 0),
        (wire.size, number >= 0),
        (wire.fresh_size, number >= 0),
    ):
        if plausible and allowed:
            assert str(read(text)) == str(number)
        else:
            with pytest.raises((TypeError, ValueError)):
                read(text)


def test_a_price_is_above_zero_and_a_size_not_below() -> None:
    for text in ("0", "0.000", "-1", "-0.5"):
        with pytest.raises(ValueError, match="is no price"):
            wire.price(text)
    for read in (wire.size, wire.fresh_size, wire.size_or_none, wire.price_or_none):
        with pytest.raises(ValueError, match="is no"):
            read("-1")
        assert not read("0.00")
    assert wire.price_or_none("0.00") is None
    assert wire.size_or_none("0.00") == 0
    for nothing in (None, ""):
        assert wire.price_or_none(nothing) is None
        assert wire.size_or_none(nothing) is None


@pytest.mark.parametrize(
    "ms", [-1, 0, 7, 1_764_364_800, 1_764_364_800_000_123, 9 * 10**18, 5 * 10**12]
)
def test_seconds_and_microseconds_are_not_taken_for_milliseconds(ms: int) -> None:
    for value in (ms, str(ms)):
        with pytest.raises(wire.MALFORMED):
            wire.ns_of_ms(value)
    if ms:
        with pytest.raises(wire.MALFORMED):
            wire.ns_or_none(ms)


@given(st.integers(wire.EARLIEST_MS, wire.LATEST_MS - 1))
def test_a_time_is_the_same_in_every_unit_and_fits_63_bits(ms: int) -> None:
    ns = wire.ns_of_ms(ms)
    assert ns == ms * 10**6 < 2**63
    assert wire.ns_of_ms(str(ms)) == wire.ns_of_us(ms * 1000) == wire.ns_of_us(str(ms * 1000)) == ns
    assert wire.ns_of_seconds(ms // 1000) == ms // 1000 * 10**9
    assert wire.ns_or_none(ms) == ns


def test_no_time_is_none() -> None:
    for nothing in (None, "", 0, "0"):
        assert wire.ns_or_none(nothing) is None


def test_a_row_that_cannot_be_read_takes_no_other_one_away() -> None:
    def read(row: Any) -> Decimal | None:
        return None if row["px"] == "skip" else wire.price(row["px"])

    rows = [{"px": "1.5"}, {}, {"px": "skip"}, {"px": ""}, {"px": "2"}]
    found = wire.read_rows(rows, read)
    assert found.values == [Decimal("1.5"), Decimal(2)]
    assert found.left_out == 2
    assert "KeyError" in found.reason
    page = found.answer(cursor="more")
    assert (page.value, page.cursor, page.left_out) == (found.values, "more", 2)
    assert wire.read_rows([], read).values == []
    assert wire.read_rows([{"px": "skip"}], read).left_out == 0


def test_a_page_of_which_nothing_can_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of 2 rows"):
        wire.read_rows([{}, 1], lambda row: row["px"])
    for rows in ({}, None, "rows", {"0": 1}):
        with pytest.raises(TypeError, match="not a list"):
            wire.read_rows(rows, lambda row: row)


def test_remembered_numbers_are_bounded() -> None:
    for cache in (wire.DECIMALS, wire.PRICES, wire.SIZES):
        for number in range(1, 40_000):
            cache[f"{number}.25"]
        assert len(cache) <= 16384


# --- the bounds are harmless -----------------------------------------------------------------


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _documents(path: Path) -> Iterator[Any]:
    content = path.read_text(encoding="utf-8", errors="replace")
    for text in content.splitlines() if path.suffix == ".jsonl" else [content]:
        try:
            yield json.loads(text)
        except ValueError:
            continue


def test_no_number_that_an_exchange_was_seen_to_send_is_refused() -> None:
    if not FIXTURES.is_dir():
        pytest.skip(f"no captured frames at {FIXTURES}")
    seen = set()
    for path in sorted(FIXTURES.rglob("*.json*")):
        for document in _documents(path):
            seen.update(_texts(document))
    numbers = 0
    for text in seen:
        plain = text.lstrip("-").replace(".", "", 1)
        if plain.isascii() and plain.isdigit() and text[-1] != "." and len(text) < 40:
            numbers += 1
            assert wire.decimal(text) == Decimal(text)
    assert numbers > 10_000


def test_json_that_is_none_says_so() -> None:
    with pytest.raises(DecodeError):
        wire.read_json(b"<html>")
