"""Codec properties (1 to 12): from bytes to events and from requests to bytes, without I/O."""

from __future__ import annotations

from ccrs_core.conformance.asking import AskingProperties
from ccrs_core.conformance.decoding import DecodingProperties
from ccrs_core.conformance.emptiness import EmptinessProperties
from ccrs_core.conformance.flags import FlagProperties
from ccrs_core.conformance.histories import HistoryProperties
from ccrs_core.conformance.holes import HoleProperties
from ccrs_core.conformance.madeup import MadeUpProperties
from ccrs_core.conformance.pages import PageProperties
from ccrs_core.conformance.refusals import RefusalProperties
from ccrs_core.conformance.robustness import RobustnessProperties
from ccrs_core.conformance.rows import RowProperties
from ccrs_core.conformance.secrecy import SecretsProperties
from ccrs_core.conformance.shortcuts import ShortcutProperties
from ccrs_core.conformance.subscribing import SubscribingProperties
from ccrs_core.conformance.transfer import TransferProperties


class CodecProperties(
    RobustnessProperties,
    RowProperties,
    DecodingProperties,
    EmptinessProperties,
    MadeUpProperties,
    FlagProperties,
    HoleProperties,
    HistoryProperties,
    PageProperties,
    ShortcutProperties,
    TransferProperties,
    SubscribingProperties,
    RefusalProperties,
    SecretsProperties,
    AskingProperties,
):
    """Every property of the codec theme."""
