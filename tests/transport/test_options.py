"""Settings that can't work are told at once, by name."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

import ccrs_core
from ccrs_core import Options, UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.patience import Patience
from tests.toy import Toy

NUMBERS = [
    (kind, field.name)
    for kind in (Options, Patience, TransportOptions)
    for field in attrs.fields(kind)
    if str(field.type).split(" ")[0] in {"float", "int"}
]


def test_there_are_numbers() -> None:
    assert len(NUMBERS) > 15


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf, "10", True, [], 1j])
def test_numbers_that_cant_work_are_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{kind.__name__}\.{name} must"):
        kind(**{name: value})


def test_settings_of_another_type_are_refused_by_name() -> None:
    wrong: Any = {"connect_timeout": 3}
    for make, said in (
        (lambda: Options(transport=wrong), "Options.transport must be of the type Transport"),
        (lambda: Options(patience=wrong), "Options.patience must be of the type Patience"),
        (lambda: Options(replace_losers=wrong), "replace_losers must be of the type bool"),
        (lambda: TransportOptions(source_address=wrong), "source_address must be of the type str"),
        (lambda: ccrs_core.connect(Toy(), options=wrong), "options must be of the type Options"),
        (lambda: ccrs_core.connect(Toy(), credentials=wrong), "credentials must be of the type"),
    ):
        with pytest.raises(UsageError, match=said):
            make()
    exchange: Any
    for exchange in (Toy, None):
        with pytest.raises(UsageError, match="exchange must be of the type Exchange"):
            ccrs_core.connect(exchange)
