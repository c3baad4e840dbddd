"""A REST request's parameters, read as strictly as an exchange reads them."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Container
from typing import Any, ClassVar

from ccrs_core.contract.rest import HttpRequest
from ccrs_core.model.units import NS_PER_MS


class BadRequest(Exception):
    """The exchange answers with an error code of its own.

    :param result: what the answer holds all the same, where the exchange says so.
    """

    def __init__(self, code: int | str, text: str, status: int = 200, result: Any = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.result = result


class Wrong(enum.Enum):
    """What is wrong with a parameter."""

    MISSING = enum.auto()
    CHOICE = enum.auto()
    """It is none of the words that there are."""
    NUMBER = enum.auto()
    """It is no whole number, or none of those allowed."""
    TIME = enum.auto()
    """It is no time."""


class Query(ABC):
    """A request's parameters. Subclasses say in the exchange's words what is wrong with one."""

    blank_is_absent: ClassVar[bool] = True
    """Whether a number or time without any text counts as not sent."""

    def __init__(self, request: HttpRequest) -> None:
        self.values = dict(request.query)

    @abstractmethod
    def wrong(self, name: str, wrong: Wrong) -> BadRequest:
        """How the exchange refuses a parameter."""

    def text(self, name: str) -> str:
        """A parameter, or no text."""
        return self.values.get(name, "")

    def choice(self, name: str, allowed: Container[str], default: str | None = None) -> str:
        """One of some words.

        :raises BadRequest: where it is none of them, or missing without a default.
        """
        value = self.values.get(name, "") or default
        if value is None:
            raise self.wrong(name, Wrong.MISSING)
        if value not in allowed:
            raise self.wrong(name, Wrong.CHOICE)
        return value

    def number(self, name: str, default: int, most: int, least: int = 1) -> int:
        """A whole number, ``default`` where there is none.

        :raises BadRequest: where it is anything else, below ``least`` or above ``most``.
        """
        text = self._sent(name)
        if text is None:
            return default
        if not _digits(text) or not least <= int(text) <= most:
            raise self.wrong(name, Wrong.NUMBER)
        return int(text)

    def time_ns(self, name: str) -> int | None:
        """A time in milliseconds, in nanoseconds UTC.

        :raises BadRequest: where it is anything else.
        """
        text = self._sent(name)
        if text is None:
            return None
        if not _digits(text):
            raise self.wrong(name, Wrong.TIME)
        return int(text) * NS_PER_MS

    def _sent(self, name: str) -> str | None:
        text = self.values.get(name)
        return None if text == "" and self.blank_is_absent else text


def _digits(text: str) -> bool:
    # There are digits of other scripts, which int() reads as well.
    return text.isascii() and text.isdecimal()
