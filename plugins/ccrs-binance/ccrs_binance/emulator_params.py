"""Parameters of a request to an account of the emulated Binance, read as strictly as Binance does.

https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from ccrs_core import NS_PER_MS
from ccrs_core.emulator import BadRequest, TradingAccount

_NUMBER = re.compile(r"([0-9]{1,20})(\.[0-9]{1,20})?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,20}", re.ASCII)
OF_ALL = frozenset({"timestamp", "recvWindow", "signature", "apiKey"})


def missing(name: str) -> BadRequest:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return BadRequest(-1102, text, 400)


def illegal(name: str, pattern: str) -> BadRequest:
    text = f"Illegal characters found in parameter '{name}'; legal range is '^{pattern}$'."
    return BadRequest(-1100, text, 400)


def unneeded(name: str) -> BadRequest:
    return BadRequest(-1106, f"Parameter '{name}' sent when not required.", 400)


class Params:
    """What a request was sent with, as text, whichever way it came.

    :param account: whose key the request is signed with.
    :param numbers: how many decimals money may have; None: any number.
    """

    def __init__(
        self, values: Mapping[str, str], account: TradingAccount, *, decimals: int | None = None
    ) -> None:
        self.values = values
        self.account = account
        self._decimals = decimals

    def known(self, names: Iterable[str]) -> None:
        """Refuse what a call doesn't have.

        :raises BadRequest: -1104.
        """
        read = OF_ALL.union(names)
        unread = [name for name in self.values if name not in read]
        if unread:
            sent = len(self.values)
            text = (
                f"Not all sent parameters were read; read '{sent - len(unread)}' parameter(s) but "
                f"was sent '{sent}'."
            )
            raise BadRequest(-1104, text, 400)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        """A parameter.

        :raises BadRequest: -1105, where it is there without any character.
        """
        found = self.values.get(name)
        if found is None:
            return default
        if not found:
            raise BadRequest(-1105, f"Parameter '{name}' was empty.", 400)
        return found

    def needed(self, name: str) -> str:
        found = self.text(name)
        if not found:
            raise missing(name)
        return found

    def word(
        self, name: str, words: Collection[str], default: str, refusal: BadRequest | None = None
    ) -> str:
        """One of some words."""
        found = self.text(name, default)
        if found not in words:
            text = f"Data sent for parameter '{name}' is not valid."
            raise refusal or BadRequest(-1130, text, 400)
        return found

    def flag(self, name: str) -> bool:
        """``true`` or ``false``, in capitals too; false where there is nothing."""
        found = self.text(name, "false").lower()
        if found not in {"true", "false"}:
            raise BadRequest(-1130, f"Data sent for parameter '{name}' is not valid.", 400)
        return found == "true"

    def number(self, name: str) -> Decimal | None:
        """A decimal number."""
        found = self.text(name)
        if not found:
            return None
        if not _NUMBER.fullmatch(found):
            raise illegal(name, r"([0-9]{1,20})(\.[0-9]{1,20})?")
        digits = len(found.partition(".")[2].rstrip("0"))
        if self._decimals is not None and digits > self._decimals:
            raise BadRequest(-1111, f"Parameter '{name}' has too much precision.", 400)
        return Decimal(found)

    def whole(self, name: str) -> int | None:
        found = self.text(name)
        if not found:
            return None
        if not _WHOLE.fullmatch(found):
            raise illegal(name, "[0-9]{1,20}")
        return int(found)

    def time_ns(self, name: str) -> int | None:
        found = self.whole(name)
        return None if found is None else found * NS_PER_MS

    def limit(self, usual: int, most: int) -> int:
        """How many rows an answer may have."""
        found = self.whole("limit")
        if found is not None and found < 1:
            raise BadRequest(-1130, "Data sent for parameter 'limit' is not valid.", 400)
        return usual if found is None else min(found, most)

    def client_id(self, name: str, pattern: re.Pattern[str]) -> str:
        """An id of the client's; no text where there is none."""
        found = self.text(name)
        if found and not pattern.fullmatch(found):
            raise illegal(name, pattern.pattern)
        return found
