"""Placing, amending and canceling at the emulated OKX where answers, pushes and lists disagree, as
OKX's do. Each test is one case, under its name; :mod:`okx_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import attrs
import pytest
from ccrs_okx.emulator_pushes import Pushes
from okx_cases import CALLS, CANCEL, PLACE, Case, alike, play

from ccrs_core import (
    CancelResult,
    CcrsError,
    ClockRefused,
    EndReason,
    Exit,
    Fill,
    InvalidOrder,
    Market,
    OrderRejected,
    OrderState,
    Origin,
    OutcomeUnknown,
    Side,
    Trigger,
)
from ccrs_core.emulator import Ending
from tests import account_scenarios as scenarios
from tests.account_scenarios import eventually

BUY, SELL = Side.BUY, Side.SELL
AMEND, BATCH = "/api/v5/trade/amend-order", "/api/v5/trade/batch-orders"
ALGO, TIMER = "/api/v5/trade/order-algo", "/api/v5/trade/cancel-all-after"


# --- placing -------------------------------------------------------------------------------------


def test_case_a4_three_orders_are_in_flight_when_the_socket_dies() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        warm = await case.account.place(at.limit(BUY, at.passive(BUY)), via="websocket")
        assert warm.now.exchange_order_id
        case.calls = len(case.sent(PLACE))  # by REST, as long as there is no socket
        await asyncio.sleep(1.0)
        wanted = {"a1": at.crossing(BUY), "a2": at.passive(BUY), "a3": at.passive(BUY)}
        begun = asyncio.get_running_loop().time()
        placing = []
        for identity, price in wanted.items():
            # Of the first two no answer leaves; the third isn't read any more.
            case.heal()
            case.fault("half_open" if identity == "a3" else "stall_all")
            request = attrs.evolve(at.limit(BUY, price), client_order_id=identity)
            placing.append(asyncio.ensure_future(case.account.place(request, via="websocket")))
            await asyncio.sleep(0.05)
        case.heal()
        case.drop()
        failed = await asyncio.gather(*placing, return_exceptions=True)
        assert [type(each) for each in failed] == [OutcomeUnknown] * 3
        assert len(case.sent(PLACE)) == case.calls  # all three went by the socket
        await eventually(
            lambda: all(case.order(each).state is not OrderState.UNKNOWN for each in wanted), 90.0
        )
        took = asyncio.get_running_loop().time() - begun
        assert {each: case.order(each).state for each in wanted} == {
            "a1": OrderState.FILLED,
            "a2": OrderState.OPEN,
            "a3": OrderState.ABSENT,
        }
        assert took > 30.0  # not before OKX refuses it for its age
        assert len(case.of(Fill)) == 1
        asked = len(case.asked(PLACE))
        assert asked
        await asyncio.sleep(50.0)
        assert len(case.asked(PLACE)) == asked  # and the questions end

    play(scenario)


def test_case_a6_a_batch_that_was_partly_taken_answers_for_each_item() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        good = at.limit(BUY, at.passive(BUY))
        bad = at.limit(SELL, at.passive(SELL), reduce_only=True)
        done = await case.account.place_many([good, bad, good])
        case.calls += 1
        taken = [getattr(each, "now", None) is not None for each in done]
        assert taken == [True, False, True]
        assert isinstance(done[1], OrderRejected)
        assert (done[1].code, done[1].reason) == ("51169", EndReason.REDUCE_ONLY)
        await asyncio.sleep(1.0)
        assert len(case.account.open_orders()) == 2
        # All of them refused: OKX's outer code is another one.
        done = await case.account.place_many([bad, bad])
        case.calls += 1
        assert [type(each) for each in done] == [OrderRejected] * 2
        assert not case.account.unknown_orders()

    play(scenario)


def test_case_i3_each_call_buys_and_sells_what_it_says() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        money = (at.ask() * at.size * 2).quantize(Decimal(1))
        lives = [
            await case.place(at.market(BUY, quote_size=money)),
            await case.place(at.market(BUY, 2)),
            await case.place(at.market(SELL, quote_size=money)),
            await case.place(at.market(SELL, 1)),
        ]
        for live in lives:
            await live.ended(timeout=5.0)
        await asyncio.sleep(0.5)
        units = [(body["tgtCcy"], body["banAmend"]) for body in case.bodies()]
        assert units == [("quote_ccy", True), ("base_ccy", True)] * 2
        for live in lives[::2]:
            order = case.order(live.now)
            assert (order.quote_size, order.size) == (money, None)
            assert order.filled_value is not None
            assert money * Decimal("0.9") < order.filled_value <= money
        for live, lots in zip(lives[1::2], (2, 1), strict=True):
            order = case.order(live.now)
            assert (order.size, order.quote_size) == (at.own(at.size * lots), None)
            assert order.filled_size == order.size

    play(scenario)


def test_case_i4_contracts_are_coins_on_every_way() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        each = at.instrument.base_per_native_contract
        assert each is not None
        assert each != 1
        size = at.listing.lot * 7
        live = await case.place(attrs.evolve(at.limit(BUY, at.crossing(BUY)), size=size))
        await live.filled(timeout=5.0)
        [body] = case.bodies()
        assert Decimal(body["sz"]) * each == size
        await asyncio.sleep(0.5)
        [fill] = case.of(Fill)
        [position] = [one for one in case.account.positions() if one.size]
        assert case.order(live.now).filled_size == fill.size == position.size == size
        odd = attrs.evolve(at.limit(BUY, at.passive(BUY)), size=size + at.listing.lot / 2)
        await case.failed(case.account.place(odd), InvalidOrder)
        assert len(case.bodies()) == 1

    play(scenario)


def test_case_l5_numbers_are_written_out_and_absent_values_are_absent() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        request = at.limit(BUY, at.passive(BUY))
        assert request.size is not None
        assert request.price is not None
        as_power = [each.scaleb(3).scaleb(-3) for each in (request.size, request.price)]
        request = attrs.evolve(request, size=as_power[0], price=as_power[1].normalize())
        await case.place(request)
        done = await case.account.place_many([request, request])
        case.calls += 1
        assert not [each for each in done if isinstance(each, CcrsError)]
        for body in [*case.bodies(), *case.bodies(BATCH)[0]]:
            assert None not in body.values()
            assert "E" not in body["sz"] + body["px"]
            assert Decimal(body["px"]) == request.price

    play(scenario)


def test_case_o1_a_placement_that_comes_after_its_deadline_was_not_taken() -> None:
    """``expTime``: OKX refuses it, which proves that nothing came of it."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        case.takes_long(PLACE, 6.0)
        error = await case.failed(case.place(at.limit(BUY, at.crossing(BUY))), ClockRefused)
        case.repeats = len(case.sent(PLACE)) - case.calls
        assert case.repeats <= 1
        assert error.code in {"50036", "50037"}
        assert not case.account.unknown_orders()
        assert not case.account.open_orders()
        await asyncio.sleep(5.0)
        assert not case.world.desk_orders()

    play(scenario)


@pytest.mark.parametrize("level", ["1", "3"])
def test_case_o2_the_margin_mode_is_that_of_the_accounts_level(level: str) -> None:
    """``tdMode``: cash of spot, but for accounts in which all is margin; of futures none at all in
    the simplest."""

    async def scenario(case: Case) -> None:
        await case.kill()
        case.trader.settings["acctLv"] = level
        await case.begin()
        at = case.stall(Market.SPOT)
        await (await case.place(at.limit(BUY, at.crossing(BUY)))).filled(timeout=5.0)
        assert [body["tdMode"] for body in case.bodies()] == ["cash" if level == "1" else "cross"]
        contract = case.stall().limit(BUY, case.stall().passive(BUY))
        if level == "1":
            await case.failed(case.account.place(contract), CcrsError)
            assert len(case.bodies()) == 1  # nothing was sent
        else:
            assert (await case.place(contract)).state is not OrderState.REJECTED

    play(scenario)


def test_case_o3_a_level_that_was_changed_elsewhere_is_a_refusal_for_permission() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.trader.settings["acctLv"] = "1"
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), OrderRejected)
        assert (error.code, error.reason) == ("51010", EndReason.PERMISSION)
        case.trader.settings["acctLv"] = "2"

    play(scenario)


def test_case_o4_orders_of_one_account_never_trade_with_each_other() -> None:
    """Self-trade prevention is always on: what rests is canceled (``cancelSource`` 32)."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        price = at.bid() + at.listing.tick
        rests = await case.place(at.limit(BUY, price))
        await asyncio.sleep(0.3)
        takes = await case.place(at.limit(SELL, price))
        await asyncio.sleep(1.0)
        ended = case.order(rests.now)
        assert (ended.state, ended.reason) == (OrderState.EXPIRED, EndReason.SELF_TRADE)
        assert case.order(takes.now).state is OrderState.OPEN
        assert not case.of(Fill)

    play(scenario)


def test_case_o5_each_instrument_has_a_pool_of_its_own() -> None:
    """Limits of placements are counted by instrument: one that is used up holds up no other."""

    async def scenario(case: Case) -> None:
        case.trading.limits.factor = 1.0
        one, other = case.stall(number=0), case.stall(number=1)
        loop = asyncio.get_running_loop()
        begun, took = loop.time(), dict[str, float]()

        async def place(at: Any) -> None:
            await case.place(at.limit(BUY, at.passive(BUY)))
            took[at.listing.symbol] = loop.time() - begun

        await asyncio.gather(*(place(one) for _ in range(62)), place(other))
        assert took[other.listing.symbol] < 0.5
        assert took[one.listing.symbol] > 1.5
        assert not case.account.unknown_orders()

    play(scenario)


# --- states --------------------------------------------------------------------------------------


def test_case_b5_the_duplicate_carries_the_end() -> None:
    """The row of an order's last fill comes once more with the state ``filled``."""

    async def scenario(case: Case) -> None:
        at = case.stall()

        def apart(row: dict[str, Any]) -> list[dict[str, Any]]:
            if row["state"] == "filled" and row["tradeId"]:
                later = str(int(row["uTime"]) + 1)
                return [{**row, "state": "partially_filled"}, {**row, "uTime": later}]
            return [row]

        live = await case.place(at.limit(BUY, at.bid(1), 5))
        await asyncio.sleep(0.3)
        case.changes_pushes(apart)
        case.meet(at, SELL, at.size * 13, at.bid(1))
        case.meet(at, SELL, at.size * 2, at.bid(1))
        await asyncio.sleep(1.0)
        now = case.order(live.now)
        assert (now.state, now.fills_complete) == (OrderState.FILLED, True)
        assert [each.size for each in case.of(Fill)] == [at.own(at.size * n) for n in (3, 2)]
        assert not [each for each in case.of(Fill) if each.backfilled]

    play(scenario)


def test_case_b6_a_market_buy_of_spot_is_completed_by_a_row_without_a_trade() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        rows: list[dict[str, Any]] = []
        case.changes_pushes(lambda row: rows.append(row) or [row])  # type: ignore[func-returns-value]
        live = await case.place(
            at.market(BUY, quote_size=(at.ask() * at.size).quantize(Decimal(1)))
        )
        await live.ended(timeout=5.0)
        await asyncio.sleep(0.5)
        assert [(row["state"], bool(row["tradeId"])) for row in rows[-2:]] == [
            ("partially_filled", True),
            ("filled", False),
        ]
        now = case.order(live.now)
        [fill] = case.of(Fill)
        assert (now.state, now.fills_complete) == (OrderState.FILLED, True)
        assert (fill.size, fill.value) == (now.filled_size, now.filled_value)

    play(scenario)


def test_case_c3_a_fill_after_the_end() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.3)
        case.fault("refuse,duration=2", f"lag,path={CALLS.fills},seconds=60")
        case.drop()
        case.meet(at, SELL, at.size * 14, at.bid(1))
        case.desk.cancel(case.trader, case.desk.find(case.trader, client_order_id=live.id).number)
        await eventually(lambda: live.state.final, 50.0)
        now = case.order(live.now)
        assert (now.state, now.filled_size) == (OrderState.CANCELED, at.own(at.size * 4))
        assert not now.fills_complete
        assert not case.of(Fill)
        await asyncio.sleep(130.0)
        now = case.order(live.now)
        assert (now.state, now.fills_complete) == (OrderState.CANCELED, True)
        assert [each.backfilled for each in case.of(Fill)] == [True]

    play(scenario)


@pytest.mark.parametrize(
    ("why", "state", "reason"),
    [
        (Ending.EXCHANGE, OrderState.CANCELED, EndReason.EXCHANGE),
        (Ending.BALANCE, OrderState.CANCELED, EndReason.BALANCE),
        (Ending.REDUCE_ONLY, OrderState.CANCELED, EndReason.REDUCE_ONLY),
        (Ending.POSITION_CLOSED, OrderState.CANCELED, EndReason.REDUCE_ONLY),
        (Ending.SETTLEMENT, OrderState.CANCELED, EndReason.SETTLEMENT),
    ],
)
def test_case_o6_what_the_system_cancels_says_why(
    why: Ending, state: OrderState, reason: EndReason
) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        case._now()
        case.desk.cancel(
            case.trader, case.desk.find(case.trader, client_order_id=live.id).number, why
        )
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        now = case.order(live.now)
        assert (now.state, now.reason) == (state, reason)

    play(scenario)


# --- amending and canceling ----------------------------------------------------------------------


def test_case_e2_an_amendment_is_acknowledged_and_fails() -> None:
    async def scenario(case: Case) -> None:
        at, failed = case.stall(), 0
        for _ in range(12):
            live = await case.place(at.limit(BUY, at.bid(1)))
            await asyncio.sleep(0.3)
            # Both on their way: whichever the matching engine has first.
            amending = asyncio.ensure_future(case.account.amend(live, size=at.own(at.size * 2)))
            await asyncio.sleep(0.004)
            case.meet(at, SELL, at.size * 11, at.bid(1))
            try:
                await amending
            except CcrsError as error:
                failed += error.code == "51503" if hasattr(error, "code") else 1  # type: ignore[attr-defined]
                ended = await live.ended(timeout=5.0)
                assert (ended.state, ended.size) == (OrderState.FILLED, at.own(at.size))
            else:
                await asyncio.sleep(0.5)
                assert case.order(live.now).size == at.own(at.size * 2)
                await case.account.cancel(live)
            await asyncio.sleep(0.3)
            at = case.stall()
        assert failed

    play(scenario)


def test_case_e2_kin_the_new_size_is_the_whole_orders() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        await asyncio.sleep(0.5)
        now = await case.account.amend(live, size=at.own(at.size * 8))
        await asyncio.sleep(0.5)
        now = case.order(live.now)
        assert (now.size, now.filled_size) == (at.own(at.size * 8), at.own(at.size * 4))
        assert now.state is OrderState.OPEN
        # Below what is filled OKX would call it filled: it doesn't leave.
        sent = len(case.sent(AMEND))
        await case.failed(case.account.amend(live, size=at.own(at.size * 3)), InvalidOrder)
        assert len(case.sent(AMEND)) == sent

    play(scenario)


def test_case_e2_kin_an_amendment_that_fails_leaves_the_order_as_it_was() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)

        def fails(account: Any, number: int, asked: Any) -> Any:
            order = case.desk.find(account, number=number)
            request_id = case.trading.amendments.done(number)
            said = {"reqId": request_id, "amendSource": "1", "amendResult": "-1"}
            poor = {"code": "51008", "msg": "Insufficient USDT margin"}
            Pushes(case.trading)._say(order, case.venue.now_ns, **said, **poor)
            return order

        case.desk.amend = fails  # type: ignore[method-assign]
        error = await case.failed(case.account.amend(live, size=at.own(at.size * 9)), OrderRejected)
        assert (error.code, error.reason) == ("51008", EndReason.BALANCE)
        await asyncio.sleep(1.0)
        now = case.order(live.now)
        assert (now.state, now.size) == (OrderState.OPEN, at.own(at.size))

    play(scenario)


def test_case_o7_a_cancel_that_is_under_way_already_isnt_sent_on_and_on() -> None:
    """51410: not an error of the order; what its end was is looked up."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        case.fault(f"http,path={CANCEL},status=51410,count=1")
        asking = asyncio.ensure_future(case.account.cancel(live))
        await asyncio.sleep(0.05)
        case._now()
        number = case.desk.find(case.trader, client_order_id=live.id).number
        case.desk.cancel(case.trader, number)
        case.life.tap.poke()
        done = await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(2.0)
        assert case.order(live.now).state is OrderState.CANCELED
        assert len(case.sent(CANCEL)) <= 2
        assert not isinstance(done[0], OutcomeUnknown), done

    play(scenario)


def test_case_o8_a_cancel_of_what_has_ended_says_how_it_ended() -> None:
    """51400 says three things at once: filled, canceled or never there."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        case.fault("delay,seconds=3")
        case._now()
        case.desk.cancel(case.trader, case.desk.find(case.trader, client_order_id=live.id).number)
        await asyncio.sleep(0.1)
        outcome = await case.account.cancel(live)
        assert outcome.result is CancelResult.ENDED_BEFORE
        assert (outcome.order.state, outcome.order.filled_size) == (OrderState.CANCELED, 0)

    play(scenario)


def test_case_o9_at_most_three_amendments_of_an_order_are_under_way() -> None:
    """51513: the order stays as it is, and isn't unknown."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        case.fault(f"http,path={AMEND},status=51513,count=1")
        error = await case.failed(case.account.amend(live, size=at.own(at.size * 2)), OrderRejected)
        assert error.code == "51513"
        await asyncio.sleep(1.0)
        now = case.order(live.now)
        assert (now.state, now.size) == (OrderState.OPEN, at.own(at.size))

    play(scenario)


# --- protection and triggers ---------------------------------------------------------------------


def test_case_m1_the_timer_fires_for_orders_of_this_package_alone() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault(f"lose_answer,path={TIMER},count=1,after=12")
        hand = case.by_hand(at, BUY, price=at.bid(2))
        live = None
        with contextlib.suppress(CcrsError):  # its process goes while it is in force
            async with case.account.dead_man(30):
                live = await case.place(at.limit(BUY, at.passive(BUY)))
                await asyncio.sleep(120.0)  # renewed, though an answer was lost
                assert case.order(live.now).state is OrderState.OPEN
                await case.kill()
        await asyncio.sleep(40.0)
        case._now()
        await case.begin()
        assert live is not None
        await asyncio.sleep(5.0)
        now = case.order(live.id)
        assert (now.state, now.reason) == (OrderState.CANCELED, EndReason.DEAD_MAN)
        assert case.order(hand.client_order_id).state is OrderState.OPEN

    play(scenario)


@pytest.mark.parametrize("market", [Market.LINEAR, Market.SPOT])
def test_case_m3_a_trigger_places_an_order_of_another_id(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(market)
        trigger = Trigger(price=at.ask(3), rises=True)
        live = await case.place(at.limit(BUY, at.ask(4), trigger=trigger))
        await asyncio.sleep(0.5)
        assert live.state is OrderState.WAITING
        waiting = live.now.exchange_order_id
        case.venue.steer(at.listing, last_price=at.ask(3))
        case.life.tap.poke()
        await asyncio.sleep(3.0)
        first = case.order(waiting)
        [other] = [each for each in case.account.orders() if each is not first]
        assert (other.client_order_id, other.origin) == (live.id, Origin.OWN)
        assert (other.state, other.fills_complete) == (OrderState.FILLED, True)
        assert (other.fired_by, first.children) == (waiting, (other.exchange_order_id,))
        assert len(case.of(Fill)) == 1
        assert not case.account.open_orders()
        assert len(case.sent(ALGO)) == 1
        case.twice.add(live.id)

    play(scenario)


def test_case_m3_kin_a_cancel_of_what_has_just_fired_covers_what_it_placed() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        trigger = Trigger(price=at.ask(3), rises=True)
        live = await case.place(at.limit(BUY, at.bid(4), trigger=trigger))
        await asyncio.sleep(0.5)
        case.fault("delay,seconds=3")
        case.venue.steer(at.listing, last_price=at.ask(3))
        case.life.tap.poke()
        await asyncio.sleep(0.05)
        await case.account.cancel(live)
        await asyncio.sleep(6.0)
        case.heal()
        await asyncio.sleep(2.0)
        open_ones = [e for e in case.world.desk_orders().values() if not e.stage.ended]
        assert not open_ones
        assert not case.account.open_orders()
        assert len(case.sent(ALGO)) == 1
        case.twice.add(live.id)

    play(scenario)


def test_case_o10_exits_wait_apart_and_end_with_each_other() -> None:
    """An attached take profit and stop loss are one order of the list of waiting ones."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(
            at.limit(
                BUY,
                at.crossing(BUY),
                take_profit=Exit(price=at.ask(4)),
                stop_loss=Exit(price=at.bid(5)),
            )
        )
        await live.filled(timeout=5.0)
        await asyncio.sleep(1.0)
        waiting = {each.state for each in case.account.open_orders()}
        assert waiting == {OrderState.WAITING}
        case.venue.steer(at.listing, last_price=at.bid(5))
        case.life.tap.poke()
        await asyncio.sleep(4.0)
        case.life.tap.poke()
        await asyncio.sleep(2.0)
        assert case.account.open_orders() == []
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario)


def test_case_l3_cancels_first() -> None:
    alike(scenarios.l3_cancels_first(70))


def test_case_l1_signed_as_it_leaves() -> None:
    # Five a two seconds: the last ones wait for longer than what was signed is good for.
    alike(scenarios.l1_signed_as_it_leaves(85, 31.0))
