"""The fault menu: what a fault is, and how it is written as text."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ccrs_core.errors import UsageError


class FaultKind(enum.StrEnum):
    REFUSE = "refuse"
    """Refuse WebSocket handshakes, with ``status`` or, without one, by dropping TCP."""
    SLOW_HANDSHAKE = "slow_handshake"
    """Let handshakes take ``seconds``."""
    DROP = "drop"
    """Abort the TCP connection."""
    CLOSE = "close"
    """Close the WebSocket with ``code`` and ``reason``."""
    HALF_OPEN = "half_open"
    """Neither read nor send any more, and keep the socket open."""
    SHUTDOWN_NOTICE = "shutdown_notice"
    """Send the exchange's notice that it is going to shut down."""
    STALL = "stall"
    """Send no data of matching topics; answers to requests still come."""
    MUTE = "mute"
    """Acknowledge subscriptions to matching topics, and never send anything of them; those that are
    there already go on."""
    SILENCE = "silence"
    """Send nothing more of matching topics that are subscribed to at that moment, until they are
    subscribed to anew; everything else goes on."""
    STALL_ALL = "stall_all"
    """Send nothing at all, not even answers."""
    DELAY = "delay"
    """Send frames ``seconds`` late, in order."""
    DUPLICATE = "duplicate"
    """Send a data frame twice."""
    REORDER = "reorder"
    """Send a data frame after the topic's next one."""
    TRUNCATE = "truncate"
    """Cut a data frame short."""
    CORRUPT = "corrupt"
    """Overwrite some characters of a data frame."""
    GAP = "gap"
    """Leave out a data frame; the exchange's numbers go on."""
    RESTART = "restart"
    """Let the exchange's update numbers of matching topics begin anew."""
    SLOW_ACK = "slow_ack"
    """Acknowledge subscriptions ``seconds`` late."""
    NO_ACK = "no_ack"
    """Don't acknowledge subscriptions, but serve them."""
    BUSY = "busy"
    """Refuse requests to subscribe (or unsubscribe) for now, in the exchange's words for that."""
    HTTP = "http"
    """Answer REST requests with ``status``: in place of carrying them out, or (``effect``) after
    it."""
    GARBLE = "garble"
    """Answer REST requests as something between client and exchange does: ``how`` is ``empty``,
    ``html``, ``cut`` (half of the answer), ``gzip`` (half of it, compressed) or ``redirect``."""
    BLANK = "blank"
    """Leave optional fields of matching topics blank, null or absent, as the exchange may; of
    answers to requests, too, whose topics are their paths."""
    LOSE_ANSWER = "lose_answer"
    """Drop the connection in place of the answer to a request. It was carried out, unless
    ``effect`` says otherwise."""
    SLOW_ANSWER = "slow_answer"
    """Carry out requests, and answer ``seconds`` late."""
    UNCLEAR = "unclear"
    """Answer requests in the exchange's words for not knowing what came of them. They were carried
    out, unless ``effect`` says otherwise."""
    LAG = "lag"
    """Let lists and queries tell ``seconds`` later than usual of what has happened to accounts."""
    NO_LOGIN = "no_login"
    """Never answer logins on WebSockets."""
    REVOKE = "revoke"
    """Let keys that match ``key`` not work."""
    CLOCK = "clock"
    """Let the exchange's clock be ``seconds`` fast, or slow where that is below zero."""
    BAN = "ban"
    """Refuse all requests and handshakes, with ``status`` (403 unless told)."""


GARBLED = frozenset({"empty", "html", "cut", "gzip", "redirect"})
"""What an answer may be turned into on its way."""

_TAKES_EFFECT = frozenset({FaultKind.LOSE_ANSWER, FaultKind.UNCLEAR})
_PER_FRAME = frozenset(
    {
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.TRUNCATE,
        FaultKind.CORRUPT,
        FaultKind.GAP,
    }
)


def _probability(_: object, __: object, value: float) -> None:
    if not 0 < value <= 1:
        raise UsageError(f"probability={value:g} must be above 0 and at most 1")


def _not_zero(fault: Fault, attribute: attrs.Attribute[Any], value: float) -> None:
    if fault.kind is not FaultKind.CLOCK:
        _positive(fault, attribute, value)
    elif not value:
        raise UsageError("a clock that is off by seconds=0 is right")


def _positive(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and value <= 0:
        raise UsageError(f"{attribute.name}={value:g} must be above 0")


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value < 0:
        raise UsageError(f"{attribute.name}={value:g} must not be negative")


@attrs.frozen(kw_only=True)
class Fault:
    """One fault: what, to whom, when, how often. Times are seconds of the emulator's clock.

    ``target``: ``all`` connections, ``random`` for one of them at each turn, or a number n for the
    n-th that is open (for handshakes and requests: the n-th attempt from now). ``path`` and
    ``topic`` are patterns with ``*`` and ``?``.

    It begins ``after`` seconds and is over after ``duration`` or after ``count`` hits, and starts
    over ``every`` so many seconds. Faults of single frames hit one frame per turn unless
    ``duration``, ``probability`` or ``count`` says otherwise. ``seconds`` is how long delays are.
    ``effect`` says of faults of answers whether the request was carried out; answers on WebSockets
    are those to orders and the like, their ``topic`` is what was asked for, and they are hit only
    where it was.

    :raises UsageError: where the values make no sense together.
    """

    kind: FaultKind = attrs.field(converter=FaultKind)
    target: str | int = "all"
    path: str = "*"
    topic: str = "*"
    after: float = attrs.field(default=0.0, validator=_not_negative)
    every: float | None = attrs.field(default=None, validator=_positive)
    duration: float | None = attrs.field(default=None, validator=_positive)
    probability: float = attrs.field(default=1.0, validator=_probability)
    count: int | None = attrs.field(default=None, validator=_positive)
    seconds: float = attrs.field(default=1.0, validator=_not_zero)
    status: int | None = None
    code: int = 1001
    reason: str = ""
    how: str = "html"
    effect: bool = attrs.field(
        default=attrs.Factory(lambda fault: fault.kind in _TAKES_EFFECT, takes_self=True)
    )
    key: str = "*"

    def __attrs_post_init__(self) -> None:
        if isinstance(self.target, int):
            if self.target < 1:
                raise UsageError("connections are numbered from 1")
        elif self.target not in {"all", "random"}:
            raise UsageError(f"target={self.target} must be all, random or a number")
        if self.kind is FaultKind.HTTP and self.status is None:
            raise UsageError("http needs a status, such as http,status=429")
        if self.how not in GARBLED:
            raise UsageError(f"how={self.how} must be one of {', '.join(sorted(GARBLED))}")

    @property
    def hits_per_turn(self) -> int | None:
        if self.count is not None:
            return self.count
        once = self.kind in _PER_FRAME and self.duration is None and self.probability == 1.0
        return 1 if once else None


_NUMBERS: Mapping[str, Callable[[str], float]] = {
    "after": float,
    "every": float,
    "duration": float,
    "probability": float,
    "seconds": float,
    "count": int,
    "status": int,
    "code": int,
}
_TEXTS = frozenset({"target", "path", "topic", "reason", "how", "key"})
_WORDS = {"yes": True, "no": False}


def parse_fault(text: str) -> Fault:
    """Read a fault from text such as ``drop,every=5,target=random``.

    :raises UsageError: naming what can't be read, and what could be.
    """
    name, *settings = [part.strip() for part in text.split(",")]
    name = name.replace("-", "_")
    kinds = [kind.value for kind in FaultKind]
    if name not in kinds:
        raise UsageError(f"no fault {name!r}; there are {', '.join(kinds)}")
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in {*_NUMBERS, *_TEXTS, "effect"}:
            known = ", ".join(sorted({*_NUMBERS, *_TEXTS, "effect"}))
            raise UsageError(f"no fault setting {setting!r}; settings are {known}, as in every=5")
        if key in values:
            raise UsageError(f"the fault setting {key} is given twice")
        if key in _NUMBERS:
            try:
                values[key] = _NUMBERS[key](value)
            except ValueError:
                raise UsageError(f"{key}={value} is no number") from None
        elif key == "effect":
            if value not in _WORDS:
                raise UsageError(f"effect={value} must be yes or no")
            values[key] = _WORDS[value]
        else:
            values[key] = int(value) if key == "target" and value.isdecimal() else value
    return Fault(kind=FaultKind(name), **values)
