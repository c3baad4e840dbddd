"""What is sent to place, amend and cancel orders, and what each answer says."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from account_rows import account, instrument
from ccrs_okx import Okx
from ccrs_okx.orders import CONTRACTS, body_of, contracts
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AccountInfo,
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    EndReason,
    Exit,
    HttpResponse,
    Instrument,
    Market,
    OrderRejected,
    OutcomeUnknown,
    Placed,
    PlaceOrder,
    PlaceOrders,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trigger,
    TriggerBy,
    Unsupported,
    UsageError,
    limit,
    market,
)

LINEAR, SPOT = instrument(), instrument(Market.SPOT)
INVERSE, OPTION = instrument(Market.INVERSE), instrument(Market.OPTION)


def placed(where: Instrument = LINEAR, known: AccountInfo | None = None, **asked: Any) -> Any:
    """The fields of a limit order."""
    order = limit(where.symbol, "buy", **{"price": "98000.1", "size": "0.020", **asked})
    return body_of(PlaceOrder(where, order, "ccrs1", known))


def bought(where: Instrument = LINEAR, side: str = "buy", **asked: Any) -> Any:
    return body_of(PlaceOrder(where, market(where.symbol, side, **asked), "ccrs1"))


def sent(request: Any) -> tuple[str, Any]:
    http = Okx.endpoints[type(request)].encode(request, None)
    assert http.method == "POST"
    return http.path.removeprefix("/api/v5/"), json.loads(http.body)


# --- placing ---


def test_a_limit_order_is_sent_as_it_was_asked_in_contracts() -> None:
    assert placed(LINEAR, account()) == {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": "buy",
        "tag": "ccrs",
        "clOrdId": "ccrs1",
        "ordType": "limit",
        "sz": "2",
        "px": "98000.1",
    }


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"post_only": True}, {"ordType": "post_only"}),
        ({"time_in_force": TimeInForce.IOC}, {"ordType": "ioc"}),
        ({"time_in_force": TimeInForce.FOK}, {"ordType": "fok"}),
        ({"reduce_only": True}, {"reduceOnly": True}),
        ({"position_side": PositionSide.LONG}, {"posSide": "long"}),
        ({"position_side": PositionSide.SHORT}, {"posSide": "short"}),
        # What closes one of two positions only reduces it, and the field counts in net mode alone.
        ({"position_side": PositionSide.SHORT, "reduce_only": True}, {"posSide": "short"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_MAKER}, {"stpMode": "cancel_maker"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_TAKER}, {"stpMode": "cancel_taker"}),
        ({"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH}, {"stpMode": "cancel_both"}),
        (
            {"take_profit": Exit(price="99000", by=TriggerBy.INDEX)},
            {
                "attachAlgoOrds": [
                    {"tpTriggerPx": "99000", "tpTriggerPxType": "index", "tpOrdPx": "-1"}
                ]
            },
        ),
        (
            {"stop_loss": Exit(price="97000", limit_price="96990.5")},
            {
                "attachAlgoOrds": [
                    {"slTriggerPx": "97000", "slTriggerPxType": "last", "slOrdPx": "96990.5"}
                ]
            },
        ),
        ({"native": {"tdMode": "isolated"}}, {"tdMode": "isolated"}),
        ({"native": {"rpiTakerAccess": True}}, {"rpiTakerAccess": True}),
        ({"native": {"pxAmendType": "1"}}, {"pxAmendType": "1"}),
        ({"post_only": True, "native": {"ordType": "rpi"}}, {"ordType": "rpi"}),
        (
            {"post_only": True, "native": {"ordType": "mmp_and_post_only"}},
            {"ordType": "mmp_and_post_only"},
        ),
    ],
)
def test_each_wish_has_its_field(asked: dict[str, Any], fields: dict[str, Any]) -> None:
    assert placed(**asked) == {**placed(), **fields}


@pytest.mark.parametrize(
    ("level", "spot", "others"),
    [
        ("1", "cash", "cash"),
        ("2", "cash", "cross"),
        ("3", "cross", "cross"),
        ("4", "cross", "cross"),
    ],
)
def test_the_mode_of_an_order_is_that_of_the_accounts_level(
    level: str, spot: str, others: str
) -> None:
    known = account(level)
    assert placed(SPOT, known)["tdMode"] == spot
    for where in (LINEAR, INVERSE, OPTION):
        assert placed(where, known, size="3")["tdMode"] == others


def test_without_a_word_on_the_account_spot_is_paid_for_and_the_rest_is_on_cross_margin() -> None:
    assert [placed(each, size="3")["tdMode"] for each in (SPOT, LINEAR, INVERSE)] == [
        *("cash", "cross", "cross")
    ]


def test_market_orders_of_spot_say_their_unit_and_are_not_made_smaller_in_silence() -> None:
    for side in ("buy", "sell"):
        base = bought(SPOT, side, size="0.5")
        assert (base["sz"], base["tgtCcy"], base["banAmend"]) == ("0.5", "base_ccy", True)
        quote = bought(SPOT, side, quote_size="50.25")
        assert (quote["sz"], quote["tgtCcy"], quote["banAmend"]) == ("50.25", "quote_ccy", True)
    assert bought(LINEAR, size="0.055") == {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": "buy",
        "tag": "ccrs",
        "clOrdId": "ccrs1",
        "ordType": "market",
        "sz": "5.5",
    }


@given(
    st.decimals("0.0001", "1e9", places=6),
    st.sampled_from(["0.01", "10", "0.1", "100", "1", "0.0003", "0.7"]),
)
def test_contracts_are_exact_or_refused(size: Decimal, each: str) -> None:
    where = instrument(base_per_native_contract=Decimal(each))
    try:
        said = contracts(size, where)
    except UsageError:
        assert (size * 10**6) % (Decimal(each) * 10**4) != 0  # no decimal number of contracts
        return
    assert "E" not in said
    assert Decimal(said) * Decimal(each) == size


def test_inverse_contracts_are_counted_as_they_are() -> None:
    assert placed(INVERSE, size="3")["sz"] == "3"


def test_options_are_priced_by_volatility_where_that_is_asked() -> None:
    order = limit(OPTION.symbol, "sell", size="0.1", volatility="0.55")
    body: Any = body_of(PlaceOrder(OPTION, order, "ccrs1"))
    assert (body["pxVol"], body["sz"]) == ("0.55", "10")
    assert "px" not in body


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        (SPOT, {"reduce_only": True}),
        (OPTION, {"reduce_only": True}),
        (SPOT, {"position_side": PositionSide.LONG}),
        (OPTION, {"take_profit": Exit(price="1")}),
        (SPOT, {"stop_loss": Exit(price="1", by=TriggerBy.MARK)}),
        (LINEAR, {"reduce_only": True, "take_profit": Exit(price="1")}),
    ],
)
def test_what_okx_would_make_something_else_of_is_refused(
    where: Instrument, asked: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        placed(where, **asked)


def test_an_order_that_would_make_a_position_larger_isnt_said_to_reduce_it() -> None:
    for side, which in (("buy", PositionSide.LONG), ("sell", PositionSide.SHORT)):
        order = limit(
            LINEAR.symbol, side, size="0.01", price="1", position_side=which, reduce_only=True
        )
        with pytest.raises(UsageError, match="larger"):
            body_of(PlaceOrder(LINEAR, order, "ccrs1"))


@pytest.mark.parametrize(
    "native",
    [
        {"instId": "X"},
        {"sz": "1"},
        {"clOrdId": "x"},
        {"tag": "x"},
        {"side": "sell"},
        {"ordType": "market"},
        {"ordType": "rpi"},
        {"instIdCode": 1},
    ],
)
def test_native_fields_replace_nothing_that_is_said_otherwise(native: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="can't replace"):
        placed(native=native)


# --- orders that wait ---


@pytest.mark.parametrize(
    ("side", "rises", "name"),
    [("sell", False, "sl"), ("sell", True, "tp"), ("buy", True, "sl"), ("buy", False, "tp")],
)
@pytest.mark.parametrize("price", [None, "94000.5"])
def test_which_way_the_price_must_go_is_said(
    side: str, rises: bool, name: str, price: str | None
) -> None:
    asked: dict[str, Any] = {
        "size": "0.05",
        "trigger": Trigger(price="95000", rises=rises, by=TriggerBy.MARK),
        "reduce_only": True,
    }
    made = market if price is None else limit
    order = made(LINEAR.symbol, side, **asked, **({} if price is None else {"price": price}))
    path, body = sent(PlaceOrder(LINEAR, order, "ccrst1"))
    assert path == "trade/order-algo"
    assert body == {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": side,
        "tag": "ccrs",
        "reduceOnly": True,
        "ordType": "conditional",
        "algoClOrdId": "ccrst1",
        "sz": "5",
        f"{name}TriggerPx": "95000",
        f"{name}TriggerPxType": "mark",
        f"{name}OrdPx": price or "-1",
    }


def test_spot_that_waits_says_its_unit_where_okx_would_take_another() -> None:
    trigger = Trigger(price="95000", rises=False)
    for sizes, told in (
        ({"size": "0.5"}, ("0.5", "base_ccy")),
        ({"quote_size": "9"}, ("9", "quote_ccy")),
    ):
        order = market(SPOT.symbol, "buy", trigger=trigger, **sizes)
        _, body = sent(PlaceOrder(SPOT, order, "c"))
        assert (body["sz"], body["tgtCcy"]) == told
    _, body = sent(PlaceOrder(SPOT, market(SPOT.symbol, "sell", size="1", trigger=trigger), "c"))
    assert "tgtCcy" not in body
    with pytest.raises(Unsupported, match="quote"):
        sent(PlaceOrder(SPOT, market(SPOT.symbol, "sell", quote_size="1", trigger=trigger), "c"))


@pytest.mark.parametrize(
    "asked",
    [
        {"post_only": True},
        {"time_in_force": TimeInForce.IOC},
        {"take_profit": Exit(price="1")},
        {"self_trade_prevention": SelfTradePrevention.CANCEL_BOTH},
    ],
)
def test_what_an_order_that_waits_cant_have_is_refused(asked: dict[str, Any]) -> None:
    order = limit(
        LINEAR.symbol,
        "buy",
        size="0.01",
        price="1",
        trigger=Trigger(price="1", rises=True),
        **asked,
    )
    with pytest.raises(Unsupported):
        sent(PlaceOrder(LINEAR, order, "c"))


def test_orders_that_wait_are_canceled_elsewhere_and_one_by_one() -> None:
    for ids, named in (
        ({"exchange_order_id": "7001", "client_order_id": "t1"}, {"algoId": "7001"}),
        ({"client_order_id": "t1"}, {"algoClOrdId": "t1"}),
    ):
        request = CancelOrder(instrument=LINEAR, conditional=True, **ids)
        assert sent(request) == ("trade/cancel-algos", [{"instId": "BTC-USDT-SWAP", **named}])
    with pytest.raises(Unsupported):
        sent(CancelOrders((request, request)))
    with pytest.raises(Unsupported):
        sent(AmendOrder(instrument=LINEAR, client_order_id="t1", conditional=True))


@pytest.mark.parametrize(
    ("level", "mode", "margin"),
    [
        ("2", "cash", False),
        ("2", "cross", True),
        ("2", "isolated", True),
        (None, "cross", True),
        ("3", "isolated", True),
        # There all of the account is one margin, and spot stays spot.
        ("3", "cross", False),
        ("4", "cross", False),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_on_margin_a_size_in_the_unit_that_okx_would_not_take_it_for_is_refused(
    level: str | None, mode: str, margin: bool, waits: bool
) -> None:
    """A buy of 20 coins would be one for 20 dollars: ``tgtCcy`` counts on spot alone."""
    known = None if level is None else account(level)

    def body(side: str, **size: Any) -> Any:
        more = {"trigger": Trigger(price="95000", rises=side == "buy")} if waits else {}
        order = market(SPOT.symbol, side, native={"tdMode": mode}, **more, **size)
        return sent(PlaceOrder(SPOT, order, "ccrs1", known))[1]

    bought, sold = body("buy", quote_size="20"), body("sell", size="20")
    assert (bought["sz"], bought["tdMode"], sold["sz"]) == ("20", mode, "20")
    assert ("tgtCcy" in bought) is not margin
    if not margin:
        assert body("buy", size="20")["tgtCcy"] == "base_ccy"
        return
    assert "tgtCcy" not in sold
    for side, size in (("buy", {"size": "20"}), ("sell", {"quote_size": "20"})):
        with pytest.raises(Unsupported, match="margin"):
            body(side, **size)


# --- amending and canceling ---


def test_an_amendment_says_the_whole_size_and_what_finds_its_confirmation() -> None:
    request = AmendOrder(
        instrument=LINEAR,
        exchange_order_id="3967",
        client_order_id="ccrs1",
        size=Decimal("0.08"),
        price=Decimal("98000.30"),
        request_id="r1",
    )
    named = {"instId": "BTC-USDT-SWAP", "ordId": "3967"}
    assert sent(request) == (
        "trade/amend-order",
        {**named, "reqId": "r1", "newSz": "8", "newPx": "98000.30"},
    )
    option = AmendOrder(instrument=OPTION, client_order_id="c", volatility=Decimal("0.5"))
    assert sent(option)[1]["newPxVol"] == "0.5"
    for more in ({"trigger": Trigger(price="1", rises=True)}, {"stop_loss": Exit(price="1")}):
        with pytest.raises(Unsupported):
            sent(AmendOrder(instrument=LINEAR, client_order_id="c", **more))  # type: ignore[arg-type]


def test_okxs_id_goes_before_the_clients() -> None:
    both = CancelOrder(instrument=LINEAR, exchange_order_id="3967", client_order_id="ccrs1")
    assert sent(both) == ("trade/cancel-order", {"instId": "BTC-USDT-SWAP", "ordId": "3967"})
    with pytest.raises(UsageError):
        sent(CancelOrder(instrument=LINEAR))


# --- answers ---


def answered(request: Any, rows: Any, code: str = "0") -> Any:
    """What is made of an answer: its value, or the error that it stands for."""
    body = {"code": code, "msg": "said so", "data": rows, "inTime": "1", "outTime": "2"}
    response = HttpResponse(200, {}, json.dumps(body).encode())
    error = Okx().error_of(response)
    if error is not None:
        return error
    return Okx.endpoints[type(request)].decode(request, response, 1, None).value


def ack(identity: str = "3967", own: str = "ccrs1", code: str = "0", **more: Any) -> dict[str, Any]:
    return {
        "ordId": identity,
        "clOrdId": own,
        "ts": "1794000400000",
        "sCode": code,
        "sMsg": "",
        **more,
    }


PLACE = PlaceOrder(LINEAR, limit(LINEAR.symbol, "buy", price="1", size="0.01"), "ccrs1")


def test_an_acknowledgement_names_the_order_and_when_it_was_taken() -> None:
    done = answered(PLACE, [ack()])
    assert done == Placed(
        exchange_order_id="3967", client_order_id="ccrs1", taken_ns=1_794_000_400_000_000_000
    )


@pytest.mark.parametrize(
    "rows", [[], [ack(own="other")], [ack(identity="")], [{}], [ack(), ack()], {}, None, [7]]
)
def test_an_answer_about_another_order_is_no_answer(rows: Any) -> None:
    from ccrs_core import DecodeError

    with pytest.raises(DecodeError):
        answered(PLACE, rows)


def test_each_item_of_a_batch_has_its_own_outcome_in_the_order_of_the_request() -> None:
    items = tuple(
        PlaceOrder(LINEAR, limit(LINEAR.symbol, "buy", price="1", size="0.01"), f"c{n}")
        for n in range(6)
    )
    rows = [
        ack("1", "c0"),
        ack("", "c1", "51121", sMsg="lot"),
        ack("", "c2", "50004", sMsg="timeout"),
        ack("4", "c9"),
        ack("", "c4", "51016", sMsg="twice"),
        ack("", "c5", "50011", sMsg="many"),
    ]
    for code in ("0", "1", "2"):
        done = answered(PlaceOrders(items), rows, code)
        kinds = [type(each).__name__ for each in done]
        assert kinds == [
            *("Placed", "OrderRejected", "OutcomeUnknown", "OutcomeUnknown", "OrderRejected"),
            "RateLimited",
        ]
        assert done[1].reason is EndReason.SIZE
        assert done[4].reason is EndReason.DUPLICATE
    short = answered(PlaceOrders(items), rows[:5], "2")
    assert all(isinstance(each, OutcomeUnknown) for each in short)


def test_a_batch_is_never_judged_by_its_first_failure() -> None:
    items = tuple(CancelOrder(instrument=LINEAR, client_order_id=f"c{n}") for n in range(2))
    done = answered(CancelOrders(items), [ack("", "c0", "51400"), ack("2", "c1")], "2")
    assert type(done[0]).__name__ == "OrderNotFound"
    assert isinstance(done[1], Placed)
    amended = AmendOrders(
        tuple(AmendOrder(instrument=LINEAR, client_order_id=f"c{n}") for n in range(2))
    )
    refused = answered(amended, [ack("", "c0", "51511"), ack("", "c1", "51513")], "1")
    assert [type(each) for each in refused] == [OrderRejected, OrderRejected]


def test_what_is_counted_together_is() -> None:
    placing = Okx.endpoints[PlaceOrder]
    for where, key in ((LINEAR, "BTC-USDT-SWAP"), (SPOT, "BTC-USDT"), (OPTION, "BTC-USD")):
        request = PlaceOrder(where, limit(where.symbol, "buy", price="1", size="0.01"), "c")
        pool, also = placing.pool_of(request), placing.further_pool_of(request)
        assert pool is not None
        assert pool.name == f"trade/order {key}"
        # Spot isn't in what an account may place in all.
        assert (also is None) == (where is SPOT)
    batch = PlaceOrders((PLACE, PLACE, PLACE))
    endpoint = Okx.endpoints[PlaceOrders]
    assert endpoint.pool_weight_of(batch) == 3
    assert endpoint.further_pool_of(batch) == placing.further_pool_of(PLACE)
    assert Okx.endpoints[CancelOrder].further_pool_of(CancelOrder(instrument=LINEAR)) is None
    assert Okx.endpoints[CancelOrder].urgent
    assert LINEAR.market in CONTRACTS
