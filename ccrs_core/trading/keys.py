"""What entries of a ledger are known by: texts that are the same for each copy of one thing, and of
no two things."""

from __future__ import annotations

import hashlib

from ccrs_core.model.instruments import Market


def of_fill(market: Market, symbol: str, fill_id: str, exchange_order_id: str) -> str:
    """A fill's: ids of fills are unique within a symbol at most, and both sides of a trade with
    oneself have the same."""
    return f"fill {market.value} {_word(symbol)} {_word(exchange_order_id)} {_word(fill_id)}"


def of_income(kind: str, asset: str, symbol: str, income_id: str) -> str:
    """Of money that came or went."""
    return f"income {kind} {_word(asset)} {_word(symbol)} {_word(income_id)}"


def of_strange(what: str, time_ns: int | None, symbol: str, told: str) -> str:
    """Of a row that nobody knows how to book: it has no id but all that it says."""
    return f"strange {digest(what, str(time_ns), symbol, told)}"


def digest(*parts: str) -> str:
    """A short text that follows from some others."""
    told = " ".join(map(_word, parts)).encode()
    return hashlib.blake2b(told, digest_size=12).hexdigest()


def _word(text: str) -> str:
    if "%" in text or " " in text:
        return text.replace("%", "%25").replace(" ", "%20")
    return text
