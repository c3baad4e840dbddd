"""Each of Bybit's codes is a typed error with a reason, and says what to do."""

from __future__ import annotations

import json

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.error_codes import error_of_code
from ccrs_bybit.meanings import MEANINGS
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import EndReason, HttpResponse, errors

# The codes as Bybit's page of errors has them, by what users should do.
# https://bybit-exchange.github.io/docs/v5/error
UNKNOWN_OUTCOME = [
    *(10000, 10016, 10019, 170001, 170007, 170032, 170146, 170147, 170310, 170035, 170212),
    *(170149, 170150, 170234, 40004, 110079, 500000, 5004),
]
KEYS = [10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 10028, 33004, -2015]
LIMITED = [10006, 10018, 10429, 429, 170005, 170222, 30035, 20003]
INVALID = [
    *(10001, 10017, 10404, 170105, 170115, 170116, 170117, 170121, 170130, 170201, 110018),
    *(110019, 110108, 110109, 110024, 110028, 110029, 110036, 110038, 3400208),
]
BALANCE = [
    *(110004, 110006, 110007, 110012, 110014, 110044, 110045, 110051, 110052, 110053),
    *(170033, 170131, 3200300),
]
GONE = [110001, 170213, 170143, 110008, 110010, 170139, 170142, 170190]
REJECTED = {
    EndReason.PRICE_LIMIT: [
        *(110003, 110120, 110121, 30208, 30209, 170132, 170133, 170192, 170193, 170194),
        *(170195, 170196, 170371, 170372),
    ],
    EndReason.SIZE: [
        *(110017, 110094, 170124, 170136, 170137, 170140, 170148, 170341, 170381, 170382),
        *(110064, 170313),
    ],
    EndReason.INVALID: [170134],
    EndReason.CAP: [110009, 110020, 110021, 110090, 170810, 170228, 170229],
    EndReason.TRIGGER: [110092, 110093, 170203, 170204],
    EndReason.OTHER: [170312],
    EndReason.MARKET_STATE: [
        *(110022, 110023, 110042, 110066, 110074, *range(110095, 110101), 110103, 110118),
        *(170151, 170157, 170206, 170217, 30228),
    ],
    EndReason.POST_ONLY: [170218],
    EndReason.PERMISSION: [110119, 170355],
    EndReason.DUPLICATE: [110072, 170141],
}
UNCHANGED = [110025, 110026, 110027, 110043, 34040]


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (errors.ExchangeUnavailable, UNKNOWN_OUTCOME),
        (errors.AuthError, KEYS),
        (errors.RateLimited, LIMITED),
        (errors.ClockRefused, [-1, 10002]),
        (errors.InvalidRequest, INVALID),
        (errors.OutcomeUnknown, [10014, 20006]),
        (errors.InsufficientBalance, BALANCE),
        (errors.OrderNotFound, GONE),
        (errors.SettingUnchanged, UNCHANGED),
    ],
)
def test_documented_codes_are_the_errors_that_they_mean(
    kind: type[errors.ExchangeError], codes: list[int]
) -> None:
    assert {code: type(error_of_code(code, "told")) for code in codes} == dict.fromkeys(codes, kind)


@pytest.mark.parametrize("reason", REJECTED)
def test_rejections_say_why_in_words_of_all_exchanges(reason: EndReason) -> None:
    for code in REJECTED[reason]:
        error = error_of_code(code, "told")
        assert type(error) is errors.OrderRejected
        assert (code, error.reason) == (code, reason)


def test_too_little_money_is_a_reason_too() -> None:
    for code in BALANCE:
        error = error_of_code(code, "told")
        assert isinstance(error, errors.InsufficientBalance)
        assert error.reason is EndReason.BALANCE


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("orderQty will be truncated to zero", EndReason.SIZE),
        ("current position is zero, cannot fix reduce-only order qty", EndReason.REDUCE_ONLY),
    ],
)
def test_one_code_of_two_meanings_is_read_by_its_text(told: str, reason: EndReason) -> None:
    error = error_of_code(110017, told)
    assert isinstance(error, errors.OrderRejected)
    assert error.reason is reason


def test_an_amendment_that_changes_nothing_is_no_malformed_one() -> None:
    told = "The order remains unchanged as the parameters entered match the existing ones."
    assert type(error_of_code(10001, told)) is errors.SettingUnchanged
    assert type(error_of_code(10001, "params error: qty")) is errors.InvalidRequest
    assert type(error_of_code(10001, "position idx not match position mode")) is (
        errors.InvalidRequest
    )


def test_what_bybit_says_stays_and_advice_follows() -> None:
    error = error_of_code(10003, "API key is invalid.")
    assert error.text == "API key is invalid."
    assert str(error).startswith("API key is invalid. (code 10003): keys count in one environment")
    assert str(error_of_code(10001, "params error: qty")) == "params error: qty (code 10001)"


def test_a_refused_margin_mode_says_what_stands_in_its_way() -> None:
    reasons = [{"reasonCode": "3400000", "reasonMsg": "Equity needs to be 1000 USDC"}, {}, 7]
    body = {"retCode": 3400045, "retMsg": "Set margin mode failed", "result": {"reasons": reasons}}
    error = Bybit().error_of(HttpResponse(200, {}, json.dumps(body).encode()))
    assert type(error) is errors.InvalidRequest
    assert error.text == "Set margin mode failed (Equity needs to be 1000 USDC)"


@given(
    code=st.integers(-(2**31), 2**31) | st.sampled_from(sorted(MEANINGS)),
    told=st.none() | st.text(max_size=20) | st.integers(),
    result=st.none() | st.dictionaries(st.just("reasons"), st.lists(st.text(), max_size=2)),
)
def test_no_refusal_is_unreadable(code: int, told: object, result: object) -> None:
    body = json.dumps({"retCode": code, "retMsg": told, "result": result, "time": 1}).encode()
    error = Bybit().error_of(HttpResponse(200, {}, body))
    assert (error is None) == (code == 0)
    if error is not None:
        assert isinstance(error, errors.ExchangeError)
        assert error.code == str(code)
