"""What an exchange keeps no more is refused with a time from which on it tells, never cut off."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Client, Endpoint, GetCandles, HttpResponse, RateLimited, Unsupported
from ccrs_core.model.times import shown
from ccrs_core.requests.retention import check_retention
from tests.scripted import BTC, Paged, Rest, page, status

SECOND, DAY = 10**9, 86_400 * 10**9
NOW = 1_767_225_600 * SECOND
RIGHT: Endpoint[Any, Any] = attrs.evolve(
    next(iter(Paged.endpoints.values())), retention=30 * DAY, newest_first=True
)
FORWARDS = attrs.evolve(RIGHT, newest_first=False)


def refused(
    endpoint: Endpoint[Any, Any], start: int | None, end: int | None = None, cursor: Any = None
) -> str:
    """Why not; empty where nothing is wrong."""
    request = GetCandles(BTC, "1m", start, end, 10)
    try:
        check_retention("a", endpoint, request, cursor, NOW)
    except Unsupported as error:
        return str(error)
    return ""


@given(st.integers(0, 200 * DAY))
def test_a_stretch_is_refused_where_it_begins_before_what_is_kept(ago: int) -> None:
    assert bool(refused(RIGHT, NOW - ago)) == (ago > 30 * DAY - SECOND)
    assert bool(refused(RIGHT, None, NOW - ago)) == (ago >= 30 * DAY - SECOND)


@given(st.integers(31 * DAY, 3000 * DAY))
def test_from_the_time_on_that_a_refusal_names_everything_is_told(ago: int) -> None:
    told = re.search(r"Ask from (.+ UTC) on \((\d+) ns\)$", refused(RIGHT, NOW - ago))
    assert told is not None
    assert told[1] == shown(int(told[2])), "people read dates"
    assert refused(RIGHT, int(told[2])) == ""
    assert int(told[2]) < NOW - 30 * DAY + 180 * SECOND


def test_pages_that_go_forward_have_their_beginning_behind_them() -> None:
    start = NOW - 31 * DAY
    assert refused(FORWARDS, start)
    assert not refused(FORWARDS, start, cursor="further")
    assert refused(RIGHT, start, cursor="further"), "time passes: the last page has the beginning"


def test_the_last_rows_are_told_as_far_as_they_reach() -> None:
    assert not refused(RIGHT, None)
    assert not refused(attrs.evolve(RIGHT, retention=None), 0)
    assert not refused(attrs.evolve(RIGHT, retention=lambda request: None), 0)


@pytest.mark.parametrize(
    ("length", "words"), [(2 * DAY, "2 days"), (DAY, "24 hours"), (90 * SECOND, "90 seconds")]
)
def test_a_refusal_says_how_long_is_kept(length: int, words: str) -> None:
    assert f"the last {words} alone" in refused(attrs.evolve(RIGHT, retention=length), 0)


class Forgetful(Paged):
    """Tells thirty days of candles."""

    endpoints: ClassVar[Any] = {
        **Paged.endpoints,
        GetCandles: attrs.evolve(RIGHT, encode=lambda request, cursor: RIGHT.encode(request, None)),
    }


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HttpResponse(200, {}, page([1])), Unsupported),
        (status(400), Unsupported),  # some exchanges refuse it, in words of their own
        (status(429, retry_after="999"), RateLimited),
    ],
)
def test_the_exchanges_clock_tells_and_a_refusal_of_another_kind_stays(
    answer: HttpResponse, error: type[Exception]
) -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    dated = attrs.evolve(answer, headers={**answer.headers, "date": date})
    rest = Rest(dated)
    rest.exchange = Forgetful()

    async def use(client: Client) -> None:
        with pytest.raises(error):
            await client.request(GetCandles(BTC, "1m", NOW - 31 * DAY, None, 10))

    rest.play(use)


@pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_an_answer_without_a_readable_date_tells_no_time(text: str) -> None:
    assert HttpResponse(200, {"date": text}, b"").date_ns is None
    assert HttpResponse(200, {}, b"").date_ns is None
