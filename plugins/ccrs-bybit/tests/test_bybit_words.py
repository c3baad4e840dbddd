"""Each word and code that Bybit documents for trading is said by its emulator, or has a reason for
which it isn't: nothing is forgotten. What they mean is tried in ``test_bybit_order_rows`` and
``test_bybit_errors``.

https://bybit-exchange.github.io/docs/v5/enum and https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import ccrs_bybit
from bybit_trader import START_NS, exchange
from ccrs_bybit.account_rows import INCOME_KINDS
from ccrs_bybit.emulator_order_rows import (
    EXECUTION_KINDS,
    Ids,
    create_type,
    order_row,
    status,
    stop_type,
)
from ccrs_bybit.emulator_records import _LOG_TYPES
from ccrs_bybit.fill_rows import FUNDING, KINDS
from ccrs_bybit.meanings import MEANINGS
from ccrs_bybit.order_states import CANCEL_TYPES, NO_REASON, REJECT_REASONS, STATES

from ccrs_core import OrderType, Side, Trigger
from ccrs_core.emulator import DeskOrder, Ending, Lifetime, NewOrder, Stage

NOT_BY_A_USER = "no act of a user leads to it"
SPREADS = "of spread trading, which is no market here"
MMP = "market maker protection is for institutions that arranged it"
OCO = "orders of two legs are made by hand alone, not by the API"
BOTS = "made on the site or by its bots"
GRAMMAR = "what is malformed is refused at once, before the matching engine sees it"

# --- words ---------------------------------------------------------------------------------------


@cache
def rows() -> list[dict[str, Any]]:
    """A row of each kind of order at each stage with each ending."""
    venue = exchange()
    found = []
    for category in ("linear", "spot"):
        listing = venue.listings[category, "BTCUSDT"]
        trigger = Trigger(price=Decimal(90_000), rises=False)
        for waits in (False, True):
            for stage in Stage:
                for ending in (None, *Ending):
                    for filled in (Decimal(0), listing.lot):
                        for number in (1, 2):
                            asked = NewOrder(
                                listing=listing,
                                side=Side.BUY,
                                size=listing.lot * 2,
                                price=Decimal(100_000),
                                trigger=trigger if waits else None,
                                type=OrderType.LIMIT,
                                lifetime=Lifetime.GTC,
                            )
                            order = DeskOrder(
                                number=number,
                                account="a",
                                asked=asked,
                                stage=stage,
                                ending=ending,
                                filled=filled,
                                value=filled * 100_000,
                                created_ns=START_NS,
                                updated_ns=START_NS,
                                triggered=waits and stage is not Stage.WAITING and number == 1,
                            )
                            found.append(order_row(Ids(0), order, "", pushed=True))
    return found


def told(name: str) -> set[str]:
    return {row[name] for row in rows()}


def accounted(
    documented: Iterable[str], said: Iterable[str], not_said: Mapping[str, Iterable[str]]
) -> None:
    """Each word is said, or excused once, and never both."""
    excused = [word for words in not_said.values() for word in words]
    assert len(excused) == len(set(excused))
    assert set(documented) - set(said) == set(excused)
    assert all(reason for reason in not_said)


def test_each_state_of_an_order_is_said() -> None:
    accounted(STATES, told("orderStatus"), {})


def test_each_way_to_be_canceled_is_said_or_excused() -> None:
    accounted(
        CANCEL_TYPES,
        told("cancelType"),
        {
            "the one of a pair that Bybit uses besides CancelAllBeforeLiq": ["CancelByPrepareLiq"],
            "the one of a pair that Bybit uses besides CancelAllBeforeAdl": ["CancelByPrepareAdl"],
            SPREADS: ["CancelByRebalance"],
            OCO: ["CancelByOCOTpCanceledBySlTriggered", "CancelByOCOSlCanceledByTpTriggered"],
            "margin is held from the acknowledgement on": ["CancelByCannotAffordOrderCost"],
            "portfolio margin is refused": ["CancelByPmTrialMmOverEquity"],
            NOT_BY_A_USER: ["CancelByAccountBlocking", "CancelByCrossReachMaxTradeNum"],
            "options that expire say CancelBySettle": ["CancelByDelivery"],
            MMP: ["CancelByMmpTriggered"],
            "self-trades of options say CancelBySmp": ["CancelByCrossSelfMuch"],
        },
    )


def test_each_reason_of_a_rejection_is_said_or_excused() -> None:
    said = told("rejectReason") | {"EC_OrigClOrdIDDoesNotExist"}
    accounted(
        REJECT_REASONS,
        said,
        {
            GRAMMAR: [
                *("EC_UnknownMessageType", "EC_MissingClOrdID", "EC_MissingOrigClOrdID"),
                *("EC_ClOrdIDOrigClOrdIDAreTheSame", "EC_DuplicatedClOrdID", "EC_UnknownOrderType"),
                *("EC_UnknownSide", "EC_UnknownTimeInForce", "EC_MarketOrderPriceIsNotZero"),
                *("EC_LimitOrderInvalidPrice", "EC_MarketOrderCannotBePostOnly"),
                *("EC_QtyCannotBeZero", "EC_MarketOrderNoSupportTIF", "EC_InvalidPriceScale"),
                *("EC_InvalidSmpType", "EC_EcInvalidQty", "EC_InvalidAmount"),
                *("EC_MarketQuoteNoSuppSell", "EC_InvalidBaseValue", "EC_InvalidSymbolStatus"),
            ],
            "another word for EC_OrigClOrdIDDoesNotExist": [
                *("EC_TooLateToCancel", "EC_OrderNotExist")
            ],
            "another word for EC_BySelfMatch": ["EC_StopBySelfMatch"],
            "another word for EC_NoEnoughQtyToFill": ["EC_CancelForNoFullFill"],
            "amendments keep the order": ["EC_CancelReplaceOrder"],
            "markets here have neither auctions nor price walls inside the book": [
                *("EC_InCallAuctionStatus", "EC_ReachMarketPriceLimit", "EC_ReachRiskPriceLimit"),
                *("EC_ReachMaxTradeNum", "EC_SecurityStatusFail"),
            ],
            "amounts are of whole lots: none is left without value": [
                *("EC_CancelByOrderValueZero", "EC_CancelByMatchValueZero")
            ],
            MMP: ["EC_CancelByMMP"],
            "of the matching engine's inside": [
                *("EC_WronglyRouted", "EC_BitIndexInvalid", "EC_InvalidUserType"),
                *("EC_InvalidMirrorOid", "EC_InvalidMirrorUid", "EC_LoadOrderCancel"),
                *("EC_DisorderOrderID", "EC_LoadOrderCanMatch"),
            ],
        },
    )
    assert told("cancelType") | told("rejectReason") >= NO_REASON - {""}


# https://bybit-exchange.github.io/docs/v5/enum#createtype
CREATE_TYPES = (
    *("CreateByUser", "CreateByFutureSpread", "CreateByAdminClosing", "CreateBySettle"),
    *("CreateByStopOrder", "CreateByTakeProfit", "CreateByPartialTakeProfit", "CreateByStopLoss"),
    *("CreateByPartialStopLoss", "CreateByTrailingStop", "CreateByTrailingProfit", "CreateByLiq"),
    *("CreateByTakeOver_PassThrough", "CreateByAdl_PassThrough", "CreateByBlock_PassThrough"),
    *("CreateByBlockTradeMovePosition_PassThrough", "CreateByChaseOrder", "CreateByFGridBot"),
    *("CloseByFGridBot", "CreateByTWAP", "CreateByMartingaleBot", "CloseByMartingaleBot"),
    *("CreateByIceBerg", "CreateByBboOrder", "CreateByClosing", "CreateByTVSignal"),
    *("CreateByMmRateClose", "CreateByArbitrage", "CreateByDdh"),
)
# https://bybit-exchange.github.io/docs/v5/enum#stopordertype
STOP_TYPES = (
    *("TakeProfit", "StopLoss", "TrailingStop", "Stop", "PartialTakeProfit", "PartialStopLoss"),
    *("tpslOrder", "OcoOrder", "MmRateClose", "BidirectionalTpslOrder"),
)


@cache
def made() -> list[DeskOrder]:
    """An order of each making: whoever made it, for whatever."""
    venue = exchange()
    found = []
    for category in ("linear", "spot"):
        listing = venue.listings[category, "BTCUSDT"]
        plain = NewOrder(listing=listing, side=Side.BUY, size=listing.lot)
        trigger = Trigger(price=Decimal(90_000), rises=False)
        kinds = [plain, attrs.evolve(plain, trigger=trigger)]
        kinds.append(attrs.evolve(kinds[1], labels={"filter": "tpslOrder"}))
        for kind in ("take_profit", "stop_loss", "trailing_stop"):
            for whole in (True, False):
                kinds.append(attrs.evolve(kinds[1], closing=whole, labels={"exit": kind}))
        for by in (None, Ending.LIQUIDATION, Ending.DELEVERAGING, Ending.SETTLEMENT):
            found += [
                DeskOrder(
                    number=1,
                    account="a",
                    asked=asked,
                    stage=Stage.OPEN,
                    created_ns=0,
                    updated_ns=0,
                    by=by,
                )
                for asked in kinds
            ]
        found.append(attrs.evolve(found[0], by=Ending.EXCHANGE))
    return found


def test_each_making_of_an_order_is_said_or_excused() -> None:
    accounted(
        CREATE_TYPES,
        {create_type(order) for order in made()},
        {
            SPREADS: ["CreateByFutureSpread"],
            "trailing stops say CreateByTrailingStop wherever they begin": [
                "CreateByTrailingProfit"
            ],
            "positions are taken over whole": ["CreateByLiq"],
            "blocks and moved positions are agreed on elsewhere": [
                *("CreateByBlock_PassThrough", "CreateByBlockTradeMovePosition_PassThrough")
            ],
            BOTS: [
                *("CreateByChaseOrder", "CreateByFGridBot", "CloseByFGridBot", "CreateByTWAP"),
                *("CreateByMartingaleBot", "CloseByMartingaleBot", "CreateByIceBerg"),
                *("CreateByClosing", "CreateByTVSignal", "CreateByMmRateClose"),
                *("CreateByArbitrage", "CreateByDdh"),
            ],
            "best-price orders say CreateByUser: that API orders say otherwise is undocumented": [
                "CreateByBboOrder"
            ],
        },
    )
    accounted(
        STOP_TYPES,
        {stop_type(order) for order in made()},
        {OCO: ["OcoOrder", "BidirectionalTpslOrder"], BOTS: ["MmRateClose"]},
    )
    assert {status(order) for order in made()} == {"New"}


def test_each_kind_of_execution_is_said_or_excused() -> None:
    said = {*EXECUTION_KINDS.values(), FUNDING, "Settle"}
    accounted([*KINDS, FUNDING], said, {})


def test_each_kind_of_the_log_is_said_or_excused() -> None:
    said = {*_LOG_TYPES.values(), "TRANSFER_IN", "TRANSFER_OUT"}
    assert said <= set(INCOME_KINDS)
    unsaid = set(INCOME_KINDS) - said
    # Loans, custody, conversions, bonuses, fees of brokers: none of what the desk has.
    assert all(
        re.match(
            r"TRANSFER_(IN|OUT)_INS|INSTITUTION|PREMARKET|PEF|DBS|CUSTODY|.*INTEREST|SPREAD"
            r"|BROKER|FEE_REFUND|AIRDROP|BONUS|TWAP|CURRENCY|CONVERT|IDN|SPOT_REPAY|EARNING|AUTO",
            word,
        )
        for word in unsaid
    )


# --- codes ---------------------------------------------------------------------------------------

FOLDER = Path(ccrs_bybit.__file__).parent

NOT_SAID: Mapping[str, Iterable[int]] = {
    "of keys, accounts, regions and terms, which are as they should be here": [
        *(-2015, 10007, 10008, 10009, 10024, 10027, 10028, 10029, 110018, 110067, 110068, 110069),
        *(110071, 110088, 110123, 110124, 110125, 110132, 170209, 170219, 170224, 170241),
        *(170348, 170358, 170359, 182200),
    ],
    "of loans of institutions": [
        *(30133, 30134, 30135, 30136, 110080, 110087, 110104, 110105, 110106, 110107, 110131),
        *(170215, 170216, 170220, 170223, 170230, 170709, 3200316, 3200317, 3200320, 30256),
    ],
    "of borrowing and of coins as collateral, which no account here does": [
        *(110101, 110102, 170033, 170034, 170037, 170207, 170226, 170344, 170346, 170360),
        *(182201, 182202, 182203, 3200641),
    ],
    "of portfolio margin, and of accounts before the unified one": [
        *(110036, 110038, 110077, 3200403, 3200419, 3200425, 3401010, 110026),
        *(
            110027,
            110073,
            3400208,
            3400209,
            3400210,
            3400211,
            3400212,
            3400213,
            3400139,
            3400052,
            3400053,
        ),
    ],
    "of auctions before the launch, event contracts, leveraged tokens, market maker protection": [
        *(*range(110095, 110101), 110103, 110135, 110136, 110137, 110070, 110062, 110065),
        *(170010, 170011, 170019, 170195, 170196, 170199, 170200, 170206, 170159, 170217),
    ],
    SPREADS: [110115, 110116, 110117],
    "another code for what is said otherwise": [
        *(110004, 110006, 110012, 110045, 110051, 110052, 110053, 3200300),  # 110007
        *(170105, 110032, 110049, 110019, 110057, 110060, 10017),  # 10001, 404
        *(30208, 30209, 170192, 170371, 170372),  # 110120, 110121, 170193, 170194
        *(170143, 170190, 170145, 170210),  # 170213, 170142
        *(170382, 170197, 170198, 170228, 170229),  # 170381
        *(110085, 110086, 110089, 110031, 110047, 110048),  # 110013, 110090
        *(170157, 170031, 110066, 170227, 170221),  # 170151, 110074, 170121
        *(170005, 170222, 10018, 10429, 30035),  # 10006
        *(170218, 170203, 170204),  # the matching engine says so; 110092
        *(110034, 110054, 110055, 110056),  # 110033
    ],
    "of orders and positions near their liquidation: accounts are liquidated as a whole": [
        *(110005, 110011, 110035, 110039, 110040, 110041, 110046),
    ],
    "of contracts that may only be reduced: no act of a user makes them so": [
        *(110021, 110022, 110023, 110042, 30228, 110082, 110083),
    ],
    "margin isn't added automatically": [110076],
    "a repeat within the window isn't told from the first one": [10014],
    "of times and coins that queries name: said as 10001": [
        *(*range(181000, 181014), 181018, 181019),
    ],
    "the server's trouble: faults say 10000 and 10016, for all of these": [
        *(429, 5004, 40004, 500000, 170001, 170007, 170032, 170035, 170146, 170147, 170149, 170150),
        *(170191, 170212, 170234, 170310, 170311, 3400214),
    ],
}


@cache
def said() -> frozenset[int]:
    """Each number in the emulator's sources that is a code."""
    sources = "\n".join(path.read_text() for path in FOLDER.glob("emulator*.py"))
    numbers = {int(word) for word in re.findall(r"(?<![\w.#-])-?\d{4,7}\b", sources)}
    return frozenset(numbers & set(MEANINGS))


def test_each_code_is_said_by_the_emulator_or_has_a_reason_not_to_be() -> None:
    excused = [code for codes in NOT_SAID.values() for code in codes]
    assert len(excused) == len(set(excused))
    unsaid = set(MEANINGS) - said()
    assert sorted(unsaid - set(excused)) == [-1]  # another spelling of 10002, by a proxy in front
    assert sorted(set(excused) - unsaid) == []


def test_each_code_that_the_emulator_says_is_provoked_by_some_test() -> None:
    here = Path(__file__)
    tests = "\n".join(
        path.read_text() for path in here.parent.glob("test_bybit_emulator*.py") if path != here
    )
    assert [code for code in sorted(said()) if not re.search(rf"\b{code}\b", tests)] == []
