"""The pages of an answer: asked for one by one, and joined. Pure."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import attrs

from ccrs_core.contract.rest import Answer, Endpoint, HttpRequest, Request
from ccrs_core.errors import CcrsError, DecodeError, NotWritten

T = TypeVar("T")


def encoded(endpoint: Endpoint[Any, Any], request: Request[Any], cursor: str | None) -> HttpRequest:
    """What asks for a page, as the plugin writes it.

    :raises NotWritten: where the plugin fails on it, by a mistake of its own: nothing has left.
    :raises CcrsError: (``UsageError``, mostly) what it says of the request.
    """
    try:
        return endpoint.encode(request, cursor)
    except Exception as error:
        if isinstance(error, CcrsError):
            raise
        name = type(request).__name__
        raise NotWritten(f"the plugin can't write {name}: {error!r}") from error


class TooManyRows(Exception):
    """An answer has more rows than whoever asks has room for."""


class Pages(Generic[T]):
    """What a question has been answered so far.

    Make ``next_request()``, hand what it was answered to ``add``, and go on until ``complete``.
    ``most`` is how many rows there is room for (None: for any number).
    """

    def __init__(
        self, request: Request[T], endpoint: Endpoint[Any, Any], most: int | None = None
    ) -> None:
        self.cursor: str | None = None
        """That of the page to ask for next."""
        self.complete = False
        self._request = request
        self._endpoint = endpoint
        self._values: list[Any] = []
        self._seen: set[str] = set()
        self._room = most

    def next_request(self) -> HttpRequest:
        """What asks for the next page.

        :raises NotWritten: where the plugin fails on it.
        """
        return encoded(self._endpoint, self._request, self.cursor)

    def add(self, answer: Answer[Any]) -> None:
        """That page's answer.

        :raises DecodeError: where it leads back to a page that was there already, or brings the
            rows of the one before it, and leads on.
        :raises TooManyRows: where there is no room for it, and there are more.
        """
        if answer.cursor is not None and self._values and _same(self._values[-1], answer.value):
            name = type(self._request).__name__
            raise DecodeError(f"the pages of {name} bring the same rows over and over")
        self._values.append(answer.value)
        self.cursor = answer.cursor
        if self.cursor is None:
            self.complete = True
            return
        if self._room is not None:
            self._room -= len(answer.value)
            if self._room < 0:
                raise TooManyRows
        if self.cursor in self._seen:
            name = type(self._request).__name__
            raise DecodeError(f"the pages of {name} repeat: {self.cursor!r}")
        self._seen.add(self.cursor)

    def joined(self) -> T:
        """All of it, rows cut to the question's limit, oldest first where time orders them."""
        pages = self._values
        if self._endpoint.join is not None:
            joined = self._endpoint.join(pages)
            if not isinstance(joined, list):
                return joined  # type: ignore[no-any-return]
        elif len(pages) == 1 and not isinstance(pages[0], list):
            return pages[0]  # type: ignore[no-any-return]
        else:
            if self._endpoint.goes_back(self._request):
                pages = pages[::-1]
            joined = [item for page in pages for item in page]
        limit = self._request.limit
        if limit is not None and len(joined) > limit:
            # A page may bring more than is left to ask for.
            first = self._request.start_ns is not None
            joined = joined[:limit] if first else joined[len(joined) - limit :]
        return joined  # type: ignore[return-value]


def _same(page: Any, other: Any) -> bool:
    """Whether two pages bring the same news, of which there is some."""
    if not isinstance(page, list) or not isinstance(other, list) or len(page) != len(other):
        return False
    rows = zip(page, other, strict=True)
    return bool(page) and all(_same_row(one, another) for one, another in rows)


def _same_row(one: Any, other: Any) -> bool:
    """Whether two rows say the same, whenever they arrived."""
    if not hasattr(one, "received_time_ns") or type(one) is not type(other):
        return False
    return bool(attrs.evolve(other, received_time_ns=one.received_time_ns) == one)
