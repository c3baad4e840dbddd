"""The theme "sequencing and books": what is delivered is what happened, each once and in order."""

from __future__ import annotations

from ccrs_core.conformance.themes.changes import ChangeProperties
from ccrs_core.conformance.themes.keeping import KeepingProperties
from ccrs_core.conformance.themes.oracle import OracleProperties
from ccrs_core.conformance.themes.resync import ResyncProperties
from ccrs_core.conformance.themes.sequences import SequenceProperties
from ccrs_core.conformance.themes.states import StateProperties
from ccrs_core.conformance.themes.wishes import WishProperties


class BookProperties(
    OracleProperties,
    KeepingProperties,
    ResyncProperties,
    SequenceProperties,
    StateProperties,
    ChangeProperties,
    WishProperties,
):
    """All properties of sequences and books."""
