"""What plugins of the entry-point group ``ccrs.plugins`` can listen to: lifecycle, never frames.

A hook implementation is a plain function of the hook's name, marked with :data:`hookimpl`, taking
any subset of the arguments. It is called synchronously and must not block; what it raises is
logged, and the other listeners are called all the same. Wrappers are never called, and an ``async
def`` is left out with an error in the log: nothing would await it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from ccrs_core.contract.exchange import Exchange
    from ccrs_core.errors import SubscriptionRefused

hookspec = pluggy.HookspecMarker("ccrs")
hookimpl = pluggy.HookimplMarker("ccrs")
"""Marks a function as the implementation of the hook that it is named after."""
REFUSED = (pluggy.PluginValidationError, ValueError)
"""What registering raises of a listener that asks for too much, or is there already."""


class Specs:
    """The hooks, with their arguments."""

    @hookspec
    def ccrs_session_changed(
        self, exchange: str, url: str, number: int, epoch: int, state: str, reason: str
    ) -> None:
        """A supervised connection changed its state (a ``LinkState``)."""

    @hookspec
    def ccrs_subscription_refused(self, exchange: str, error: SubscriptionRefused) -> None:
        """The exchange refused a subscription."""

    @hookspec
    def ccrs_request_unanswered(
        self, exchange: str, url: str, number: int, request: str, text: str
    ) -> None:
        """What a connection asks for once (``request``, one of ``Codec.once``) wasn't granted."""

    @hookspec
    def ccrs_feed_overflowed(self, exchange: str, lost: int) -> None:
        """A feed dropped events because its consumer was too slow."""

    @hookspec
    def ccrs_request_finished(
        self, exchange: str, request: str, seconds: float, error: str | None
    ) -> None:
        """A REST request ended; ``request`` is its type's name."""

    @hookspec
    def ccrs_add_command(self, group: click.Group) -> None:
        """The command line is being built: add commands to it."""

    @hookspec
    def ccrs_register_exchanges(self) -> Mapping[str, type[Exchange]]:
        """Exchanges by name, for those that don't come by an entry point of ``ccrs.exchanges``."""
        return {}


def new_manager() -> Any:
    """A pluggy manager that knows the hooks and no plugin."""
    manager = pluggy.PluginManager("ccrs")
    manager.add_hookspecs(Specs)
    return manager
