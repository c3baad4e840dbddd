"""What came of amendments and cancels that were acknowledged, where the acknowledgement doesn't say
so: the stream of orders tells each by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from ccrs_core.model.reports import Act, ConfirmationReport, OrderReport, Report

WAITS = (2.0, 3.0, 5.0)
"""Seconds for which a confirmation is waited for; after each the order is looked up."""


@attrs.define(eq=False)
class Expected:
    """A confirmation that is to come."""

    act: Act
    request_id: str
    ids: frozenset[str]
    """The order's, those that are known."""
    told: asyncio.Future[ConfirmationReport | None]
    """None: it was a cancel, and its order has ended."""

    async def within(self, seconds: float) -> bool:
        """Wait for it, for so long; whether it has come."""
        await asyncio.wait([self.told], timeout=seconds)
        return self.told.done()

    def settle(self, said: ConfirmationReport | None) -> None:
        """This was it; of several copies the first counts."""
        if not self.told.done():
            self.told.set_result(said)


class Confirmations:
    """Those that an account's requests wait for."""

    def __init__(self) -> None:
        self._expected: list[Expected] = []

    @contextmanager
    def expecting(self, act: Act, ids: Sequence[str], request_id: str = "") -> Iterator[Expected]:
        """From before a request leaves until nobody waits any more: it may be confirmed before it
        is answered. ``ids`` are the order's; of an amendment ``request_id`` alone tells."""
        told = asyncio.get_running_loop().create_future()
        one = Expected(act, request_id, frozenset(ids) - {""}, told)
        self._expected.append(one)
        try:
            yield one
        finally:
            self._expected.remove(one)

    def heard(self, reports: Sequence[Report]) -> None:
        """A stream has brought these."""
        if not self._expected:
            return
        for each in reports:
            if isinstance(each, ConfirmationReport):
                self._confirmed(each)
            elif isinstance(each, OrderReport) and each.state.final:
                self._ended(each)

    def _confirmed(self, said: ConfirmationReport) -> None:
        for one in self._expected:
            if one.act is not said.act:
                continue
            if said.act is Act.AMEND:
                if said.request_id and said.request_id == one.request_id:
                    one.settle(said)
            elif one.ids & {said.exchange_order_id, said.client_order_id}:
                one.settle(said)

    def _ended(self, said: OrderReport) -> None:
        """Nothing is left to cancel."""
        for one in self._expected:
            if one.act is Act.CANCEL and one.ids & {said.exchange_order_id, said.client_order_id}:
                one.settle(None)
