"""The form of JSON: what of two accounts of the same messages is told as unlike."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from ccrs_core.conformance.workbench.forms import differences, form_of, kind_of, without

ROOT = Path(__file__).parents[2]
FIXTURES = Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures")


def told(sample: bytes, emulator: bytes, *names: str) -> list[str]:
    found = differences(form_of([sample], names), form_of([emulator], names), names)
    return [f"{each.place}: {each.sample} / {each.emulator}" for each in found]


@pytest.mark.parametrize(
    ("sample", "emulator", "expected"),
    [
        (b'{"a":1}', b'{"a":2}', []),
        (b'{"a":1}', b'{"b":1}', ["a: there / missing", "b: missing / there"]),
        (b'{"a":{"b":1}}', b"{}", ["a: there / missing"]),
        (b'{"a":"1.5"}', b'{"a":1.5}', ["a: text / number"]),
        (b'{"a":true}', b'{"a":"true"}', ["a: flag / text"]),
        (b'{"a":null}', b'{"a":"1"}', []),
        (b'{"t":1794000000000}', b'{"t":1794000000}',
         ["t: milliseconds, a number / seconds, a number"]),
        (b'{"t":"1794000000000"}', b'{"t":"1794000000000000"}',
         ["t: milliseconds, text / microseconds, text"]),
        (b'{"s":"Buy"}', b'{"s":"buy"}', ["s: both (Buy) / small letters (buy)"]),
        (b'[["1","2"]]', b'[["1","2","3"]]', ["[][2]: missing / there"]),
        (b'{"rows":[]}', b'{"rows":[{"a":1}]}', []),
        (b'{"BTC":{"a":1}}', b'{"ETH":{"a":1}}', []),
    ],
)  # fmt: skip
def test_what_is_unlike_is_told(sample: bytes, emulator: bytes, expected: list[str]) -> None:
    assert told(sample, emulator, "BTC", "ETH") == expected


def test_words_that_the_emulator_never_says_are_told_where_it_spoke_often() -> None:
    said = b'{"a":[' + b",".join([b'{"s":"Buy"}'] * 12) + b"]}"
    assert told(b'{"a":[{"s":"Buy"},{"s":"Sell"}]}', said) == ["a[].s: Sell / only Buy"]
    assert told(b'{"a":[{"s":"Buy"},{"s":"Sell"}]}', b'{"a":[{"s":"Buy"}]}') == []


def test_a_message_is_of_the_kind_that_its_outermost_keys_make() -> None:
    assert kind_of(b'{"b":1,"a":{"c":2}}') == {"a", "b"}
    assert kind_of(b"[1]") is None
    assert kind_of(b"pong") is None


@pytest.mark.parametrize(
    ("text", "place", "left"),
    [
        (b'{"a":1,"b":2}', "a", b'{"b": 2}'),
        (b'{"a":[{"b":1,"c":2}]}', "a[].b", b'{"a": [{"c": 2}]}'),
        (b'{"a":[1,2]}', "a[1]", b'{"a": [1, null]}'),
        (b'{"x":{"a":1},"y":{"a":2}}', "*.a", b'{"x": {}, "y": {}}'),
        (b'{"a":1}', "z", b'{"a":1}'),
        (b"pong", "a", b"pong"),
    ],
)
def test_a_place_is_left_out(text: bytes, place: str, left: bytes) -> None:
    assert without(text, place).replace(b" ", b"") == left.replace(b" ", b"")


# --- samples and what the exchanges really sent ------------------------------------------------

_SPELLED = re.compile(r"text|number|flag|list|object")
FOLDERS = {
    "bybit": ["bybit"],
    "okx": ["okx"],
    "binance": ["binance-spot", "binance-usdm"],
}


def _fixtures(plugin: str) -> Iterator[bytes]:
    for folder in FOLDERS[plugin]:
        for file in sorted((FIXTURES / folder / "ws").glob("*.jsonl")):
            yield from file.read_bytes().splitlines()


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="no recorded frames (set CCRS_FIXTURES)")
@pytest.mark.parametrize("plugin", FOLDERS)
def test_samples_are_spelled_as_what_was_really_sent(plugin: str) -> None:
    """Values that both show are of the same kinds and units, kind of message by kind of message."""
    folder = resources.files(f"ccrs_{plugin}") / "samples" / "streams"
    shown = [
        line
        for file in sorted(folder.iterdir(), key=lambda each: each.name)
        if file.name.endswith(".jsonl")
        for line in file.read_bytes().splitlines()
    ]
    sent = list(_fixtures(plugin))
    kinds = {kind_of(frame) for frame in shown} & {kind_of(frame) for frame in sent}
    assert kinds
    wrong = []
    for kind in kinds:
        one, other = (form_of([f for f in each if kind_of(f) == kind]) for each in (shown, sent))
        wrong += [
            f"{each.place}: {each.sample} in the samples, {each.emulator} in what was sent"
            for each in differences(one, other)
            # One key means several things in messages of one kind: something must be in common.
            if not {each.sample, each.emulator} & {"there", "missing"}
            and not set(each.sample.split(" or ")) & set(each.emulator.split(" or "))
            and "only" not in each.emulator
            and _SPELLED.search(each.sample)
        ]
    assert not wrong, "\n".join(wrong)
