"""Patterns of unified symbols: ``*/USDT:USDT`` means all linear contracts in USDT. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ccrs_core.model.instruments import Market


def is_pattern(symbol: str) -> bool:
    """Whether it means all symbols of a form: ``*`` any text, ``?`` any character, ``[AB]`` any of
    these. No symbol has such characters."""
    return any(each in symbol for each in "*?[")


def matches(pattern: str, symbol: str) -> bool:
    """Whether a symbol is of a form; one that is no pattern is so of itself alone."""
    return pattern == symbol or (is_pattern(pattern) and fnmatchcase(symbol, pattern))


def markets_in(pattern: str) -> frozenset[Market]:
    """The markets whose symbols may be of a form: a settlement asset stands behind the colon of all
    but those of spot."""
    head, slash, tail = pattern.partition("/")
    if not slash or is_pattern(tail.partition(":")[0]) or "[" in head:
        return frozenset(Market)
    if ":" in tail:
        return frozenset(Market) - {Market.SPOT}
    return frozenset({Market.SPOT})


def near(pattern: str, symbols: Iterable[str]) -> tuple[str, ...]:
    """Up to three patterns that look alike and that symbols are of."""
    forms = {f"*/{symbol.partition('/')[2]}" for symbol in symbols}
    wanted = pattern.upper()
    same = [form for form in sorted(forms) if form == wanted]
    return tuple(dict.fromkeys(same + difflib.get_close_matches(wanted, sorted(forms), n=3)))[:3]
