"""What error codes mean: alike everywhere, but for those of which the text says it."""

from __future__ import annotations

import pytest
from ccrs_binance.error_codes import error_of, error_of_code
from ccrs_binance.meanings import MEANINGS, TEXTS

from ccrs_core import (
    AuthError,
    EndReason,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    InsufficientBalance,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
    RateLimited,
)


@pytest.mark.parametrize(
    ("code", "text", "kind", "reason"),
    [
        (
            -2010,
            "Account has insufficient balance for requested action.",
            InsufficientBalance,
            "balance",
        ),
        (-2010, "Duplicate order sent.", OrderRejected, "duplicate"),
        (-2010, "Order would immediately match and take.", OrderRejected, "post_only"),
        (-2010, "Order would trigger immediately.", OrderRejected, "trigger"),
        (-2010, "Market is closed.", OrderRejected, "market_state"),
        (-2010, "This symbol is not permitted for this account.", OrderRejected, "permission"),
        (-2010, "Something new.", OrderRejected, "other"),
        (-1013, "Filter failure: LOT_SIZE", OrderRejected, "size"),
        (-1013, "Filter failure: MIN_NOTIONAL", OrderRejected, "size"),
        (-1013, "Filter failure: PRICE_FILTER", OrderRejected, "invalid"),
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", OrderRejected, "price_limit"),
        (-1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", OrderRejected, "cap"),
        (-1013, "Filter failure: MAX_POSITION", OrderRejected, "cap"),
        (-4116, "ClientOrderId is duplicated.", OrderRejected, "duplicate"),
        (-5022, "Due to the order could not be executed as maker.", OrderRejected, "post_only"),
        (-2011, "Order was not canceled due to cancel restrictions.", OrderRejected, "other"),
        (-2022, "ReduceOnly Order is rejected.", OrderRejected, "reduce_only"),
        (-2022, "Order cancel-replace failed.", OrderRejected, "other"),
    ],
)
def test_refusals_are_of_one_reason_whatever_their_words(
    code: int, text: str, kind: type[OrderRejected], reason: str
) -> None:
    found = error_of_code(code, text)
    assert type(found) is kind
    assert isinstance(found, OrderRejected)
    assert found.reason is EndReason(reason)
    assert found.code == str(code)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        # COIN-M's numbers of before it was merged, and USD-M's.
        (-4087, "Invalid pair.", InvalidRequest),
        (-4087, "User can only place reduce only order.", AuthError),
        (-4088, "Invalid time interval.", InvalidRequest),
        (-4088, "User can not place order currently.", AuthError),
        (-2021, "Order would immediately trigger.", OrderRejected),
        (-2021, "Order cancel-replace partially failed.", ExchangeUnavailable),
        (-2026, "Order was canceled over 90 days ago and has been archived.", OrderNotFound),
        (-2011, "Unknown order sent.", OrderNotFound),
    ],
)
def test_one_number_may_mean_two_things_and_the_text_says_which(
    code: int, text: str, kind: type[ExchangeError]
) -> None:
    assert type(error_of_code(code, text)) is kind


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_what_comes_from_before_the_exchange_leaves_the_outcome_open(status: int) -> None:
    for body in (b"", b"<html>", b'{"code":0,"msg":"Unknown error, please check your request"}'):
        assert type(error_of(HttpResponse(status, {}, body))) is ExchangeUnavailable


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007])
def test_what_may_have_been_done_is_no_refusal_whatever_the_status(code: int) -> None:
    body = f'{{"code":{code},"msg":"said so"}}'.encode()
    for status in (400, 408, 500, 503, 504):
        assert type(error_of(HttpResponse(status, {}, body))) is ExchangeUnavailable


def test_every_known_code_makes_an_error_that_can_be_shown() -> None:
    for code in {*MEANINGS, *TEXTS}:
        for text in ("", "a text", *(part for part, _ in TEXTS.get(code, ()))):
            found = error_of_code(code, text, 3.0)
            assert str(code) in str(found)
            if isinstance(found, RateLimited):
                assert found.retry_after == 3.0
