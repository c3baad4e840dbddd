"""ccrs: connectivity to crypto exchanges. Public names only; each is imported on first use.

Start at :func:`connect`. What users need is here; what plugin authors need is here too, and in
:mod:`ccrs_core.transport` and :mod:`ccrs_core.emulator`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ccrs_core import sync as sync
    from ccrs_core.analytics.bars import Bar as Bar
    from ccrs_core.analytics.bars import tick_bars as tick_bars
    from ccrs_core.analytics.bars import time_bars as time_bars
    from ccrs_core.analytics.bars import volume_bars as volume_bars
    from ccrs_core.analytics.books import BookSnapshot as BookSnapshot
    from ccrs_core.analytics.books import book_snapshots as book_snapshots
    from ccrs_core.analytics.books import grouped as grouped
    from ccrs_core.analytics.books import imbalance as imbalance
    from ccrs_core.analytics.books import microprice as microprice
    from ccrs_core.client.account_status import AccountStatus as AccountStatus
    from ccrs_core.client.account_status import EntryStatus as EntryStatus
    from ccrs_core.client.account_status import PrivateStreamStatus as PrivateStreamStatus
    from ccrs_core.client.client import Client as Client
    from ccrs_core.client.client import connect as connect
    from ccrs_core.client.connection_status import ConnectionStatus as ConnectionStatus
    from ccrs_core.client.credentials import load_credentials as load_credentials
    from ccrs_core.client.history import History as History
    from ccrs_core.client.listing_watch import InstrumentWatch as InstrumentWatch
    from ccrs_core.client.settings import Settings as Settings
    from ccrs_core.client.settings import load_settings as load_settings
    from ccrs_core.client.status import ClientStatus as ClientStatus
    from ccrs_core.client.status import SubscriptionStatus as SubscriptionStatus
    from ccrs_core.connections.states import LinkState as LinkState
    from ccrs_core.connections.states import SubscriptionState as SubscriptionState
    from ccrs_core.contract.access import Access as Access
    from ccrs_core.contract.access import Token as Token
    from ccrs_core.contract.budgets import Budget as Budget
    from ccrs_core.contract.budgets import Limits as Limits
    from ccrs_core.contract.budgets import Pool as Pool
    from ccrs_core.contract.budgets import PoolLeft as PoolLeft
    from ccrs_core.contract.codec import Ack as Ack
    from ccrs_core.contract.codec import Alive as Alive
    from ccrs_core.contract.codec import Closing as Closing
    from ccrs_core.contract.codec import Codec as Codec
    from ccrs_core.contract.codec import Data as Data
    from ccrs_core.contract.codec import EntryReply as EntryReply
    from ccrs_core.contract.codec import Heartbeat as Heartbeat
    from ccrs_core.contract.codec import LeftOut as LeftOut
    from ccrs_core.contract.codec import LoggedIn as LoggedIn
    from ccrs_core.contract.codec import LoginRefused as LoginRefused
    from ccrs_core.contract.codec import Lost as Lost
    from ccrs_core.contract.codec import Message as Message
    from ccrs_core.contract.codec import Outbound as Outbound
    from ccrs_core.contract.codec import Pong as Pong
    from ccrs_core.contract.codec import Refused as Refused
    from ccrs_core.contract.codec import Reply as Reply
    from ccrs_core.contract.codec import Unchanged as Unchanged
    from ccrs_core.contract.codec import Unrecognised as Unrecognised
    from ccrs_core.contract.codec import account_data as account_data
    from ccrs_core.contract.compression import Compression as Compression
    from ccrs_core.contract.credentials import Credentials as Credentials
    from ccrs_core.contract.exchange import CONTRACT as CONTRACT
    from ccrs_core.contract.exchange import Capabilities as Capabilities
    from ccrs_core.contract.exchange import Environment as Environment
    from ccrs_core.contract.exchange import Exchange as Exchange
    from ccrs_core.contract.exchange import Route as Route
    from ccrs_core.contract.exchange import SequenceScope as SequenceScope
    from ccrs_core.contract.rest import Activity as Activity
    from ccrs_core.contract.rest import Answer as Answer
    from ccrs_core.contract.rest import Endpoint as Endpoint
    from ccrs_core.contract.rest import GetActivity as GetActivity
    from ccrs_core.contract.rest import GetBook as GetBook
    from ccrs_core.contract.rest import GetCandles as GetCandles
    from ccrs_core.contract.rest import GetFundingHistory as GetFundingHistory
    from ccrs_core.contract.rest import GetIndexCandles as GetIndexCandles
    from ccrs_core.contract.rest import GetInstruments as GetInstruments
    from ccrs_core.contract.rest import GetMarkCandles as GetMarkCandles
    from ccrs_core.contract.rest import GetOpenInterest as GetOpenInterest
    from ccrs_core.contract.rest import (
        GetOpenInterestHistory as GetOpenInterestHistory,
    )
    from ccrs_core.contract.rest import GetServerTime as GetServerTime
    from ccrs_core.contract.rest import GetTopOfBook as GetTopOfBook
    from ccrs_core.contract.rest import GetTradeHistory as GetTradeHistory
    from ccrs_core.contract.rest import GetTrades as GetTrades
    from ccrs_core.contract.rest import HttpRequest as HttpRequest
    from ccrs_core.contract.rest import HttpResponse as HttpResponse
    from ccrs_core.contract.rest import Request as Request
    from ccrs_core.contract.trading import Absence as Absence
    from ccrs_core.contract.trading import ClientIds as ClientIds
    from ccrs_core.contract.trading import DeadMan as DeadMan
    from ccrs_core.contract.trading import DeadManKind as DeadManKind
    from ccrs_core.contract.trading import DeadManScope as DeadManScope
    from ccrs_core.contract.trading import Feature as Feature
    from ccrs_core.contract.trading import Trading as Trading
    from ccrs_core.contract.trading_requests import AmendOrder as AmendOrder
    from ccrs_core.contract.trading_requests import AmendOrders as AmendOrders
    from ccrs_core.contract.trading_requests import CancelAll as CancelAll
    from ccrs_core.contract.trading_requests import CancelOrder as CancelOrder
    from ccrs_core.contract.trading_requests import CancelOrders as CancelOrders
    from ccrs_core.contract.trading_requests import GetAccountInfo as GetAccountInfo
    from ccrs_core.contract.trading_requests import GetDeadMan as GetDeadMan
    from ccrs_core.contract.trading_requests import GetFeeRates as GetFeeRates
    from ccrs_core.contract.trading_requests import GetFills as GetFills
    from ccrs_core.contract.trading_requests import GetIncome as GetIncome
    from ccrs_core.contract.trading_requests import GetOpenOrders as GetOpenOrders
    from ccrs_core.contract.trading_requests import GetOrder as GetOrder
    from ccrs_core.contract.trading_requests import GetOrderHistory as GetOrderHistory
    from ccrs_core.contract.trading_requests import GetPositions as GetPositions
    from ccrs_core.contract.trading_requests import GetPriceBand as GetPriceBand
    from ccrs_core.contract.trading_requests import GetWallet as GetWallet
    from ccrs_core.contract.trading_requests import Placed as Placed
    from ccrs_core.contract.trading_requests import PlaceEither as PlaceEither
    from ccrs_core.contract.trading_requests import PlaceOrder as PlaceOrder
    from ccrs_core.contract.trading_requests import PlaceOrders as PlaceOrders
    from ccrs_core.contract.trading_requests import Replaced as Replaced
    from ccrs_core.contract.trading_requests import ReplaceOrder as ReplaceOrder
    from ccrs_core.contract.trading_requests import SetDeadMan as SetDeadMan
    from ccrs_core.contract.trading_requests import SetLeverage as SetLeverage
    from ccrs_core.contract.trading_requests import SetMarginMode as SetMarginMode
    from ccrs_core.contract.trading_requests import SetPositionMode as SetPositionMode
    from ccrs_core.contract.trading_requests import Wallet as Wallet
    from ccrs_core.errors import AccountUnsupported as AccountUnsupported
    from ccrs_core.errors import AuthError as AuthError
    from ccrs_core.errors import BookInvalid as BookInvalid
    from ccrs_core.errors import CcrsError as CcrsError
    from ccrs_core.errors import ClockRefused as ClockRefused
    from ccrs_core.errors import ConnectFailed as ConnectFailed
    from ccrs_core.errors import ConnectionLost as ConnectionLost
    from ccrs_core.errors import CredentialsMissing as CredentialsMissing
    from ccrs_core.errors import CredentialsUnsafe as CredentialsUnsafe
    from ccrs_core.errors import DecodeError as DecodeError
    from ccrs_core.errors import EndReason as EndReason
    from ccrs_core.errors import EntryKnown as EntryKnown
    from ccrs_core.errors import ExchangeError as ExchangeError
    from ccrs_core.errors import ExchangeUnavailable as ExchangeUnavailable
    from ccrs_core.errors import ExtraNotInstalled as ExtraNotInstalled
    from ccrs_core.errors import FeedClosed as FeedClosed
    from ccrs_core.errors import FeedOverflow as FeedOverflow
    from ccrs_core.errors import GarbledAnswer as GarbledAnswer
    from ccrs_core.errors import InsufficientBalance as InsufficientBalance
    from ccrs_core.errors import InvalidOrder as InvalidOrder
    from ccrs_core.errors import InvalidRequest as InvalidRequest
    from ccrs_core.errors import NotSent as NotSent
    from ccrs_core.errors import NotStored as NotStored
    from ccrs_core.errors import NotWritten as NotWritten
    from ccrs_core.errors import OrderEnded as OrderEnded
    from ccrs_core.errors import OrderNotFound as OrderNotFound
    from ccrs_core.errors import OrderRejected as OrderRejected
    from ccrs_core.errors import OutcomeUnknown as OutcomeUnknown
    from ccrs_core.errors import PluginBroken as PluginBroken
    from ccrs_core.errors import PluginError as PluginError
    from ccrs_core.errors import PluginMismatch as PluginMismatch
    from ccrs_core.errors import PluginNotInstalled as PluginNotInstalled
    from ccrs_core.errors import RateLimited as RateLimited
    from ccrs_core.errors import ReconnectsExhausted as ReconnectsExhausted
    from ccrs_core.errors import RecordingFailed as RecordingFailed
    from ccrs_core.errors import SettingUnchanged as SettingUnchanged
    from ccrs_core.errors import StoreFailed as StoreFailed
    from ccrs_core.errors import StoreInUse as StoreInUse
    from ccrs_core.errors import SubscriptionRefused as SubscriptionRefused
    from ccrs_core.errors import TimedOut as TimedOut
    from ccrs_core.errors import TransportError as TransportError
    from ccrs_core.errors import UnknownInstrument as UnknownInstrument
    from ccrs_core.errors import Unsupported as Unsupported
    from ccrs_core.errors import UsageError as UsageError
    from ccrs_core.extensions.hooks import hookimpl as hookimpl
    from ccrs_core.feeds.feed import Feed as Feed
    from ccrs_core.feeds.histogram import Histogram as Histogram
    from ccrs_core.feeds.histogram import LatencySummary as LatencySummary
    from ccrs_core.feeds.policy import FeedStatus as FeedStatus
    from ccrs_core.feeds.policy import Policy as Policy
    from ccrs_core.frames.columns import Decimals as Decimals
    from ccrs_core.frames.convert import to_arrow as to_arrow
    from ccrs_core.frames.convert import to_pandas as to_pandas
    from ccrs_core.frames.convert import to_polars as to_polars
    from ccrs_core.frames.writer import FrameWriter as FrameWriter
    from ccrs_core.model.accounts import AccountEvent as AccountEvent
    from ccrs_core.model.accounts import AccountInfo as AccountInfo
    from ccrs_core.model.accounts import Adjustment as Adjustment
    from ccrs_core.model.accounts import AdjustmentKind as AdjustmentKind
    from ccrs_core.model.accounts import BudgetLeft as BudgetLeft
    from ccrs_core.model.accounts import FeeRate as FeeRate
    from ccrs_core.model.accounts import Income as Income
    from ccrs_core.model.accounts import IncomeKind as IncomeKind
    from ccrs_core.model.accounts import LedgerConflict as LedgerConflict
    from ccrs_core.model.accounts import Margin as Margin
    from ccrs_core.model.accounts import MarginCall as MarginCall
    from ccrs_core.model.accounts import MarginMode as MarginMode
    from ccrs_core.model.accounts import Permissions as Permissions
    from ccrs_core.model.accounts import Position as Position
    from ccrs_core.model.accounts import PositionMode as PositionMode
    from ccrs_core.model.accounts import PriceBand as PriceBand
    from ccrs_core.model.accounts import Profit as Profit
    from ccrs_core.model.accounts import Synced as Synced
    from ccrs_core.model.events import AccountData as AccountData
    from ccrs_core.model.events import AnyEvent as AnyEvent
    from ccrs_core.model.events import Balance as Balance
    from ccrs_core.model.events import BookUpdate as BookUpdate
    from ccrs_core.model.events import Candle as Candle
    from ccrs_core.model.events import Event as Event
    from ccrs_core.model.events import Funding as Funding
    from ccrs_core.model.events import Gap as Gap
    from ccrs_core.model.events import Greeks as Greeks
    from ccrs_core.model.events import IndexPrice as IndexPrice
    from ccrs_core.model.events import InstrumentChanged as InstrumentChanged
    from ccrs_core.model.events import InstrumentNews as InstrumentNews
    from ccrs_core.model.events import Level as Level
    from ccrs_core.model.events import Liquidation as Liquidation
    from ccrs_core.model.events import MarketData as MarketData
    from ccrs_core.model.events import MarkPrice as MarkPrice
    from ccrs_core.model.events import OpenInterest as OpenInterest
    from ccrs_core.model.events import Reason as Reason
    from ccrs_core.model.events import Resumed as Resumed
    from ccrs_core.model.events import Stale as Stale
    from ccrs_core.model.events import StreamData as StreamData
    from ccrs_core.model.events import Ticker as Ticker
    from ccrs_core.model.events import TopOfBook as TopOfBook
    from ccrs_core.model.events import Trade as Trade
    from ccrs_core.model.histories import HistoryPage as HistoryPage
    from ccrs_core.model.histories import Series as Series
    from ccrs_core.model.instruments import Instrument as Instrument
    from ccrs_core.model.instruments import InstrumentStatus as InstrumentStatus
    from ccrs_core.model.instruments import Market as Market
    from ccrs_core.model.instruments import OptionKind as OptionKind
    from ccrs_core.model.instruments import Side as Side
    from ccrs_core.model.instruments import SizeUnit as SizeUnit
    from ccrs_core.model.instruments import market_of as market_of
    from ccrs_core.model.instruments import unified_symbol as unified_symbol
    from ccrs_core.model.order_requests import Exit as Exit
    from ccrs_core.model.order_requests import OrderRequest as OrderRequest
    from ccrs_core.model.order_requests import OrderType as OrderType
    from ccrs_core.model.order_requests import PositionSide as PositionSide
    from ccrs_core.model.order_requests import SelfTradePrevention as SelfTradePrevention
    from ccrs_core.model.order_requests import TimeInForce as TimeInForce
    from ccrs_core.model.order_requests import Trailing as Trailing
    from ccrs_core.model.order_requests import Trigger as Trigger
    from ccrs_core.model.order_requests import TriggerBy as TriggerBy
    from ccrs_core.model.order_requests import limit as limit
    from ccrs_core.model.order_requests import market as market
    from ccrs_core.model.orderbook import BookState as BookState
    from ccrs_core.model.orderbook import Checksum as Checksum
    from ccrs_core.model.orderbook import OrderBook as OrderBook
    from ccrs_core.model.orders import EarlyFill as EarlyFill
    from ccrs_core.model.orders import Fill as Fill
    from ccrs_core.model.orders import FillKind as FillKind
    from ccrs_core.model.orders import Liquidity as Liquidity
    from ccrs_core.model.orders import Order as Order
    from ccrs_core.model.orders import OrderState as OrderState
    from ccrs_core.model.orders import OrderUpdate as OrderUpdate
    from ccrs_core.model.orders import Origin as Origin
    from ccrs_core.model.orders import Times as Times
    from ccrs_core.model.reports import Act as Act
    from ccrs_core.model.reports import ConfirmationReport as ConfirmationReport
    from ccrs_core.model.reports import EarlyFillReport as EarlyFillReport
    from ccrs_core.model.reports import FeeIn as FeeIn
    from ccrs_core.model.reports import FillReport as FillReport
    from ccrs_core.model.reports import IncomeReport as IncomeReport
    from ccrs_core.model.reports import MarginCallReport as MarginCallReport
    from ccrs_core.model.reports import OrderReport as OrderReport
    from ccrs_core.model.reports import PositionReport as PositionReport
    from ccrs_core.model.reports import Report as Report
    from ccrs_core.model.reports import StrangeReport as StrangeReport
    from ccrs_core.model.serialize import from_dict as from_dict
    from ccrs_core.model.serialize import from_json as from_json
    from ccrs_core.model.serialize import to_dict as to_dict
    from ccrs_core.model.serialize import to_json as to_json
    from ccrs_core.model.serialize import to_plain as to_plain
    from ccrs_core.model.subscriptions import ACCOUNT_CHANNELS as ACCOUNT_CHANNELS
    from ccrs_core.model.subscriptions import INTERVALS as INTERVALS
    from ccrs_core.model.subscriptions import MARKET_CHANNELS as MARKET_CHANNELS
    from ccrs_core.model.subscriptions import Channel as Channel
    from ccrs_core.model.subscriptions import Interest as Interest
    from ccrs_core.model.subscriptions import Subscription as Subscription
    from ccrs_core.model.subscriptions import book as book
    from ccrs_core.model.subscriptions import candles as candles
    from ccrs_core.model.subscriptions import funding as funding
    from ccrs_core.model.subscriptions import greeks as greeks
    from ccrs_core.model.subscriptions import index_price as index_price
    from ccrs_core.model.subscriptions import liquidations as liquidations
    from ccrs_core.model.subscriptions import mark_price as mark_price
    from ccrs_core.model.subscriptions import open_interest as open_interest
    from ccrs_core.model.subscriptions import ticker as ticker
    from ccrs_core.model.subscriptions import top_of_book as top_of_book
    from ccrs_core.model.subscriptions import trades as trades
    from ccrs_core.model.ticks import TickBand as TickBand
    from ccrs_core.model.units import NS_PER_MS as NS_PER_MS
    from ccrs_core.model.units import NS_PER_SECOND as NS_PER_SECOND
    from ccrs_core.recordings.recorder import Recording as Recording
    from ccrs_core.recordings.recorder import record as record
    from ccrs_core.recordings.replayed import Replayed as Replayed
    from ccrs_core.recordings.replayed import replay as replay
    from ccrs_core.several.best import BestPrice as BestPrice
    from ccrs_core.several.best import ConsolidatedBBO as ConsolidatedBBO
    from ccrs_core.several.best import ExchangeQuote as ExchangeQuote
    from ccrs_core.several.best import QuoteState as QuoteState
    from ccrs_core.several.clients import Clients as Clients
    from ccrs_core.several.clients import connect_many as connect_many
    from ccrs_core.several.feed import MergedFeed as MergedFeed
    from ccrs_core.several.leadlag import Lead as Lead
    from ccrs_core.several.leadlag import LeadLag as LeadLag
    from ccrs_core.several.merge import AnyMerged as AnyMerged
    from ccrs_core.several.merge import MergedEvents as MergedEvents
    from ccrs_core.several.merge import merge as merge
    from ccrs_core.trading.account import Account as Account
    from ccrs_core.trading.canceling import CancelOutcome as CancelOutcome
    from ccrs_core.trading.canceling import CancelResult as CancelResult
    from ccrs_core.trading.checks import Amendment as Amendment
    from ccrs_core.trading.choose_store import StoreChoice as StoreChoice
    from ccrs_core.trading.comparison import Comparison as Comparison
    from ccrs_core.trading.comparison import Difference as Difference
    from ccrs_core.trading.dead_man import DeadManSwitch as DeadManSwitch
    from ccrs_core.trading.delivery import AccountFeed as AccountFeed
    from ccrs_core.trading.delivery import EarlyFills as EarlyFills
    from ccrs_core.trading.exposure import Exposure as Exposure
    from ccrs_core.trading.live_order import LiveOrder as LiveOrder
    from ccrs_core.trading.memory_store import MemoryStore as MemoryStore
    from ccrs_core.trading.reading import Reconciliation as Reconciliation
    from ccrs_core.trading.sqlite import SqliteStore as SqliteStore
    from ccrs_core.trading.store import LedgerName as LedgerName
    from ccrs_core.trading.store import Store as Store
    from ccrs_core.trading.sweeping import Swept as Swept
    from ccrs_core.trading.sweeping import SweptOrder as SweptOrder
    from ccrs_core.transport.base import Clock as Clock
    from ccrs_core.transport.base import Connection as Connection
    from ccrs_core.transport.base import Transport as Transport
    from ccrs_core.transport.base import TransportOptions as TransportOptions
    from ccrs_core.transport.busy import busy_loop as busy_loop
    from ccrs_core.transport.options import Options as Options
    from ccrs_core.transport.patience import Patience as Patience
    from ccrs_core.transport.ways import Way as Way

_HOME = {
    name: module
    for module, names in {
        "analytics.bars": "Bar tick_bars time_bars volume_bars",
        "analytics.books": "BookSnapshot book_snapshots grouped imbalance microprice",
        "client.client": "Client connect",
        "client.credentials": "load_credentials",
        "client.history": "History",
        "client.settings": "Settings load_settings",
        "client.listing_watch": "InstrumentWatch",
        "client.account_status": "AccountStatus EntryStatus PrivateStreamStatus",
        "client.connection_status": "ConnectionStatus",
        "client.status": "ClientStatus SubscriptionStatus",
        "connections.states": "LinkState SubscriptionState",
        "contract.budgets": "Budget Limits Pool PoolLeft",
        "contract.codec": (
            "Ack Alive Closing Codec Data EntryReply Heartbeat LeftOut LoggedIn LoginRefused "
            "Lost Message Outbound Pong Refused Reply Unchanged Unrecognised account_data"
        ),
        "contract.compression": "Compression",
        "contract.access": "Access Token",
        "contract.credentials": "Credentials",
        "contract.exchange": ("CONTRACT Capabilities Environment Exchange Route SequenceScope"),
        "contract.rest": (
            "Activity Answer Endpoint GetActivity GetBook GetCandles GetFundingHistory "
            "GetIndexCandles GetInstruments GetMarkCandles GetOpenInterest "
            "GetOpenInterestHistory GetServerTime GetTopOfBook GetTradeHistory GetTrades "
            "HttpRequest HttpResponse Request"
        ),
        "contract.trading": ("Absence ClientIds DeadMan DeadManKind DeadManScope Feature Trading"),
        "contract.trading_requests": (
            "AmendOrder AmendOrders CancelAll CancelOrder CancelOrders GetAccountInfo "
            "GetDeadMan GetFeeRates GetFills GetIncome GetOpenOrders GetOrder GetOrderHistory "
            "GetPositions GetPriceBand GetWallet PlaceEither PlaceOrder PlaceOrders Placed "
            "ReplaceOrder Replaced SetDeadMan SetLeverage SetMarginMode SetPositionMode Wallet"
        ),
        "errors": (
            "AccountUnsupported AuthError BookInvalid CcrsError ClockRefused ConnectFailed "
            "ConnectionLost CredentialsMissing CredentialsUnsafe DecodeError EndReason EntryKnown "
            "ExchangeError ExchangeUnavailable "
            "ExtraNotInstalled FeedClosed FeedOverflow GarbledAnswer InsufficientBalance "
            "InvalidOrder InvalidRequest NotSent NotStored NotWritten OrderEnded OrderNotFound "
            "OrderRejected OutcomeUnknown PluginBroken PluginError PluginMismatch "
            "PluginNotInstalled "
            "RateLimited ReconnectsExhausted RecordingFailed SettingUnchanged StoreFailed "
            "StoreInUse SubscriptionRefused TimedOut TransportError UnknownInstrument "
            "Unsupported UsageError"
        ),
        "extensions.hooks": "hookimpl",
        "feeds.feed": "Feed",
        "feeds.histogram": "Histogram LatencySummary",
        "feeds.policy": "FeedStatus Policy",
        "frames.columns": "Decimals",
        "frames.convert": "to_arrow to_pandas to_polars",
        "frames.writer": "FrameWriter",
        "model.events": (
            "AccountData AnyEvent Balance BookUpdate Candle Event Funding Gap Greeks IndexPrice "
            "InstrumentChanged InstrumentNews Level Liquidation MarkPrice MarketData OpenInterest "
            "Reason Resumed Stale StreamData Ticker TopOfBook Trade"
        ),
        "model.accounts": (
            "AccountEvent AccountInfo Adjustment AdjustmentKind BudgetLeft FeeRate Income "
            "IncomeKind LedgerConflict Margin MarginCall MarginMode Permissions Position "
            "PositionMode PriceBand Profit Synced"
        ),
        "model.order_requests": (
            "Exit OrderRequest OrderType PositionSide SelfTradePrevention TimeInForce Trailing "
            "Trigger TriggerBy limit market"
        ),
        "model.orders": (
            "EarlyFill Fill FillKind Liquidity Order OrderState OrderUpdate Origin Times"
        ),
        "model.reports": (
            "Act ConfirmationReport EarlyFillReport FeeIn FillReport IncomeReport MarginCallReport "
            "OrderReport PositionReport Report StrangeReport"
        ),
        "model.histories": "HistoryPage Series",
        "model.instruments": (
            "Instrument InstrumentStatus Market OptionKind Side SizeUnit market_of unified_symbol"
        ),
        "model.orderbook": "BookState Checksum OrderBook",
        "model.serialize": "from_dict from_json to_dict to_json to_plain",
        "model.subscriptions": (
            "ACCOUNT_CHANNELS Channel INTERVALS Interest MARKET_CHANNELS Subscription book candles "
            "funding greeks index_price liquidations mark_price open_interest ticker top_of_book "
            "trades"
        ),
        "model.ticks": "TickBand",
        "model.units": "NS_PER_MS NS_PER_SECOND",
        "recordings.recorder": "Recording record",
        "recordings.replayed": "Replayed replay",
        "several.best": "BestPrice ConsolidatedBBO ExchangeQuote QuoteState",
        "several.clients": "Clients connect_many",
        "several.feed": "MergedFeed",
        "several.merge": "AnyMerged MergedEvents merge",
        "several.leadlag": "Lead LeadLag",
        "trading.account": "Account",
        "trading.canceling": "CancelOutcome CancelResult",
        "trading.checks": "Amendment",
        "trading.comparison": "Comparison Difference",
        "trading.dead_man": "DeadManSwitch",
        "trading.delivery": "AccountFeed EarlyFills",
        "trading.exposure": "Exposure",
        "trading.live_order": "LiveOrder",
        "trading.choose_store": "StoreChoice",
        "trading.memory_store": "MemoryStore",
        "trading.sqlite": "SqliteStore",
        "trading.store": "LedgerName Store",
        "trading.sweeping": "Swept SweptOrder",
        "trading.reading": "Reconciliation",
        "transport.base": "Clock Connection Transport TransportOptions",
        "transport.busy": "busy_loop",
        "transport.options": "Options",
        "transport.patience": "Patience",
        "transport.ways": "Way",
    }.items()
    for name in names.split()
}

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604 - they are strings


def __getattr__(name: str) -> Any:
    if name == "sync":
        return importlib.import_module("ccrs_core.sync")
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'ccrs_core' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ccrs_core.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
