"""Errors and credentials, as they travel: copied, pickled, raised in other processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import pytest

import ccrs_core
from ccrs_core import errors
from ccrs_core.errors import CcrsError

SAMPLES: dict[type[CcrsError], CcrsError] = {
    errors.UnknownInstrument: errors.UnknownInstrument("no XYZ", ("XYZ/USDT",)),
    errors.InvalidOrder: errors.InvalidOrder("tick_size", "between ticks", Decimal("1.50")),
    errors.ExtraNotInstalled: errors.ExtraNotInstalled("no pyarrow", "arrow"),
    errors.ConnectFailed: errors.ConnectFailed("refused", 451),
    errors.ConnectionLost: errors.ConnectionLost("gone", 1006),
    errors.GarbledAnswer: errors.GarbledAnswer("a page for people", 200),
    errors.DecodeError: errors.DecodeError("no price", b"\x00\xff", ("trade.BTC",)),
    errors.FeedOverflow: errors.FeedOverflow("too slow", 7),
    errors.RateLimited: errors.RateLimited("-1003", "too many", 3.0),
    errors.SubscriptionRefused: errors.SubscriptionRefused("1", "no", "toy", "BTC/USD", "trades"),
}


def kinds(kind: type[CcrsError]) -> Iterator[type[CcrsError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from kinds(each)


def sample(kind: type[CcrsError]) -> CcrsError:
    if kind in SAMPLES:
        return SAMPLES[kind]
    text = ("code", "text") if issubclass(kind, errors.ExchangeError) else ("text",)
    return kind(*text)


def pickled(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds(CcrsError))))
def test_an_error_that_is_copied_or_pickled_says_the_same(
    kind: type[CcrsError], again: Callable[[CcrsError], CcrsError]
) -> None:
    error = sample(kind)
    error.add_note("seen in the morning")
    found = again(error)
    assert type(found) is kind
    assert str(found) == str(error)
    assert found.args == error.args
    assert vars(found) == vars(error)
    assert found.retryable == error.retryable


class Special(errors.ExchangeError):
    """As a plugin's or a user's own."""

    def __init__(self, code: str, text: str, *, hours: int) -> None:
        super().__init__(code, text)
        self.hours = hours


def test_errors_of_others_that_derive_from_ours_are_pickled_as_well() -> None:
    found = pickled(Special("7", "closed", hours=3))
    assert (found.code, found.text, found.hours, str(found)) == (
        "7",
        "closed",
        3,
        "closed (code 7)",
    )


def _fail() -> None:
    raise sample(errors.RateLimited)


def test_an_error_of_a_worker_process_is_raised_where_it_is_waited_for() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        failure = pool.submit(_fail).exception(timeout=60)
    assert isinstance(failure, errors.RateLimited)
    assert failure.retry_after == 3.0


def test_credentials_are_not_pickled_and_copies_are_themselves() -> None:
    credentials = ccrs_core.Credentials("key", "very-secret", "pass")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="aren't pickled") as refused:
            pickle.dumps({"of": credentials}, protocol)
        assert "very-secret" not in str(refused.value)
    assert copy.copy(credentials) is copy.deepcopy(credentials) is credentials
