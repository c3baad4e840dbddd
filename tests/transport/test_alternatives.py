"""Which of a route's addresses is dialled, however many connections say what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.contract.exchange import Route
from ccrs_core.transport.alternatives import Alternatives

ADDRESSES = {"stream": "wss://toy"}


def _route(addresses: int) -> Route:
    first, *others = [f"{{stream}}/{number}" for number in range(addresses)]
    return Route(url=first, alternatives=tuple(others))


@pytest.mark.parametrize("addresses", [1, 2, 3])
@pytest.mark.parametrize("connections", [1, 2, 3, 5])
@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_connections_that_find_one_address_silent_go_on_by_one_together(
    addresses: int, connections: int, rounds: int
) -> None:
    """Round by round: two connections are not to end up at the first of two addresses again."""
    route = _route(addresses)
    choice = Alternatives(ADDRESSES)
    for done in range(rounds):
        dialled = choice.url(route)
        assert dialled == f"wss://toy/{done % addresses}"
        moved = [choice.silent(route, dialled) for _ in range(connections)]
        assert moved == [addresses > 1] + [False] * (connections - 1)
    assert choice.changes == (rounds if addresses > 1 else 0)


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["silent", "failed", "worked"]), st.integers(0, 3)), max_size=30
    ),
)
def test_only_what_is_known_of_the_address_that_is_dialled_leads_to_the_next(
    addresses: int, told: Sequence[tuple[str, int]]
) -> None:
    """Late news of others changes nothing; one that works is left for its silence alone."""
    route, other = _route(addresses), _route(4)
    choice, at, changes = Alternatives(ADDRESSES), 0, 0
    works: set[int] = set()
    for what, which in told:
        place = which % addresses
        url = f"wss://toy/{place}"
        getattr(choice, what)(route, url)
        if what == "worked":
            works.add(place)
        elif what == "silent":
            works.discard(place)
        leaves = what == "silent" or (what == "failed" and place and place not in works)
        if leaves and place == at and addresses > 1:
            at, changes = (at + 1) % addresses, changes + 1
        assert choice.url(route) == f"wss://toy/{at}"
        assert choice.changes == changes
    if other != route:
        assert choice.url(other) == "wss://toy/0"


@pytest.mark.parametrize("addresses", [2, 3])
def test_that_an_address_worked_once_does_not_keep_it_after_it_fell_silent(addresses: int) -> None:
    route = _route(addresses)
    choice = Alternatives(ADDRESSES)
    choice.silent(route, choice.url(route))
    second = choice.url(route)
    choice.worked(route, second)
    choice.failed(route, second)
    assert choice.url(route) == second
    for _ in range(addresses):
        choice.silent(route, choice.url(route))
    assert choice.url(route) == second
    choice.failed(route, second)
    assert choice.url(route) != second
