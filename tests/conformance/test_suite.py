"""The suite as a class: made of many, which must not be in each other's way."""

from __future__ import annotations

from collections import defaultdict

from ccrs_core.conformance import ConformanceSuite


def test_no_two_parts_of_the_suite_have_methods_of_one_name() -> None:
    # Of two, the later one would silently never be called.
    owners = defaultdict(set)
    for kind in ConformanceSuite.__mro__[:-1]:
        for name in vars(kind):
            if not name.startswith("__") and name != "_abc_impl":
                owners[name].add(kind.__name__)
    twice = {name: sorted(kinds) for name, kinds in owners.items() if len(kinds) > 1}
    assert not twice
