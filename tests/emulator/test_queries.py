"""Parameters of requests, read as strictly as an exchange says."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import HttpRequest
from ccrs_core.emulator import BadRequest, Query, Wrong
from ccrs_core.model.units import NS_PER_MS

texts = st.one_of(st.text(max_size=8), st.integers(-50, 500).map(str), st.just("٣"))


class Lenient(Query):
    """What is blank wasn't sent."""

    def wrong(self, name: str, wrong: Wrong) -> BadRequest:
        return BadRequest(wrong.name, name)


class Strict(Lenient):
    blank_is_absent: ClassVar[bool] = False


def sent(kind: type[Query], **values: str) -> Query:
    return kind(HttpRequest(method="GET", path="/", query=tuple(values.items())))


def digits(text: str) -> bool:
    return text != "" and set(text) <= set("0123456789")


def refused(error: BadRequest, name: str, wrong: Wrong) -> bool:
    return (error.code, error.text) == (wrong.name, name)


@pytest.mark.parametrize("kind", [Lenient, Strict])
@given(text=texts, most=st.integers(1, 400), least=st.integers(0, 3))
def test_a_number_is_one_of_those_allowed_or_refused(
    kind: type[Query], text: str, most: int, least: int
) -> None:
    query = sent(kind, limit=text)
    if text == "" and kind is Lenient:
        assert query.number("limit", -1, most, least) == -1
    elif digits(text) and least <= int(text) <= most:
        assert query.number("limit", -1, most, least) == int(text)
    else:
        with pytest.raises(BadRequest) as error:
            query.number("limit", -1, most, least)
        assert refused(error.value, "limit", Wrong.NUMBER)


@pytest.mark.parametrize("kind", [Lenient, Strict])
@given(text=texts)
def test_a_time_is_milliseconds_or_refused(kind: type[Query], text: str) -> None:
    query = sent(kind, start=text)
    if text == "" and kind is Lenient:
        assert query.time_ns("start") is None
    elif digits(text):
        assert query.time_ns("start") == int(text) * NS_PER_MS
    else:
        with pytest.raises(BadRequest) as error:
            query.time_ns("start")
        assert refused(error.value, "start", Wrong.TIME)


@given(text=texts, default=st.sampled_from([None, "spot", "else"]))
def test_a_word_is_one_of_those_there_are_or_refused(text: str, default: str | None) -> None:
    allowed = ("spot", "1")
    found = text or default
    query = sent(Lenient, market=text)
    if found in allowed:
        assert query.choice("market", allowed, default) == found
    else:
        with pytest.raises(BadRequest) as error:
            query.choice("market", allowed, default)
        assert refused(error.value, "market", Wrong.MISSING if found is None else Wrong.CHOICE)


@pytest.mark.parametrize("kind", [Lenient, Strict])
def test_what_was_not_sent_has_its_default(kind: type[Query]) -> None:
    query = sent(kind, other="x")
    assert query.number("limit", 100, 10) == 100
    assert query.time_ns("start") is None
    assert query.text("limit") == ""
    assert query.text("other") == "x"
