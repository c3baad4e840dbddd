"""What waits for the snapshot of a book, and why one is asked for. Pure."""

from __future__ import annotations

import enum

from ccrs_core.connections.runner import Runner
from ccrs_core.model.events import BookUpdate

Waiting = tuple[BookUpdate, bool, Runner]
"""An update, whether it begins a new count, and who brought it."""

_Numbers = tuple[int | None, int]


class Ask(enum.Enum):
    """Why a book is asked for."""

    FIRST = enum.auto()
    """Nobody has seen it yet."""
    AGAIN = enum.auto()
    """It was shown, and is lost: its consumer waits for it."""
    WIDER = enum.auto()
    """It is right, but the market comes near to the edge of what it knows."""


class Pending:
    """Updates since a book was lost, in the order in which they came, each once."""

    LIMIT = 8192
    """Updates that may wait; of more the oldest are dropped."""

    def __init__(self) -> None:
        self._waiting: dict[_Numbers, Waiting] = {}
        self._since: dict[_Numbers, float] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, update: BookUpdate, restart: bool, runner: Runner, now: float) -> None:
        """Let an update wait; of several copies the first."""
        numbers = update.previous_sequence, update.sequence
        self._waiting.setdefault(numbers, (update, restart, runner))
        self._since.setdefault(numbers, now)
        if len(self._waiting) > self.LIMIT:
            self._drop(next(iter(self._waiting)))

    def _drop(self, numbers: _Numbers) -> None:
        del self._waiting[numbers], self._since[numbers]

    def expire(self, until: float) -> None:
        """Drop what has waited since a time or longer."""
        for numbers, since in list(self._since.items()):
            if since <= until:
                self._drop(numbers)

    def clear(self) -> None:
        self._waiting.clear()
        self._since.clear()

    def after(self, number: int) -> tuple[list[Waiting], Waiting | None]:
        """What isn't contained in the state of a number, without what belongs to the count before
        that one's; and the update by which this count has begun, where that is known."""
        waiting, anew = list(self._waiting.values()), None
        for place in reversed(range(len(waiting))):
            update, restart, _ = waiting[place]
            if restart and update.sequence <= number and of_new_count(update, number):
                waiting, anew = waiting[place + 1 :], waiting[place]
                break
        # Numbers from where a later count begins can't be compared with this one.
        end = next((place for place, each in enumerate(waiting) if each[1]), len(waiting))
        return [e for e in waiting[:end] if e[0].sequence > number] + waiting[end:], anew


def leaves_hole(later: list[Waiting], number: int) -> bool:
    """Whether something is missing between the state of a number and the first of what follows."""
    return bool(later) and (later[0][0].previous_sequence or 0) > number


def of_new_count(update: BookUpdate, number: int) -> bool:
    """Whether a number belongs to the count that an update begins rather than to the one before:
    to that whose numbers are nearer."""
    return 2 * number < update.sequence + (update.previous_sequence or 0)


def how_patient(vain: int) -> float:
    """How much longer to wait for a stream's book that was asked for again so often in vain: one
    that is asked for over and over would never be found dead."""
    return min(2.0 ** max(vain - 2, 0), 60.0)
