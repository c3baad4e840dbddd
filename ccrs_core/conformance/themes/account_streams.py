"""Properties 1, 47, 49, 55: what private streams tell of an account is what the desk has."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ccrs_core.conformance.judges.order_words import (
    agreed,
    balance_differs,
    fill_differs,
    order_differs,
    position_differs,
)
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import (
    Trader,
    all_reports,
    channels_of,
    markets_of,
    reports_of,
    trading_of,
    untold_of,
)
from ccrs_core.conformance.workbench.trading_day import HEARD, TradingDay, day_of
from ccrs_core.contract.codec import LeftOut, Message
from ccrs_core.contract.trading import Trading
from ccrs_core.emulator import DeskFill, DeskOrder, Filled, OrderChanged
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import Trigger
from ccrs_core.model.orders import OrderState
from ccrs_core.model.reports import (
    EarlyFillReport,
    FillReport,
    OrderReport,
    PositionReport,
    Report,
    StrangeReport,
)
from ccrs_core.model.subscriptions import Channel


class AccountStreamProperties:
    """What private streams tell."""

    @proves(47)
    def test_streams_tell_each_order_as_it_was(self, subject: Subject) -> None:
        """Each word of a private stream on an order is what that order was at some time, and the
        last one what it is in the end: state, reason, sizes, prices, flags, times."""
        _declares(subject, Channel.ORDERS)
        untold = untold_of(subject, lists=False)
        for market in markets_of(subject):
            day = day_of(subject, market)
            versions: dict[str, list[DeskOrder]] = defaultdict(list)
            for change in day.trader.of(OrderChanged):
                versions[change.order.client_order_id].append(change.order)
            last: dict[str, OrderReport] = {}
            for report in day.ear.reports(OrderReport):
                identity = report.client_order_id
                if not identity or report.late:
                    continue
                known = versions.get(identity)
                if not known and _is_an_exit(day, report):
                    continue
                assert known, f"{market.value}: a stream tells of an order {identity!r} of nobody"
                found = [
                    order_differs(report, order, whole=False, untold=untold) for order in known
                ]
                # What is told beside another fact may be of the order before or after that one.
                agreed(f"{market.value}: {identity}", min(found, key=len), report)
                last[identity] = report
            for deed in day.deeds:
                identity = deed.client_order_id
                assert identity in last, f"{market.value}: no stream tells of {deed.request}"
                agreed(
                    f"{market.value}: the last word of the stream on {deed.request}",
                    order_differs(
                        last[identity], versions[identity][-1], whole=False, untold=untold
                    ),
                    last[identity],
                )

    @proves(49)
    def test_streams_tell_each_fill_once(self, subject: Subject) -> None:
        """The fills that a private stream tells are those of the desk, one for one: price, size,
        fee, its asset, maker or taker, time; each id is told once of an order."""
        _declares(subject, Channel.FILLS)
        for market in markets_of(subject):
            day = day_of(subject, market)
            told = day.ear.reports(FillReport)
            are_the_fills(f"{market.value}: the stream", told, desk_fills(day.trader))
            ids = Counter(map(fill_key, told))
            twice = [key for key, count in ids.items() if count > 1]
            assert not twice, f"{market.value}: fill ids are used twice: {twice[:3]}"
            orders = {deed.client_order_id: deed.placed.exchange_order_id for deed in day.deeds}
            for fill in told:
                wanted = orders.get(fill.client_order_id, fill.exchange_order_id)
                assert fill.exchange_order_id == wanted, (
                    f"{market.value}: the fill {fill.fill_id} is told of the order "
                    f"{fill.exchange_order_id!r}, it is of {wanted!r}"
                )

    @proves(49)
    def test_early_fills_are_fills(self, subject: Subject) -> None:
        """What is told of fills ahead of their confirmation has the ids, prices and sizes of fills
        that are confirmed."""
        _declares(subject, Channel.EARLY_FILLS)
        for market in markets_of(subject):
            if Channel.EARLY_FILLS not in channels_of(subject, market):
                continue
            day = day_of(subject, market)
            # Both sides of a trade with oneself have one id.
            confirmed = day.ear.reports(FillReport)
            known = {fill_key(fill): fill for fill in confirmed}
            early = day.ear.reports(EarlyFillReport)
            assert early, f"{market.value}: no fill is told ahead of its confirmation"
            for report in early:
                fill = known.get(fill_key(report))
                assert fill is not None, f"{market.value}: an early fill of no fill: {report}"
                for name in ("market", "native", "side", "price", "size", "client_order_id"):
                    mine, its = getattr(report, name), getattr(fill, name)
                    assert mine in (its, ""), (
                        f"{market.value}: {name} is {mine} early, {its} afterwards"
                    )

    @proves(55)
    def test_streams_tell_positions_and_balances_as_they_are(self, subject: Subject) -> None:
        """After each order, while another one rests, the last word of the streams on positions and
        balances is what the desk has: sizes with their signs, entry prices, wallets."""
        everything = subject.exchange.capabilities.account_channels
        if not everything & {Channel.POSITIONS, Channel.BALANCES}:
            subject.undeclared("stream of positions or balances")
        for market in markets_of(subject):
            declared = channels_of(subject, market)
            trader = Trader(subject)
            at = trader.stall(market)
            ear = trader.listen(Channel.POSITIONS, Channel.BALANCES)
            ear.wait(0.2)
            # What is held back for it is there all the same.
            trader.place(at, at.limit(Side.BUY, at.bid(5)))
            for side, lots, level in _STEPS:
                at = trader.prepare(at.instrument)
                trader.place(at, at.limit(side, at.crossing(side, level), lots))
                ear.wait(0.5)
                where = f"{market.value}: after {side.value} {lots}"
                if Channel.POSITIONS in declared and market is not Market.SPOT:
                    _last_positions(where, trader, ear.reports(PositionReport))
                if Channel.BALANCES in declared:
                    _last_balances(where, trader, ear.reports(Balance), at.listing.settle)

    @proves(1)
    def test_a_strange_row_of_an_account_takes_no_other_away(self, subject: Subject) -> None:
        """Rows of private streams with a field missing, blank or of another kind, or an unknown
        word: what the other rows say is read, and never an exception but DecodeError."""
        trading_of(subject)
        for market in markets_of(subject):
            for frame, codec in _frames(day_of(subject, market)):
                _strange_rows(market, frame, codec)

    @proves(47)
    def test_account_channels_need_no_more_than_they_say(self, subject: Subject) -> None:
        """Each channel of accounts that is declared is subscribed to and acknowledged by itself, in
        any order with the others, and unsubscribed."""
        declared = subject.exchange.capabilities.account_channels
        trading: Trading = trading_of(subject)
        for channel in declared:
            if channel is Channel.DEAD_MAN and trading.dead_man is None:
                pytest.fail("a channel of disconnect protection is declared, and no protection")
            trader = Trader(subject, f"only{channel.value.replace('_', '')[:8]}")
            ear = trader.listen(channel)
            names = [type(message).__name__ for message in ear.messages]
            what = f"to subscribe to {channel.value} alone is answered by {ear.messages}"
            assert "Ack" in names, what
            assert "Refused" not in names, what


_STEPS = ((Side.BUY, 3, 1), (Side.BUY, 12, 2), (Side.SELL, 5, 1), (Side.SELL, 15, 3))
"""Orders that open, enlarge, make smaller, and turn around a position."""


def _is_an_exit(day: TradingDay, report: OrderReport) -> bool:
    """Whether a report is of the take-profit or stop-loss of an order of the day that isn't filled:
    exchanges may tell of such before it is placed, and that it never is."""
    price = report.trigger.price if isinstance(report.trigger, Trigger) else report.price
    for deed in day.deeds:
        exits = (deed.request.take_profit, deed.request.stop_loss)
        if report.side is not deed.request.side and any(
            each and each.price == price for each in exits
        ):
            waits = report.state is OrderState.WAITING or report.state.final
            return waits and not report.filled_size
    return False


def _declares(subject: Subject, channel: Channel) -> None:
    trading_of(subject)
    if channel not in subject.exchange.capabilities.account_channels:
        subject.undeclared(f"stream of {channel.value}")


def fill_key(fill: FillReport | EarlyFillReport) -> tuple[str, str, str]:
    """By what a fill is known: both sides of a trade with oneself have one id, and ids may be those
    of one symbol alone."""
    return fill.native, fill.fill_id, fill.exchange_order_id


def desk_fills(trader: Trader) -> list[DeskFill]:
    """All fills of an account, oldest first."""
    return [happening.fill for happening in trader.of(Filled)]


def are_the_fills(where: str, told: Sequence[FillReport], fills: Sequence[DeskFill]) -> None:
    """Fails unless these are the fills, one for one."""
    left: dict[Any, list[DeskFill]] = defaultdict(list)
    for fill in fills:
        left[fill.price, fill.listing.counted(fill.size)].append(fill)
    orders: dict[tuple[str, str], int] = {}
    for report in told:
        order_id = report.native, report.exchange_order_id
        candidates = left[report.price, report.size]
        ours = [fill for fill in candidates if _may_be(report, fill, orders.get(order_id))]
        assert ours, f"{where} tells of a fill that there isn't (any more): {report}"
        differences = [fill_differs(report, fill) for fill in ours]
        best = min(range(len(ours)), key=lambda at: len(differences[at]))
        agreed(f"{where}: {report.fill_id}", differences[best], report)
        orders[order_id] = ours[best].order.number
        candidates.remove(ours[best])
    missing = [fill for each in left.values() for fill in each]
    assert not missing, f"{where} doesn't tell {len(missing)} of {len(fills)} fills: {missing[0]}"


def _may_be(report: FillReport, fill: DeskFill, number: int | None) -> bool:
    """Whether a report is of an order's fill: by the client's id where that is told, by which order
    the exchange's id was of before."""
    if report.client_order_id and report.client_order_id != fill.order.client_order_id:
        return False
    return number in (None, fill.order.number)


def _last_positions(where: str, trader: Trader, told: Sequence[PositionReport]) -> None:
    last = {(report.native, report.side): report for report in told}
    for position in (each for wallet in trader.wallets.all for each in wallet.positions.values()):
        report = last.get((position.listing.symbol, position.side))
        assert report is not None, f"{where}: no stream tells of the position {position.size:f}"
        agreed(where, position_differs(report, position), report)


def _last_balances(where: str, trader: Trader, told: Sequence[Balance], settle: Any) -> None:
    last = {(report.purse, report.asset): report for report in told}
    for (purse, asset), report in last.items():
        # What hasn't changed isn't told.
        wallet = trader.wallets.by_purse.get(purse)
        assert wallet, f"{where}: a balance of a wallet that Trading.purses doesn't name: {report}"
        agreed(where, balance_differs(report, wallet.wallet[asset].total), report)
    assert last, f"{where}: no stream tells of any balance"


# --- strange rows ---------------------------------------------------------------------------

_STRANGE: tuple[Any, ...] = (None, "", "strange", -1, [], {}, 1.5)


def _frames(day: TradingDay) -> Iterator[tuple[bytes, Any]]:
    """One frame of each kind of report with the codec that reads it."""
    seen: set[type[Report]] = set()
    for wire in day.ear.wires.values():
        for frame in wire.frames:
            try:
                messages = wire.codec.decode(frame, day.trader.venue.now_ns)
            except DecodeError:
                continue
            kinds = {type(report) for report in all_reports(messages)}
            if kinds - seen:
                seen |= kinds
                yield frame, wire.codec
    apart = {Channel.INCOME, Channel.WAITING_ORDERS}  # those that wait are orders, too
    declared = channels_of(day.trader.subject, day.market) & {*HEARD} - apart
    if day.market is Market.SPOT:
        declared -= {Channel.POSITIONS}
    assert len(seen) >= len(declared), f"frames of {seen} alone have come"


def _strange_rows(market: Market, frame: bytes, codec: Any) -> None:
    content = json.loads(frame)
    place = _rows_at(content)
    if place is None:
        return
    rows: list[Any] = place[0][place[1]]
    good = rows[0]
    whole = all_reports(codec.decode(frame, 1))
    first = all_reports(codec.decode(_with(content, place, [good]), 1))
    assert first, f"{market.value}: {frame!r:.200} without its other rows says nothing"
    names = list(good) if isinstance(good, dict) else []
    for name in names:
        for strange in _STRANGE:
            bad = {**good, name: strange}
            _other_rows(market, codec, _with(content, place, [bad, good]), first, name, strange)
        bad = {key: value for key, value in good.items() if key != name}
        _other_rows(market, codec, _with(content, place, [bad, good]), first, name, "absent")
    assert all_reports(codec.decode(frame, 1)) == whole


def _other_rows(
    market: Market, codec: Any, frame: bytes, first: Sequence[Any], name: str, strange: Any
) -> None:
    where = f"{market.value}: a row whose {name} is {strange!r} before one that is as ever"
    try:
        messages: Sequence[Message] = codec.decode(frame, 1)
    except DecodeError as error:
        raise AssertionError(f"{where}: the other row is lost: {error}") from error
    found = all_reports(messages)
    assert found[-len(first) :] == list(first), (
        f"{where}: the other row is read as {found[-len(first) :]}, not as {first}"
    )
    left_out = [message for message in messages if isinstance(message, LeftOut)]
    strange_ones = list(reports_of(messages, StrangeReport))
    assert len(left_out) + len(strange_ones) + len(found) >= 1


def _rows_at(content: Any) -> tuple[Any, Any] | None:
    """Where a frame has its rows: the first list of objects, however deep."""
    waiting = [content]
    while waiting:
        each = waiting.pop(0)
        items = list(each.items()) if isinstance(each, dict) else list(enumerate(each))
        for key, value in items:
            if isinstance(value, list) and value and isinstance(value[0], dict):
                inner = _rows_at(value[0])
                return (each, key) if inner is None else inner
            if isinstance(value, dict | list):
                waiting.append(value)
    return None


def _with(content: Any, place: tuple[Any, Any], rows: list[Any]) -> bytes:
    holder, key = place
    before = holder[key]
    holder[key] = rows
    try:
        return json.dumps(content).encode()
    finally:
        holder[key] = before
