"""How an account is opened."""

from __future__ import annotations

from typing import Any, Literal, get_args

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.trading.asks import Via, checked_via

OnExit = Literal["leave", "cancel_own"]
OutsideBand = Literal["refuse", "send"]


def _one_of(names: object) -> Any:
    allowed = get_args(names)

    def check(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value not in allowed:
            shown = " or ".join(f'"{each}"' for each in allowed)
            raise UsageError(f"{field.name} must be {shown}, not {value!r:.100}")

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds_if_any(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (_is_number(value) and 0 <= value < float("inf")):
        raise UsageError(f"{field.name} must be seconds, or None for never, not {value!r:.100}")


def _share(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not _is_number(value) or not 0 < value <= 1:
        raise UsageError(f"{field.name} must be above 0 and at most 1, not {value!r:.100}")


@attrs.frozen(kw_only=True)
class AccountSettings:
    """How an account behaves; as told at :meth:`ccrs_core.Client.account`."""

    via: Via = attrs.field(default="rest", converter=checked_via)
    on_exit: OnExit = attrs.field(default="leave", validator=_one_of(OnExit))
    presume_absent_after: float | None = attrs.field(default=60.0, validator=_seconds_if_any)
    outside_band: OutsideBand = attrs.field(default="refuse", validator=_one_of(OutsideBand))
    budget_share: float = attrs.field(default=1.0, validator=_share)
    follow: bool = True
