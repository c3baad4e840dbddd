"""What an address may do: so much in a stretch of time, so much at once."""

from __future__ import annotations

from collections import Counter, deque

from ccrs_core.model.units import NS_PER_SECOND


class Allowance:
    """How often something may happen in any ``seconds``, per network address (or whatever else the
    exchange counts by). What is refused isn't counted.

    :param limit: None for any number.
    """

    def __init__(self, limit: int | None, seconds: float) -> None:
        self.limit = limit
        self._length_ns = round(seconds * NS_PER_SECOND)
        self._times: dict[str, deque[int]] = {}

    def enter(self, address: str, now_ns: int) -> bool:
        """Count one more; False where it is one too many."""
        if self.limit is None:
            return True
        times = self._times.setdefault(address, deque())
        while times and times[0] <= now_ns - self._length_ns:
            times.popleft()
        if len(times) >= self.limit:
            return False
        times.append(now_ns)
        return True

    def left(self, address: str) -> int:
        """How many more may enter, by what was counted last; 0 where any number may."""
        return 0 if self.limit is None else self.limit - len(self._times.get(address, ()))

    def reset_ns(self, address: str, now_ns: int) -> int:
        """When the oldest of what is counted will count no more."""
        times = self._times.get(address)
        return times[0] + self._length_ns if times else now_ns


class Occupancy:
    """How many of something an address may have at once: connections, subscriptions.

    :param limit: None for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._held: Counter[str] = Counter()

    def enter(self, address: str, count: int = 1) -> bool:
        """Count so many more; False where they are too many, and then none of them is counted."""
        if self.limit is not None and self._held[address] + count > self.limit:
            return False
        self._held[address] += count
        return True

    def leave(self, address: str, count: int = 1) -> None:
        """So many are gone."""
        self._held[address] -= count
