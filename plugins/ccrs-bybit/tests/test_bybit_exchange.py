"""Bybit's description of itself: routes, limits, signatures, errors, and a light import."""

from __future__ import annotations

import json
import subprocess
import sys
from urllib.parse import quote

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.foreign import instrument_of

from ccrs_core import (
    CONTRACT,
    Access,
    Channel,
    Credentials,
    HttpRequest,
    HttpResponse,
    InstrumentStatus,
    Market,
    SequenceScope,
    Subscription,
    errors,
)

KEY = Credentials("testkey", "testsecret")
NOW_MS = 1_700_000_000_000
ACCESS = Access(now_ms=NOW_MS, url="https://api.bybit.com", credentials=KEY)


def subscription(
    channel: Channel, market: Market, native: str = "BTCUSDT", status: str = "trading"
) -> Subscription:
    import attrs

    instrument = instrument_of(native, market)
    assert instrument is not None
    return Subscription(channel, attrs.evolve(instrument, status=InstrumentStatus(status)))


OPTION = "BTC-25DEC26-120000-C-USDT"


def test_the_plugin_is_written_to_the_contract_of_this_core() -> None:
    assert Bybit.contract == CONTRACT == 2
    assert Bybit.name == "bybit"


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, ccrs_bybit; "
        "print(*sorted({'aiohttp', 'cattrs', 'asyncio', 'ccrs_bybit.emulator'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_each_market_has_its_socket() -> None:
    exchange = Bybit()
    for market, native in (
        (Market.SPOT, "BTCUSDT"),
        (Market.LINEAR, "BTCUSDT"),
        (Market.INVERSE, "BTCUSD"),
        (Market.OPTION, OPTION),
    ):
        route = exchange.route(subscription(Channel.TOP_OF_BOOK, market, native))
        assert route.url == f"{{public}}/v5/public/{market.value}"
        assert not route.private
        assert (route.topic_chars_per_connection or 0) < 21_000
        assert exchange.codec(route) is not exchange.codec(route)
    spot = exchange.route(subscription(Channel.TRADES, Market.SPOT))
    assert spot.topics_per_request == 10
    assert spot.sequence_scope is SequenceScope.GLOBAL
    option = exchange.route(subscription(Channel.TOP_OF_BOOK, Market.OPTION, OPTION))
    assert option.topics_per_connection == 2000
    assert option.sequence_scope is SequenceScope.CONNECTION


def test_every_address_is_a_host_without_a_path() -> None:
    for environment in Bybit.environments.values():
        assert {"rest", "public", "private"} <= set(environment.addresses)
        for name, address in environment.addresses.items():
            scheme, _, host = address.partition("://")
            assert scheme == ("https" if name == "rest" else "wss")
            assert "/" not in host
    demo = Bybit.environments["demo"].addresses
    assert demo["public"] == Bybit.environments["mainnet"].addresses["public"]
    assert "trade" not in demo


def test_customers_of_a_country_name_it_and_one_address_can_be_named_alone() -> None:
    from ccrs_core.transport.addresses import resolve_addresses

    hosts = {
        "mainnet": ("api.bybit.com", "stream.bybit.com"),
        "bytick": ("api.bytick.com", "stream.bybit.com"),
        "kz": ("api.bybit.kz", "stream.bybit.kz"),
        "jp": ("api.manepa.jp", "stream.manepa.jp"),
        "hk": ("api.spark-fintech.com", "stream.spark-fintech.com"),
    }
    for name, (rest, stream) in hosts.items():
        found = resolve_addresses(Bybit(), name, None, None)
        assert found is not None
        assert (found["rest"], found["public"]) == (f"https://{rest}", f"wss://{stream}")
    for name in Bybit.environments:
        found = resolve_addresses(Bybit(), name, None, {"rest": "https://api.bybit-tr.com"})
        assert found == {
            **Bybit.environments[name].addresses,
            "rest": "https://api.bybit-tr.com",
        }


def test_only_streams_with_a_cadence_can_be_too_silent() -> None:
    exchange = Bybit()
    for market in (Market.SPOT, Market.LINEAR, Market.INVERSE):
        native = "BTCUSD" if market is Market.INVERSE else "BTCUSDT"
        assert exchange.max_silence(subscription(Channel.TOP_OF_BOOK, market, native)) == 10.0
        for channel in (Channel.TRADES, Channel.BOOK, Channel.LIQUIDATIONS, Channel.FUNDING):
            assert exchange.max_silence(subscription(channel, market, native)) is None
        for channel in (Channel.TICKER, Channel.CANDLES):
            silence = exchange.max_silence(subscription(channel, market, native))
            assert silence is not None
            assert silence >= 60.0
    before = subscription(Channel.TOP_OF_BOOK, Market.LINEAR, status="prelaunch")
    assert exchange.max_silence(before) is None


# --- signatures ---


def test_signatures_equal_the_published_vectors() -> None:
    get = HttpRequest("GET", "/v5/x", (("category", "linear"), ("symbol", "BTCUSDT")))
    signed = Bybit().sign(get, ACCESS)
    assert signed.headers == {
        "X-BAPI-API-KEY": "testkey",
        "X-BAPI-TIMESTAMP": "1700000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": "f2f79889fd1201752936b389c890e9d393e01e0311a6d8785fb80753aa26c69b",
    }
    body = (
        b'{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit",'
        b'"qty":"0.01","price":"50000"}'
    )
    post = HttpRequest("POST", "/v5/order/create", body=body, headers={"A": "b"})
    signed = Bybit().sign(post, ACCESS)
    assert signed.headers["X-BAPI-SIGN"] == (
        "3a5220fefeec7d1067d47c977b5143207434ecd0603eebde0016f7e8d38c9c67"
    )
    assert signed.headers["A"] == "b"
    assert signed.body == body


def test_what_is_signed_is_the_query_as_it_is_sent() -> None:
    import hashlib
    import hmac

    text = "a b&c=d/é%"
    signed = Bybit().sign(HttpRequest("GET", "/x", (("q", text),)), ACCESS)
    payload = f"1700000000000testkey5000q={quote(text, safe='')}".encode()
    assert signed.headers["X-BAPI-SIGN"] == (
        hmac.new(b"testsecret", payload, hashlib.sha256).hexdigest()
    )


def test_signing_shows_no_secret() -> None:
    signed = Bybit().sign(HttpRequest("GET", "/x"), ACCESS)
    assert "testsecret" not in repr(signed) + repr(KEY)


# --- errors ---


def answer(code: int, status: int = 200, **headers: str) -> HttpResponse:
    body = {"retCode": code, "retMsg": "said so", "result": {}, "time": NOW_MS}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, names, json.dumps(body).encode())


def test_success_is_no_error() -> None:
    assert Bybit().error_of(answer(0)) is None


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (errors.AuthError, [10003, 10004, 10005, 10007, 10010, 33004, 10024, 10027, 10028]),
        (errors.RateLimited, [10006, 10018, 10429, 429]),
        (errors.ExchangeUnavailable, [10000, 10016]),
        (errors.ClockRefused, [-1, 10002]),
        (errors.OutcomeUnknown, [10014, 20006]),
        (errors.SettingUnchanged, [34040, 110025, 110026, 110027, 110043]),
        (errors.InvalidRequest, [10001, 10029, 170121]),
        (errors.OrderNotFound, [110001, 170213, 170143, 110008, 110010, 170139, 170142]),
        (errors.InsufficientBalance, [110004, 110006, 110007, 110012, 110014, 170131]),
        (errors.OrderRejected, [110003, 110017, 110020, 110072, 170141, 110094, 170140, 170218]),
        (errors.ExchangeError, [999_999]),
    ],
)
def test_every_code_has_its_error(kind: type[errors.ExchangeError], codes: list[int]) -> None:
    for code in codes:
        error = Bybit().error_of(answer(code))
        assert type(error) is kind
        assert isinstance(error, errors.ExchangeError)
        assert (error.code, error.text) == (str(code), "said so")


def limited(response: HttpResponse) -> float | None:
    error = Bybit().error_of(response)
    assert isinstance(error, errors.RateLimited)
    return error.retry_after


def test_a_rate_limit_lasts_until_the_exchanges_own_clock_says_so() -> None:
    reset = str(NOW_MS + 850)
    assert limited(answer(10006, x_bapi_limit_reset_timestamp=reset)) == 0.85
    later = str(NOW_MS + 800)
    assert limited(answer(10006, x_bapi_limit_reset_timestamp=reset, timenow=later)) == 0.05
    past = str(NOW_MS - 5000)
    assert limited(answer(10006, x_bapi_limit_reset_timestamp=past)) == 0.0
    assert limited(answer(10006)) is None
    assert limited(answer(10006, x_bapi_limit_reset_timestamp="soon")) is None


def test_a_forbidden_address_keeps_still_for_ten_minutes() -> None:
    assert limited(HttpResponse(403, {}, b"403, access too frequent")) == 600.0
    assert limited(HttpResponse(403, {"retry-after": "900"}, b"")) == 900.0
    assert limited(answer(10006, status=403)) == 600.0
    blocked = b"configured to block access from your country"
    assert type(Bybit().error_of(HttpResponse(403, {}, blocked))) is errors.AuthError


def test_http_errors_need_no_readable_body() -> None:
    for status, kind in (
        (400, errors.InvalidRequest),
        (401, errors.AuthError),
        (404, errors.InvalidRequest),
        (429, errors.RateLimited),
        (500, errors.ExchangeUnavailable),
        (503, errors.ExchangeUnavailable),
        (418, errors.RateLimited),
        (451, errors.AuthError),
        (409, errors.ExchangeError),
    ):
        assert type(Bybit().error_of(HttpResponse(status, {}, b"<html>\xff"))) is kind
    assert limited(HttpResponse(429, {"retry-after": "3"}, b"")) == 3.0
    assert limited(HttpResponse(429, {"retry-after": "nan"}, b"")) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"retCode":"0"}', b"\xff"])
def test_an_answer_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(errors.DecodeError):
        Bybit().error_of(HttpResponse(200, {}, body))
