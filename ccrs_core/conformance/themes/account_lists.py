"""Properties 47, 49, 50, 55: what lists tell of an account is what the desk has, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import attrs

from ccrs_core.conformance.judges.order_words import (
    agreed,
    balance_differs,
    near,
    order_differs,
    position_differs,
)
from ccrs_core.conformance.themes.account_streams import are_the_fills, desk_fills, fill_key
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader, markets_of, trading_of, untold_of
from ccrs_core.conformance.workbench.trading_day import TradingDay, day_of
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.contract.trading_requests import (
    GetAccountInfo,
    GetFeeRates,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    SetLeverage,
)
from ccrs_core.emulator import (
    DeskFill,
    DeskOrder,
    MoneyKind,
    MoneyMoved,
    NewOrder,
    Refusal,
    Refused,
)
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import IncomeKind
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import Trigger, TriggerBy
from ccrs_core.model.reports import FillReport, IncomeReport, OrderReport, PositionReport
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

T = TypeVar("T")

_DAY = 86_400
_MANY = 230
"""More fills and orders than exchanges tell on two pages."""


class AccountListProperties:
    """What lists tell."""

    @proves(47, quick=False)
    def test_lists_of_open_orders_tell_each_as_it_is(self, subject: Subject) -> None:
        """All open orders of a market, of an asset, of an instrument, those that wait for a trigger
        included, each as it is, and no other; over more than a page."""
        for market in markets_of(subject):
            trader = Trader(subject)
            if not trader.answers(GetOpenOrders, market):
                continue
            here, there = (trader.stall(market, number) for number in (0, 1))
            if Feature.TRIGGER_LAST in trading_of(subject).features[market]:
                rises = Trigger(price=here.ask(4), rises=True, by=TriggerBy.LAST)
                trader.place(here, here.limit(Side.BUY, here.ask(5), trigger=rises))
            for at, count in ((there, 3), (here, 58)):
                _resting(trader, at, count)
            trader.pause(2.0)
            for request, about in _scopes(trading_of(subject), market, here):
                wanted = [
                    order for order in trader.wallets.open_orders() if _within(order.listing, about)
                ]
                told = trader.ask(request)
                _are_the_orders(f"{request}", told, wanted, untold_of(subject))

    @proves(47)
    def test_histories_of_orders_tell_each_once_oldest_first(self, subject: Subject) -> None:
        """Past orders of a stretch: each once, as it ended, oldest first, over pages and windows; a
        limit brings the newest of them, or the first from a start."""
        untold = untold_of(subject)
        for market in markets_of(subject):
            day = day_of(subject, market)
            trader = day.trader
            if not trader.answers(GetOrderHistory, market):
                continue
            begun = trader.venue.start_ns
            request = GetOrderHistory(
                market=market,
                start_ns=begun,
                end_ns=trader.venue.now_ns + NS_PER_SECOND,
                **trader.about(GetOrderHistory, day.at),
            )
            told: list[OrderReport] = trader.ask(request)
            # Those that wait have lists of their own where they have a stream of their own.
            channels = subject.exchange.capabilities.account_channels
            unlisted = trading_of(subject).waiting_unlisted
            apart = Channel.WAITING_ORDERS in channels or market in unlisted
            ended = [
                order
                for order in _orders_of(day)
                if order.stage.ended and not (apart and order.asked.trigger is not None)
            ]
            _are_the_orders(f"{market.value}: the history", told, ended, untold)
            times = [report.created_ns or 0 for report in told]
            assert times == sorted(times), f"{market.value}: the history isn't oldest first"
            for deed in day.deeds:
                order = day.now(deed)
                word = trader.word(day.at, order, history=True)
                if order.stage.ended:
                    assert word is not None, f"{market.value}: the history denies {deed.request}"
                    agreed(
                        f"{market.value}: the history",
                        order_differs(word, order, untold=untold),
                        word,
                    )

    @proves(50, quick=False)
    def test_fills_are_listed_once_over_pages_and_windows(self, subject: Subject) -> None:
        """More fills than a page has, days apart, several within one moment: any stretch of time
        tells those that are in it, its start included and its end not, each once, oldest first, by
        market, instrument and order."""
        for market in markets_of(subject):
            trader = Trader(subject)
            if not trader.answers(GetFills, market):
                continue
            at = trader.stall(market)
            _many_fills(trader, at)
            fills = desk_fills(trader)
            assert len(fills) >= _MANY
            end_ns = trader.venue.now_ns + NS_PER_SECOND
            middle = fills[len(fills) // 2].time_ns // NS_PER_MS * NS_PER_MS
            first = trader.venue.start_ns
            about = trader.about(GetFills, at)
            whole = GetFills(market=market, start_ns=first, end_ns=end_ns, **about)
            for start_ns, until_ns in ((first, end_ns), (middle, end_ns), (first, middle)):
                request = attrs.evolve(whole, start_ns=start_ns, end_ns=until_ns)
                found = _fills(trader, request)
                wanted = [f for f in fills if start_ns <= _ms(f.time_ns) < until_ns]
                where = f"{market.value}: fills from {start_ns} to {until_ns}"
                are_the_fills(where, found, wanted)
                times = [report.exchange_time_ns for report in found]
                assert times == sorted(times), f"{where} aren't oldest first"
            few = attrs.evolve(whole, limit=7)
            found = _fills(trader, few)
            assert len(found) == 7, f"{market.value}: 7 fills were asked for, {len(found)} came"
            are_the_fills(f"{market.value}: the first 7 fills", found, fills[:7])
            _of_one(trader, at, fills)

    @proves(49)
    def test_lists_and_streams_tell_the_same_fills(self, subject: Subject) -> None:
        """A fill has the same ids, price, size, fee and time in a list as in the stream: so it is
        one fill, not two."""
        for market in markets_of(subject):
            day = day_of(subject, market)
            trader = day.trader
            heard = {fill_key(fill): fill for fill in day.ear.reports(FillReport)}
            if not (heard and trader.answers(GetFills, market)):
                continue
            end_ns = trader.venue.now_ns + NS_PER_SECOND
            request = GetFills(
                market=market,
                start_ns=trader.venue.start_ns,
                end_ns=end_ns,
                **trader.about(GetFills, day.at),
            )
            for report in _fills(trader, request):
                other = heard.get(fill_key(report))
                assert other is not None, (
                    f"{market.value}: the list tells of a fill by ids that the stream never told: "
                    f"{report.fill_id!r} of {report.exchange_order_id!r}"
                )
                for name in _SAME:
                    mine, its = getattr(report, name), getattr(other, name)
                    unsaid = None in (mine, its) or "" in (mine, its)
                    assert unsaid or mine == its, (
                        f"{market.value}: {name} of the fill {report.fill_id} is {mine} in the "
                        f"list, {its} in the stream"
                    )

    @proves(55, quick=False)
    def test_positions_and_wallet_are_told_as_they_are(self, subject: Subject) -> None:
        """Positions of a market, an asset and an instrument, and the wallet: what is listed is what
        the desk has, and what isn't is flat, or zero."""
        for market in markets_of(subject):
            trader = Trader(subject)
            here, there = (trader.stall(market, number) for number in (0, 1))
            trader.place(here, here.limit(Side.BUY, here.crossing(Side.BUY, 2), 13))
            trader.place(there, there.limit(Side.SELL, there.crossing(Side.SELL), 3))
            if trader.answers(GetPositions, market):
                for request, about in _scopes(trading_of(subject), market, here, GetPositions):
                    _are_the_positions(trader, request, about)
            if trader.answers(GetWallet):
                wallet = trader.ask(GetWallet(trader.name))
                told = {(each.purse, each.asset): each for each in wallet.balances}
                assert len(told) == len(wallet.balances), "the wallet tells balances twice"
                for purse, mine in trader.wallets.by_purse.items():
                    for asset, balance in mine.wallet.assets.items():
                        where = f"{market.value}: the wallet {purse}".rstrip()
                        report = told.pop((purse, asset), None)
                        assert report or not balance.total, f"{where} has no {asset}"
                        if report is not None:
                            agreed(where, balance_differs(report, balance.total), report)
                strange = [each for each in told.values() if each.total]
                assert not strange, f"{market.value}: the wallet tells of {strange[0]}"

    @proves(55)
    def test_money_that_came_otherwise_is_told_once(self, subject: Subject) -> None:
        """Transfers, fees, funding and the like, as the exchange lists them: what isn't of a trade
        adds up to what came, by asset, each row once."""
        # Shortly before funding is paid.
        start_ns = START_NS + (8 * 3600 - 20) * NS_PER_SECOND
        trader = Trader(subject, venue=subject.venue(rate=2.0, start_ns=start_ns))
        if not trader.answers(GetIncome):
            subject.undeclared("list of income")
        listed = [each for each in markets_of(subject) if trader.answers(GetIncome, each)]
        assert listed, "GetIncome tells of no market in which orders can be placed"
        market = listed[-1]
        for each in listed:
            market = each if each in (Market.LINEAR, Market.SPOT) else market
        at = trader.stall(market)
        trader.place(at, at.limit(Side.BUY, at.crossing(Side.BUY), 3))
        trader.desk.transfer(trader.wallet(market), at.listing.quote, Decimal("-17.25"))
        if at.listing.funding_interval_ns is not None:
            due_ns = at.listing.funding_after(trader.venue.now_ns)
            assert due_ns is not None
            trader.pause((due_ns - trader.venue.now_ns) / NS_PER_SECOND)
        trader.pause(5.0)
        end_ns = trader.venue.now_ns + NS_PER_SECOND
        told: list[IncomeReport] = trader.ask(
            GetIncome(start_ns=trader.venue.start_ns, end_ns=end_ns)
        )
        ids = [report.income_id for report in told]
        assert len(set(ids)) == len(ids), "ids of income are used twice"
        _adds_up(trader, told)

    @proves(47)
    def test_settings_and_the_account_are_told_as_they_are(self, subject: Subject) -> None:
        """Fee rates, leverage, margin mode and what the key may do are read as they are."""
        for market in markets_of(subject):
            trader = Trader(subject)
            at = trader.stall(market)
            if trader.answers(GetFeeRates, market):
                _fee_rates(trader, at)
            if trader.answers(SetLeverage, market):
                trader.ask(SetLeverage(at.instrument, Decimal(7)))
                trader.place(at, at.limit(Side.BUY, at.crossing(Side.BUY)))
                position = trader.desk.position(trader.wallet(market), at.listing)
                assert position.leverage == 7, (
                    f"{market.value}: a leverage of 7 was set, the exchange has {position.leverage}"
                )
        trader = Trader(subject)
        if trader.answers(GetAccountInfo):
            info = trader.ask(GetAccountInfo(trader.name))
            assert info.account == trader.name, f"the account is called {info.account!r}"
            assert not info.refused, f"an ordinary account is refused: {info.refused}"
            assert info.margin_mode in (None, *(each.margin_mode for each in trader.wallets.all))
            may = info.permissions
            assert may is None or (may.read and not may.withdraw), f"the key may: {may}"
            if may is not None:
                missing = set(markets_of(subject)) - may.trade
                assert not missing, f"the key may trade all, not so by what is told: {missing}"


_SAME = (
    *("market", "native", "side", "price", "size", "fee", "fee_asset", "liquidity", "kind"),
    *("exchange_time_ns", "client_order_id", "value", "by_exchange"),
)


def _ms(time_ns: int) -> int:
    return time_ns // NS_PER_MS * NS_PER_MS


def _fills(trader: Trader, request: GetFills) -> list[FillReport]:
    return [row for row in trader.ask(request) if isinstance(row, FillReport)]


def _scopes(
    trading: Trading, market: Market, at: Stall, kind: type[Request[Any]] = GetOpenOrders
) -> Iterator[tuple[Any, Any]]:
    """The ways in which a market's orders or positions are asked for, and what each is about."""
    make: Any = kind
    settles = trading.settles.get(market)
    if settles is None:
        yield make(market=market), (market, None, None)
    for settle in settles or ():
        yield make(market=market, settle=settle), (market, settle, None)
    yield make(market=market, instrument=at.instrument), (market, None, at.listing.key)


def _within(listing: Any, about: Any) -> bool:
    market, settle, key = about
    return (
        listing.market is market
        and (settle is None or listing.settle == settle)
        and (key is None or listing.key == key)
    )


def _resting(trader: Trader, at: Stall, count: int) -> None:
    """Orders that rest, by the desk itself, as many as an account may have: not the plugin's
    placing is tried here."""
    most = trader.desk.conduct.most_open(at.listing)
    for number in range(min(count, most)):
        try:
            _desk_order(trader, at, Side.BUY, at.bid(1 + number % 5))
        except Refused as refused:
            if number == 0 or refused.why is not Refusal.CAP_OPEN:
                raise
            return


def _desk_order(trader: Trader, at: Stall, side: Side, price: Decimal) -> DeskOrder:
    return trader.desk.place(
        trader.wallet(at.instrument.market),
        NewOrder(
            listing=at.listing,
            side=side,
            size=at.size,
            price=price,
            client_order_id=trader.new_id(),
        ),
    )


def _many_fills(trader: Trader, at: Stall) -> None:
    """Fills in bursts, some of them a week and more apart; nothing is held between them."""
    made = 0
    for seconds in (0, 5, 1 * _DAY, 6 * _DAY, 8 * _DAY, 3600):
        trader.pause(seconds or 1)
        for _ in range(_MANY // 12 * 2 + 2):
            if not made % 5:
                at = trader.prepare(at.instrument)
            side = Side.SELL if made % 2 else Side.BUY
            _desk_order(trader, at, side, at.crossing(side))
            made += 1
            if made % 4:
                trader.pause(0.05)
    trader.pause(5.0)


def _of_one(trader: Trader, at: Stall, fills: Sequence[DeskFill]) -> None:
    """Fills of an instrument that has none, and of one order."""
    market = at.instrument.market
    end_ns = trader.venue.now_ns + NS_PER_SECOND
    other = trader.stall(market, 1)
    nothing = GetFills(
        market=market,
        instrument=other.instrument,
        start_ns=trader.venue.start_ns,
        end_ns=end_ns,
    )
    assert not trader.ask(nothing), f"{market.value}: fills of another instrument are told"
    last = fills[-1]
    word = trader.word(at, last.order, history=True)
    assert word is not None
    of_order = GetFills(
        market=market,
        instrument=at.instrument,
        exchange_order_id=word.exchange_order_id,
        start_ns=last.time_ns - 3600 * NS_PER_SECOND,
        end_ns=end_ns,
    )
    mine = [fill for fill in fills if fill.order.number == last.order.number]
    are_the_fills(f"{market.value}: fills of an order", _fills(trader, of_order), mine)


def _orders_of(day: TradingDay) -> list[DeskOrder]:
    from ccrs_core.emulator import OrderChanged

    newest: dict[int, DeskOrder] = {}
    for change in day.trader.of(OrderChanged):
        newest[change.order.number] = change.order
    return list(newest.values())


def _are_the_orders(
    where: str,
    told: Sequence[OrderReport],
    wanted: Sequence[DeskOrder],
    untold: frozenset[EndReason],
) -> None:
    ids = [(report.native, report.exchange_order_id) for report in told]  # of one symbol alone
    assert len(set(ids)) == len(ids), f"{where} tells orders twice"
    left = list(wanted)
    for report in told:
        candidates = [o for o in left if o.client_order_id == report.client_order_id]
        assert candidates, f"{where} tells of an order that there isn't: {report}"
        differences = [order_differs(report, order, untold=untold) for order in candidates]
        best = min(range(len(candidates)), key=lambda at: len(differences[at]))
        agreed(where, differences[best], report)
        left.remove(candidates[best])
    assert not left, f"{where} doesn't tell {len(left)} of {len(wanted)} orders: {left[0]}"


def _are_the_positions(trader: Trader, request: Any, about: Any) -> None:
    told: list[PositionReport] = trader.ask(request)
    where = f"{request}"
    by_key = {(report.native, report.side): report for report in told}
    assert len(by_key) == len(told), f"{where} tells positions twice"
    wanted = {
        (position.listing.symbol, position.side): position
        for wallet in trader.wallets.all
        for position in wallet.positions.values()
        if _within(position.listing, about)
    }
    for key, position in wanted.items():
        if key in by_key:
            agreed(where, position_differs(by_key[key], position), by_key[key])
        else:
            assert not position.size, f"{where} doesn't tell of {position.size:f} {key[0]}"
    strange = [report for key, report in by_key.items() if key not in wanted and report.size]
    assert not strange, f"{where} tells of positions that there aren't: {strange[0]}"


def _adds_up(trader: Trader, told: Sequence[IncomeReport]) -> None:
    """Fails unless income that isn't of trades is what came, by kind and asset, to wallets whose
    income is listed."""
    kinds = {
        MoneyKind.TRANSFER: IncomeKind.TRANSFER,
        MoneyKind.FUNDING: IncomeKind.FUNDING,
        MoneyKind.DELIVERY: IncomeKind.DELIVERY,
    }
    came: dict[tuple[IncomeKind, str], Decimal] = {}
    listed = trader.exchange.endpoints[GetIncome].markets
    names = {wallet.name for market, wallet in trader.wallets.by_market.items() if market in listed}
    for happening in trader.of(MoneyMoved):
        row = happening.row
        if row.kind in kinds and row.account in names:
            key = kinds[row.kind], row.asset
            came[key] = came.get(key, Decimal(0)) + row.change
    found: dict[tuple[IncomeKind, str], Decimal] = {}
    for report in told:
        key = report.kind, report.asset
        found[key] = found.get(key, Decimal(0)) + report.amount
    for key, amount in came.items():
        # What was there as the account was opened may lie before what was asked for.
        assert key in found, f"no income tells of {key[0].value} in {key[1]}: {amount:f} came"
        assert near(found[key], amount), (
            f"{key[0].value} in {key[1]} adds up to {found[key]:f}, {amount:f} came"
        )


def _fee_rates(trader: Trader, at: Stall) -> None:
    conduct = trader.desk.conduct
    request = GetFeeRates(
        market=at.instrument.market, instrument=at.instrument, account=trader.name
    )
    rates = trader.ask(request)
    assert rates, f"{request} is answered by nothing"
    for rate in rates:
        assert rate.symbol in ("", at.instrument.symbol)
        assert (rate.maker, rate.taker) == (
            conduct.maker_rate(at.listing),
            conduct.taker_rate(at.listing),
        ), f"{at.instrument.symbol} costs {rate.maker} and {rate.taker} by {request}"
