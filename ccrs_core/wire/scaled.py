"""Sizes that are counted in contracts: multiplied exactly, whatever decimal context is set."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

from ccrs_core.wire.values import SIZES, plausible

_EXACT = Context(prec=160, traps=[])
_ONE = Decimal(1)


def product(one: Decimal, other: Decimal) -> Decimal:
    """Exactly one number times the other.

    :raises ValueError: where no size is that large, or that small.
    """
    return plausible(_EXACT.multiply(one, other))


class _Scaled(dict[str, Decimal]):
    """Sizes in base units by their text in contracts."""

    def __init__(self, contract: Decimal) -> None:
        super().__init__()
        self._contract = contract

    def __missing__(self, text: str) -> Decimal:
        size = product(SIZES[text], self._contract)
        if len(self) >= 4096:
            self.clear()
        self[text] = size
        return size


def sizes_in(contract: Decimal | None) -> Mapping[str, Decimal]:
    """Sizes by their text on the wire, times what a contract is worth; what is no number raises."""
    return SIZES if contract is None or contract == _ONE else _Scaled(contract)


__all__ = ["product", "sizes_in"]
