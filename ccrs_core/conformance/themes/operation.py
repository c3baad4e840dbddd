"""Properties of recording, observability and packaging (68 to 75)."""

from __future__ import annotations

from ccrs_core.conformance.themes.declared import DeclarationProperties
from ccrs_core.conformance.themes.documented import DocumentedProperties
from ccrs_core.conformance.themes.enforced import EnforcedProperties
from ccrs_core.conformance.themes.exact import ExactnessProperties
from ccrs_core.conformance.themes.foreign import ForeignProperties
from ccrs_core.conformance.themes.likeness import LikenessProperties
from ccrs_core.conformance.themes.network import NetworkProperties
from ccrs_core.conformance.themes.oddities import OddityProperties
from ccrs_core.conformance.themes.packaging import PackagingProperties
from ccrs_core.conformance.themes.ranges import RangeProperties
from ccrs_core.conformance.themes.tapes import TapeProperties
from ccrs_core.conformance.themes.twins import TwinProperties


class OperationProperties(
    TapeProperties,
    ForeignProperties,
    DeclarationProperties,
    OddityProperties,
    PackagingProperties,
    NetworkProperties,
    DocumentedProperties,
    EnforcedProperties,
    RangeProperties,
    LikenessProperties,
    ExactnessProperties,
    TwinProperties,
):
    """Every property of the theme of operation."""
