"""What each of Binance's error codes means: which error, for which reason, and what to do.

Spot and both kinds of futures number theirs alike, but for some that mean two things: of those the
text says which.
https://developers.binance.com/docs/binance-spot-api-docs/errors
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
https://developers.binance.com/docs/derivatives/coin-margined-futures/error-code
"""

from __future__ import annotations

from ccrs_core import (
    AuthError,
    ClockRefused,
    EndReason,
    ExchangeError,
    ExchangeUnavailable,
    InsufficientBalance,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
    RateLimited,
    SettingUnchanged,
)
from ccrs_core.wire import Meaning, meanings


def _of(
    error: type[ExchangeError],
    *codes: int | range,
    advice: str = "",
    reason: EndReason = EndReason.OTHER,
) -> dict[int, Meaning]:
    """Codes without their minus: ranges count upwards."""
    found = meanings(error, *codes, advice=advice, reason=reason)
    return {-code: meaning for code, meaning in found.items()}


def _rejected(reason: EndReason, *codes: int | range, advice: str = "") -> dict[int, Meaning]:
    return _of(OrderRejected, *codes, advice=advice, reason=reason)


_KEYS = {
    **_of(AuthError, 1002, 1099, 2008, 2014, advice="make sure of the key, and of its environment"),
    **_of(AuthError, 1022, advice="the secret isn't this key's"),
    **_of(AuthError, 2015, advice="the key, its addresses, or what it may do"),
    **_of(AuthError, 1011, advice="the key is bound to other addresses"),
    **_of(AuthError, 2017, 4109, 4192, 4402, 4403, advice="not for this account at present"),
}
"""No retry helps."""

_LIMITS = _of(RateLimited, 1003, 1015, 1034, advice="not taken; wait")

_UNAVAILABLE = {
    # What became of what changes something is unknown after these; reads may be repeated.
    # (-1008 is called a refusal, and was seen of orders that lived:
    # https://github.com/banbox/banbot/issues/114)
    **_of(ExchangeUnavailable, 1000, 1001, range(1006, 1009), advice="look it up: it may be done"),
    **_of(ExchangeUnavailable, 1016),
}

_CLOCK = _of(ClockRefused, 1021, 4188, 5028, advice="not taken; compare the clock")
"""The last two are of the matching engine, where requests wait."""

_INVALID = {
    **_of(InvalidRequest, 1014, 1020, 1023, range(1100, 1140), 1145, 1151, range(1158, 1170)),
    **_of(InvalidRequest, 1182, range(1194, 1200), 1210, 1211, range(1220, 1226), 2043),
    **_of(InvalidRequest, 4000, 4015, 4020, 4021, 4028, 4031, 4032, 4060, 4082, 4104),
    **_of(InvalidRequest, 4114, 4115, 4135, range(4137, 4140), 4144, 4165, 4166),
    **_of(InvalidRequest, 4120, advice="conditional orders have a service of their own"),
    **_of(InvalidRequest, range(5037, 5041)),
    # What stands in the way of another mode or leverage.
    **_of(InvalidRequest, 4047, 4048, 4067, 4068, advice="close positions and cancel open orders"),
    **_of(InvalidRequest, 4161, range(4167, 4171), range(4203, 4210), 4531),
    **_of(InvalidRequest, 4140, 4141, 2016, 4400, 4401, 4425, advice="not tradable at present"),
}

_BALANCE = _of(InsufficientBalance, 2018, 2019, 2028, 4050, 4051, reason=EndReason.BALANCE)

_GONE = {
    **_of(OrderNotFound, 2011, 2012, advice="it has ended, or isn't there yet"),
    **_of(OrderNotFound, 2013, advice="just placed, it may not be seen yet"),
}

_RULES = "check it against the instrument's rules"
_BAND = "the limits move with the market"
_REJECTED = {
    **_rejected(EndReason.OTHER, 1010, 1013, 2010, 2038, 2039, 4083),
    **_rejected(EndReason.DUPLICATE, 4116, advice="an order of that id may live"),
    **_rejected(EndReason.POST_ONLY, 5022, advice="it would have taken"),
    **_rejected(EndReason.NO_LIQUIDITY, 2020, 5021, 5041),
    **_rejected(EndReason.TRIGGER, 2021, 4142, advice="it would fire at once"),
    **_rejected(EndReason.TRIGGER, 4117, advice="it fires right now: look for what it places"),
    **_rejected(EndReason.REDUCE_ONLY, 2022, 2024, 2026, 4118),
    **_rejected(EndReason.LIQUIDATION, 2023),
    **_rejected(EndReason.CAP, 2025, 2027, 4045, advice="too many are open, or too large"),
    **_rejected(EndReason.PRICE_LIMIT, 4016, 4024, 4131, 4183, 4184, 4210, 4211, advice=_BAND),
    **_rejected(EndReason.INVALID, 4001, 4002, 4006, 4013, 4014, advice=_RULES),
    **_rejected(EndReason.SIZE, range(4003, 4006), 4023, 4164, 4178, 5029, advice=_RULES),
    **_rejected(EndReason.PERMISSION, 4061, 4062, advice="the account is in the other mode"),
    # Amendments, of which the order stays as it was.
    **_rejected(EndReason.MARKET_STATE, 5024),
    **_rejected(EndReason.OTHER, range(5025, 5028), 5043, 5047),
}

_UNCHANGED = _of(SettingUnchanged, 4046, 4052, 4059, 4171)
"""It has the value asked for already."""

# COIN-M's, of a stretch of time that is too long.
_TOO_LONG = {239_999: Meaning(InvalidRequest)}

_TABLES = (
    _TOO_LONG,
    *(_KEYS, _LIMITS, _UNAVAILABLE, _CLOCK, _INVALID),
    *(_BALANCE, _GONE, _REJECTED, _UNCHANGED),
)
MEANINGS: dict[int, Meaning] = {code: each for table in _TABLES for code, each in table.items()}
assert len(MEANINGS) == sum(map(len, _TABLES)), "a code means two things"

_BALANCE_LACKS = Meaning(InsufficientBalance, EndReason.BALANCE)
_NOT_ALLOWED = Meaning(AuthError, advice="orders that only reduce are taken, or none")
_REDUCES = Meaning(OrderRejected, EndReason.REDUCE_ONLY)

TEXTS: dict[int, tuple[tuple[str, Meaning], ...]] = {
    -1013: (
        ("PERCENT_PRICE", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),
        ("PRICE_FILTER", Meaning(OrderRejected, EndReason.INVALID, _RULES)),
        ("LOT_SIZE", Meaning(OrderRejected, EndReason.SIZE, _RULES)),
        ("NOTIONAL", Meaning(OrderRejected, EndReason.SIZE, _RULES)),
        ("ICEBERG_PARTS", Meaning(OrderRejected, EndReason.SIZE, _RULES)),
        ("MAX_", Meaning(OrderRejected, EndReason.CAP)),
        ("TRAILING_DELTA", Meaning(OrderRejected, EndReason.TRIGGER, _RULES)),
    ),
    -2010: (
        ("insufficient balance", _BALANCE_LACKS),
        ("Duplicate order", Meaning(OrderRejected, EndReason.DUPLICATE, "that id may be open")),
        ("immediately match and take", Meaning(OrderRejected, EndReason.POST_ONLY)),
        ("trigger immediately", Meaning(OrderRejected, EndReason.TRIGGER)),
        ("relationship of the prices", Meaning(OrderRejected, EndReason.TRIGGER)),
        ("liquidity is less", Meaning(OrderRejected, EndReason.NO_LIQUIDITY)),
        ("Market is closed", Meaning(OrderRejected, EndReason.MARKET_STATE)),
        ("not permitted", Meaning(OrderRejected, EndReason.PERMISSION)),
        ("disabled on this account", Meaning(OrderRejected, EndReason.PERMISSION)),
        ("trading is not enabled", Meaning(OrderRejected, EndReason.PERMISSION)),
        ("not supported for this symbol", Meaning(OrderRejected, EndReason.PERMISSION)),
        ("zero or less", Meaning(OrderRejected, EndReason.SIZE)),
    ),
    -2011: (("cancel restrictions", Meaning(OrderRejected)),),
    # Of spot: canceled and placed anew, of which one half or both have failed.
    -2021: (("ancel-replace partially", Meaning(ExchangeUnavailable, advice="look both up")),),
    -2022: (("ancel-replace failed", Meaning(OrderRejected)),),
    # Of spot: of 90 days ago and more.
    -2026: (("archived", Meaning(OrderNotFound, advice="it ended long ago")),),
    # COIN-M had these of its own before it was merged with USD-M, and may speak as either now.
    -4087: (("pair", Meaning(InvalidRequest)), ("", _NOT_ALLOWED)),
    -4088: (("interval", Meaning(InvalidRequest)), ("", _NOT_ALLOWED)),
    -4089: (("", _NOT_ALLOWED),),
    -4090: (("", _NOT_ALLOWED),),
    -4110: (("", Meaning(InvalidRequest)),),
    -4111: (("", Meaning(InvalidRequest)),),
    -4112: (("", _REDUCES),),
    -4113: (("", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),),
    -4150: (("", Meaning(InvalidRequest)),),
    -4151: (("", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),),
    -4152: (("", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),),
    -4154: (("", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),),
    -4155: (("", Meaning(OrderRejected, EndReason.PRICE_LIMIT, _BAND)),),
    -4194: (("", Meaning(InvalidRequest)),),
    -4195: (("", Meaning(InvalidRequest)),),
    -4196: (("", Meaning(OrderRejected)),),
    -4197: (("", Meaning(OrderRejected)),),
    -4198: (("", Meaning(OrderRejected)),),
    -4199: (("", Meaning(OrderRejected, EndReason.MARKET_STATE)),),
    -4200: (("", Meaning(InvalidRequest)),),
    -4201: (("", Meaning(InvalidRequest)),),
    -4202: (("", Meaning(InvalidRequest)),),
}
"""What codes mean whose text says which it is: the first text that occurs counts, whatever its
letters' case; none of them, what :data:`MEANINGS` says."""


def meaning_of(code: int, text: str) -> Meaning | None:
    """What a code stands for, with the text beside it; None where it isn't documented."""
    lowered = text.lower()
    for part, meaning in TEXTS.get(code, ()):
        if part.lower() in lowered:
            return meaning
    return MEANINGS.get(code)
