"""Tables of error codes, and the errors that they become."""

from __future__ import annotations

import pytest

from ccrs_core import (
    AuthError,
    EndReason,
    ExchangeError,
    InsufficientBalance,
    OrderRejected,
    RateLimited,
)
from ccrs_core.wire import Meaning, meanings


def test_single_codes_and_ranges_mean_the_same() -> None:
    table = meanings(AuthError, 7, range(10, 13), -3, advice="make a new key")
    assert sorted(table) == [-3, 7, 10, 11, 12]
    assert set(table.values()) == {Meaning(AuthError, advice="make a new key")}
    assert meanings(AuthError) == {}


@pytest.mark.parametrize("kind", [OrderRejected, InsufficientBalance])
def test_a_refusal_of_an_order_says_why(kind: type[OrderRejected]) -> None:
    error = Meaning(kind, EndReason.SIZE, "a smaller one").told("17", "too large", 3.0)
    assert type(error) is kind
    assert isinstance(error, OrderRejected)
    assert (error.code, error.text, error.reason) == ("17", "too large", EndReason.SIZE)
    assert error.advice == "a smaller one"


@pytest.mark.parametrize("wait", [None, 2.5])
def test_a_limit_says_for_how_long(wait: float | None) -> None:
    error = Meaning(RateLimited).told("429", "slowly", wait)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.advice) == (wait, "")
    other = Meaning(ExchangeError).told("1", "no", wait)
    assert type(other) is ExchangeError
