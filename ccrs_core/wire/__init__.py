"""What an author of an exchange builds with: exact values, bodies, names, candles and their pages.

Prices and sizes become decimals of exactly the digits that were sent, times become nanoseconds.
:func:`read_json` and :func:`read_exact_json` raise ``DecodeError`` themselves; everything else here
raises one of :data:`MALFORMED` on malformed input, which a codec turns into ``DecodeError``.

May import ``contract`` and what that may. Nothing here waits or asks the time.
"""

from ccrs_core.constructors import deferred_constructors, fast_constructor
from ccrs_core.wire.bodies import (
    Rows,
    answered_at,
    json_answer,
    json_pages,
    oldest_first,
    read_exact_json,
    read_json,
    read_rows,
    retry_after,
    row_by_row,
    timed_pages,
)
from ccrs_core.wire.candle_times import first_open, later, open_since
from ccrs_core.wire.naming import one_to_one
from ccrs_core.wire.paging import (
    CandlePage,
    candle_page,
    candles_of_page,
    from_start,
    goes_back,
    within,
)
from ccrs_core.wire.values import (
    DECIMALS,
    LONGEST,
    MALFORMED,
    PRICES,
    SIZES,
    decimal,
    decimal_of_number,
    decimal_or_none,
    fresh_size,
    mark,
    ns_of_ms,
    ns_of_rfc3339,
    ns_of_seconds,
    ns_of_us,
    ns_or_none,
    plausible,
    plausible_ns,
    price,
    price_or_none,
    size,
    size_or_none,
    spelled,
    whole,
)

__all__ = [
    "DECIMALS",
    "LONGEST",
    "MALFORMED",
    "PRICES",
    "SIZES",
    "CandlePage",
    "Rows",
    "answered_at",
    "candle_page",
    "candles_of_page",
    "decimal",
    "decimal_of_number",
    "decimal_or_none",
    "deferred_constructors",
    "fast_constructor",
    "first_open",
    "fresh_size",
    "from_start",
    "goes_back",
    "json_answer",
    "json_pages",
    "later",
    "mark",
    "ns_of_ms",
    "ns_of_rfc3339",
    "ns_of_seconds",
    "ns_of_us",
    "ns_or_none",
    "oldest_first",
    "one_to_one",
    "open_since",
    "plausible",
    "plausible_ns",
    "price",
    "price_or_none",
    "read_exact_json",
    "read_json",
    "read_rows",
    "retry_after",
    "row_by_row",
    "size",
    "size_or_none",
    "spelled",
    "timed_pages",
    "whole",
    "within",
]
