"""What an exchange declares of its limits either allows something or is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.contract.codec import Heartbeat
from ccrs_core.contract.exchange import Route
from ccrs_core.errors import UsageError

NO_COUNTS = st.one_of(
    st.integers(max_value=0), st.floats(), st.booleans(), st.sampled_from(["10", ()])
)
NO_SECONDS = st.one_of(
    st.floats(max_value=0), st.sampled_from([float("inf"), float("nan"), "1", None, True])
)

COUNTS: dict[str, Callable[[Any], object]] = {
    "amount": lambda n: Budget(amount=n, seconds=1.0),
    "connections": lambda n: Limits(connections=n),
    "subscriptions": lambda n: Limits(subscriptions=n),
    "topics_per_connection": lambda n: Route(url="", topics_per_connection=n),
    "topic_chars_per_connection": lambda n: Route(url="", topic_chars_per_connection=n),
    "topics_per_request": lambda n: Route(url="", topics_per_request=n),
    "request_bytes": lambda n: Route(url="", request_bytes=n),
}
SECONDS: dict[str, Callable[[Any], object]] = {
    "seconds": lambda s: Budget(amount=1, seconds=s),
    "max_age": lambda s: Route(url="", max_age=s),
    "interval": lambda s: Heartbeat(interval=s, timeout=1.0),
    "timeout": lambda s: Heartbeat(interval=1.0, timeout=s),
}


@pytest.mark.parametrize("name", COUNTS)
@given(nonsense=NO_COUNTS)
def test_a_limit_that_allows_nothing_is_refused_by_name(name: str, nonsense: Any) -> None:
    """Else it would be none at all, or let everybody wait for ever."""
    with pytest.raises(UsageError, match=name):
        COUNTS[name](nonsense)
    COUNTS[name](1)


@pytest.mark.parametrize("name", SECONDS)
@given(nonsense=NO_SECONDS)
def test_a_stretch_of_no_time_is_refused_by_name(name: str, nonsense: Any) -> None:
    if nonsense is None and name == "max_age":
        return
    with pytest.raises(UsageError, match=name):
        SECONDS[name](nonsense)
    SECONDS[name](0.5)


def test_a_budget_is_needed_where_one_is_told() -> None:
    one: Any = Budget(amount=1, seconds=1.0)
    nonsense: Any = 5
    with pytest.raises(UsageError, match="also"):
        Budget(amount=1, seconds=1.0, also=one)
    with pytest.raises(UsageError, match="budget"):
        Pool("orders", nonsense)
