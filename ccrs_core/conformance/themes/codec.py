"""Codec properties (1 to 12): from bytes to events and from requests to bytes, without I/O."""

from __future__ import annotations

from ccrs_core.conformance.themes.asking import AskingProperties
from ccrs_core.conformance.themes.decoding import DecodingProperties
from ccrs_core.conformance.themes.emptiness import EmptinessProperties
from ccrs_core.conformance.themes.flags import FlagProperties
from ccrs_core.conformance.themes.forgetting import ForgettingProperties
from ccrs_core.conformance.themes.histories import HistoryProperties
from ccrs_core.conformance.themes.holes import HoleProperties
from ccrs_core.conformance.themes.madeup import MadeUpProperties
from ccrs_core.conformance.themes.pages import PageProperties
from ccrs_core.conformance.themes.refusals import RefusalProperties
from ccrs_core.conformance.themes.robustness import RobustnessProperties
from ccrs_core.conformance.themes.rows import RowProperties
from ccrs_core.conformance.themes.secrecy import SecretsProperties
from ccrs_core.conformance.themes.shapes import ShapeProperties
from ccrs_core.conformance.themes.shortcuts import ShortcutProperties
from ccrs_core.conformance.themes.subscribing import SubscribingProperties
from ccrs_core.conformance.themes.trade_histories import TradeHistoryProperties
from ccrs_core.conformance.themes.transfer import TransferProperties


class CodecProperties(
    RobustnessProperties,
    RowProperties,
    DecodingProperties,
    EmptinessProperties,
    MadeUpProperties,
    FlagProperties,
    HoleProperties,
    HistoryProperties,
    TradeHistoryProperties,
    ForgettingProperties,
    PageProperties,
    ShortcutProperties,
    ShapeProperties,
    TransferProperties,
    SubscribingProperties,
    RefusalProperties,
    SecretsProperties,
    AskingProperties,
):
    """Every property of the codec theme."""
