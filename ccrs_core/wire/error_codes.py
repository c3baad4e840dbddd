"""What an exchange's error codes stand for: tables of them, and the errors that they become."""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_core.errors import EndReason, ExchangeError, OrderRejected, RateLimited


@attrs.frozen
class Meaning:
    """What a code stands for."""

    error: type[ExchangeError]
    reason: EndReason = EndReason.OTHER
    """Of :class:`~ccrs_core.OrderRejected` and its kin."""
    advice: str = ""
    """What to do, said with the error."""

    def told(self, code: str, text: str, wait: float | None = None) -> ExchangeError:
        """The error, as it was told.

        :param wait: seconds after which a limit is lifted, if known.
        """
        further: tuple[Any, ...] = ()
        if issubclass(self.error, RateLimited):
            further = (wait,)
        elif issubclass(self.error, OrderRejected):
            further = (self.reason,)
        error = self.error(code, text, *further)
        error.advice = self.advice
        return error


def meanings(
    error: type[ExchangeError],
    *codes: int | range,
    advice: str = "",
    reason: EndReason = EndReason.OTHER,
) -> dict[int, Meaning]:
    """Codes, single ones and ranges, that all mean the same."""
    meaning = Meaning(error, reason, advice)
    found: dict[int, Meaning] = {}
    for each in codes:
        found |= dict.fromkeys(each if isinstance(each, range) else (each,), meaning)
    return found
