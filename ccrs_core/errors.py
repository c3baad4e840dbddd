"""Every public exception, one tree, grouped by what the caller should do.

``retryable`` says whether trying the same thing again, unchanged, can succeed.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from decimal import Decimal


class CcrsError(Exception):
    """Base of all errors that this library raises. They can be copied and pickled, so that workers
    in other processes may raise them."""

    retryable: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the class with ``args``, which only hold the message.
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[CcrsError], args: tuple[Any, ...]) -> CcrsError:
    return kind.__new__(kind, *args)


# --- Fix the installation -------------------------------------------------------------------


class PluginError(CcrsError):
    """An exchange plugin can't be used."""


class PluginNotInstalled(PluginError):
    """No installed package offers an exchange of that name; the message names those that are."""


class PluginBroken(PluginError):
    """A plugin failed to load; the message names distribution, version and cause."""


class PluginMismatch(PluginError):
    """A plugin was written for a contract version that this core doesn't serve."""


# --- Fix the call ---------------------------------------------------------------------------


class UsageError(CcrsError, ValueError):
    """The call is wrong, whatever the exchange says; nothing was sent."""


class Unsupported(UsageError):
    """The exchange doesn't offer this, by its declared capabilities, and nothing was sent; or, of a
    history, it keeps no more what is asked for (the text says since when it tells)."""


class UnknownInstrument(UsageError):
    """The exchange lists no such symbol; ``near`` holds symbols that look alike."""

    def __init__(self, message: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.near = near
        self.symbols: dict[str, tuple[str, ...]] = {}
        """Of a subscription: all that are missing, each with those that look alike."""


class InvalidOrder(UsageError):
    """An order breaks a rule of its instrument; nothing was sent.

    ``rule`` names the field of :class:`~ccrs_core.Instrument` that it breaks (``min_price``
    where the price isn't above zero), ``nearest`` is the nearest price or size that keeps it, None
    where none does.
    """

    def __init__(self, rule: str, message: str, nearest: Decimal | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.nearest = nearest


class CredentialsMissing(UsageError):
    """There are no keys for an account; the message says where they may be put."""


class CredentialsUnsafe(UsageError):
    """Others can read a file of keys, or it is somebody else's; the message says what to do."""


class RecordingFailed(CcrsError):
    """A recording can't be written any more, its disk being full, say; what was written stays."""


class ExtraNotInstalled(UsageError):
    """An optional library is missing; the message says how to install it, ``extra`` names what."""

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


# --- The network ----------------------------------------------------------------------------


class TransportError(CcrsError):
    """The network failed; a supervised connection heals by itself, a read may be retried."""

    retryable: ClassVar[bool] = True
    nothing_sent: bool = False
    """Of a request: no byte of it has left, so that nobody can have taken it."""


class ConnectFailed(TransportError):
    """No connection came about: refused, unresolvable, TLS or handshake failure."""

    nothing_sent: bool = True

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status of a refused handshake, where there was one."""


class ConnectionLost(TransportError):
    """An established connection ended; ``code`` is the WebSocket close code, if there was one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class TimedOut(TransportError):
    """No answer within the time allowed."""


class GarbledAnswer(TransportError):
    """What came isn't the exchange's answer: nothing, a part, a page for people, a redirect.

    Content delivery networks, firewalls and proxies answer so in the exchange's place, with a
    status of success; asking again may reach the exchange. ``status`` is the HTTP status.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ReconnectsExhausted(TransportError):
    """The limit of consecutive failed connection attempts that the user set was reached."""

    retryable: ClassVar[bool] = False


# --- What was received ----------------------------------------------------------------------


class DecodeError(CcrsError):
    """Bytes from the exchange that its plugin can't read; ``frame`` holds (the start of) them.

    ``topics`` are those whose values can't be read, none where the bytes are no message at all.
    """

    def __init__(self, message: str, frame: bytes = b"", topics: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.frame = frame[:2048]
        self.topics = topics


class BookInvalid(CcrsError):
    """The order book can't be trusted right now (syncing or broken); wait for it to be valid."""

    retryable: ClassVar[bool] = True


class FeedOverflow(CcrsError):
    """A feed with the policy ``raise`` was not read fast enough; ``lost`` events are gone."""

    def __init__(self, message: str, lost: int) -> None:
        super().__init__(message)
        self.lost = lost


class FeedClosed(CcrsError):
    """The feed was closed; it delivers nothing any more."""


# --- What the exchange said -----------------------------------------------------------------


class ExchangeError(CcrsError):
    """The exchange answered with an error; ``code`` and ``text`` are its own. ``advice`` is its
    plugin's word on what to do, empty where there is none."""

    advice: str = ""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} (code {code})" if code else text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}: {self.advice}" if self.advice else said


class AuthError(ExchangeError):
    """Key, signature or permission refused. Never retried."""


class RateLimited(ExchangeError):
    """Too many requests; ``retry_after`` seconds must pass, where the exchange says so."""

    retryable: ClassVar[bool] = True

    def __init__(self, code: str, text: str, retry_after: float | None = None) -> None:
        super().__init__(code, text)
        self.retry_after = retry_after


class InvalidRequest(ExchangeError):
    """The exchange calls the request malformed or its arguments out of range."""


class SubscriptionRefused(ExchangeError):
    """The exchange refused, or never acknowledged, a subscription; the text says which and why."""

    def __init__(self, code: str, text: str, exchange: str, symbol: str, channel: str) -> None:
        super().__init__(code, text)
        self.exchange = exchange
        self.symbol = symbol
        self.channel = channel

    def __str__(self) -> str:
        what = f"{self.channel} of {self.symbol}"
        return f"{self.exchange} refused {what}: {super().__str__()}"


class ClockRefused(ExchangeError):
    """The exchange finds the request's timestamp outside its window: nothing was taken. Signed
    requests are sent once more by themselves, after the clock was compared anew."""


class EndReason(enum.StrEnum):
    """Why an order ended, where it wasn't filled."""

    BY_USER = "by_user"
    POST_ONLY = "post_only"
    """It would have taken."""
    NO_LIQUIDITY = "no_liquidity"
    """The rest of an IOC, FOK or market order found no counterpart."""
    SELF_TRADE = "self_trade"
    REDUCE_ONLY = "reduce_only"
    """Nothing was left that it could reduce."""
    BALANCE = "balance"
    PRICE_LIMIT = "price_limit"
    SIZE = "size"
    CAP = "cap"
    """Too many orders, or too large a position."""
    TRIGGER = "trigger"
    """Its trigger lies on the wrong side, or its partner was triggered."""
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    SETTLEMENT = "settlement"
    DEAD_MAN = "dead_man"
    """Disconnect protection has fired."""
    MARKET_STATE = "market_state"
    """The instrument doesn't trade so at present."""
    RATE_LIMIT = "rate_limit"
    DUPLICATE = "duplicate"
    """The client order id was used before."""
    PERMISSION = "permission"
    EXCHANGE = "exchange"
    """The exchange's administration, or its risk engine."""
    INVALID = "invalid"
    """The exchange calls the request malformed."""
    TOO_LATE = "too_late"
    """It couldn't be sent within the time that the caller gave it."""
    OTHER = "other"
    """See ``reason_text``."""


class OrderRejected(ExchangeError):
    """The exchange refused an order, an amendment or a cancel; ``reason`` says why in words of all
    exchanges. ``order`` is what is known of the order, where that is any."""

    def __init__(self, code: str, text: str, reason: EndReason = EndReason.OTHER) -> None:
        super().__init__(code, text)
        self.reason = reason
        self.order: Any = None


class InsufficientBalance(OrderRejected):
    """Not enough funds or margin for the order."""

    def __init__(self, code: str, text: str, reason: EndReason = EndReason.BALANCE) -> None:
        super().__init__(code, text, reason)


class OrderNotFound(ExchangeError):
    """The exchange knows no such order that is open; it may have ended, or be too young to be
    seen."""


class SettingUnchanged(ExchangeError):
    """The setting, or the order, has that value already: nothing was to be done."""


class ExchangeUnavailable(ExchangeError):
    """The exchange is overloaded, restarting or under maintenance."""

    retryable: ClassVar[bool] = True


class OutcomeUnknown(ExchangeError):
    """A request that changes something may or may not have taken effect: its answer was lost, or
    doesn't tell. Look up what has become of it; it must not be sent again. The cause
    (``__cause__``) is what went wrong. Of an order, ``order`` is the :class:`~ccrs_core.Order`,
    whose state is ``UNKNOWN``; the account finds out what has become of it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.order: Any = None


def tells_refusal(error: BaseException) -> bool:
    """Whether an exchange's answer says for certain that it has taken nothing: by a code whose
    meaning is listed. A plain :class:`ExchangeError` is none: nobody knows what its code means."""
    uncertain = isinstance(error, ExchangeUnavailable | OutcomeUnknown)
    return isinstance(error, ExchangeError) and type(error) is not ExchangeError and not uncertain


# --- Of accounts and their ledger -----------------------------------------------------------


class NotSent(CcrsError):
    """Nothing of it has left, for certain, and nothing will: it couldn't leave within the time that
    the caller gave it, a newer one took its place, or its order was canceled first. Of an order,
    ``order`` is what is known of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.order: Any = None


class OrderEnded(CcrsError):
    """What was waited for can't come any more: the order has ended otherwise. ``order`` is the
    :class:`~ccrs_core.Order` as it ended, with what was filled of it."""

    def __init__(self, message: str, order: Any = None) -> None:
        super().__init__(message)
        self.order = order


class AccountUnsupported(UsageError):
    """The account is in a mode in which orders can't be placed safely; the message says which, and
    what would do. Nothing was sent."""


class StoreInUse(UsageError):
    """Another process keeps this account's ledger; the message says how to share."""


class StoreFailed(CcrsError):
    """The ledger's store can't be read or written: nothing is placed, and what was learned isn't
    delivered, before it can be again."""

    retryable: ClassVar[bool] = True


class NotWritten(NotSent):
    """The exchange's plugin fails on a request, by a mistake of its own: it was never written, and
    nothing of it was sent. ``__cause__`` is what the plugin raised."""


class NotStored(NotSent, StoreFailed):
    """The intent to place an order can't be stored for now, so that nothing of it was sent, for
    certain. Cancels and amendments go on."""


class EntryKnown(StoreFailed):
    """The store holds an entry already that the ledger took for a new one: nothing of the change
    was kept. Open the account anew, so that the ledger begins with what is stored. ``keys`` are of
    such entries."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys
