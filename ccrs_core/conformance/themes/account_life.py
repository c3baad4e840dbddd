"""Properties 10, 44, 46, 51, 57, 58, 60, 62 and 71: what clients rely on of accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core.conformance.judges.account_truth import (
    fills_are_true,
    instruments_by_key,
    money_is_true,
    orders_are_true,
    positions_are_true,
)
from ccrs_core.conformance.judges.accountant import account_books
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader, markets_of, trading_of, untold_of
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.rest import HttpRequest, Request
from ccrs_core.contract.trading import DeadMan, DeadManKind, DeadManScope, Feature
from ccrs_core.contract.trading_requests import (
    CancelOrder,
    GetDeadMan,
    GetOpenOrders,
    PlaceOrder,
    SetDeadMan,
)
from ccrs_core.emulator import NewOrder
from ccrs_core.errors import (
    AuthError,
    CcrsError,
    ClockRefused,
    EndReason,
    InvalidRequest,
    OutcomeUnknown,
    UsageError,
)
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import (
    Exit,
    OrderRequest,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trigger,
    TriggerBy,
)
from ccrs_core.model.orders import Fill, OrderState
from ccrs_core.model.units import NS_PER_SECOND

_TURNS = 40
"""Turns of the loop after which a call is cancelled, at most."""
_SHORT_TIMER = 10.0
_ENDED = (OrderState.PRESUMED_ABSENT, OrderState.ABSENT)


class AccountLifeProperties:
    """Accounts of clients."""

    @proves(71)
    def test_orders_of_undeclared_features_are_refused_without_io(self, subject: Subject) -> None:
        """What a market isn't declared to have is refused with UsageError: no request leaves, and
        nothing is in the ledger."""
        world = AccountWorld(subject)

        async def scenario(life: Life) -> None:
            for market in markets_of(subject):
                at = world.stall(market)
                for feature, request in asking_for(at).items():
                    if feature in trading_of(subject).features[market]:
                        continue
                    sent, known = len(life.tap.requests), len(life.account.orders())
                    with pytest.raises(UsageError):
                        await life.account.place(request)
                    where = f"{market.value}: {feature.value} isn't declared, and asked for"
                    assert len(life.tap.requests) == sent, f"{where}: a request has left"
                    assert len(life.account.orders()) == known, f"{where}: an order is noted"

        world.run(scenario)

    @proves(10)
    def test_requests_that_were_changed_on_their_way_are_refused(self, subject: Subject) -> None:
        """A signed request of which anything was changed, that is signed with another secret, by a
        revoked key, or at another time, is refused by a typed error; so each byte is signed."""
        trader = Trader(subject)
        market = markets_of(subject)[0]
        at = trader.stall(market)
        free = trading_of(subject).unsigned_headers
        for request in _signed_requests(trader, at):
            endpoint = trader.exchange.endpoints[type(request)]
            signed = trader.line.signed(endpoint.encode(request, None))
            for what, changed in _changed(signed, free):
                error = trader.exchange.error_of(trader.line.http(changed))
                assert isinstance(error, AuthError | InvalidRequest | ClockRefused), (
                    f"{type(request).__name__} with {what} changed is answered by {error!r}"
                )
        assert not trader.wallet(market).orders, "a request that was changed has placed an order"
        wrong = attrs.evolve(trader.key, secret=trader.key.secret[::-1])
        reads = GetOpenOrders(market=market, instrument=at.instrument)
        for key, off_ns, kinds in (
            (wrong, 0, (AuthError,)),
            (attrs.evolve(trader.key, revoked=True), 0, (AuthError,)),
            (trader.key, -3600 * NS_PER_SECOND, (ClockRefused,)),
            (trader.key, 3600 * NS_PER_SECOND, (ClockRefused,)),
        ):
            trader.desk.add_key(key)
            trader.line.clock_off_ns = off_ns
            with pytest.raises(kinds):
                trader.ask(reads)

    @proves(44, quick=False)
    def test_a_key_that_is_refused_is_told_once_and_not_tried_on(self, subject: Subject) -> None:
        """An account whose key the exchange refuses isn't opened, which AuthError says; a key that
        is revoked later ends the account with that, once; neither is tried again and again."""
        world = AccountWorld(subject)
        key = world.credentials[NAME]
        world.credentials[NAME] = Credentials(key.key, "another secret", key.passphrase)
        try:
            with pytest.raises(AuthError):
                world.live()
            world.credentials[NAME] = key
            life = world.live()
            world.desk.revoke(key.key)
            dialled = len(life.tap.attempts)
            for peer in tuple(world.venue.peers):
                peer.abort()
            world.do(_poked(life, 3600.0))
            tried = len(life.tap.attempts) - dialled
            assert tried <= 10, f"with a revoked key {tried} connections were tried in an hour"
            assert life.failed is not None, "that the key was revoked is told to nobody"
            assert any(isinstance(each, AuthError) for each in _causes(life.failed)), (
                f"that the key was revoked is told as {life.failed!r}"
            )
        finally:
            world.close()

    @proves(46)
    def test_orders_go_on_though_the_exchanges_clock_jumps(self, subject: Subject) -> None:
        """The exchange's clock jumps by an hour while an account is open, forth and back: orders
        are placed and canceled as before."""
        world = AccountWorld(subject)
        at = world.stall(markets_of(subject)[0])

        async def scenario(life: Life) -> None:
            for jump in ("clock,seconds=3600", "clock,seconds=-3600", ""):
                world.quieten()
                if jump:
                    world.fault(jump)
                live = await life.account.place(at.limit(Side.BUY, at.passive(Side.BUY)))
                await life.account.cancel(live)
                await asyncio.sleep(1.0)
                assert live.state is OrderState.CANCELED, f"after {jump}: {live}"

        world.run(scenario)

    @proves(51)
    def test_a_lost_answer_is_found_out_and_nothing_is_placed_twice(self, subject: Subject) -> None:
        """Where the answer to a placement is lost or doesn't tell, OutcomeUnknown carries the
        order, in state UNKNOWN; soon it is the exchange's truth, or absent where it never
        arrived; one request has left."""
        for fault in ("lose_answer", "unclear", "http,status=502", "garble,how=cut"):
            for effect in (True, False):
                if not effect and fault.startswith("garble"):
                    continue
                _unanswered(subject, fault, effect)

    @proves(57)
    def test_disconnect_protection_is_set_and_told(self, subject: Subject) -> None:
        """Where an account may have disconnect protection, what is set is told; where it may not,
        setting it raises or nothing is told to be in force: never a claim of protection. A timer
        fires unless it is renewed or turned off, and its orders say so."""
        declared = trading_of(subject).dead_man
        if declared is None:
            subject.undeclared("disconnect protection")
        if declared.kind is DeadManKind.TIMER:
            for market in sorted(declared.markets):
                _timed(Trader(subject), market, declared)
            return
        for market in sorted(declared.markets):
            trader = Trader(subject)
            before = trader.ask(GetDeadMan(market))
            assert before is None, f"{market.value}: protection of {before} s is told of nobody's"
            with suppress(CcrsError):
                trader.ask(SetDeadMan(market=market, seconds=declared.shortest))
            told = trader.ask(GetDeadMan(market))
            assert told is None, f"{market.value}: an account that has none is told to have {told}"
            trader.wallet(market).institutional = True
            for seconds in (declared.shortest, declared.longest):
                trader.ask(SetDeadMan(market=market, seconds=seconds))
                trader.pause(declared.takes_effect_after + 1.0)
                told = trader.ask(GetDeadMan(market))
                assert told == seconds, f"{market.value}: {seconds} s were set, {told} are told"

    @proves(47)
    def test_an_order_whose_trigger_fires_is_filled_by_what_that_places(
        self, subject: Subject
    ) -> None:
        """Who waits for an order to be filled that waits for a trigger is told once the trigger has
        fired and all is filled, also where an order of another id does it; each fill is told once,
        and nothing of it is open or counted as exposure afterwards."""
        markets = markets_of(subject, Feature.TRIGGER_LAST)
        world = AccountWorld(subject)

        async def scenario(life: Life) -> None:
            for market in markets:
                at, known = world.stall(market), len(life.events)
                trigger = Trigger(price=at.ask(3), rises=True)
                live = await life.account.place(at.limit(Side.BUY, at.ask(4), trigger=trigger))
                await asyncio.sleep(1.0)
                where = f"{market.value}: an order that waits"
                first = live.now
                assert first.state is OrderState.WAITING, f"{where} is {first.state.value}"
                world.venue.steer(at.listing, last_price=at.ask(3))
                life.tap.poke()
                await asyncio.sleep(1.0)
                life.tap.poke()
                with suppress(TimeoutError):
                    await live.filled(timeout=200.0)
                last = live.now
                assert last.state is OrderState.FILLED, f"{where}, and has fired: {live}"
                await asyncio.sleep(1.0)
                fills = [each for each in life.events[known:] if isinstance(each, Fill)]
                told = sum((each.size for each in fills), Decimal(0))
                assert told == live.filled_size, f"{where}: {live}, its fills add up to {told}"
                symbol = at.instrument.symbol
                assert not life.account.open_orders(symbol=symbol), f"{where}: something is left"
                assert not life.account.exposure(symbol).open_buys, f"{where}: exposure is left"

        world.run(scenario)

    @proves(58)
    def test_two_accounts_never_mix(self, subject: Subject) -> None:
        """Two accounts of one client, with the same client order ids: each knows its own orders and
        fills alone, places with its own key, and goes on when the other one is closed."""
        world = AccountWorld(subject, names=(NAME, "second"))
        at = world.stall(markets_of(subject)[0])
        find = instruments_by_key(world.venue.listings.values(), subject.instruments)

        async def scenario(life: Life) -> None:
            second = life.client.account(
                "second", credentials=world.credentials["second"], store=world.stores["second"]
            )
            async with second:
                both = (life.account, second)
                for number, account in enumerate(both):
                    for side, price in ((Side.BUY, at.crossing(Side.BUY)), (Side.SELL, at.ask(3))):
                        request = at.limit(side, price, number + 1)
                        identity = f"same{side.value}00000000000000000000"[:24]
                        await account.place(attrs.evolve(request, client_order_id=identity))
                await asyncio.sleep(2.0)
                for name, account in zip((NAME, "second"), both, strict=True):
                    await _is_true(world, account, name, find)
            live = await life.account.place(at.limit(Side.BUY, at.passive(Side.BUY)))
            await asyncio.sleep(1.0)
            assert live.state is OrderState.OPEN

        world.run(scenario)

    @proves(60, quick=False)
    def test_a_slow_reader_of_an_account_loses_nothing(self, subject: Subject) -> None:
        """Who reads nothing while hundreds of fills come has all of them afterwards, in order, each
        once; so has who reads them at once."""
        world = AccountWorld(subject)
        market = markets_of(subject)[0]
        at = world.stall(market)

        async def scenario(life: Life) -> None:
            async with life.account.fills(consumer="slow") as slow:
                for number in range(240):
                    side = Side.SELL if number % 2 else Side.BUY
                    _by_desk(life, at, side, number)
                    if not number % 10:
                        world.stall(market)
                        await asyncio.sleep(0.2)
                await asyncio.sleep(5.0)
                fills = len(account_books(world.money, world.wallets().accounts).together.fills)
                assert fills >= 240
                told: list[int] = []
                async with asyncio.timeout(5.0):
                    while len(told) < fills:
                        event = await anext(slow)
                        if isinstance(event, Fill):
                            told.append(event.number)
            assert told == sorted(set(told)), "a slow reader has fills twice or out of order"
            quick = [event.number for event in life.events if isinstance(event, Fill)]
            assert quick == told, "a slow and a quick reader have different fills"

        world.run(scenario)

    @proves(62, quick=False)
    def test_calls_that_are_cancelled_anywhere_leave_all_consistent(self, subject: Subject) -> None:
        """A placement, an amendment or a cancel that is cancelled at any point leaves the ledger
        the exchange's truth, and the same call works afterwards."""
        world = AccountWorld(subject)
        market = markets_of(subject)[-1]
        at = world.stall(market)
        find = instruments_by_key(world.venue.listings.values(), subject.instruments)

        async def scenario(life: Life) -> None:
            account = life.account
            request = at.limit(Side.BUY, at.passive(Side.BUY))
            for turns in range(0, _TURNS, 2):
                await _cancelled(lambda: account.place(request), turns)
                live = await account.place(request)
                await _cancelled(lambda live=live: account.amend(live, price=at.bid(3)), turns)  # type: ignore[misc]
                await _cancelled(lambda live=live: account.cancel(live), turns)  # type: ignore[misc]
                await account.cancel(live)
                await asyncio.sleep(0.5)
                assert live.state is OrderState.CANCELED, f"after {turns} turns: {live}"
                await account.cancel_all()
                await asyncio.sleep(0.5)
            await asyncio.sleep(200.0)
            await _is_true(world, account, NAME, find)

        world.run(scenario)


def asking_for(at: Stall) -> dict[Feature, OrderRequest]:
    """An order that asks for each feature, whether or not it is declared."""
    plain = at.limit(Side.BUY, at.passive(Side.BUY))
    value = Decimal(max(1, round(at.size * at.price * 3)))
    rules = {
        Feature.SELF_TRADE_NONE: SelfTradePrevention.NONE,
        Feature.SELF_TRADE_MAKER: SelfTradePrevention.CANCEL_MAKER,
        Feature.SELF_TRADE_TAKER: SelfTradePrevention.CANCEL_TAKER,
        Feature.SELF_TRADE_BOTH: SelfTradePrevention.CANCEL_BOTH,
    }
    triggers = {
        Feature.TRIGGER_LAST: TriggerBy.LAST,
        Feature.TRIGGER_MARK: TriggerBy.MARK,
        Feature.TRIGGER_INDEX: TriggerBy.INDEX,
    }
    return {
        Feature.MARKET_ORDERS: at.market(Side.BUY),
        Feature.QUOTE_SIZE_BUY: at.market(Side.BUY, quote_size=value),
        Feature.QUOTE_SIZE_SELL: at.market(Side.SELL, quote_size=value),
        Feature.POST_ONLY: attrs.evolve(plain, post_only=True),
        Feature.IOC: attrs.evolve(plain, time_in_force=TimeInForce.IOC),
        Feature.FOK: attrs.evolve(plain, time_in_force=TimeInForce.FOK),
        Feature.REDUCE_ONLY: attrs.evolve(plain, reduce_only=True),
        Feature.TAKE_PROFIT: attrs.evolve(plain, take_profit=Exit(price=at.ask(4))),
        Feature.HEDGE: attrs.evolve(plain, position_side=PositionSide.LONG),
        Feature.VOLATILITY: OrderRequest(
            symbol=at.instrument.symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            size=at.own(at.size),
            volatility=Decimal("0.5"),
        ),
        **{
            feature: attrs.evolve(plain, self_trade_prevention=rule)
            for feature, rule in rules.items()
        },
        **{
            feature: attrs.evolve(plain, trigger=Trigger(price=at.ask(4), rises=True, by=by))
            for feature, by in triggers.items()
        },
    }


def _unanswered(subject: Subject, fault: str, effect: bool) -> None:
    world = AccountWorld(subject)
    at = world.stall(markets_of(subject)[0])

    async def scenario(life: Life) -> None:
        told = "yes" if effect else "no"
        for path in sorted(world.paths("place")):
            world.fault(f"{fault},path={path},count=1,effect={told}")
        world.fault("stall")  # else the stream tells it at once
        with pytest.raises(OutcomeUnknown) as unknown:
            await life.account.place(at.limit(Side.BUY, at.passive(Side.BUY)))
        order = unknown.value.order
        where = f"{fault} (effect: {told})"
        assert order is not None, f"{where}: OutcomeUnknown carries no order"
        assert order.state is OrderState.UNKNOWN, f"{where}: the order is {order.state.value}"
        world.quieten()
        await asyncio.sleep(150.0)
        now = life.account.order(order.client_order_id)
        assert now is not None
        there = list(world.desk_orders().values())
        if effect:
            assert now.state is OrderState.OPEN, f"{where}: the order is {now.state.value}"
            assert len(there) == 1, f"{where}: the exchange has {len(there)} orders"
        else:
            assert now.state in _ENDED, f"{where}: the order is {now.state.value}"
            assert not there, f"{where}: the exchange has {there}"
        assert life.placements == 1, f"{where}: {life.placements} placements have left"

    world.run(scenario)


def _by_desk(life: Life, at: Stall, side: Side, number: int) -> None:
    world = life.world
    world.venue.advance(world.clock.time_ns())
    world.desk.place(
        world.wallets().of(at.instrument.market),
        NewOrder(
            listing=at.listing,
            side=side,
            size=at.size,
            price=at.crossing(side, 3),
            client_order_id=f"web{number:06d}",
        ),
    )
    life.tap.poke()


async def _poked(life: Life, seconds: float) -> None:
    life.tap.poke()
    await asyncio.sleep(seconds)


async def _cancelled(work: Callable[[], Awaitable[Any]], turns: int) -> None:
    """Begin something, and cancel it after so many turns of the loop (and what these last)."""
    task = asyncio.ensure_future(work())
    for turn in range(turns):
        await asyncio.sleep(0.0005 if turn % 2 else 0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        assert isinstance(error, CcrsError), f"a call that was cancelled raises {error!r}"


async def _is_true(world: AccountWorld, account: Any, name: str, find: Any) -> None:
    store, wallets = world.stores[name], account_books(world.money, world.wallets(name).accounts)
    books = wallets.together
    orders = await store.orders(limit=10**6)
    orders_are_true(orders, world.desk_orders(name), find, untold=untold_of(world.subject))
    fills_are_true(await store.fills(limit=10**6), books, find)
    positions_are_true(account.positions(), books, find)
    money_is_true(list(account.balances().values()), wallets)


def _causes(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions for cause in _causes(each)]
    return [error]


# --- signed requests ------------------------------------------------------------------------


def _signed_requests(trader: Trader, at: Stall) -> list[Any]:
    order = at.limit(Side.BUY, at.passive(Side.BUY))
    requests: list[Request[Any]] = [
        PlaceOrder(at.instrument, order, trader.new_id()),
        CancelOrder(instrument=at.instrument, client_order_id="nobody"),
        GetOpenOrders(market=at.instrument.market, instrument=at.instrument),
    ]
    return [each for each in requests if trader.answers(type(each), at.instrument.market)]


def _changed(request: HttpRequest, free: Container[str]) -> list[tuple[str, HttpRequest]]:
    """The request with one thing changed: a byte of its body, a parameter, a header that signs.
    Those that are ``free`` are in no signature."""
    found: list[tuple[str, HttpRequest]] = []
    for at in range(1, len(request.body) - 1, 7):
        body = bytearray(request.body)
        if chr(body[at]).isalnum():
            body[at] = ord("7") if body[at] != ord("7") else ord("8")
            found.append((f"byte {at} of the body", attrs.evolve(request, body=bytes(body))))
    for at, (name, value) in enumerate(request.query):
        query = list(request.query)
        query[at] = (name, value + "1")
        found.append((f"the parameter {name}", attrs.evolve(request, query=tuple(query))))
    plain = {"content-type", "accept", "user-agent"}
    for name, value in request.headers.items():
        unsigned = name.lower() in plain or name in free
        if not unsigned and value and value[-1].isalnum():
            last = "7" if value[-1] != "7" else "8"
            headers = {**request.headers, name: value[:-1] + last}
            found.append((f"the header {name}", attrs.evolve(request, headers=headers)))
    return found


def timer_seconds(declared: DeadMan) -> float:
    """For how long disconnect protection is set, where nothing else matters: the shortest time that
    leaves room for requests between its renewals."""
    return min(max(declared.shortest, _SHORT_TIMER), declared.longest)


def _timed(trader: Trader, market: Market, declared: DeadMan) -> None:
    """Renewed it stays still, turned off it never fires, else it does."""
    at = trader.stall(market)
    scope, seconds = declared.scope, timer_seconds(declared)
    timer = SetDeadMan(
        market=None if scope is DeadManScope.ACCOUNT else market,
        seconds=seconds,
        instrument=at.instrument if scope is DeadManScope.INSTRUMENT else None,
        everything=not declared.own,
    )
    _, order = trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY, 20)))
    identity = order.client_order_id
    for _ in range(2):
        trader.ask(timer)
        trader.pause(seconds * 0.8)
    assert not trader.desk_order(identity).stage.ended, "a timer fires though it was renewed"
    trader.ask(attrs.evolve(timer, seconds=0.0))
    trader.pause(seconds * 1.5)
    assert not trader.desk_order(identity).stage.ended, "a timer fires though it was turned off"
    trader.ask(timer)
    trader.pause(seconds + declared.takes_effect_after + 2.0)
    ended = trader.desk_order(identity)
    assert ended.stage.ended, f"{market.value}: no order was canceled after {seconds:g} s"
    word = trader.word(at, ended)
    assert word is not None
    untold = EndReason.DEAD_MAN in untold_of(trader.subject) and word.reason is None
    assert word.reason is EndReason.DEAD_MAN or untold, (
        f"an order that disconnect protection has canceled is told to have ended by {word.reason}"
    )
