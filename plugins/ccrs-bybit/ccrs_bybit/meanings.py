"""What each of Bybit's error codes means: which error, for which reason, and what to do.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

from collections.abc import Iterable

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
    OutcomeUnknown,
    RateLimited,
    SettingUnchanged,
)
from ccrs_core.wire import Meaning, meanings


def _group(
    error: type[ExchangeError],
    codes: Iterable[int],
    advice: str = "",
    reason: EndReason = EndReason.OTHER,
) -> dict[int, Meaning]:
    return meanings(error, *codes, advice=advice, reason=reason)


def _rejected(reason: EndReason, codes: Iterable[int], advice: str = "") -> dict[int, Meaning]:
    return _group(OrderRejected, codes, advice, reason)


_KEYS = {
    **_group(
        AuthError,
        [10003],
        "keys count in one environment alone: mainnet, testnet, or the demo of either",
    ),
    **_group(AuthError, [10004], "the secret isn't this key's, or it is of the other kind"),
    **_group(AuthError, [10005], "the key lacks a permission; switch it on where it was made"),
    **_group(AuthError, [10007, 33004, -2015], "make a new key; keys without addresses expire"),
    **_group(AuthError, [10010], "the key is bound to other addresses"),
    **_group(AuthError, [10008, 10027], "ask Bybit's support why"),
    **_group(AuthError, [10009, 10024, 110132, 170209], "not for this account's region"),
    **_group(AuthError, [10028, 110067, 110088, 182200], "upgrade to a unified trading account"),
}
"""No retry helps."""

_LIMITS = {
    # Over a limit nothing is taken. https://bybit-exchange.github.io/docs/v5/rate-limit
    **_group(RateLimited, [429, 10006, 10429, 20003, 170005, 170222], "not taken; wait"),
    **_group(RateLimited, [10018, 10403], "not taken; this address asks too much"),
    **_group(RateLimited, [30035], "not taken; wait, then cancel again"),
}

_UNAVAILABLE = {
    # What became of what changes something is unknown after these; reads may be repeated.
    **_group(ExchangeUnavailable, [5004, 10000, 10016, 500000, 3400214]),
    **_group(ExchangeUnavailable, [10019], "the service restarts; connect anew"),
    **_group(ExchangeUnavailable, [40004, 110079], "the order is being worked on; look it up"),
    # Timeouts of spot, for the most part.
    **_group(ExchangeUnavailable, [170001, 170007, 170032, 170035, 170146, 170147, 170149]),
    **_group(ExchangeUnavailable, [170150, 170191, 170212, 170234, 170310, 170311]),
}

_REPEATED = _group(OutcomeUnknown, [10014, 20006], "the first one of its kind counts; look it up")
"""Bybit says that it has the request already."""

_CLOCK = _group(ClockRefused, [-1, 10002], "not taken; compare the clock")

_INVALID = {
    **_group(InvalidRequest, [10001, 10017, 10404, 110018, 110019, 110032, 110049]),
    **_group(
        InvalidRequest,
        [10029, 170121, 110050, 170221],
        "no such symbol or coin, or not for this account",
    ),
    **_group(InvalidRequest, [110108, 110109], "the slippage tolerance is out of its range"),
    **_group(InvalidRequest, [110057], "the order mixes what takes profits with a trigger"),
    **_group(InvalidRequest, [170105, 170115, 170116, 170117, 170130, 170201, 170227]),
    # What stands in the way of another mode or leverage.
    **_group(InvalidRequest, [110024, 3400208], "close the positions first"),
    **_group(InvalidRequest, [110028, 3400052, 3400053, 3400054], "cancel open orders first"),
    **_group(InvalidRequest, [110029], "hedge mode is for perpetuals settled in USDT"),
    **_group(InvalidRequest, [110036, 110038], "not in this margin mode"),
    **_group(InvalidRequest, [110013, 110031, 110047, 110048], "not at this risk limit"),
    **_group(InvalidRequest, [110011, 110039, 110046], "positions would be liquidated"),
    **_group(InvalidRequest, [110073, 3400045, 3200419, 3200425, 3200641]),
    **_group(InvalidRequest, [3400071, 3400139, 3400209, 3400210, 3400211, 3400212, 3400213]),
    # Of margin and exits set by hand, which this package doesn't do.
    **_group(InvalidRequest, [110015, 110033, 110034, 110041, 110054, 110055, 110056, 110062]),
    **_group(InvalidRequest, [110065, 110071, 110076, 110077, 110078, 110082, 110083, 3401010]),
    # Of queries. https://bybit-exchange.github.io/docs/v5/error#uta
    **_group(
        InvalidRequest, [*range(181000, 181014), 181017, 181018, 181019, 182201, 182202, 182203]
    ),
}

_BALANCE = {
    **_group(InsufficientBalance, [110004, 110006, 110007, 110012, 110014], "", EndReason.BALANCE),
    **_group(InsufficientBalance, [110044, 110045, 110051, 110052], "", EndReason.BALANCE),
    **_group(InsufficientBalance, [110053, 170033, 170131, 3200300], "", EndReason.BALANCE),
    **_group(InsufficientBalance, [30256, 110131, 170207], "", EndReason.BALANCE),
}

_GONE = {
    **_group(
        OrderNotFound,
        [110001, 170143, 170213],
        "just placed, it may not be seen yet; and ids count within their symbol",
    ),
    **_group(OrderNotFound, [110008, 110010, 170139, 170142, 170190], "it has ended"),
}

_BAND = "see price_band(); the instrument's limits move with its index"
_RULES = "check it against the instrument's rules"
_REJECTED = {
    **_rejected(EndReason.DUPLICATE, [110072, 170141], "an order of that client id may live"),
    **_rejected(EndReason.POST_ONLY, [170218], "it would have taken"),
    **_rejected(EndReason.PRICE_LIMIT, [30208, 30209, 110003, 110120, 110121, 170132], _BAND),
    **_rejected(EndReason.PRICE_LIMIT, [170133, 170192, 170193, 170194, 170195, 170196], _BAND),
    **_rejected(EndReason.PRICE_LIMIT, [110116, 170371, 170372], _BAND),
    **_rejected(EndReason.INVALID, [170134], _RULES),
    **_rejected(EndReason.SIZE, [110017, 110094, 170124, 170136, 170137, 170140], _RULES),
    **_rejected(EndReason.SIZE, [170148, 170341, 170381, 170382], _RULES),
    **_rejected(EndReason.SIZE, [170197, 170198, 170199, 170200], "too large for the book"),
    **_rejected(EndReason.SIZE, [110064, 170313], "so much is filled already"),
    **_rejected(EndReason.CAP, [110009, 110020, 170810], "too many orders are open"),
    **_rejected(EndReason.CAP, [110021, 110089, 110090, 170228, 170229], "too large a position"),
    **_rejected(EndReason.CAP, [110061, 110085, 110086, 170010, 170011, 170019]),
    **_rejected(EndReason.TRIGGER, [110092, 110093], "the trigger lies on the other side"),
    **_rejected(EndReason.TRIGGER, [170202, 170203, 170204]),
    **_rejected(EndReason.LIQUIDATION, [110005, 110035, 110040, 170226]),
    # What can't be amended, or canceled in that way.
    **_rejected(EndReason.OTHER, [110058, 110059, 110060, 110115, 110117], ""),
    **_rejected(EndReason.OTHER, [170144, 170145, 170210, 170312]),
    **_rejected(EndReason.MARKET_STATE, [110022, 110023, 110042, 30228], "it may only be reduced"),
    **_rejected(EndReason.MARKET_STATE, [110063, 110066, 110074, 110118, 110137]),
    **_rejected(EndReason.MARKET_STATE, [*range(110095, 110101), 110103]),
    **_rejected(EndReason.MARKET_STATE, [170031, 170151, 170157, 170159, 170206]),
    **_rejected(EndReason.MARKET_STATE, [170217], "only post-only orders for now"),
    **_rejected(EndReason.PERMISSION, [110119, 170355], "for approved market makers alone"),
    **_rejected(EndReason.PERMISSION, [110123, 110125, 170241], "agree to the terms on the site"),
    **_rejected(EndReason.PERMISSION, [110068, 110069, 110070, 110101, 110102, 110124]),
    **_rejected(EndReason.PERMISSION, [110135, 110136, 3200403]),
    **_rejected(EndReason.PERMISSION, [170036, 170037, 170219, 170224, 170344, 170346]),
    **_rejected(EndReason.PERMISSION, [170348, 170358, 170359, 170360]),
    # Of accounts with loans of institutions.
    **_rejected(EndReason.PERMISSION, [30133, 30134, 30135, 30136, 110080, 110087]),
    **_rejected(EndReason.PERMISSION, [110104, 110105, 110106, 110107, 170215, 170216]),
    **_rejected(EndReason.PERMISSION, [170220, 170223, 170230, 170709, 3200316, 3200317]),
    **_rejected(EndReason.PERMISSION, [3200320]),
    **_rejected(EndReason.CAP, [170034]),
}

_UNCHANGED = _group(SettingUnchanged, [34040, 110025, 110026, 110027, 110043])
"""It has the value asked for already."""

_TABLES = (
    *(_KEYS, _LIMITS, _UNAVAILABLE, _REPEATED, _CLOCK, _INVALID),
    *(_BALANCE, _GONE, _REJECTED, _UNCHANGED),
)
MEANINGS: dict[int, Meaning] = {code: each for table in _TABLES for code, each in table.items()}
assert len(MEANINGS) == sum(map(len, _TABLES)), "a code means two things"
