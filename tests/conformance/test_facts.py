"""A file of facts is read, and a broken one says where it is wrong and what to write."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from ccrs_bybit import Bybit

from ccrs_core.conformance import Subject
from ccrs_core.conformance.workbench.facts import Facts, FactsError, read
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.rest import GetBook, GetTopOfBook
from ccrs_core.errors import RateLimited
from ccrs_core.model.instruments import InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel

HEAD = """
date = 2026-01-31
[pages]
docs = "https://exchange.example/docs"
"""
SOURCE = '\nsource = "docs"\n'


def facts(tmp_path: Path, text: str, head: str = HEAD) -> Facts:
    file = tmp_path / "facts.toml"
    file.write_text(head + text, "utf-8")
    return read(file)


def test_an_entry_has_its_page_and_its_day(tmp_path: Path) -> None:
    (common,) = facts(tmp_path, f'[[limit]]\nof = "idle"\namount = 30{SOURCE}')
    assert common.source == "https://exchange.example/docs"
    assert common.date == dt.date(2026, 1, 31)
    (own,) = facts(
        tmp_path,
        '[[limit]]\nof = "idle"\namount = 30\nsource = "https://a.example"\ndate = 2026-02-01\n',
        head="",
    )
    assert str(own) == "facts.toml, limit 1 (idle) (https://a.example, 2026-02-01)"


def test_everything_is_read(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        f"""
[[stream]]
markets = ["spot"]
channels = ["book"]
depths = [5, 50]
url = "wss://exchange.example/ws"
says = ["book.{{depth}}.{{symbol}}"]
cadence = 3{SOURCE}
[[request]]
type = ["GetBook", "GetTopOfBook"]
url = "https://exchange.example/book"
asks = {{ symbol = "{{symbol}}" }}
size = "limit"
most = 100
weight = [[50, 1], [100, 2]]
limit = {{ amount = 10, seconds = 2 }}{SOURCE}
[[error]]
error = "RateLimited"
codes = ["7"]
body = '{{"code":{{code}}}}'{SOURCE}
[[status]]
field = "state"
words = {{ live = "trading" }}{SOURCE}
[intervals]
names = {{ 1h = "60" }}{SOURCE}
[calendar]
week = "sunday"{SOURCE}
[[excuse]]
about = "frames"
because = "there are none"
""",
    )
    assert len(list(found)) == 6
    (stream,), (request,) = found.streams, found.requests
    assert (stream.markets, stream.channels) == ({Market.SPOT}, {Channel.BOOK})
    assert (stream.depths, stream.cadence) == ((5, 50), 3.0)
    assert request.kinds == (GetBook, GetTopOfBook)
    assert request.markets == frozenset(Market)
    assert (request.size, request.weights) == (("limit", 100), ((50, 1), (100, 2)))
    assert request.limit == Budget(amount=10, seconds=2)
    assert found.errors[0].error is RateLimited
    assert found.statuses[0].words == {"live": InstrumentStatus.TRADING}
    assert found.spelled == {"1h": "60"}
    assert found.calendar is not None
    assert found.calendar.weekday == 6
    assert found.excuses[0].because == "there are none"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[limit]", "is no TOML"),
        ('[[limit]]\nof = "idle"\namount = 1\n', "limit 1 (idle): source is missing"),
        ('[[limit]]\nof = "idle"\namount = 1\nsource = "doc"\n', "'doc' is neither an address nor"),
        (f'[[limit]]\nof = "idle"\namount = "1"{SOURCE}', "amount must be a whole number, not '1'"),
        (f'[[limit]]\nof = "idle"{SOURCE}', "amount is missing: write a whole number"),
        (
            f'[[limit]]\nof = "idel"\namount = 1{SOURCE}',
            "there is no 'idel'; write one of connects",
        ),
        (f'[[limit]]\nof = "connects"\namount = 1{SOURCE}', "connects needs seconds, the window"),
        (f'[[limit]]\nof = "idle"\namount = 1\nseconds = 1{SOURCE}', "has no window: write amount"),
        (f'[[limit]]\nof = "idle"\namount = 1\nper = 1{SOURCE}', "per is unknown; there may be of"),
        (f'[[stream]]\nurl = "u"\nmarkets = ["spott"]{SOURCE}', "no 'spott'; write one of spot"),
        (
            f'[[stream]]\nurl = "u"\ndepths = ["5"]{SOURCE}',
            "depths must be a list of whole numbers",
        ),
        (f'[[request]]\ntype = "GetBok"\nurl = "u"{SOURCE}', "type: there is no 'GetBok'"),
        (f'[[request]]\ntype = "GetBook"\nurl = "u"\nmost = 5{SOURCE}', "go together"),
        (f'[[request]]\ntype = "GetBook"\nurl = "u"\nweight = ["a"]{SOURCE}', "weight must be a"),
        (
            f'[[request]]\ntype = "GetBook"\nurl = "u"\nlimit = {{}}{SOURCE}',
            "limit must be {amount",
        ),
        (f'[[error]]\nerror = "Oops"\ncodes = ["1"]{SOURCE}', "error: there is no 'Oops'"),
        (f'[[error]]\nerror = "none"{SOURCE}', "write codes = [...]"),
        (f'[[error]]\nerror = "none"\ncodes = ["1"]{SOURCE}', "write body, an answer in which"),
        (f'[[status]]\nfield = "s"\nwords = {{ a = "b" }}{SOURCE}', "words.a: there is no 'b'"),
        (f'[intervals]\nnames = {{ 7x = "a" }}{SOURCE}', "there is no '7x'; write one of 1m"),
        (f'[calendar]\nweek = "mon"{SOURCE}', "there is no 'mon'; write one of monday"),
        ('[[excuse]]\nabout = "a"\nbecause = " "\n', "because is empty"),
        ("[stream]\n", "stream must be a list"),
        ("[[limits]]\n", "limits is unknown; there may be pages, date, environment"),
    ],
)
def test_a_broken_file_says_where_and_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FactsError) as caught:
        facts(tmp_path, text)
    assert told in str(caught.value)
    assert str(caught.value).startswith("facts.toml")


def test_an_entry_without_a_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="date is missing"):
        facts(tmp_path, '[[limit]]\nof = "idle"\namount = 1\nsource = "https://a.example"\n', "")


def test_an_exchange_that_inherits_from_a_plugins_has_its_facts() -> None:
    class Other(Bybit):
        pass

    assert Subject(Other).facts == Subject("bybit").facts


HISTORY = """
[[request]]
type = "GetCandles"
url = "https://exchange.example/candles"
"""


def test_bounds_of_histories_are_read(tmp_path: Path) -> None:
    (request,) = facts(
        tmp_path,
        HISTORY
        + """
from = { asks = "start", inclusive = true, unit = "s", exact = false }
until = { asks = "end", inclusive = false }
order = "oldest first"
gives = { both = "oldest" }"""
        + SOURCE,
    ).requests
    since, until = request.since, request.until
    assert since is not None
    assert until is not None
    assert (since.asks, since.inclusive, since.exact) == ("start", True, False)
    assert (until.asks, until.inclusive, until.exact) == ("end", False, True)
    assert since.spelled(5_000_000_000) == "5"
    assert until.spelled(5_000_000_000) == "5000"
    assert (request.order, request.gives) == ("oldest first", {"both": "oldest"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from = { inclusive = true }", "request 1 (GetCandles), from: asks is missing"),
        ('until = { asks = "end" }', "until: inclusive is missing: write true or false"),
        ('until = { asks = "end", inclusive = 1 }', "inclusive must be true or false"),
        ('from = { asks = "a", inclusive = true, unit = "h" }', "unit must be one of s, ms"),
        ('from = { asks = "a", inclusive = true, more = 1 }', "from: more is unknown"),
        ('order = "newest"', "order must be one of newest first, oldest first"),
        ('gives = { always = "newest" }', "gives must be such as"),
        ('gives = { both = "first" }', "gives must be such as"),
    ],
)
def test_wrong_bounds_say_what_to_write(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FactsError) as caught:
        facts(tmp_path, HISTORY + text + SOURCE)
    assert says in str(caught.value)
