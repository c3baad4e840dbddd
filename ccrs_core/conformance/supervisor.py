"""The theme "supervisor under faults": connections are lost, watched, limited, replaced, raced."""

from __future__ import annotations

from ccrs_core.conformance.alone import AloneProperties
from ccrs_core.conformance.budgets import BudgetProperties
from ccrs_core.conformance.healing import HealingProperties
from ccrs_core.conformance.lifetimes import LifetimeProperties
from ccrs_core.conformance.quiet import QuietProperties
from ccrs_core.conformance.racing import RacingProperties
from ccrs_core.conformance.schedules import MachineProperties
from ccrs_core.conformance.spending import SpendingProperties


class SupervisorProperties(
    AloneProperties,
    QuietProperties,
    HealingProperties,
    BudgetProperties,
    LifetimeProperties,
    SpendingProperties,
    RacingProperties,
    MachineProperties,
):
    """All properties of supervised connections."""
