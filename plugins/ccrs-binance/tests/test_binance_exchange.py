"""Binance's description of itself: routes, limits, hosts, errors, and a light import."""

from __future__ import annotations

import json
import subprocess
import sys

import attrs
import pytest
from ccrs_binance import Binance
from ccrs_binance.error_codes import CLASSES
from ccrs_binance.foreign import instrument_of

from ccrs_core import (
    CONTRACT,
    Channel,
    GetBook,
    GetTopOfBook,
    HttpRequest,
    HttpResponse,
    InstrumentStatus,
    Market,
    SequenceScope,
    Subscription,
    errors,
)

FUTURES_ONLY = (Channel.FUNDING, Channel.MARK_PRICE, Channel.LIQUIDATIONS)


def subscription(
    channel: Channel, market: Market, depth: int | None = None, status: str = "trading"
) -> Subscription:
    instrument = instrument_of("BTCUSD_PERP" if market is Market.INVERSE else "BTCUSDT", market)
    assert instrument is not None
    instrument = attrs.evolve(instrument, status=InstrumentStatus(status))
    interval = "1m" if channel is Channel.CANDLES else None
    return Subscription(channel, instrument, depth=depth, interval=interval)


def test_the_plugin_is_written_to_the_contract_of_this_core() -> None:
    assert Binance.contract == CONTRACT == 2
    assert Binance.name == "binance"


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, ccrs_binance; print(*sorted("
        "{'aiohttp', 'cattrs', 'asyncio', 'ccrs_binance.emulator'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- routes ---


def test_futures_have_a_root_for_books_and_one_for_the_rest() -> None:
    exchange = Binance()
    for channel in Binance.capabilities.channels[Market.SPOT]:
        route = exchange.route(subscription(channel, Market.SPOT, 5))
        assert route.url == "{stream}/stream"
        assert route.topics_per_connection is not None
        assert route.topics_per_connection <= 1024
    for channel in Binance.capabilities.channels[Market.LINEAR]:
        root = "public" if channel in {Channel.TOP_OF_BOOK, Channel.BOOK} else "market"
        route = exchange.route(subscription(channel, Market.LINEAR, 5))
        assert route.url == f"{{stream_usdm}}/{root}/stream"
        assert route.topics_per_connection == 200
        assert route.sequence_scope is SequenceScope.GLOBAL
        assert exchange.codec(route) is not exchange.codec(route)


def test_coin_margined_futures_have_one_root() -> None:
    exchange = Binance()
    routes = {
        exchange.route(subscription(channel, Market.INVERSE, 5))
        for channel in Binance.capabilities.channels[Market.INVERSE]
    }
    assert {route.url for route in routes} == {"{stream_coinm}/stream"}


@pytest.mark.parametrize(
    ("market", "most"), [(Market.SPOT, 5), (Market.LINEAR, 10), (Market.INVERSE, 10)]
)
def test_connections_are_replaced_within_a_day_and_leave_room_for_pings(
    market: Market, most: int
) -> None:
    route = Binance().route(subscription(Channel.TRADES, market))
    assert route.max_age is not None
    assert route.max_age <= 24 * 3600
    assert route.messages is not None
    assert route.messages.seconds == 1.0
    assert route.messages.amount <= most - 2


def test_every_address_is_a_host_without_a_path() -> None:
    spot_alone = {"data", "us"}
    assert {"mainnet", "testnet", "demo", *spot_alone} == set(Binance.environments)
    for which, environment in Binance.environments.items():
        kinds = ("",) if which in spot_alone else ("", "_usdm", "_coinm")
        names = {f"{kind}{of}" for kind in ("rest", "stream") for of in kinds}
        # Where futures' WebSocket API of demo trading is isn't documented.
        apis = {"mainnet": kinds, "testnet": kinds, "demo": ("",)}.get(which, ())
        names |= {f"ws_api{of}" for of in apis}
        assert set(environment.addresses) == names
        for name, address in environment.addresses.items():
            scheme, _, host = address.partition("://")
            assert scheme == ("https" if name.startswith("rest") else "wss")
            assert "/" not in host


def test_only_what_comes_every_second_can_be_too_silent() -> None:
    exchange = Binance()
    for channel in Binance.capabilities.channels[Market.LINEAR]:
        silence = exchange.max_silence(subscription(channel, Market.LINEAR))
        paced = {Channel.MARK_PRICE, Channel.INDEX_PRICE, Channel.FUNDING}
        assert (silence is not None) is (channel in paced)
    halted = subscription(Channel.MARK_PRICE, Market.LINEAR, status="halted")
    assert exchange.max_silence(halted) is None


# --- books that start from a request ---


@pytest.mark.parametrize("market", Binance.capabilities.channels)
def test_only_books_of_changes_start_from_a_request_and_are_never_cut(market: Market) -> None:
    exchange = Binance()
    full = subscription(Channel.BOOK, market, 1000)
    assert exchange.book_snapshot(full) == GetBook(full.instrument, 1000)
    assert exchange.book_depth(full) is None
    for depth in (5, 10, 20):
        partial = subscription(Channel.BOOK, market, depth)
        assert exchange.book_snapshot(partial) is None
        assert exchange.book_depth(partial) == depth
    assert exchange.book_snapshot(subscription(Channel.TRADES, market)) is None


# --- hosts and budgets ---


def test_spot_and_futures_are_hosts_with_budgets_of_their_own() -> None:
    exchange = Binance()
    budgets = {}
    hosts = {Market.SPOT: "rest", Market.LINEAR: "rest_usdm", Market.INVERSE: "rest_coinm"}
    for market, name in hosts.items():
        request = GetTopOfBook(subscription(Channel.TRADES, market).instrument)
        http = Binance.endpoints[GetTopOfBook].encode(request, None)
        assert exchange.rest_address(http) == name
        budgets[name] = exchange.rest_budget(name)
    assert budgets["rest"].amount < 6000
    assert budgets["rest_usdm"].amount < 2400
    pools = {name: exchange.rest_pool(name) for name in budgets}
    assert pools == {"rest": "rest", "rest_usdm": "rest_usdm", "rest_coinm": "rest_usdm"}
    assert exchange.rest_address(HttpRequest("GET", "/api/v3/fapi/")) == "rest"


@pytest.mark.parametrize(
    ("text", "used"),
    [("0", 0), ("50", 50), ("5999", 5999), ("", None), ("many", None), ("-1", None), ("१", None)],
)
def test_spent_weight_is_what_the_header_says(text: str, used: int | None) -> None:
    response = HttpResponse(200, {"x-mbx-used-weight-1m": text}, b"{}")
    assert Binance().weight_used(response) == used
    assert Binance().weight_used(HttpResponse(200, {}, b"{}")) is None


def test_the_weight_that_is_told_with_futures_best_prices_is_passed_over() -> None:
    body = b'{"symbol":"BTCUSDT","bidPrice":"1","bidQty":"1","askPrice":"2","askQty":"1","time":1}'
    headers = {"x-mbx-used-weight-1m": "1"}
    for each in (body, b"[" + body + b"]"):
        assert Binance().weight_used(HttpResponse(200, headers, each)) is None


# --- errors ---


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-4021, errors.InvalidRequest),
        (239_999, errors.InvalidRequest),
        (-4166, errors.InvalidRequest),
        (-5028, errors.ClockRefused),
        (-1151, errors.InvalidRequest),
        (-4402, errors.AuthError),
        (-4192, errors.AuthError),
        (-1034, errors.RateLimited),
        (-4001, errors.OrderRejected),
        (-5027, errors.OrderRejected),
        (-2028, errors.InsufficientBalance),
        (-2026, errors.OrderRejected),
        (-4088, errors.AuthError),
        (-4059, errors.SettingUnchanged),
    ],
)
def test_codes_of_futures_and_of_late_are_typed(code: int, kind: type[Exception]) -> None:
    error = Binance().error_of(answer(code))
    assert type(error) is kind


def test_a_country_that_is_not_served_is_told_by_type() -> None:
    for body in (
        b"<html>",
        b"",
        b'{"code":0,"msg":"Service unavailable from a restricted location"}',
    ):
        error = Binance().error_of(HttpResponse(451, {}, body))
        assert type(error) is errors.AuthError


def test_an_order_that_lacks_money_is_told_by_its_text() -> None:
    text = "Account has insufficient balance for requested action."
    for said, kind in (
        (text, errors.InsufficientBalance),
        ("Market is closed.", errors.OrderRejected),
    ):
        body = json.dumps({"code": -2010, "msg": said}).encode()
        assert type(Binance().error_of(HttpResponse(400, {}, body))) is kind


def answer(code: int, status: int = 400, **headers: str) -> HttpResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, names, json.dumps({"code": code, "msg": "said so"}).encode())


@pytest.mark.parametrize("body", [b"{}", b"[]", b'[{"code":-1}]', b'{"code":200,"msg":"success"}'])
def test_success_is_no_error(body: bytes) -> None:
    assert Binance().error_of(HttpResponse(200, {}, body)) is None


def test_every_code_has_its_error() -> None:
    for code, kind in CLASSES.items():
        error = Binance().error_of(answer(code))
        assert type(error) is kind
        assert isinstance(error, errors.ExchangeError)
        assert (error.code, error.text) == (str(code), "said so")
    assert type(Binance().error_of(answer(-9999))) is errors.ExchangeError
    assert type(Binance().error_of(answer(-9999, status=503))) is errors.ExchangeUnavailable
    assert type(Binance().error_of(answer(-1121, status=200))) is errors.InvalidRequest


def limited(response: HttpResponse) -> float | None:
    error = Binance().error_of(response)
    assert isinstance(error, errors.RateLimited)
    return error.retry_after


def test_limits_and_bans_last_as_long_as_the_answer_says() -> None:
    assert limited(answer(-1003, 429, retry_after="37")) == 37.0
    assert limited(answer(-1003, 418, retry_after="120")) == 120.0
    assert limited(answer(-1003, 400)) is None
    for said in ("nan", "-5", "inf", "soon"):
        assert limited(answer(-1003, 429, retry_after=said)) is None
    assert limited(HttpResponse(403, {}, b"<html>")) is None
    assert limited(answer(-1003, 418)) == 120.0, "bans last for two minutes at least"


def test_http_errors_need_no_readable_body() -> None:
    for status, kind in (
        (400, errors.InvalidRequest),
        (401, errors.AuthError),
        (404, errors.InvalidRequest),
        (409, errors.ExchangeError),
        (418, errors.RateLimited),
        (429, errors.RateLimited),
        (500, errors.ExchangeUnavailable),
        (503, errors.ExchangeUnavailable),
    ):
        assert type(Binance().error_of(HttpResponse(status, {}, b"<html>\xff"))) is kind


@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b"null", b'"x"', b"\xff"])
def test_an_answer_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(errors.DecodeError):
        Binance().error_of(HttpResponse(200, {}, body))
