"""Properties of recording, observability and packaging (68 to 75)."""

from __future__ import annotations

from ccrs_core.conformance.declared import DeclarationProperties
from ccrs_core.conformance.documented import DocumentedProperties
from ccrs_core.conformance.enforced import EnforcedProperties
from ccrs_core.conformance.exact import ExactnessProperties
from ccrs_core.conformance.foreign import ForeignProperties
from ccrs_core.conformance.likeness import LikenessProperties
from ccrs_core.conformance.network import NetworkProperties
from ccrs_core.conformance.oddities import OddityProperties
from ccrs_core.conformance.packaging import PackagingProperties
from ccrs_core.conformance.ranges import RangeProperties
from ccrs_core.conformance.tapes import TapeProperties
from ccrs_core.conformance.twins import TwinProperties


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
