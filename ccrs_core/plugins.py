"""Finding exchange plugins by entry point, and loading them so that none can harm another."""

from __future__ import annotations

import difflib
import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs

from ccrs_core.errors import PluginBroken, PluginError, PluginMismatch, PluginNotInstalled

EXCHANGES = "ccrs.exchanges"
PLUGINS = "ccrs.plugins"

log = logging.getLogger("ccrs.plugins")


@attrs.frozen
class Installed:
    """An exchange plugin as its package's metadata tells it; nothing of it has been imported."""

    name: str
    distribution: str
    version: str
    target: str


def _describe(entry: EntryPoint) -> Installed:
    dist = entry.dist
    return Installed(
        entry.name,
        dist.name if dist is not None else "unknown",
        dist.version if dist is not None else "unknown",
        entry.value,
    )


def installed() -> list[Installed]:
    """The exchanges that installed packages offer, by name. Imports none of them."""
    found = {entry.name: _describe(entry) for entry in entry_points(group=EXCHANGES)}
    return [found[name] for name in sorted(found)]


def load(name: str) -> Any:
    """The ``Exchange`` class that a plugin offers under a name.

    :raises PluginNotInstalled: where there is none; the message names those that there are.
    :raises PluginBroken: where it can't be imported or isn't what it should be.
    :raises PluginMismatch: where it was written for another version of the contract.
    """
    matches = [entry for entry in entry_points(group=EXCHANGES) if entry.name == name]
    if not matches:
        registered = _registered()
        if name in registered:
            return _checked(registered[name], name, "a plugin's ccrs_register_exchanges")
        names = sorted({entry.name for entry in entry_points(group=EXCHANGES)} | set(registered))
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"try: pip install ccrs-{name}"
        raise PluginNotInstalled(
            f"no exchange {name!r} is installed; installed: {', '.join(names) or 'none'}; {hint}"
        )
    entry = matches[0]
    info = _describe(entry)
    origin = f"{info.distribution} {info.version} ({info.target})"
    try:
        loaded = entry.load()
    except Exception as error:
        raise PluginBroken(
            f"the exchange {name!r} of {origin} can't be loaded: {type(error).__name__}: {error}"
        ) from error
    return _checked(loaded, name, origin)


def _checked(loaded: Any, name: str, origin: str) -> Any:
    from ccrs_core.exchange import CONTRACT, Exchange

    if not (isinstance(loaded, type) and issubclass(loaded, Exchange)):
        raise PluginBroken(f"{origin} is no subclass of ccrs_core.Exchange")
    contract = getattr(loaded, "contract", None)
    if contract != CONTRACT:
        side = "plugin" if isinstance(contract, int) and contract < CONTRACT else "ccrs-core"
        raise PluginMismatch(
            f"{origin} was written for version {contract} of the plugin contract, this ccrs-core "
            f"serves version {CONTRACT}: upgrade the {side}"
        )
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    missing += [a for a in ("capabilities", "environments") if not hasattr(loaded, a)]
    if missing:
        raise PluginBroken(f"{origin} lacks {', '.join(missing)}")
    if getattr(loaded, "name", None) != name:
        raise PluginBroken(f"{origin} calls itself {getattr(loaded, 'name', None)!r}, not {name!r}")
    return loaded


def load_all() -> tuple[dict[str, Any], dict[str, PluginError]]:
    """All exchanges that load, and the errors of those that don't, both by name."""
    good: dict[str, Any] = {}
    bad: dict[str, PluginError] = {}
    names = [info.name for info in installed()]
    for name in [*names, *(n for n in sorted(_registered()) if n not in names)]:
        try:
            good[name] = load(name)
        except PluginError as error:
            bad[name] = error
    return good, bad


@cache
def hook_manager() -> Any:
    """The manager of all installed ``ccrs.plugins``, or None where none is installed."""
    entries = list(entry_points(group=PLUGINS))
    if not entries:
        return None
    from ccrs_core.hooks import new_manager

    manager = new_manager()
    for entry in entries:
        try:
            manager.register(entry.load(), name=entry.name)
        except Exception as error:  # a broken plugin never stops the others
            info = _describe(entry)
            log.warning(
                "the plugin %s of %s %s can't be loaded: %s: %s",
                entry.name,
                info.distribution,
                info.version,
                type(error).__name__,
                error,
            )
    try:
        manager.check_pending()
    except Exception as error:
        log.warning("a plugin implements a hook that doesn't exist: %s", error)
    return manager


def _registered() -> dict[str, Any]:
    manager = hook_manager()
    found: dict[str, Any] = {}
    if manager is not None:
        for offered in manager.hook.ccrs_register_exchanges():
            found.update(offered)
    return found


def call(manager: Any, hook: str, **arguments: Any) -> None:
    """Call a hook's listeners; what they raise is logged and goes no further."""
    if manager is None:
        return
    try:
        getattr(manager.hook, hook)(**arguments)
    except Exception:
        log.exception("a listener of %s failed", hook)
