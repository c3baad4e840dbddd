"""Property 47: a row of an account's lists that can't be read is told, never passed over
in silence: what isn't in a list counts as gone, flat, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ccrs_core.conformance.workbench.material import Place, parsed, places, replaced, spelled
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader, markets_of, trading_of
from ccrs_core.contract.rest import Answer, HttpResponse, Request
from ccrs_core.contract.trading_requests import (
    GetFills,
    GetOpenOrders,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    Wallet,
)
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.units import NS_PER_SECOND

_NO_ROWS: Sequence[Any] = ({}, None, "x")
"""What no exchange means to send in place of a row."""
_SPOILT: Sequence[Any] = (None, "strange")
"""What may stand in a field by mistake."""


class AccountRowProperties:
    """What lists of accounts do with what they can't read."""

    @proves(47, against=Against.NOTHING)
    def test_a_strange_row_in_an_accounts_lists_is_counted_and_takes_none_away(
        self, subject: Subject
    ) -> None:
        """A row of open or past orders, fills, positions or the wallet that can't be read is left
        out and counted; the others are there as ever, and the next page follows."""
        for page in _pages(subject):
            for strange in _NO_ROWS:
                middle = len(page.rows) // 2
                rows = [*page.rows[:middle], strange, *page.rows[middle:]]
                what = f"an answer to {page.request} with a row {strange!r} among {len(page.rows)}"
                found = page.read(rows, what)
                page.has_all(found, what)
                assert found.left_out > page.usual.left_out, (
                    f"{what} leaves out {found.left_out} rows: what isn't in the list counts as "
                    "gone, or flat. Read rows by ccrs_core.wire.read_rows"
                )
                assert found.cursor == page.usual.cursor, (
                    f"{what} goes on at {found.cursor!r} instead of {page.usual.cursor!r}"
                )

    @proves(47, against=Against.NOTHING, quick=False)
    def test_a_row_of_an_account_with_a_spoilt_field_is_read_or_counted(
        self, subject: Subject
    ) -> None:
        """Whichever field of a row is missing or of another kind: the row is read all the same, or
        left out and counted; it is never just not there."""
        for page in _pages(subject):
            row = max(page.rows, key=lambda each: len(page.items(page.read([each], "one row"))))
            # Several rows may be about one position.
            usual = len(page.items(page.read([row, row], "a row twice")))
            for name in row:
                others = {key: value for key, value in row.items() if key != name}
                spoilt = ((repr(value), {**others, name: value}) for value in _SPOILT)
                for value, other in (*spoilt, ("absent", others)):
                    what = f"an answer to {page.request} of two rows, {name} of one being {value},"
                    found = page.read([other, row], what)
                    told = len(page.items(found)) + found.left_out
                    assert told >= usual, f"{what} tells of one: the other is lost in silence"


@attrs.frozen
class _Page:
    """A page of an account's list, and where its rows are."""

    trader: Trader
    request: Request[Any]
    response: HttpResponse
    tree: Any
    place: Place
    rows: list[Any]
    usual: Answer[Any]

    @staticmethod
    def items(answer: Answer[Any]) -> Sequence[Any]:
        value = answer.value
        return value.balances if isinstance(value, Wallet) else value

    def read(self, rows: list[Any], what: str) -> Answer[Any]:
        """What the page says with other rows."""
        body = spelled(replaced(self.tree, self.place, rows))
        response = HttpResponse(self.response.status, self.response.headers, body)
        exchange = self.trader.exchange
        try:
            error = exchange.error_of(response)
            if error is not None:
                raise error
            decode = exchange.endpoints[type(self.request)].decode
            found: Answer[Any] = decode(self.request, response, self.trader.venue.now_ns, None)
        except (CcrsError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise AssertionError(f"{what} isn't read at all: {error!r}") from error
        return found

    def has_all(self, found: Answer[Any], what: str) -> None:
        missing = [each for each in self.items(self.usual) if each not in self.items(found)]
        assert not missing, f"{what} lacks {missing[0]}, which it tells without it"


def _pages(subject: Subject) -> Iterator[_Page]:
    """Pages that list rows of an account that has orders, fills, positions and money."""
    for market in markets_of(subject):
        trader = Trader(subject)
        at = trader.stall(market)
        for _ in range(2):
            trader.place(at, at.limit(Side.BUY, at.crossing(Side.BUY)))
            trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY)))
        trader.pause(2.0)
        for request in _requests(trader, market, at):
            endpoint = trader.exchange.endpoints[type(request)]
            trader.pause()
            response = trader.line.http(trader.line.signed(endpoint.encode(request, None)))
            now_ns = trader.venue.now_ns
            usual = endpoint.decode(request, response, now_ns, None)
            tree = parsed(response.body)
            place = _rows_of(tree)
            if place is not None and _Page.items(usual):
                rows = next(value for where, value in places(tree) if where == place)
                yield _Page(trader, request, response, tree, place, rows, usual)


def _requests(trader: Trader, market: Market, at: Stall) -> Iterator[Request[Any]]:
    start_ns, end_ns = trader.venue.start_ns, trader.venue.now_ns + NS_PER_SECOND
    if trader.answers(GetFills, market):
        yield GetFills(
            market=market, start_ns=start_ns, end_ns=end_ns, **trader.about(GetFills, at)
        )
    if trader.answers(GetOrderHistory, market):
        yield GetOrderHistory(
            market=market, start_ns=start_ns, end_ns=end_ns, **trader.about(GetOrderHistory, at)
        )
    settle = at.listing.settle if trading_of(trader.subject).settles.get(market) else ""
    if trader.answers(GetOpenOrders, market):
        yield GetOpenOrders(market=market, settle=settle or "")
    if trader.answers(GetPositions, market):
        yield GetPositions(market=market, settle=settle or "")
    if trader.answers(GetWallet):
        yield GetWallet(trader.name)


def _rows_of(tree: Any) -> Place | None:
    """Where the rows are: the innermost list of objects, the first there is."""
    found: Place | None = None
    for place, value in places(tree):
        inner = found is None or place[: len(found)] == found
        if inner and isinstance(value, list) and value and isinstance(value[0], dict):
            found = place
    return found


__all__ = ["AccountRowProperties"]
