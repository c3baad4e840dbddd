"""Symbols with their exchange in front: ``exchange:BTC/USDT``. Pure."""

from __future__ import annotations


def qualified(exchange: str, symbol: str) -> str:
    """A symbol of an exchange, in one word."""
    return f"{exchange}:{symbol}"


def is_qualified(text: str) -> bool:
    """Whether an exchange stands in front. The colon of a settlement asset comes after a slash."""
    return ":" in text.partition("/")[0]


def split(text: str) -> tuple[str | None, str]:
    """The exchange, None where none stands in front, and the unified symbol."""
    if not is_qualified(text):
        return None, text
    exchange, _, symbol = text.partition(":")
    return exchange, symbol
