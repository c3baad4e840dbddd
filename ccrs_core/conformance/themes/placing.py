"""Properties 47, 52, 54 and 71: orders are placed, amended, canceled as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core.conformance.judges.order_words import agreed, differing, order_differs, trigger_of
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader, markets_of, trading_of, untold_of
from ccrs_core.conformance.workbench.trading_day import Refusal, day_of
from ccrs_core.contract.trading import Feature
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    GetOrder,
    PlaceOrder,
)
from ccrs_core.emulator import DeskOrder, Stage
from ccrs_core.emulator.matching import Lifetime, SelfTrade
from ccrs_core.errors import (
    CcrsError,
    EndReason,
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
    Unsupported,
)
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import (
    Exit,
    OrderRequest,
    OrderType,
    SelfTradePrevention,
    TimeInForce,
    Trigger,
    TriggerBy,
)

_LIFETIMES = {
    TimeInForce.GTC: Lifetime.GTC,
    TimeInForce.IOC: Lifetime.IOC,
    TimeInForce.FOK: Lifetime.FOK,
}
_RULES = {
    SelfTradePrevention.NONE: (None, SelfTrade.ALLOWED),
    SelfTradePrevention.CANCEL_MAKER: (SelfTrade.CANCEL_MAKER,),
    SelfTradePrevention.CANCEL_TAKER: (SelfTrade.CANCEL_TAKER,),
    SelfTradePrevention.CANCEL_BOTH: (SelfTrade.CANCEL_BOTH,),
}
_FOLLOWED = {
    TriggerBy.LAST: Feature.TRIGGER_LAST,
    TriggerBy.MARK: Feature.TRIGGER_MARK,
    TriggerBy.INDEX: Feature.TRIGGER_INDEX,
}


class PlacingProperties:
    """Orders as they are asked for."""

    @proves(71)
    def test_orders_of_each_declared_feature_are_placed_as_asked(self, subject: Subject) -> None:
        """For each feature that a market is declared to have, the exchange takes such an order, and
        holds what was asked, field by field; the answer names it by both ids, and says when."""
        for market in markets_of(subject):
            day = day_of(subject, market)
            tried = {deed.feature for deed in day.deeds}
            tried |= {Feature.AMEND, Feature.AMEND_SMALLER, Feature.AMEND_CONDITIONAL}
            tried |= {Feature.SPOT_MARGIN, None}
            missing = trading_of(subject).features[market] - tried
            assert not missing, f"{market.value}: nothing tried {sorted(missing)}"
            for refused in day.refusals:
                _was_refused_rightly(market, refused)
            for deed in day.deeds:
                where = f"{market.value}: {deed.request} (for {deed.feature or 'itself'})"
                if deed.amended is None and not deed.again:
                    agreed(
                        where, list(placed_differs(day.trader, day.at, deed.request, deed.order))
                    )
                answer = deed.placed
                assert answer.exchange_order_id, f"{where}: the answer names no id of the exchange"
                assert answer.client_order_id in ("", deed.client_order_id), (
                    f"{where}: the answer is about {answer.client_order_id!r}, "
                    f"{deed.client_order_id!r} was placed"
                )

    @proves(47)
    def test_an_order_is_told_as_it_is_when_it_is_asked_for(self, subject: Subject) -> None:
        """What the exchange answers about an order of any kind, open or ended however, is read as
        it is: state, reason, prices, sizes, times, flags."""
        untold = untold_of(subject)
        for market in markets_of(subject):
            for deed in day_of(subject, market).deeds:
                where = f"{market.value}: {deed.request}"
                assert deed.word is not None, f"{where}: GetOrder denies an order that there is"
                agreed(where, order_differs(deed.word, deed.order, untold=untold), deed.word)
                assert deed.word.exchange_order_id == deed.placed.exchange_order_id, (
                    f"{where}: the answer to the placement named "
                    f"{deed.placed.exchange_order_id!r}, GetOrder {deed.word.exchange_order_id!r}"
                )

    @proves(47)
    def test_an_amendment_changes_what_it_names_alone(self, subject: Subject) -> None:
        """An amended price or size is the order's afterwards, the new size being that of the whole
        order; what isn't named stays."""
        declared = trading_of(subject).features
        amends = {Feature.AMEND, Feature.AMEND_SMALLER}
        markets = [market for market, having in declared.items() if having & amends]
        if not markets:
            subject.undeclared("amendments")
        for market in markets:
            day = day_of(subject, market)
            amended = [deed for deed in day.deeds if deed.amended is not None]
            assert len(amended) == 2
            before = next(d for d in day.deeds if d.client_order_id == amended[0].client_order_id)
            price, size = before.request.price, before.request.size
            for deed in amended:
                assert deed.amended is not None
                price, size = deed.amended[0] or price, deed.amended[1] or size
                now = deed.order
                assert now.size is not None
                wrong = differing(
                    {"price": (now.price, price), "size": (day.at.own(now.size), size)}
                )
                agreed(f"{market.value}: amended by {deed.amended}, the exchange's", list(wrong))

    @proves(47)
    def test_conditional_orders_are_amended_and_canceled(self, subject: Subject) -> None:
        """An order that waits for its trigger is amended (its trigger, too) and canceled."""
        by = {TriggerBy.LAST: Feature.TRIGGER_LAST, TriggerBy.MARK: Feature.TRIGGER_MARK}
        for market in markets_of(subject, Feature.AMEND_CONDITIONAL):
            features = trading_of(subject).features[market]
            followed = next(each for each in TriggerBy if by.get(each) in features)
            trader = Trader(subject)
            at = trader.stall(market)
            trigger = Trigger(price=at.ask(4), rises=True, by=followed)
            _, order = trader.place(at, at.limit(Side.BUY, at.ask(5), trigger=trigger))
            moved = attrs.evolve(trigger, price=at.ask(3))
            trader.ask(
                AmendOrder(
                    instrument=at.instrument,
                    client_order_id=order.client_order_id,
                    trigger=moved,
                    conditional=True,
                    known=trader.known(at, order),
                )
            )
            trader.pause()
            now = trader.desk_order(order.client_order_id)
            assert now.asked.trigger == moved, (
                f"{market.value}: a trigger amended to {moved} is {now.asked.trigger}"
            )
            assert now.price == order.price, f"{market.value}: its price was changed as well"
            trader.cancel(at, order)
            assert trader.desk_order(order.client_order_id).stage.ended, (
                f"{market.value}: an order that waits for its trigger isn't canceled"
            )

    @proves(47)
    def test_orders_of_any_kind_are_placed_as_asked(self, subject: Subject) -> None:
        """Whatever is combined of what a market is declared to have: the exchange holds what was
        asked, or refuses it by a typed error, and then holds nothing."""
        for market in markets_of(subject):
            trader = Trader(subject)
            at = trader.stall(market)
            wanted = orders(at, trading_of(subject).features[market])
            subject.check(_placing(trader, at), wanted, examples=15)

    @proves(52)
    def test_client_order_ids_fit_the_exchanges_grammar(self, subject: Subject) -> None:
        """An id of every length and letter that is declared is taken and comes back as it was; one
        that was used is refused as a duplicate, where ids are for ever."""
        trading = trading_of(subject)
        ids, market = trading.client_ids, markets_of(subject)[0]
        trader = Trader(subject)
        at = trader.stall(market)
        letters = [*dict.fromkeys(ids.letters + ids.separator)]
        # Begin with letters: some exchanges want that, and ids that are made do.
        first = next(letter for letter in letters if letter.isalpha())
        rows = [letters[i : i + ids.longest - 1] for i in range(0, len(letters), ids.longest - 1)]
        wanted = [first + "".join(row) for row in rows] + [first * ids.longest, first]
        passive = at.limit(Side.BUY, at.passive(Side.BUY))
        for identity in dict.fromkeys(wanted):
            assert ids.allows(identity)
            _, order = trader.place(at, passive, identity)
            word = trader.word(at, order)
            assert word is not None, f"the order {identity!r} can't be asked for"
            assert word.client_order_id == identity, (
                f"the id {identity!r} comes back as {word.client_order_id!r}"
            )
            if ids.for_ever:
                trader.cancel(at, order)
            with pytest.raises(OrderRejected) as refusal:
                trader.place(at, passive, identity)
            assert refusal.value.reason.value == "duplicate", (
                f"a client order id that was used is refused for {refusal.value.reason.value}: "
                "error_of must say EndReason.DUPLICATE"
            )
            if not ids.for_ever:
                trader.cancel(at, order)

    @proves(54)
    def test_a_cancel_of_what_is_not_open_is_a_typed_outcome(self, subject: Subject) -> None:
        """To cancel or amend an order that never was, was canceled or filled, raises OrderNotFound
        or OrderRejected, and nothing else; GetOrder denies what never was, without an error."""
        for market in markets_of(subject):
            trader = Trader(subject)
            at = trader.stall(market)
            _, canceled = trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY)))
            trader.cancel(at, canceled)
            _, filled = trader.place(at, at.limit(Side.BUY, at.crossing(Side.BUY)))
            assert filled.stage.value == "filled"
            never = trader.new_id()
            for identity in (canceled.client_order_id, filled.client_order_id, never):
                cancel = CancelOrder(instrument=at.instrument, client_order_id=identity)
                _is_gone(trader, market, cancel)
                if Feature.AMEND in trading_of(subject).features[market]:
                    amend = AmendOrder(
                        instrument=at.instrument,
                        client_order_id=identity,
                        price=at.bid(3),
                        known=attrs.evolve(trader.known(at, filled), client_order_id=identity),
                    )
                    _is_gone(trader, market, amend)
            for history in (False, True):
                asked = GetOrder(instrument=at.instrument, client_order_id=never, history=history)
                try:
                    word = trader.ask(asked)
                except Unsupported:
                    assert history, "an order can't be asked for"
                    continue
                assert word is None, f"{market.value}: an order that never was is told as {word}"

    @proves(54)
    def test_orders_that_cannot_be_are_refused_for_what_they_lack(self, subject: Subject) -> None:
        """An order beyond the account's money, off the tick, too small, or that reduces nothing, is
        refused by a typed error that says so; nothing of it is there."""
        for market in markets_of(subject):
            trader = Trader(subject)
            at = trader.stall(market)
            features = trading_of(subject).features[market]
            for what, request, reasons in impossible(at, features):
                _is_refused(trader, at, f"{market.value}: an order {what}", request, reasons)

    @proves(47)
    def test_cancel_all_cancels_what_it_says(self, subject: Subject) -> None:
        """All orders of an instrument are canceled, and no other instrument's; orders that wait for
        a trigger with the others where that is declared, else by themselves."""
        for market in markets_of(subject):
            trader = Trader(subject)
            if not trader.answers(CancelAll, market):
                continue
            here, there = (trader.stall(market, number) for number in (0, 1))
            _cancels_all(trader, here, there)


def _was_refused_rightly(market: Market, refused: Refusal) -> None:
    """Orders that would take, or can't be filled whole, may be refused for just that."""
    where = f"{market.value}: {refused.request} is refused: {refused.error!r}"
    assert refused.reasons, f"{where}; it is declared"
    wanted = " or ".join(each.value for each in refused.reasons)
    assert refused.error.reason in refused.reasons, f"{where}; error_of should say {wanted}"
    assert refused.order is None, f"{where}, and yet there is {refused.order}"


def _placing(trader: Trader, at: Stall) -> Callable[[OrderRequest], None]:
    def places(request: OrderRequest) -> None:
        trader.prepare(at.instrument)
        identity = trader.new_id()
        where = f"{at.instrument.market.value}: {request}"
        try:
            _, order = trader.place(at, request, identity)
        except Unsupported:
            # Each of what is declared is offered; not each with each.
            assert _combines(request), f"{where}: it is declared"
            return
        except (OrderRejected, InvalidRequest):
            known = trader.find(identity)
            assert known is None, f"{where}: refused, and yet there is {known}"
            return
        agreed(where, list(placed_differs(trader, at, request, order)))
        word = trader.word(at, order)
        assert word is not None, f"{where}: GetOrder denies it"
        untold = untold_of(trader.subject)
        agreed(where, order_differs(word, order, untold=untold), word)
        trader.cancel(at, order)

    return places


def _combines(request: OrderRequest) -> bool:
    """Whether an order asks for several things that a plain one doesn't."""
    extras = (
        getattr(request, field.name) != field.default
        for field in attrs.fields(OrderRequest)
        if field.name not in _PLAIN
    )
    return sum(map(bool, extras)) + int(request.type is OrderType.MARKET) > 1


_PLAIN = frozenset({"symbol", "side", "type", "size", "price"})
"""What every order says."""


def impossible(
    at: Stall, features: frozenset[Feature]
) -> Iterator[tuple[str, OrderRequest, tuple[EndReason, ...]]]:
    """Orders that can't be: what is wrong with them, and the reasons that say so (none: any)."""
    listing = at.listing
    good = at.limit(Side.BUY, at.passive(Side.BUY))
    rich = min(listing.max_size, listing.lot * 10**9) // listing.lot * listing.lot
    units = rich * listing.worth_of_one
    value = units if listing.market is Market.INVERSE else units * at.bid(2)
    if value > 10**9:
        reasons = (EndReason.BALANCE, EndReason.SIZE, EndReason.CAP)
        yield "beyond the account's money", attrs.evolve(good, size=at.own(rich)), reasons
    yield "off the tick", attrs.evolve(good, price=at.bid(2) + listing.tick / 2), ()
    yield "below the smallest size", attrs.evolve(good, size=at.own(listing.lot / 2)), ()
    if Feature.REDUCE_ONLY in features:
        request = at.limit(Side.SELL, at.passive(Side.SELL), reduce_only=True)
        yield "that reduces nothing", request, (EndReason.REDUCE_ONLY,)


def _is_refused(
    trader: Trader, at: Stall, where: str, request: OrderRequest, reasons: Sequence[EndReason]
) -> None:
    identity = trader.new_id()
    refusal: CcrsError | None = None
    try:
        trader.ask(PlaceOrder(at.instrument, request, identity))
    except CcrsError as error:
        refusal = error
    if refusal is None:
        trader.pause()
        stage = trader.desk_order(identity).stage
        assert stage is Stage.REJECTED, f"{where} is taken, and {stage.value}"
        return
    assert isinstance(refusal, OrderRejected | InvalidRequest), f"{where} raises {refusal!r}"
    if reasons:
        reason = getattr(refusal, "reason", EndReason.OTHER)
        assert reason in reasons, (
            f"{where} is refused for {reason.value}: error_of should say "
            + " or ".join(each.value for each in reasons)
        )


def placed_differs(
    trader: Trader, at: Stall, request: OrderRequest, order: DeskOrder
) -> Iterator[str]:
    """What the exchange was asked for otherwise than the user did."""
    asked = order.asked
    take_profit, stop_loss = trader.venue.dialect.exits(order)
    size = None if asked.size is None else at.own(asked.size)
    yield from differing(
        {
            "symbol": (asked.listing.symbol, at.listing.symbol),
            "side": (asked.side, request.side),
            "type": (asked.type, request.type),
            "size": (size, request.size),
            "quote_size": (asked.quote_size, request.quote_size),
            "price": (
                None if request.type is OrderType.MARKET or request.volatility else asked.price,
                request.price,
            ),
            "post_only": (asked.lifetime is Lifetime.POST_ONLY, request.post_only),
            "reduce_only": (asked.reduce_only, request.reduce_only),
            "position_side": (asked.position_side, request.position_side),
        }
    )
    if request.size is not None and size is None:
        yield f"size {request.size:f} isn't in the order"
    if request.price is not None and asked.price is None:
        yield f"price {request.price:f} isn't in the order"
    if not request.post_only and request.type is OrderType.LIMIT:
        wanted = _LIFETIMES[request.time_in_force]
        if asked.lifetime is not wanted:
            yield f"time_in_force is {asked.lifetime.value}, asked for {wanted.value}"
    rule = request.self_trade_prevention
    if rule is not None and asked.self_trade not in _RULES[rule]:
        yield f"self-trade prevention is {asked.self_trade}, asked for {rule.value}"
    if trigger_of(asked) != request.trigger:
        yield f"trigger is {trigger_of(asked)}, asked for {request.trigger}"
    for name, found in (("take_profit", take_profit), ("stop_loss", stop_loss)):
        wanted_one = getattr(request, name)
        if found != wanted_one:
            yield f"{name} is {found}, asked for {wanted_one}"


def _is_gone(trader: Trader, market: Market, request: CancelOrder | AmendOrder) -> None:
    what = f"{market.value}: {type(request).__name__} of an order that isn't open"
    try:
        answer = trader.ask(request)
    except (OrderNotFound, OrderRejected):
        return
    except CcrsError as error:
        raise AssertionError(
            f"{what} raises {error!r}: error_of must make OrderNotFound (or OrderRejected) of it"
        ) from error
    raise AssertionError(f"{what} is answered by {answer}")


def _cancels_all(trader: Trader, here: Stall, there: Stall) -> None:
    trading, market = trading_of(trader.subject), here.instrument.market
    features = trading.features[market]
    where = f"{market.value}: CancelAll"
    open_ones: list[DeskOrder] = []
    for at in (here, there):
        _, order = trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY)))
        open_ones.append(order)
    waiting: DeskOrder | None = None
    followed = next((by for by, feature in _FOLLOWED.items() if feature in features), None)
    if followed is not None:
        trigger = Trigger(price=here.ask(4), rises=True, by=followed)
        _, waiting = trader.place(here, here.limit(Side.BUY, here.ask(5), trigger=trigger))

    def ended(order: DeskOrder) -> bool:
        return trader.desk_order(order.client_order_id).stage.ended

    both = market in trading.cancels_both
    trader.ask(CancelAll(market=market, instrument=here.instrument, everything=both))
    trader.pause()
    assert ended(open_ones[0]), f"{where} left an order of the instrument open"
    assert not ended(open_ones[1]), f"{where} of an instrument canceled an order of another one"
    if waiting is not None:
        assert ended(waiting) == both, (
            f"{where}: an order that waits for a trigger was "
            + ("left, though Trading.cancels_both has the market" if both else "canceled, though "
               "Trading.cancels_both hasn't the market")
        )  # fmt: skip
        if not both:
            trader.ask(
                CancelAll(
                    market=market, instrument=here.instrument, conditional=True, everything=False
                )
            )
            trader.pause()
            assert ended(waiting), f"{where} of conditional orders left one"


# --- orders of any kind ---------------------------------------------------------------------


def orders(at: Stall, features: frozenset[Feature]) -> st.SearchStrategy[OrderRequest]:
    """Requests for orders that combine what is declared, with prices near the market's."""
    rules = [None]
    for rule, feature in _BY_RULE.items():
        if feature in features:
            rules.append(rule)  # type: ignore[arg-type]
    followed = [by for by, feature in _FOLLOWED.items() if feature in features]
    lives = [TimeInForce.GTC]
    lives += [TimeInForce.IOC] * (Feature.IOC in features)
    lives += [TimeInForce.FOK] * (Feature.FOK in features)

    @st.composite
    def drawn(draw: st.DrawFn) -> OrderRequest:
        side = draw(st.sampled_from(Side))
        lots = draw(st.integers(1, 25))
        more: dict[str, Any] = {"self_trade_prevention": draw(st.sampled_from(rules))}
        if draw(st.booleans()) and followed:
            rises = draw(st.booleans())
            price = at.ask(draw(st.integers(1, 4))) if rises else at.bid(draw(st.integers(1, 4)))
            more["trigger"] = Trigger(price=price, rises=rises, by=draw(st.sampled_from(followed)))
        if Feature.MARKET_ORDERS in features and draw(st.integers(0, 3)) == 0:
            return at.market(side, lots, **more)
        if Feature.POST_ONLY in features and draw(st.booleans()):
            more["post_only"] = True
        else:
            more["time_in_force"] = draw(st.sampled_from(lives))
        ticks = draw(st.integers(-4, 4))
        price = at.price + ticks * at.step
        if Feature.TAKE_PROFIT in features and draw(st.integers(0, 4)) == 0:
            up, down = price + 3 * at.step, price - 3 * at.step
            take, stop = (up, down) if side is Side.BUY else (down, up)
            more["take_profit"] = Exit(price=take)
            if draw(st.booleans()):
                more["stop_loss"] = Exit(price=stop)
        return at.limit(side, price, lots, **more)

    return drawn()


_BY_RULE = {
    SelfTradePrevention.NONE: Feature.SELF_TRADE_NONE,
    SelfTradePrevention.CANCEL_MAKER: Feature.SELF_TRADE_MAKER,
    SelfTradePrevention.CANCEL_TAKER: Feature.SELF_TRADE_TAKER,
    SelfTradePrevention.CANCEL_BOTH: Feature.SELF_TRADE_BOTH,
}
