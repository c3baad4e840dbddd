"""A small real exchange that runs in this process, speaking any plugin's protocol on loopback.

Markets with a matching engine and a seeded crowd (or a recording), WebSocket and REST behind real
sockets (:class:`EmulatorServer`) or without any (:class:`EmulatorTransport`), and a menu of faults.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccrs_core.emulator.allowances import Allowance, Occupancy
    from ccrs_core.emulator.answer_faults import LOGIN, Answer
    from ccrs_core.emulator.broadcasts import BookView, Broadcast
    from ccrs_core.emulator.dialect import Dialect, Oddity
    from ccrs_core.emulator.exchange import EmulatedExchange
    from ccrs_core.emulator.fault_menu import GARBLED, Fault, FaultKind, parse_fault
    from ccrs_core.emulator.faults import ActiveFault, Faults
    from ccrs_core.emulator.frame import Frame, Handshake, HttpRefusal, ReceivedRequest
    from ccrs_core.emulator.history import (
        candle_page,
        first_payments,
        held_page,
        newest_payments,
        reference_bar,
        reference_page,
        traded,
    )
    from ccrs_core.emulator.inprocess import EmulatorConnection, EmulatorTransport
    from ccrs_core.emulator.listing import Listing, Steps, decimals, invented, quarters, utc_ns
    from ccrs_core.emulator.market import Changed, Figure, ForcedClose, SimulatedMarket
    from ccrs_core.emulator.matching import (
        Broken,
        CancelReason,
        Execution,
        Lifetime,
        MatchingEngine,
        Outcome,
        Resting,
        RestingStatus,
        RuleBroken,
        Rules,
        SelfTrade,
        UnknownOrder,
    )
    from ccrs_core.emulator.options import BlackScholes, years_until
    from ccrs_core.emulator.peer import AbortAction, CloseAction, Peer, PingAction, Visitor
    from ccrs_core.emulator.proofs import is_ed25519, is_public, proves
    from ccrs_core.emulator.queries import BadRequest, Query, Wrong
    from ccrs_core.emulator.ready_made import (
        BookFeed,
        ForcedCloseFeed,
        ListingFeed,
        MarketFeed,
        Together,
        TopFeed,
        TradeFeed,
        heartbeats,
        one_by_one,
        together,
    )
    from ccrs_core.emulator.ready_made_states import CandleFeed, StateFeed
    from ccrs_core.emulator.rebroadcast import Rebroadcast, RecordedFrame, read_recording
    from ccrs_core.emulator.separate import process
    from ccrs_core.emulator.server import EmulatorServer
    from ccrs_core.emulator.spelling import (
        Levels,
        SpelledLevel,
        Speller,
        exact_json,
        json_object,
        milliseconds,
        rfc3339,
        trimmed,
    )
    from ccrs_core.emulator.steering import Steerable
    from ccrs_core.emulator.tape import Bar, Interval, Tape, TapeTrade
    from ccrs_core.emulator.trading.accounts import (
        PLAY_MONEY,
        ApiKey,
        FeeRates,
        TradingAccount,
    )
    from ccrs_core.emulator.trading.clearing import index_price, mark_price
    from ccrs_core.emulator.trading.conduct import Conduct, Fee, FeeCase, Lag, RiskTier, usual_fee
    from ccrs_core.emulator.trading.desk import Desk
    from ccrs_core.emulator.trading.happenings import (
        BalanceChanged,
        DeskBalance,
        DeskFill,
        DeskPosition,
        Filled,
        Happening,
        MarginCalled,
        MoneyKind,
        MoneyMoved,
        MoneyRow,
        OrderChanged,
        PositionChanged,
        TooLate,
        account_of,
    )
    from ccrs_core.emulator.trading.histories import RowPage
    from ccrs_core.emulator.trading.margin import AssetStanding, PositionMargin, Standing
    from ccrs_core.emulator.trading.money_tape import CROWD, HOUSE, MoneyTape
    from ccrs_core.emulator.trading.orders import (
        DeskOrder,
        Ending,
        NewOrder,
        Refusal,
        Refused,
        Stage,
    )
    from ccrs_core.emulator.trading.positions import entry_price, unrealised, value_of
    from ccrs_core.emulator.venue import Venue

_HOMES = {
    "allowances": ("Allowance", "Occupancy"),
    "answer_faults": ("LOGIN", "Answer"),
    "broadcasts": ("BookView", "Broadcast"),
    "dialect": ("Dialect", "Oddity"),
    "exchange": ("EmulatedExchange",),
    "fault_menu": ("GARBLED", "Fault", "FaultKind", "parse_fault"),
    "faults": ("ActiveFault", "Faults"),
    "frame": ("Frame", "Handshake", "HttpRefusal", "ReceivedRequest"),
    "history": (
        "candle_page",
        "first_payments",
        "held_page",
        "newest_payments",
        "reference_bar",
        "reference_page",
        "traded",
    ),
    "inprocess": ("EmulatorConnection", "EmulatorTransport"),
    "listing": ("Listing", "Steps", "decimals", "invented", "quarters", "utc_ns"),
    "market": ("Changed", "Figure", "ForcedClose", "SimulatedMarket"),
    "matching": (
        "Broken",
        "CancelReason",
        "Execution",
        "Lifetime",
        "MatchingEngine",
        "Outcome",
        "Resting",
        "RestingStatus",
        "RuleBroken",
        "Rules",
        "SelfTrade",
        "UnknownOrder",
    ),
    "options": ("BlackScholes", "years_until"),
    "peer": ("AbortAction", "CloseAction", "Peer", "PingAction", "Visitor"),
    "proofs": ("is_ed25519", "is_public", "proves"),
    "queries": ("BadRequest", "Query", "Wrong"),
    "ready_made": (
        "BookFeed",
        "ForcedCloseFeed",
        "ListingFeed",
        "MarketFeed",
        "Together",
        "TopFeed",
        "TradeFeed",
        "heartbeats",
        "one_by_one",
        "together",
    ),
    "ready_made_states": ("CandleFeed", "StateFeed"),
    "rebroadcast": ("Rebroadcast", "RecordedFrame", "read_recording"),
    "separate": ("process",),
    "server": ("EmulatorServer",),
    "spelling": (
        "Levels",
        "SpelledLevel",
        "Speller",
        "exact_json",
        "json_object",
        "milliseconds",
        "rfc3339",
        "trimmed",
    ),
    "steering": ("Steerable",),
    "tape": ("Bar", "Interval", "Tape", "TapeTrade"),
    "trading.accounts": (
        "ApiKey",
        "FeeRates",
        "PLAY_MONEY",
        "TradingAccount",
    ),
    "trading.clearing": (
        "index_price",
        "mark_price",
    ),
    "trading.conduct": (
        "Conduct",
        "Fee",
        "FeeCase",
        "Lag",
        "RiskTier",
        "usual_fee",
    ),
    "trading.desk": ("Desk",),
    "trading.happenings": (
        "BalanceChanged",
        "DeskBalance",
        "DeskFill",
        "DeskPosition",
        "Filled",
        "Happening",
        "MarginCalled",
        "MoneyKind",
        "MoneyMoved",
        "MoneyRow",
        "OrderChanged",
        "PositionChanged",
        "TooLate",
        "account_of",
    ),
    "trading.histories": ("RowPage",),
    "trading.margin": (
        "AssetStanding",
        "PositionMargin",
        "Standing",
    ),
    "trading.money_tape": (
        "CROWD",
        "HOUSE",
        "MoneyTape",
    ),
    "trading.orders": (
        "DeskOrder",
        "Ending",
        "NewOrder",
        "Refusal",
        "Refused",
        "Stage",
    ),
    "trading.positions": (
        "entry_price",
        "unrealised",
        "value_of",
    ),
    "venue": ("Venue",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped as they belong together
    "EmulatedExchange",
    "Venue",
    "EmulatorServer",
    "process",
    "EmulatorTransport",
    "EmulatorConnection",
    "Peer",
    "CloseAction",
    "AbortAction",
    "PingAction",
    "Fault",
    "FaultKind",
    "Faults",
    "ActiveFault",
    "parse_fault",
    "GARBLED",
    "Answer",
    "LOGIN",
    "Dialect",
    "Visitor",
    "Frame",
    "Handshake",
    "HttpRefusal",
    "ReceivedRequest",
    "Oddity",
    "Broadcast",
    "BookView",
    "Levels",
    "Speller",
    "MarketFeed",
    "TopFeed",
    "TradeFeed",
    "together",
    "one_by_one",
    "BookFeed",
    "SpelledLevel",
    "StateFeed",
    "CandleFeed",
    "ForcedCloseFeed",
    "ListingFeed",
    "Together",
    "heartbeats",
    "exact_json",
    "rfc3339",
    "milliseconds",
    "trimmed",
    "json_object",
    "Allowance",
    "Occupancy",
    "Query",
    "Wrong",
    "BadRequest",
    "proves",
    "is_public",
    "is_ed25519",
    "Listing",
    "Steps",
    "decimals",
    "quarters",
    "utc_ns",
    "invented",
    "BlackScholes",
    "years_until",
    "Steerable",
    "SimulatedMarket",
    "Changed",
    "Figure",
    "ForcedClose",
    "Tape",
    "TapeTrade",
    "Bar",
    "Interval",
    "candle_page",
    "reference_page",
    "reference_bar",
    "held_page",
    "traded",
    "newest_payments",
    "first_payments",
    "MatchingEngine",
    "Rules",
    "Resting",
    "RestingStatus",
    "Outcome",
    "Execution",
    "Lifetime",
    "SelfTrade",
    "CancelReason",
    "Broken",
    "RuleBroken",
    "UnknownOrder",
    "Desk",
    "Conduct",
    "Lag",
    "Fee",
    "FeeCase",
    "usual_fee",
    "ApiKey",
    "TradingAccount",
    "FeeRates",
    "PLAY_MONEY",
    "NewOrder",
    "DeskOrder",
    "Stage",
    "Ending",
    "Refused",
    "Refusal",
    "Happening",
    "account_of",
    "OrderChanged",
    "TooLate",
    "Filled",
    "PositionChanged",
    "BalanceChanged",
    "MoneyMoved",
    "MarginCalled",
    "DeskFill",
    "DeskPosition",
    "DeskBalance",
    "MoneyRow",
    "MoneyKind",
    "RiskTier",
    "RowPage",
    "Standing",
    "AssetStanding",
    "PositionMargin",
    "entry_price",
    "unrealised",
    "value_of",
    "mark_price",
    "index_price",
    "MoneyTape",
    "CROWD",
    "HOUSE",
    "Rebroadcast",
    "RecordedFrame",
    "read_recording",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # On first use: the server brings in aiohttp, which takes its time.
    return getattr(import_module(f"{__name__}.{home}"), name)
