"""The theme "sequencing and books": what is delivered is what happened, each once and in order."""

from __future__ import annotations

from ccrs_core.conformance.changes import ChangeProperties
from ccrs_core.conformance.keeping import KeepingProperties
from ccrs_core.conformance.oracle import OracleProperties
from ccrs_core.conformance.resync import ResyncProperties
from ccrs_core.conformance.sequences import SequenceProperties
from ccrs_core.conformance.states import StateProperties


class BookProperties(
    OracleProperties,
    KeepingProperties,
    ResyncProperties,
    SequenceProperties,
    StateProperties,
    ChangeProperties,
):
    """All properties of sequences and books."""
