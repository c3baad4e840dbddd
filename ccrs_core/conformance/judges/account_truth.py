"""Whether the ledger of an account is true: orders against the emulator's desk, fills, positions
and money against the accountant, who knows the money tape alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import attrs

from ccrs_core.conformance.judges.accountant import Accountant, AccountBooks, Booked, Books
from ccrs_core.conformance.judges.order_words import ENDS, states_of, unnamed_ends
from ccrs_core.emulator import DeskOrder, Listing, Stage
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import Adjustment, AdjustmentKind, Position, Profit
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.order_requests import OrderType, PositionSide, Trigger
from ccrs_core.model.orders import Fill, FillKind, Liquidity, Order, OrderState, Origin
from ccrs_core.model.units import NS_PER_MS

NEVER_THERE = frozenset({OrderState.NOT_SENT, OrderState.ABSENT, OrderState.PRESUMED_ABSENT})
"""What is said of orders that the exchange never had."""
_FINEST = Decimal("1e-8")
"""To which exchanges write money."""
_FINEST_FEE = Decimal("1e-11")

Find = Mapping[tuple[str, str], Instrument]
"""Instruments by category and the exchange's symbol."""


def books_of(tape: Iterable[str], account: str) -> Books:
    """What an account has by the lines of the money tape."""
    accountant = Accountant()
    accountant.read(tape)
    return accountant.of(account)


def instruments_by_key(
    listings: Iterable[Listing], instruments: Mapping[Market, Sequence[Instrument]]
) -> dict[tuple[str, str], Instrument]:
    """The instruments of listings."""
    found = {}
    for listing in listings:
        for instrument in instruments.get(listing.market, ()):
            if instrument.native == listing.symbol:
                found[listing.key] = instrument
    return found


def orders_are_true(
    orders: Sequence[Order],
    desk: Mapping[int, DeskOrder],
    find: Find,
    others: str | tuple[str, ...] = "web",
    untold: Container[EndReason] = (),
    named: Callable[[str], bool] = bool,
    exits: Container[tuple[str, Decimal]] = (),
) -> None:
    """Fails unless the ledger's orders are the exchange's: each of them there, as it is, and no
    other that may be there still; no placement has made two. Orders of others (whose client ids
    begin with ``others``, or that have none) that have ended may be unknown but for their fills;
    ends for reasons that are ``untold`` have none. Ids that aren't ``named`` by the account are the
    exchange's own, of exits or of orders that had none: whose such are it doesn't tell, nor has
    it any of what was never placed; those that wait are ``exits``, by symbol and price."""
    by_client: dict[tuple[str, str], list[Order]] = defaultdict(list)
    anonymous: list[Order] = []
    known_ids = {true.client_order_id for true in desk.values()} - {""}
    for order in orders:
        identity = order.client_order_id
        if identity in known_ids or identity.startswith(others) or (identity and named(identity)):
            by_client[order.symbol, order.client_order_id].append(order)
        else:
            anonymous.append(order)
    seen: set[int] = set()
    placed = [true for true in desk.values() if true.origin is None]
    uses = Counter(true.client_order_id for true in placed)
    own = [true.client_order_id for true in placed if not true.client_order_id.startswith(others)]
    twice = [identity for identity, count in Counter(own).items() if identity and count > 1]
    assert not twice, (
        f"the exchange has {own.count(twice[0])} orders of the client's id {twice[0]!r}"
    )
    for true in map(partial(_followed, desk), desk.values()):
        instrument, identity = find[true.listing.key], true.client_order_id
        foreign = identity.startswith(others)
        optional = desk[true.number].stage.ended and (not identity or foreign)
        what = f"the exchange has {_shown(true)}, the ledger "
        if not identity:
            alike = [each for each in anonymous if _alike(each, true, instrument)]
            assert alike or optional, f"{what}nothing like it"
            seen.update(map(id, alike))
            continue
        found = by_client.get((instrument.symbol, identity), [])
        if true.origin is not None or true.replaced_by is not None:
            # What a trigger has placed may have the client's id of the order that waited.
            found = [each for each in found if bool(each.fired_by) is (true.origin is not None)]
        if foreign and uses[identity] > 1:
            # Used again, once its order had ended: whichever is this one.
            found = [e for e in found if id(e) not in seen and not order_is_wrong(e, true, untold)][
                :1
            ]
        if optional and not found:
            continue
        assert len(found) == 1, f"{what}has it {len(found)} times: {found}"
        seen.add(id(found[0]))
        wrong = order_is_wrong(found[0], true, untold)
        whose = Origin.OTHER if foreign else Origin.OWN
        if found[0].origin is not whose and (foreign or named(identity)):
            wrong.append(f"origin is {found[0].origin.value}, should be {whose.value}")
        assert not wrong, f"{what}{found[0]}: " + "; ".join(wrong)
    by_client["", ""] = [mine for mine in anonymous if mine.filled_size or not mine.state.final]
    for several in by_client.values():
        for order in several:
            if id(order) in seen or order.state in NEVER_THERE:
                continue
            if order.origin is Origin.EXCHANGE and order.state is OrderState.FILLED:
                continue  # by which it closes a position: their fills are on the tape
            # An exit that waited for an order which came to nothing, under an id that the exchange
            # made: the desk makes exits once there is something to leave.
            foreign = order.origin is Origin.OTHER and order.client_order_id not in uses
            if foreign and order.state.final and not order.filled_size:
                continue
            at = order.trigger.price if isinstance(order.trigger, Trigger) else order.price
            if order.state is OrderState.WAITING and at and (order.symbol, at) in exits:
                continue
            assert order.state is OrderState.REJECTED, (
                f"the exchange has no such order as the ledger's {order}"
            )


def _followed(desk: Mapping[int, DeskOrder], order: DeskOrder) -> DeskOrder:
    """An order as users are to see it: one whose trigger has placed another stands as that does."""
    placed = None if order.replaced_by is None else desk.get(order.replaced_by)
    if placed is None:
        return order
    return attrs.evolve(order, stage=placed.stage, ending=placed.ending, filled=placed.filled)


def order_is_wrong(mine: Order, order: DeskOrder, untold: Container[EndReason] = ()) -> list[str]:
    """What the ledger has otherwise than the exchange."""
    found = []
    filled = order.filled
    size = None if order.size is None else order.size
    states = states_of(order)
    if order.ending is not None and (mine.reason is None or order.stage is Stage.REJECTED):
        states |= unnamed_ends(order.ending, untold)
    pairs = {"filled_size": (mine.filled_size, filled), "side": (mine.side, order.side)}
    if order.asked.quote_size is None and size is not None:
        pairs["size"] = (mine.size, size)
    if order.asked.type is OrderType.LIMIT and order.price is not None:
        pairs["price"] = (mine.price, order.price)
    for name, (told, true) in pairs.items():
        if told != true:
            found.append(f"{name} is {told}, should be {true}")
    if mine.state not in states:
        found.append(f"state is {mine.state.value}, should be {order.stage.value}")
    # Exchanges that keep orders apart which wait don't say why those were canceled, and some have
    # no word for what kept one from the book whose trigger had fired.
    wordless = order.triggered and mine.reason is EndReason.OTHER
    waited = order.asked.trigger is not None and not order.triggered
    reasons = ENDS[order.ending][1] if order.ending is not None else frozenset()
    unsaid = mine.reason is None and (waited or any(each in untold for each in reasons))
    whole = mine.state is OrderState.FILLED and mine.reason is None  # for so much money
    if order.ending and mine.reason not in reasons and not (unsaid or whole or wordless):
        found.append(f"reason is {mine.reason}, should be {order.ending.value}")
    if not mine.fills_complete:
        found.append("fills_complete is False")
    return found


def fills_are_true(
    fills: Sequence[Fill], books: Books, find: Find, others: tuple[str, ...] = ()
) -> None:
    """Fails unless the ledger's fills are those of the tape, one for one, their fees but for how
    finely exchanges write them. What is settled or delivered may be told as a fill or not; fills of
    others, whose client ids begin with ``others``, may lack these."""

    def of(fill: Fill) -> Any:
        mark = _mark_of(fill)
        return (mark[0], "", *mark[2:]) if mark[1].startswith(others) else mark

    def booked(each: Booked) -> Any:
        mark = _booked_mark(each, find[each.category, each.symbol])
        return (mark[0], "", *mark[2:]) if mark[1].startswith(others) else mark

    fills = [fill for fill in fills if fill.kind is not FillKind.SETTLEMENT]
    mine, true = Counter(map(of, fills)), Counter(map(booked, books.fills))
    lost, made_up = true - mine, mine - true
    what = f"of {true.total()} fills {lost.total()} are lost: {_first(lost)}; "
    what += f"{made_up.total()} doubled or made up: {_first(made_up)}"
    assert not lost, what
    assert not made_up, what
    told, paid = defaultdict(list), defaultdict(list)
    for fill in fills:
        told[of(fill)].append(fill.fee or Decimal(0))
    for each in books.fills:
        paid[booked(each)].append(each.fee)
    for mark, fees in paid.items():
        for one, other in zip(sorted(fees), sorted(told[mark]), strict=True):
            assert abs(one - other) <= _FINEST_FEE, f"{mark} cost {one}, the ledger has {other}"
    keys = Counter((fill.symbol, fill.fill_id, fill.exchange_order_id) for fill in fills)
    twice = [key for key, count in keys.items() if count > 1]
    assert not twice, f"the ledger has a fill twice: {twice[0]}"


def _first(marks: Counter[Any]) -> Any:
    return next(iter(marks), None)


def _mark_of(fill: Fill) -> Any:
    return (
        fill.symbol,
        fill.client_order_id if fill.origin is not Origin.EXCHANGE else "",
        fill.side is Side.BUY,
        fill.price,
        fill.size.normalize(),
        fill.fee_asset if fill.fee else "",
        fill.liquidity is Liquidity.MAKER,
    )


def _booked_mark(booked: Booked, instrument: Instrument) -> Any:
    return (
        instrument.symbol,
        booked.client_order_id,
        booked.buys,
        booked.price,
        booked.size.normalize(),
        booked.fee_asset if booked.fee else "",
        booked.maker,
    )


def positions_are_true(positions: Sequence[Position], books: Books, find: Find) -> None:
    """Fails unless the ledger's positions are those of the tape: sizes exactly."""
    mine = {(each.symbol, each.side.value): each.size for each in positions if each.size}
    true = {
        (find[category, symbol].symbol, side): size
        for (category, symbol, side), size in books.positions().items()
    }
    assert mine == true, f"positions are {mine}, by the tape {true}"


def profits_are_true(
    profit: Callable[..., Profit | None], books: Books, find: Find, late: int = 0
) -> None:
    """Fails unless what the ledger says that fills have earned and cost is what they did by the
    tape: fees exactly, profits but for rounding, unless fills became known ``late``. What is
    settled or delivered is of the exchange's own making, and judged by balances; so is what fills
    earned in an order that nobody tells."""
    delivered = {asset for kind, asset in books.income if kind == "delivery"}
    for (category, symbol, side), held in books.holdings.items():
        instrument = find[category, symbol]
        mine = profit(instrument.symbol, side=PositionSide(side))
        where = f"of {instrument.symbol} ({side}) "
        assert mine is not None, f"{where}the ledger knows no profit"
        true_size = held.size
        assert mine.size == true_size, f"{where}profit is of {mine.size}, by the tape {true_size}"
        fees = dict(mine.fees).get(held.settle, Decimal(0))
        if held.settle in delivered:
            continue
        assert books.agrees(held.fees, fees, _FINEST), (
            f"{where}fees are {fees}, by the tape {float(held.fees):.12f}"
        )
        if mine.out_of_order > late:
            continue
        # In whatever order fills of one millisecond were: what was earned and what is open cost
        # together what was paid.
        sign = -1 if held.market == "inverse" else 1
        true_cost, cost = held.cost, Fraction(0)
        if held.size and mine.entry_price is not None:
            cost = held.value(held.size, mine.entry_price)
        balance = Fraction(mine.realised) - sign * cost
        assert books.agrees(held.profit - sign * true_cost, _rounded(balance), _FINEST), (
            f"{where}{mine.realised} was earned and {float(cost):.12f} is in it, by the tape "
            f"{float(held.profit):.12f} and {float(true_cost):.12f}"
        )
        if not _at_once(books, category, symbol, side):
            assert books.agrees(held.profit, mine.realised, _FINEST), (
                f"{where}{mine.realised} was earned, by the tape {float(held.profit):.12f}"
            )


def nothing_is_unexplained(
    adjustments: Sequence[Adjustment],
    books: Books,
    whole: Mapping[tuple[str, str], Decimal] | None = None,
) -> None:
    """Fails where differences remain that nothing explains, once all is known: what was told of
    one before its cause was known has to be told back. Where money came while nobody listened, and
    is in no list, what all adjustments, the opening included, come to together is ``whole``, by
    asset and purse. What was earned by buying and selling in one millisecond depends on an order
    that nobody tells, and so do balances then."""
    unordered = _both_ways(books)
    left: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for each in adjustments:
        if each.kind is AdjustmentKind.UNEXPLAINED and each.asset not in unordered:
            left[each.symbol, str(each.side), each.asset, each.purse] += each.amount
    for (asset, purse), amount in (whole or {}).items():
        of_it = [each.amount for each in adjustments if (each.asset, each.purse) == (asset, purse)]
        if abs(sum(of_it, -amount)) <= _FINEST * 100:
            left["", str(None), asset, purse] = Decimal(0)
    remain = {key: amount for key, amount in left.items() if abs(amount) > _FINEST * 100}
    assert not remain, f"differences that nothing explains: {remain}"


def _rounded(figure: Fraction) -> Decimal:
    return Decimal(round(figure * 10**12)).scaleb(-12)


def _both_ways(books: Books) -> set[str]:
    """The assets in which a position was bought and sold in one millisecond."""
    ways = defaultdict[tuple[Any, ...], set[bool]](set)
    for fill in books.fills:
        key = fill.category, fill.symbol, fill.position_side
        ways[*key, fill.time_ns // NS_PER_MS].add(fill.buys)
    both = {key[:3] for key, sides in ways.items() if len(sides) > 1}
    return {held.settle for key, held in books.holdings.items() if key in both}


def _at_once(books: Books, category: str, symbol: str, side: str) -> bool:
    """Whether several fills were in one millisecond: exchanges don't tell their order."""
    times = [
        fill.time_ns // NS_PER_MS
        for fill in books.fills
        if (fill.category, fill.symbol, fill.position_side) == (category, symbol, side)
    ]
    return len(set(times)) < len(times)


def money_is_true(balances: Sequence[Balance], books: AccountBooks) -> None:
    """Fails unless the ledger's money is that of the tape, wallet by wallet."""
    strange = [each for each in balances if each.purse not in books.by_purse]
    assert not strange, f"a balance of a wallet that Trading.purses doesn't name: {strange[0]}"
    for purse, its in books.by_purse.items():
        balances_are_true([each for each in balances if each.purse == purse], its)


def balances_are_true(balances: Sequence[Balance], books: Books) -> None:
    """Fails unless the ledger's money in one wallet is that of the tape, but for rounding."""
    mine = {each.asset: each for each in balances}
    assert len(mine) == len(balances), f"a wallet's balances are told twice: {balances}"
    for asset, amount in books.balances.items():
        told = mine.get(asset)
        if told is None:
            assert books.agrees(amount, Decimal(0), _FINEST), f"{asset} isn't there: {amount}"
            continue
        wallet = told.total if told.wallet is None else told.wallet
        assert books.agrees(amount, wallet, _FINEST), (
            f"{told.name} is {wallet:f}, by the tape {float(amount):.12f}"
        )


def _alike(mine: Order, order: DeskOrder, instrument: Instrument) -> bool:
    return (
        mine.symbol == instrument.symbol
        and mine.side is order.side
        and mine.filled_size == order.filled
        and mine.state.final == order.stage.ended
    )


def _shown(order: DeskOrder) -> str:
    listing: Listing = order.listing
    ended = "" if order.ending is None else f" ({order.ending.value})"
    return (
        f"{order.side.value} {order.size} {listing.symbol} at {order.price}, {order.stage.value}"
        f"{ended}, filled {order.filled}, id {order.client_order_id!r}"
    )
