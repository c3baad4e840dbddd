"""Client order ids: made, recognised, and read for the user's tag. Pure but for what is random.

An id is a mark, the time at which its maker began, what was random then, a count, and the tag. So
it is another one after every restart, in every process, and though the clock went back meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import ClassVar

from ccrs_core.contract.trading import ClientIds
from ccrs_core.errors import UsageError
from ccrs_core.model.units import NS_PER_SECOND

_MARK = "cc"
_TIME, _RANDOM, _COUNT = 6, 8, 4
_PLAIN = len(_MARK) + _TIME + _RANDOM + _COUNT
"""Length of an id without a tag."""


class ClientIdMaker:
    """Makes the client order ids of one account, within an exchange's grammar.

    :param now_ns: the time, nanoseconds UTC.
    :param draw: a random whole number below a bound; :attr:`drawn` unless told.
    """

    drawn: ClassVar[Callable[[int], int]] = staticmethod(secrets.randbelow)
    """The system's randomness. Replaced where the same seed has to make the same ids alone."""

    def __init__(
        self,
        grammar: ClientIds,
        now_ns: Callable[[], int],
        draw: Callable[[int], int] | None = None,
    ) -> None:
        self._grammar = grammar
        self._now_ns = now_ns
        self._draw = draw if draw is not None else type(self).drawn
        self._digits = _digits(grammar)
        self._stem = ""
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        base = len(self._digits)
        self._most = base**_COUNT
        seconds = self._now_ns() // NS_PER_SECOND
        when = self._written(seconds % base**_TIME, _TIME)
        self._stem = _mark(self._digits) + when + self._written(self._draw(base**_RANDOM), _RANDOM)
        self._count = 0

    def make(self, tag: str = "") -> str:
        """A new id, with the user's tag in it.

        :raises UsageError: where the exchange's ids have no room for the tag.
        """
        grammar = self._grammar
        end = f"{grammar.separator}{tag}" if tag else ""
        if _PLAIN + len(end) > grammar.longest or not set(tag) <= set(grammar.letters):
            room = max(grammar.longest - _PLAIN - len(grammar.separator), 0)
            raise UsageError(
                f"the tag {tag!r} doesn't fit into client order ids of {grammar.longest} "
                f"characters: at most {room}, of {grammar.letters}"
            )
        if self._count == self._most:
            self._begin()
        count = self._written(self._count, _COUNT)
        self._count += 1
        return self._stem + count + end

    def _written(self, number: int, width: int) -> str:
        digits, found = self._digits, ""
        for _ in range(width):
            number, digit = divmod(number, len(digits))
            found = digits[digit] + found
        return found


def is_made_here(grammar: ClientIds, client_order_id: str) -> bool:
    """Whether an id looks like one that a :class:`ClientIdMaker` has made, in whatever process.
    That proves nothing: an order is own where the store holds its intent."""
    digits, stem = _digits(grammar), client_order_id[:_PLAIN]
    return len(stem) == _PLAIN and stem.startswith(_mark(digits)) and set(stem) <= set(digits)


def tag_in(grammar: ClientIds, client_order_id: str) -> str:
    """The tag in an id that was made here; empty where there is none."""
    if not is_made_here(grammar, client_order_id):
        return ""
    return client_order_id[_PLAIN:].removeprefix(grammar.separator)


def _digits(grammar: ClientIds) -> str:
    """Digits and letters of one case that ids may have, the lower one if both are allowed."""
    allowed = set(grammar.letters)
    for letters in ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if set(letters) <= allowed:
            return "".join(d for d in "0123456789" if d in allowed) + letters
    raise UsageError("client order ids must be allowed all letters of one case")


def _mark(digits: str) -> str:
    return _MARK if _MARK[0] in digits else _MARK.upper()
