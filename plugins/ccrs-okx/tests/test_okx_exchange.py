"""OKX's description of itself: routes, limits, hosts, signatures, errors, and a light import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import attrs
import pytest
from ccrs_okx import Okx
from ccrs_okx.error_codes import CLASSES
from ccrs_okx.foreign import instrument_of

from ccrs_core import (
    CONTRACT,
    Access,
    Channel,
    Credentials,
    GetBook,
    GetInstruments,
    GetServerTime,
    HttpRequest,
    HttpResponse,
    InstrumentStatus,
    Market,
    Request,
    SequenceScope,
    Subscription,
    errors,
)

NATIVES = {
    Market.SPOT: "BTC-USDT",
    Market.LINEAR: "BTC-USDT-SWAP",
    Market.INVERSE: "BTC-USD-SWAP",
    Market.OPTION: "BTC-USD-261225-100000-C",
}


def subscription(
    channel: Channel,
    market: Market = Market.LINEAR,
    depth: int | None = None,
    native: str | None = None,
    status: str = "trading",
) -> Subscription:
    instrument = instrument_of(native or NATIVES[market])
    assert instrument is not None
    instrument = attrs.evolve(instrument, status=InstrumentStatus(status))
    interval = "1m" if channel is Channel.CANDLES else None
    return Subscription(channel, instrument, depth=depth, interval=interval)


def test_the_plugin_is_written_to_the_contract_of_this_core() -> None:
    assert Okx.contract == CONTRACT == 2
    assert Okx.name == "okx"


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, ccrs_okx; print(*sorted("
        "{'aiohttp', 'cattrs', 'asyncio', 'ccrs_okx.emulator'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- routes ---


def test_single_trades_and_candles_are_another_root_than_the_rest() -> None:
    exchange = Okx()
    for market, channels in Okx.capabilities.channels.items():
        for channel in channels:
            route = exchange.route(subscription(channel, market, 5))
            business = channel in {Channel.TRADES, Channel.CANDLES}
            root = "business" if business else "public"
            assert route.url == f"{{{root}}}/ws/v5/{root}"
            assert route.sequence_scope is SequenceScope.GLOBAL
            assert route.messages is not None
            assert route.messages.amount / route.messages.seconds <= 480 / 3600
            assert exchange.codec(route) is not exchange.codec(route)


def test_deep_books_and_liquidations_have_connections_of_their_own() -> None:
    exchange = Okx()
    deep = exchange.route(subscription(Channel.BOOK, depth=400))
    assert deep.topics_per_connection == 29, "fewer than 30"
    shallow = exchange.route(subscription(Channel.BOOK, depth=5))
    assert shallow == exchange.route(subscription(Channel.TICKER)) != deep
    assert shallow.topics_per_connection is None
    swaps = exchange.route(subscription(Channel.LIQUIDATIONS))
    assert swaps == exchange.route(subscription(Channel.LIQUIDATIONS, Market.INVERSE))
    dated = exchange.route(subscription(Channel.LIQUIDATIONS, native="BTC-USDT-261225"))
    assert len({swaps, dated, deep, shallow}) == 4


def test_every_address_is_a_host_without_a_path_or_the_closed_port() -> None:
    for environment in Okx.environments.values():
        assert set(environment.addresses) == {"rest", "public", "business", "private"}
        for name, address in environment.addresses.items():
            scheme, _, host = address.partition("://")
            assert scheme == ("https" if name == "rest" else "wss")
            assert "/" not in host
            assert ":" not in host


def test_what_comes_by_itself_can_be_too_silent() -> None:
    exchange = Okx()
    least = {
        Channel.MARK_PRICE: 10.0,
        Channel.INDEX_PRICE: 60.0,
        Channel.FUNDING: 90.0,
        Channel.BOOK: 60.0,
    }
    for channel in Okx.capabilities.channels[Market.LINEAR]:
        silence = exchange.max_silence(subscription(channel, depth=400))
        assert (silence is not None) is (channel in least)
        assert silence is None or silence > 2 * least[channel]
        assert exchange.max_silence(subscription(channel, depth=400, status="halted")) is None
    assert exchange.max_silence(subscription(Channel.BOOK, depth=5)) is None


# --- books ---


@pytest.mark.parametrize("market", list(Market))
def test_deep_books_may_start_from_a_request_and_are_checked(market: Market) -> None:
    exchange = Okx()
    deep = subscription(Channel.BOOK, market, 400)
    assert exchange.book_snapshot(deep) == GetBook(deep.instrument, 400)
    assert exchange.checksum(deep) is not None
    shallow = subscription(Channel.BOOK, market, 5)
    assert exchange.book_snapshot(shallow) is None
    assert exchange.checksum(shallow) is None
    assert exchange.book_snapshot(subscription(Channel.TRADES, market)) is None


# --- signatures ---


def access(credentials: Credentials, now_ms: int) -> Access:
    return Access(now_ms=now_ms, url="https://www.okx.com", credentials=credentials)


@pytest.mark.parametrize(
    ("request_", "proof"),
    [
        (
            HttpRequest("GET", "/api/v5/account/balance", (("ccy", "BTC"),)),
            "r08bS9X5FPzXyC41sXd/6luwKLvhbqC8Xxp2xjtbENw=",
        ),
        (
            HttpRequest(
                "POST",
                "/api/v5/trade/order",
                body=b'{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit",'
                b'"px":"100","sz":"1"}',
            ),
            "QMyk1LF7KGilv0By51z8QUnzVa5GdgXMT0qBhqLYc3o=",
        ),
    ],
)
def test_requests_are_signed_with_query_and_body(request_: HttpRequest, proof: str) -> None:
    credentials = Credentials(key="k", secret="testsecret", passphrase="p")
    signed = Okx().sign(request_, access(credentials, 1_700_000_000_000))
    assert signed.headers["OK-ACCESS-SIGN"] == proof
    assert signed.headers["OK-ACCESS-TIMESTAMP"] == "2023-11-14T22:13:20.000Z"
    assert signed.headers["OK-ACCESS-KEY"] == "k"
    assert signed.headers["OK-ACCESS-PASSPHRASE"] == "p"
    assert (signed.headers.get("Content-Type") == "application/json") is bool(request_.body)
    assert attrs.evolve(signed, headers={}) == request_


def test_milliseconds_of_the_time_are_signed() -> None:
    credentials = Credentials(key="k", secret="s", passphrase="p")
    request = HttpRequest("GET", "/api/v5/account/config")
    signed = [Okx().sign(request, access(credentials, 1_700_000_000_000 + ms)) for ms in (7, 70)]
    stamps = [each.headers["OK-ACCESS-TIMESTAMP"] for each in signed]
    assert stamps == ["2023-11-14T22:13:20.007Z", "2023-11-14T22:13:20.070Z"]
    assert signed[0].headers["OK-ACCESS-SIGN"] != signed[1].headers["OK-ACCESS-SIGN"]


# --- budgets ---

# https://www.okx.com/docs-v5/en/#overview-rate-limits: requests in 2 s, by address and call.
LIMITS = {
    "GetServerTime": 10,
    "GetInstruments": 5,
    "GetTopOfBook": 40,
    "GetBook": 40,
    "GetTrades": 100,
    "GetActivity": 20,
    "GetCandles": 20,
    "GetFundingHistory": 10,
    "GetOpenInterest": 20,
    "GetMarkCandles": 10,
    "GetIndexCandles": 10,
    "GetOpenInterestHistory": 10,
    "GetTradeHistory": 20,
    "GetPriceBand": 20,
}


def test_the_budget_allows_no_more_of_any_call_than_okx() -> None:
    budget = Okx.limits.requests
    assert budget.seconds == 2.0
    by_address = {kind: each for kind, each in Okx.endpoints.items() if not each.signed}
    assert {kind.__name__ for kind in by_address} == set(LIMITS)
    # What an account may ask doesn't count against the address.
    assert {each.weight for each in Okx.endpoints.values() if each.signed} == {0}
    for kind, endpoint in by_address.items():
        # Of options the tick bands are asked for first, of which OKX allows the fewest.
        options = GetInstruments(Market.OPTION)
        request: Request[Any] = options if kind is GetInstruments else GetServerTime()
        assert budget.amount // endpoint.weight_of(request) <= LIMITS[kind.__name__]
    connects = Okx.limits.connects
    assert connects.amount / connects.seconds <= 3


# --- errors ---


def answer(code: str, status: int = 200, **headers: str) -> HttpResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"code": code, "msg": "said so", "data": []}
    return HttpResponse(status, names, json.dumps(body).encode())


def test_success_is_no_error() -> None:
    assert Okx().error_of(HttpResponse(200, {}, b'{"code":"0","msg":"","data":[]}')) is None


EXPECTED = {
    errors.AuthError: "50030 50100 50101 50103 50104 50105 50106 50107 50110 50111 "
    "50113 50114 50119 50120",
    errors.RateLimited: "50011 50061 60014",
    errors.ExchangeUnavailable: "50001 50004 50005 50013 50026 51054 51149 51412 52912 63999",
    errors.InvalidRequest: "50014 50015 51000 51001 60012 60013 60018",
    errors.ClockRefused: "50036 50037 50102 50112 60004",
    errors.OrderNotFound: "51063 51400 51401 51402 51503 51509 51510 51603",
    errors.InsufficientBalance: "51008 51119 51127 51131 51502 58350 59108",
    errors.OrderRejected: "50071 51006 51010 51016 51020 51021 51022 51025 51027 51028 51030 51101 "
    "51107 51112 51116 51120 51121 51137 51138 51169 51410 51513 50020 51031 51204",
}


@pytest.mark.parametrize("kind", list(EXPECTED), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 503])
def test_codes_have_their_error_whatever_the_status(
    kind: type[errors.ExchangeError], status: int
) -> None:
    for code in EXPECTED[kind].split():
        error = Okx().error_of(answer(code, status))
        assert type(error) is kind, code
        assert isinstance(error, errors.ExchangeError)
        assert (error.code, error.text) == (code, "said so")


def test_unknown_codes_go_by_the_status() -> None:
    assert all(code.isdecimal() and len(code) == 5 for code in CLASSES)
    for status, kind in (
        (200, errors.ExchangeError),
        (400, errors.InvalidRequest),
        (401, errors.AuthError),
        (429, errors.RateLimited),
        (500, errors.ExchangeUnavailable),
    ):
        assert type(Okx().error_of(answer("99999", status))) is kind


def of_items(code: str, *items: Any) -> Any:
    body = {"code": code, "msg": "all failed", "data": list(items)}
    return Okx().error_of(HttpResponse(200, {}, json.dumps(body).encode()))


@pytest.mark.parametrize("code", ["0", "1", "2"])
def test_the_only_item_says_what_became_of_a_request_whatever_the_code(code: str) -> None:
    for further in ("1000", "51008_1000"):
        error = of_items(code, {"sCode": "51008", "sMsg": "poor", "subCode": further})
        assert type(error) is errors.InsufficientBalance
        assert (error.code, error.text) == ("51008", "poor (51008_1000)")
    assert type(of_items(code, {"sCode": "99999", "sMsg": "?"})) is errors.ExchangeError
    assert type(of_items(code, {"sCode": ""})) is errors.OutcomeUnknown
    taken = of_items(code, {"sCode": "0", "ordId": "17"})
    assert taken is None if code == "0" else type(taken) is errors.OutcomeUnknown


@pytest.mark.parametrize("code", ["1", "2"])
def test_of_several_items_each_is_read_by_itself(code: str) -> None:
    poor, gone, fine = {"sCode": "51008"}, {"sCode": "51603"}, {"sCode": "0", "ordId": "17"}
    assert of_items(code, poor, gone) is None
    assert of_items(code, poor, fine, gone) is None


@pytest.mark.parametrize("code", ["1", "2"])
def test_a_failure_without_items_leaves_open_what_was_taken(code: str) -> None:
    for items in ([], [7, None], [{"ordId": "17"}], [{}, {}]):
        error = of_items(code, *items)
        assert type(error) is errors.ExchangeError
        assert not errors.tells_refusal(error)


def limited(response: HttpResponse) -> float | None:
    error = Okx().error_of(response)
    assert isinstance(error, errors.RateLimited)
    return error.retry_after


def test_limits_last_for_a_window_unless_the_answer_says_otherwise() -> None:
    assert limited(answer("50011", 429)) == limited(answer("50011", 200)) == 2.0
    assert limited(answer("50011", 429, retry_after="37")) == 37.0
    for said in ("nan", "-5", "inf", "soon"):
        assert limited(answer("50011", 429, retry_after=said)) == 2.0
    assert limited(HttpResponse(429, {}, b"<html>")) == 2.0
    assert limited(HttpResponse(429, {"retry-after": "5"}, b"")) == 5.0


def test_http_errors_need_no_readable_body() -> None:
    for status, kind in (
        (400, errors.InvalidRequest),
        (401, errors.AuthError),
        (404, errors.InvalidRequest),
        (409, errors.ExchangeError),
        (429, errors.RateLimited),
        (500, errors.ExchangeUnavailable),
        (503, errors.ExchangeUnavailable),
    ):
        for body in (b"<html>\xff", b"", b"[]", b'{"code":"0","msg":"","data":[]}', b'{"code":7}'):
            assert type(Okx().error_of(HttpResponse(status, {}, body))) is kind


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"7", b"null", b'"x"', b"\xff", b"[]", b"{}", b'{"code":0}']
)
def test_an_answer_without_a_code_is_unreadable(body: bytes) -> None:
    with pytest.raises(errors.DecodeError):
        Okx().error_of(HttpResponse(200, {}, body))
