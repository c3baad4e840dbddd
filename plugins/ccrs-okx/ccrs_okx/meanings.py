"""What each of OKX's error codes means: which error, for which reason, and what to do.

https://www.okx.com/docs-v5/en/#error-code-rest-api
"""

from __future__ import annotations

from ccrs_core import (
    AuthError,
    ClockRefused,
    EndReason,
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


def _rejected(reason: EndReason, *codes: int | range, advice: str = "") -> dict[int, Meaning]:
    return meanings(OrderRejected, *codes, advice=advice, reason=reason)


_ENVIRONMENT = "keys count in one environment alone: live or demo, and that of their region"

_KEYS = {
    **meanings(AuthError, 50101, advice=_ENVIRONMENT),
    **meanings(AuthError, 50104, advice="OKX's keys have a passphrase: tell it beside the secret"),
    **meanings(AuthError, 50105, advice="the passphrase is the one given when the key was made"),
    **meanings(AuthError, 50113, advice="the secret isn't this key's"),
    **meanings(AuthError, 50110, 50121, advice="the key is bound to other addresses"),
    **meanings(AuthError, 50030, 50120, advice="the key lacks a permission"),
    **meanings(AuthError, 50035, advice="bind the key to an address where it was made"),
    **meanings(AuthError, 50100, 50111, 50119, advice="make a new key; unused ones expire"),
    **meanings(AuthError, 50103, range(50106, 50110), 50114, 50118, 50041),
    **meanings(AuthError, 50007, 50008, 50009, 50012, 50027, 50028, 50029, 51024, 51009),
    **meanings(AuthError, 50051, 50052, 50067, 51155, advice="not for this account's region"),
    **meanings(AuthError, 50059, 50060, advice="identify yourself on the site"),
    **meanings(AuthError, 50032, 50033, 50075, advice="this account may not trade that"),
}
"""No retry helps."""

# Over a limit nothing is taken. https://www.okx.com/docs-v5/en/#overview-rate-limits
_LIMITS = meanings(RateLimited, 50011, 50040, 50061, 51113, 60014, 60023, advice="not taken; wait")

_UNAVAILABLE = {
    # What became of what changes something is unknown after these; reads may be repeated.
    **meanings(ExchangeUnavailable, 50004, 51054, 51149, advice="look it up: it may be done"),
    **meanings(ExchangeUnavailable, 51412, advice="canceled or triggered; look it up"),
    **meanings(ExchangeUnavailable, 50001, 50005, 50013, 50026, 50046, 50062, 50064, 52912),
    **meanings(ExchangeUnavailable, 51290, 63999, 64007),
}

_REPEATED = meanings(OutcomeUnknown, 50042, advice="the first one of its kind counts; look it up")
"""OKX says that it has the request already."""

_CLOCK = {
    **meanings(ClockRefused, 50102, 50112, 60004, 60006, advice="not taken; compare the clock"),
    # The deadline that is sent with each placement.
    **meanings(ClockRefused, 50036, 50037, advice="not taken: it came after its deadline"),
}

_INSTRUMENT = "no such instrument, or not here"

_INVALID = {
    **meanings(InvalidRequest, 51001, advice=f'{_INSTRUMENT}; over WebSocket try via="rest"'),
    **meanings(InvalidRequest, 51002, 51012, 51014, 51015, 51026, 54007, advice=_INSTRUMENT),
    **meanings(InvalidRequest, 50000, 50002, 50006, range(50014, 50017), 50024, 50025, 50038),
    **meanings(InvalidRequest, 50039, 50053, 50076, 50077, 50115, 51000, 51003, 51111, 51150),
    **meanings(InvalidRequest, range(51175, 51182), 51281, range(51407, 51410), 51500, 51501),
    **meanings(InvalidRequest, 51405, 51406, 51411, 51413, 51514, range(51600, 51603)),
    **meanings(InvalidRequest, 51068, range(51076, 51087), range(51089, 51100), 51044, 51327),
    **meanings(InvalidRequest, range(51328, 51334), 54009, 54029, 54036, 54070),
    **meanings(InvalidRequest, 51071, advice="another program's timers: twenty may run at once"),
    # What stands in the way of another mode or leverage.
    **meanings(InvalidRequest, 59000, advice="close positions and cancel open orders first"),
    **meanings(InvalidRequest, *range(59100, 59108), 51039, 51164, 51186, 50048, 50072),
    **meanings(InvalidRequest, range(60011, 60014), 60018, *range(64001, 64005)),
}

_BALANCE = meanings(
    InsufficientBalance,
    *(51008, 51017, 51119, 51127, 51131, 51143, 51502, 51736, 51764, 58350, 59108, 59303, 50069),
    reason=EndReason.BALANCE,
)

_GONE = {
    **meanings(OrderNotFound, 51063, 51603, 51527, advice="just placed, it may not be seen yet"),
    **meanings(OrderNotFound, range(51400, 51403), 51503, 51509, 51510, advice="it has ended"),
}

_BAND = "see price_band(); the instrument's limits move with its index"
_RULES = "check it against the instrument's rules"
_REJECTED = {
    **_rejected(
        EndReason.DUPLICATE, 50071, 51011, 51016, 51065, advice="an order of that id may live"
    ),
    **_rejected(EndReason.POST_ONLY, 51511, advice="it would have taken"),
    **_rejected(
        EndReason.PRICE_LIMIT, 51006, 51031, 51116, 51122, range(51135, 51139), advice=_BAND
    ),
    **_rejected(EndReason.PRICE_LIMIT, range(51192, 51196), 51250, 54084, advice=_BAND),
    **_rejected(EndReason.INVALID, 51204, 51123, 51512, 51536, 51537, 54085),
    **_rejected(EndReason.SIZE, 51005, 51007, 51020, 51033, 51101, 51120, 51121, advice=_RULES),
    **_rejected(EndReason.SIZE, 50122, 51132, 51185, range(51201, 51204), 51207, advice=_RULES),
    **_rejected(EndReason.SIZE, 51252, 51273, 51275, 51286, 54051, advice=_RULES),
    **_rejected(
        EndReason.CAP, 51025, 51102, 51103, 51174, 51182, advice="too many orders are open"
    ),
    **_rejected(EndReason.CAP, range(51260, 51264), 51299, 51165, 54043),
    **_rejected(EndReason.CAP, 51004, range(51104, 51109), 51117, 51129, 51187, 54006, 54018),
    **_rejected(EndReason.CAP, 54019, 54030, 54031, advice="too large a position"),
    **_rejected(EndReason.REDUCE_ONLY, 51023, 51043, 51058, 51112, 51169, 51170, 51171, 51205),
    **_rejected(EndReason.REDUCE_ONLY, 51125, 51126, 51133, 51134, 51139, 51148, 51206, 51341),
    **_rejected(EndReason.REDUCE_ONLY, 51342, 51521, 51522, 54035),
    **_rejected(
        EndReason.TRIGGER,
        *(range(51046, 51054), range(51257, 51260), range(51276, 51281), range(51300, 51309)),
        *(51088, 51100, 51311, 51312, 51415, 54078),
        advice="the trigger lies on the other side, or doesn't go with the order",
    ),
    **_rejected(EndReason.LIQUIDATION, range(50020, 50024), 51032, 51115, 54012),
    **_rejected(EndReason.DELEVERAGING, range(50017, 50020)),
    **_rejected(EndReason.LIQUIDATION, 51037, 51038, range(51209, 51215)),
    **_rejected(EndReason.MARKET_STATE, 51021, 51022, range(51027, 51031), 51087, 51110, 51124),
    **_rejected(EndReason.MARKET_STATE, 51140, 51142, 51196, 51197, 51505, 51507, 51508, 54011),
    **_rejected(EndReason.MARKET_STATE, 54072, 54073, 54005),
    **_rejected(
        EndReason.PERMISSION,
        *(51010, 51018, 51019, 51036, 51041, 51042, 51066, 51128, 51298, 51317, 54000, 54001),
        advice="not in this account mode; see tdMode",
    ),
    **_rejected(EndReason.PERMISSION, 51035, 51147, 51158, 51159, 51166, range(51072, 51076)),
    **_rejected(EndReason.PERMISSION, range(54024, 54029), 54075, 51144, 51130),
    # Of retail price improvement, ``elp`` until July 2026.
    **_rejected(EndReason.PERMISSION, range(54039, 54043), range(54044, 54047), 54049),
    **_rejected(EndReason.EXCHANGE, 51034, 51109, 54008, 54004),
    # What can't be amended or canceled now.
    **_rejected(EndReason.OTHER, 51403, 51404, 51410, 51416, 51506, 54047, 54048, 54071),
    **_rejected(EndReason.OTHER, 51513, advice="three amendments of it are under way; wait"),
    **_rejected(EndReason.OTHER, range(51523, 51527), range(51528, 51533), 51538, 51539, 51543),
}

_UNCHANGED = meanings(SettingUnchanged, 50050)
"""It has the value asked for already."""

_TABLES = (
    *(_KEYS, _LIMITS, _UNAVAILABLE, _REPEATED, _CLOCK, _INVALID),
    *(_BALANCE, _GONE, _REJECTED, _UNCHANGED),
)
MEANINGS: dict[str, Meaning] = {
    str(code): each for table in _TABLES for code, each in table.items()
}
assert len(MEANINGS) == sum(map(len, _TABLES)), "a code means two things"
