"""What goes wrong in Binance's own ways: its codes, its two kinds of ids, its listen keys, its
windows. Each test is one of :data:`test_binance_cases.OWN`; :mod:`tests.account_cases` says what
every case ends in."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest
from binance_cases import COINM, SPOT, USDM, Case, play, refusal
from ccrs_binance import emulator_trading, emulator_user_streams

from ccrs_core import (
    CancelResult,
    EndReason,
    Fill,
    FillKind,
    Income,
    IncomeKind,
    InsufficientBalance,
    Market,
    OrderRejected,
    OrderState,
    OrderUpdate,
    Origin,
    OutcomeUnknown,
    PositionMode,
    Side,
    Trigger,
    Unsupported,
)

BUY, SELL = Side.BUY, Side.SELL
FUTURES = pytest.mark.parametrize("market", [USDM, COINM])
UNCLEAR = {
    "-1006": (SPOT, refusal(500, -1006, "An unexpected response was received.")),
    "-1007": (COINM, refusal(408, -1007, "Timeout waiting for response from backend server.")),
    "503 unknown": (USDM, refusal(503, -1000, "Unknown error, please check your request.")),
    "504": (SPOT, attrs.evolve(refusal(504, 0, ""), body=b"<html>Gateway Time-out</html>")),
    # Its documents call these failures. An order that was answered so has been found to live:
    # https://github.com/banbox/banbot/issues/114
    "-1008": (USDM, refusal(503, -1008, "Server is currently overloaded with other requests.")),
    "503 unavailable": (USDM, attrs.evolve(refusal(503, 0, ""), body=b"Service Unavailable.")),
}
CERTAIN = {
    "margin": (USDM, refusal(400, -2019, "Margin is insufficient."), EndReason.BALANCE),
    "tick": (SPOT, refusal(400, -1013, "Filter failure: PRICE_FILTER"), EndReason.INVALID),
    "band": (USDM, refusal(400, -4131, "The counterparty's best price"), EndReason.PRICE_LIMIT),
    "notional": (SPOT, refusal(400, -1013, "Filter failure: NOTIONAL"), EndReason.SIZE),
    "cap": (COINM, refusal(400, -2025, "Reach max open order limit."), EndReason.CAP),
    "closed": (SPOT, refusal(400, -2010, "Market is closed."), EndReason.MARKET_STATE),
}


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_answer_that_does_not_say_what_was_done_ends_nothing_and_repeats_nothing(
    name: str,
) -> None:
    market, response = UNCLEAR[name]

    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        case.fault("stall")
        case.answers("POST", path, response)
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), OutcomeUnknown)
        await asyncio.sleep(5.0)
        assert error.order is not None
        assert case.order(error.order).state is OrderState.OPEN
        assert len(case.asked("POST", path)) == 1
        case.heal()
        await case.account.cancel(error.order)

    play(scenario, market)


@pytest.mark.parametrize("name", CERTAIN)
def test_a_refusal_is_one_for_its_reason_and_is_not_looked_for(name: str) -> None:
    market, response, reason = CERTAIN[name]

    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        case.answers("POST", path, response, done=False)
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), OrderRejected)
        assert error.reason is reason
        assert (reason is EndReason.BALANCE) is isinstance(error, InsufficientBalance)
        await asyncio.sleep(10.0)
        assert not case.asked("GET", path)
        assert not case.account.unknown_orders()

    play(scenario, market)


def test_a_clock_error_of_the_matching_engine_proves_that_nothing_was_taken() -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        text = "Timestamp for this request is outside of the ME recvWindow."
        case.answers("POST", path, refusal(400, -5028, text), done=False)
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        assert live.state in (OrderState.ACCEPTED, OrderState.OPEN)
        ids = {dict(each.query)["newClientOrderId"] for each in case.asked("POST", path)}
        assert ids == {live.id}
        case.repeats = 1

    play(scenario, USDM)


@pytest.mark.parametrize("done", [True, False])
def test_a_cancel_that_nobody_knows_of_is_asked_for_again_where_the_order_lives(done: bool) -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        text = "Server is currently overloaded with other requests."
        case.answers("DELETE", path, refusal(503, -1008, text), done=done)
        await case.account.cancel(live)
        assert (await live.ended(timeout=10.0)).state is OrderState.CANCELED
        assert len(case.asked("DELETE", path)) == (1 if done else 2)

    play(scenario, USDM)


def test_a_ban_is_kept_to_and_what_happened_meanwhile_is_read() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await (await case.place(at.limit(BUY, at.crossing(BUY)))).filled(timeout=5.0)
        banned = refusal(418, -1003, "Way too many requests; IP banned.", **{"Retry-After": "40"})
        case.answers("GET", case.path("openOrders"), banned, done=False)
        case.drop()
        await asyncio.sleep(5.0)
        asked = len(case.life.tap.requests)
        case.by_hand(at, BUY)
        await asyncio.sleep(30.0)
        # Each of its hosts counts by itself.
        later = case.life.tap.requests[asked:]
        assert not [each.path for _, _, each in later if each.path.startswith("/api/")]
        await asyncio.sleep(60.0)
        assert case.account.synced
        assert len(case.of(Fill)) == 2

    play(scenario, SPOT)


@pytest.mark.parametrize("market", [SPOT, USDM, COINM])
def test_an_order_over_the_socket_whose_answer_is_lost_is_not_sent_by_another_way(
    market: Market,
) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await asyncio.sleep(1.0)
        case.fault("lose_answer,topic=order.place,count=1", "stall,topic=*,duration=2")
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), OutcomeUnknown)
        await asyncio.sleep(10.0)
        assert error.order is not None
        assert case.order(error.order).state is OrderState.OPEN
        assert not case.asked("POST", case.path("order"))
        case.calls -= 1  # which REST has seen nothing of

    play(scenario, market, via="websocket")


@pytest.mark.parametrize(
    ("market", "by_rest"), [(USDM, []), (COINM, ["/dapi/v1/algoOrder", "/dapi/v1/algoOrder"])]
)
def test_orders_of_futures_go_over_sockets_of_their_own_as_far_as_these_have_calls(
    market: Market, by_rest: list[str]
) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await asyncio.sleep(1.0)
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await case.account.amend(live, price=at.bid(3))
        falls = Trigger(price=at.bid(4), rises=False)
        waits = await case.place(at.market(SELL, trigger=falls))
        for each in (waits, live):
            await case.account.cancel(each)
            assert (await each.ended(timeout=10.0)).state is OrderState.CANCELED
        went = [each for each in case.life.tap.requests if each[2].method in ("POST", "DELETE")]
        paths = [each.path for _, _, each in went if "listenKey" not in each.path]
        assert paths == by_rest
        (status,) = case.life.client.status().accounts
        assert [(e.markets, e.ready) for e in status.entries] == [((market,), True)]
        case.calls -= 2 - len(by_rest) // 2  # placements which REST has seen nothing of

    play(scenario, market, via="websocket")


# --- replacing, amending, canceling --------------------------------------------------------------


def test_case_e4_half_a_replacement_is_two_orders() -> None:
    async def scenario(case: Case) -> None:
        at, symbol = case.stall(), case.stall().listing.symbol
        live = await case.place(at.limit(BUY, at.crossing(BUY)))
        await live.filled(timeout=5.0)
        about = {
            "symbol": symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": f"{at.size:f}",
            "price": f"{at.bid(2):f}",
            "cancelOrderId": live.now.exchange_order_id,
        }
        for mode, code, name in (
            ("ALLOW_FAILURE", -2021, "web_r1"),
            ("STOP_ON_FAILURE", -2022, "web_r2"),
        ):
            answer = case.hand.ask(
                "POST",
                "/api/v3/order/cancelReplace",
                **about,
                cancelReplaceMode=mode,
                newClientOrderId=name,
            )
            assert answer["code"] == code
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        assert case.order(live.now).state is OrderState.FILLED
        assert case.order("web_r1").state is OrderState.OPEN
        assert case.order("web_r1").origin is Origin.OTHER
        assert case.account.order("web_r2") is None

    play(scenario, SPOT)


@pytest.mark.parametrize("done", [True, False])
def test_a_replacement_whose_answer_is_lost_with_the_process_is_found_and_not_made_again(
    done: bool,
) -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order/cancelReplace")
        live = await case.place(at.limit(BUY, at.bid(2), 2))
        await asyncio.sleep(0.5)
        told = "yes" if done else "no"
        case.fault(f"lose_answer,path={path},count=1,effect={told}", "stall")
        case.calls += 1
        replacing = case.account.replace(live, at.limit(BUY, at.bid(3), 2))
        unknown = (await case.failed(replacing, OutcomeUnknown)).order
        assert unknown is not None
        await case.kill()
        case.heal()
        await case.begin()
        await asyncio.sleep(170.0)
        states = case.order(live.id).state, case.order(unknown.client_order_id).state
        if done:
            assert states == (OrderState.CANCELED, OrderState.OPEN)
        else:
            assert states == (OrderState.OPEN, OrderState.PRESUMED_ABSENT)
            case.presumed = 1
        assert len(case.sent(path)) == 1

    play(scenario, SPOT)


@FUTURES
@pytest.mark.parametrize(
    ("code", "text"),
    [(-5026, "Exceed maximum modify order limit."), (-5027, "No need to modify the order.")],
)
def test_a_refused_amendment_leaves_the_order_as_it_was(
    market: Market, code: int, text: str
) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(2)))
        case.answers("PUT", case.path("order"), refusal(400, code, text), done=False)
        error = await case.failed(case.account.amend(live, price=at.bid(3)), OrderRejected)
        assert error.code == str(code)
        await asyncio.sleep(5.0)
        assert (live.state, live.price) == (OrderState.OPEN, at.bid(2))

    play(scenario, market)


@FUTURES
def test_the_word_of_an_amendment_that_comes_after_the_orders_end_changes_nothing(
    market: Market,
) -> None:
    """https://github.com/ccxt/ccxt/issues/18051"""

    async def scenario(case: Case) -> None:
        at = case.stall()
        heard = case.overhear("ORDER_TRADE_UPDATE")
        live = await case.place(at.limit(BUY, at.bid(2), 5))
        await case.account.amend(live, price=at.bid(1))
        await asyncio.sleep(0.5)
        case.meet(at, SELL, at.size * 15, at.bid(1))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        [late] = [each for each in heard if each["o"]["x"] == "AMENDMENT"]
        told = len(case.of(OrderUpdate))
        case.say(late)
        await asyncio.sleep(0.5)
        assert (live.state, live.price) == (OrderState.FILLED, at.bid(1))
        assert live.now.filled_size == at.own(at.size * 5)
        assert len(case.of(OrderUpdate)) == told

    play(scenario, market)


def test_spot_makes_orders_smaller_and_changes_nothing_else() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(2)))
        with pytest.raises(Unsupported):
            await case.account.amend(live, price=at.bid(3))
        lot = at.listing.lot
        await case.account.amend(live, size=at.size - lot)
        await asyncio.sleep(1.0)
        assert (live.state, live.size) == (OrderState.OPEN, at.size - lot)
        assert case.desk.find(case.trader, client_order_id=live.id) is not None  # it stays its own
        # Somebody else may make it smaller: it has a new client's id then, and is the same order.
        case.twice.add(live.id)
        case.hand.ask(
            "PUT",
            "/api/v3/order/amend/keepPriority",
            symbol=at.listing.symbol,
            orderId=live.now.exchange_order_id,
            newQty=f"{at.size - 2 * lot:f}",
            newClientOrderId="web_a",
        )
        case.twice.add("web_a")
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        now = case.order(live.id)
        assert (now.state, now.size) == (OrderState.OPEN, at.size - 2 * lot)
        assert len(case.account.orders()) == 1
        await case.account.cancel(live)
        assert (await live.ended(timeout=5.0)).state is OrderState.CANCELED

    play(scenario, SPOT)


@FUTURES
def test_a_stop_that_fires_while_it_is_canceled_is_followed(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await (await case.place(at.limit(BUY, at.crossing(BUY), 2))).filled(timeout=5.0)
        trigger = Trigger(price=at.bid(3), rises=False)
        stop = await case.place(at.market(SELL, 2, trigger=trigger, reduce_only=True))
        await asyncio.sleep(0.5)
        text = "Stop order is triggering."
        case.answers("DELETE", case.path("algoOrder"), refusal(400, -4117, text), done=False)
        # What it places is filled long after the service has said that it is done.
        case.slow("ORDER_TRADE_UPDATE", seconds=1.0)
        case.venue.steer(at.listing, last_price=at.bid(3))
        outcome = await case.account.cancel(stop)
        case.life.tap.poke()
        ended = await stop.filled(timeout=5.0)
        assert outcome.result is not CancelResult.NOT_FOUND
        assert ended.filled_size == at.own(at.size * 2)
        await asyncio.sleep(2.0)
        assert [each.size for each in case.account.positions() if each.size] == []
        case.twice.add(stop.id)

    play(scenario, market)


# --- ids -----------------------------------------------------------------------------------------


def test_ids_of_orders_are_those_of_one_symbol_and_of_one_service() -> None:
    async def scenario(case: Case) -> None:
        some = [case.stall(USDM, 0), case.stall(USDM, 1), case.stall(COINM)]
        case.emulated.ids._orders._first = {}
        case.emulated.ids._orders._usual = 77
        lives = [await case.place(at.limit(BUY, at.passive(BUY))) for at in some]
        await asyncio.sleep(0.5)
        assert {each.now.exchange_order_id for each in lives} == {"77"}
        await case.account.cancel(lives[0])
        await lives[0].ended(timeout=5.0)
        await asyncio.sleep(70.0)
        assert [each.state for each in lives[1:]] == [OrderState.OPEN] * 2
        await case.account.cancel(lives[2])
        await lives[2].ended(timeout=5.0)
        assert lives[1].state is OrderState.OPEN

    play(scenario, USDM, COINM)


def test_a_clients_id_may_be_used_again_by_somebody_and_reopens_nothing() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        request = attrs.evolve(at.limit(BUY, at.crossing(BUY)), client_order_id="x1")
        live = await case.place(request)
        ended = await live.filled(timeout=5.0)
        hand = case.hand.order(
            at.listing.symbol, "BUY", f"{at.size:f}", price=f"{at.bid(2):f}", newClientOrderId="x1"
        )
        assert hand["status"] == "NEW"
        case.twice.add("x1")
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        assert case.order("x1").exchange_order_id == ended.exchange_order_id
        assert case.order("x1").state is OrderState.FILLED
        other = case.order(str(hand["orderId"]))
        assert other.state is OrderState.OPEN
        assert len(case.of(Fill)) == 1

    play(scenario, SPOT)


# --- streams -------------------------------------------------------------------------------------


def test_a_listen_key_is_told_to_go_on_and_its_connection_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Good for an hour: here for five minutes.
    monkeypatch.setattr(emulator_user_streams, "_HOUR_NS", 300 * 10**9)

    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("listenKey")
        dialled = len(case.life.tap.attempts)
        await asyncio.sleep(400.0)
        assert len(case.life.tap.attempts) == dialled
        assert len(case.asked("POST", path)) == 1
        live = await case.place(at.limit(BUY, at.crossing(BUY)))
        await live.filled(timeout=1.0)
        await asyncio.sleep(0.2)
        assert [each.backfilled for each in case.of(Fill)] == [False]

    play(scenario, USDM)


@FUTURES
def test_a_listen_key_that_is_said_to_have_ended_is_replaced_though_its_socket_lives(
    market: Market,
) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await (await case.place(at.limit(BUY, at.crossing(BUY)))).filled(timeout=5.0)
        dialled = len(case.life.tap.attempts)
        case.say_raw({"e": "listenKeyExpired", "E": 1767225600000, "listenKey": "a key"})
        await asyncio.sleep(0.05)
        assert not case.account.synced
        case.by_hand(at, BUY)
        await asyncio.sleep(70.0)
        assert len(case.life.tap.attempts) > dialled
        assert case.account.synced
        assert len(case.of(Fill)) == 2

    play(scenario, market)


@FUTURES
def test_a_fill_without_its_fee_gets_it_from_the_list(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at, feed = case.stall(), case.feed()
        tell = feed.tell

        def bare(event: dict[str, Any], now_ns: int, lane: str = "") -> bool:
            if event["e"] == "ORDER_TRADE_UPDATE":
                event["o"].pop("n", None)
                event["o"].pop("N", None)
            return bool(tell(event, now_ns, lane))

        feed.tell = bare
        live = await case.place(at.limit(BUY, at.crossing(BUY), 2))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        (fill,) = case.of(Fill)
        assert fill.fee is None  # and not nought
        await asyncio.sleep(70.0)
        [(asset, fee)] = case.order(live.now).fees
        assert (asset, fee > 0) == (at.listing.settle, True)

    play(scenario, market)


@FUTURES
def test_money_that_is_moved_is_told_once_by_event_and_list(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        asset, purse = at.listing.settle, case.purse_of(market)
        name = f"{asset} {purse}"
        await asyncio.sleep(70.0)
        before = case.account.balances()[name].total
        known = len([each for each in case.of(Income) if each.purse == purse])
        for amount in (Decimal(25), Decimal(-5)):
            case._now()
            case.desk.transfer(case.trader, asset, amount)
            case.life.tap.poke()
            await asyncio.sleep(1.0)
        assert case.account.balances()[name].total == before + 20
        await asyncio.sleep(140.0)
        moved = [e for e in case.of(Income) if e.purse == purse][known:]
        assert [(e.kind, e.amount) for e in moved] == [
            (IncomeKind.TRANSFER, Decimal(25)),
            (IncomeKind.TRANSFER, Decimal(-5)),
        ]

    play(scenario, market)


# --- lists ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", [SPOT, USDM, COINM])
def test_an_order_that_ended_unfilled_long_ago_is_gone_from_all_lists(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(emulator_trading.KEPT_UNFILLED, "spot", 3 * 86_400 * 10**9)

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        await case.kill()
        case._now()
        case.desk.cancel(case.trader, case.trader.client_ids[live.id])
        await asyncio.sleep(4 * 86_400.0)
        case._now()
        asked = {"symbol": at.listing.symbol, "orderId": live.now.exchange_order_id}
        answer = case.hand.ask("GET", case.path("order"), **asked)
        assert answer["code"] == (-2026 if market is SPOT else -2013)
        assert case.hand.ask("GET", case.path("allOrders"), symbol=at.listing.symbol) == []
        case.most_requests = 2000
        await case.begin()
        assert case.order(live.id).state is OrderState.OPEN  # one denial proves nothing
        await asyncio.sleep(330.0)
        now = case.order(live.id)
        assert (now.state, now.filled_size) == (OrderState.CANCELED, 0)
        assert now.reason is EndReason.OTHER
        case.reasons[EndReason.OTHER] = EndReason.BY_USER

    play(scenario, market)


def test_coin_m_without_a_service_for_conditional_orders_is_whole_all_the_same() -> None:
    async def scenario(case: Case) -> None:
        gone = attrs.evolve(refusal(404, 0, ""), body=b"<html>404</html>")
        case.answers("GET", case.path("openAlgoOrders"), gone, times=100, done=False)
        case.drop()
        await asyncio.sleep(130.0)
        assert case.asked("GET", case.path("openAlgoOrders"))
        assert case.account.synced

    play(scenario, COINM)


def test_conditional_orders_are_refused_where_ordinary_ones_are_placed() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        answer = case.hand.ask(
            "POST",
            case.path("order"),
            symbol=at.listing.symbol,
            side="SELL",
            type="STOP_MARKET",
            stopPrice=f"{at.bid(3):f}",
            quantity=f"{at.size:f}",
        )
        assert answer["code"] == -4120
        await case.place(at.market(SELL, 1, trigger=Trigger(price=at.bid(3), rises=False)))
        assert len(case.asked("POST", case.path("algoOrder"))) == 1
        assert not case.asked("POST", case.path("order"))

    play(scenario, USDM)


# --- limits --------------------------------------------------------------------------------------


def test_more_orders_than_the_exchange_counts_wait_and_none_is_refused() -> None:
    async def scenario(case: Case) -> None:
        at, loop = case.stall(), asyncio.get_running_loop()
        begun = loop.time()
        lives = await asyncio.gather(
            *(case.place(at.limit(BUY, at.passive(BUY)), send_within=30.0) for _ in range(60))
        )
        assert loop.time() - begun > 5.0
        assert len(lives) == 60
        await case.account.cancel_all()

    play(scenario, SPOT)


# --- positions -----------------------------------------------------------------------------------


@FUTURES
def test_a_liquidation_is_the_exchanges(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await (await case.place(at.limit(BUY, at.crossing(BUY), 3))).filled(timeout=5.0)
        live = await case.place(at.limit(SELL, at.ask(4), 2, reduce_only=True))
        await asyncio.sleep(0.5)
        heard = case.overhear("ORDER_TRADE_UPDATE")
        case._now()
        case.desk.liquidate(case.trader, at.listing)
        case.life.tap.poke()
        await asyncio.sleep(2.0)
        forced = [each for each in case.of(Fill) if each.kind is FillKind.LIQUIDATION]
        assert sum(each.size for each in forced) == at.own(at.size * 3)
        assert {each.origin for each in forced} == {Origin.EXCHANGE}
        assert any(each["o"]["c"].startswith("autoclose-") for each in heard)
        now = case.order(live.now)
        assert (now.state, now.reason) == (OrderState.CANCELED, EndReason.LIQUIDATION)
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario, market)


def test_an_order_of_the_other_position_mode_is_refused_for_that() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.hand.ask("POST", case.path("positionSide/dual"), dualSidePosition="true")
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), OrderRejected)
        assert (error.code, error.reason) == ("-4061", EndReason.PERMISSION)
        await case.account.set_position_mode(PositionMode.ONE_WAY, market=USDM)
        await case.place(at.limit(BUY, at.passive(BUY)))

    play(scenario, USDM)
