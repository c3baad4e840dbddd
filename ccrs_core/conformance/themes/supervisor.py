"""The theme "supervisor under faults": connections are lost, watched, limited, replaced, raced."""

from __future__ import annotations

from ccrs_core.conformance.themes.alone import AloneProperties
from ccrs_core.conformance.themes.budgets import BudgetProperties
from ccrs_core.conformance.themes.healing import HealingProperties
from ccrs_core.conformance.themes.lifetimes import LifetimeProperties
from ccrs_core.conformance.themes.quiet import QuietProperties
from ccrs_core.conformance.themes.racing import RacingProperties
from ccrs_core.conformance.themes.schedules import MachineProperties
from ccrs_core.conformance.themes.spending import SpendingProperties


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
