"""What several questions ask in the same words, asked once: lists of several markets, say, of which
an exchange tells in one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ccrs_core.contract.rest import Answer, HttpRequest, HttpResponse

_KEPT = 64
"""Responses that are kept for who asks later; the oldest go first."""

_Key = tuple[str, str, tuple[tuple[str, str], ...], bytes]


class SharedPages:
    """The pages that were asked for since this was made.

    Whoever asks in the same words gets the same response, and reads it for itself: so it says
    nothing of a later time than when this was made.
    """

    def __init__(self) -> None:
        self._asked: dict[_Key, asyncio.Future[HttpResponse]] = {}

    async def answer(
        self,
        page: HttpRequest,
        ask: Callable[[Callable[[HttpResponse], None]], Awaitable[Answer[Any]]],
        read: Callable[[HttpResponse], Answer[Any]],
    ) -> Answer[Any]:
        """The answer to a page: what ``read`` makes of another's response, or what ``ask`` brings,
        which is handed what to call with its own. A failure is that of all who wait for it; who
        comes after it asks anew."""
        key = page.method, page.path, page.query, page.body
        while (known := self._asked.get(key)) is not None:
            await asyncio.wait([known])
            if known.cancelled():
                continue  # who asked gave up: another one asks
            try:
                return read(known.result())
            except BaseException:
                self._forget(key, known)
                raise
        mine: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self._asked[key] = mine
        try:
            return await ask(mine.set_result)
        except BaseException as error:
            self._forget(key, mine)
            if not mine.done():
                if isinstance(error, Exception):
                    mine.set_exception(error)
                    mine.exception()  # nobody else may have waited for it
                else:
                    mine.cancel()
            raise
        finally:
            for old in list(self._asked)[:-_KEPT]:
                if self._asked[old].done():
                    del self._asked[old]

    def _forget(self, key: _Key, asked: asyncio.Future[HttpResponse]) -> None:
        if self._asked.get(key) is asked:
            del self._asked[key]
