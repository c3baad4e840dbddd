"""Finding exchange plugins by entry point, and loading them so that none can harm another."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any

import attrs

from ccrs_core.errors import (
    PluginBroken,
    PluginError,
    PluginMismatch,
    PluginNotInstalled,
    UsageError,
)
from ccrs_core.extensions.loading import loading

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

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.target})"


def _entries(group: str) -> list[EntryPoint]:
    try:
        return list(entry_points(group=group))
    except Exception:
        # Some package's metadata can't be read. Leave out that one alone.
        found: dict[str, list[EntryPoint]] = {}
        for dist in distributions():
            try:
                offered = [entry for entry in dist.entry_points if entry.group == group]
                found.setdefault(dist.name, offered)
            except Exception as error:
                log.warning("the metadata in %s can't be read: %r", _place(dist), error)
        return [entry for offered in found.values() for entry in offered]


def _place(dist: Distribution) -> str:
    return str(getattr(dist, "_path", dist))


def _describe(entry: EntryPoint) -> Installed:
    try:
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else (None, None)
    except Exception:  # metadata without these fields
        name = version = None
    return Installed(entry.name, name or "unknown", version or "unknown", entry.value)


def installed() -> list[Installed]:
    """The exchanges that installed packages offer, by name. Imports none of them."""
    found = [_describe(entry) for entry in _entries(EXCHANGES)]
    return sorted(found, key=lambda info: (info.name, info.distribution))


def load(name: str) -> Any:
    """The ``Exchange`` class that a plugin offers under a name.

    :raises PluginNotInstalled: where there is none; the message names those that there are.
    :raises PluginBroken: where it can't be imported, isn't what it should be, or where two packages
        offer it.
    :raises PluginMismatch: where it was written for another version of the contract.
    """
    entries = {str(_describe(e)): e for e in _entries(EXCHANGES) if e.name == name}
    if not entries:
        registered = _registered()
        if name in registered:
            origin = "a plugin's ccrs_register_exchanges"
            with loading(f"the exchange {name!r} of {origin}", "that plugin"):
                return _checked(registered[name], name, origin)
        raise _not_installed(name, {info.name for info in installed()} | set(registered))
    if len(entries) > 1:
        raise PluginBroken(
            f"the exchange {name!r} is offered by {' and by '.join(sorted(entries))}: uninstall "
            "all but one"
        )
    ((origin, entry),) = entries.items()
    with loading(f"the exchange {name!r} of {origin}", _describe(entry).distribution):
        try:
            loaded = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError, too
            raise PluginBroken(
                f"the exchange {name!r} of {origin} can't be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        return _checked(loaded, name, origin)


def _not_installed(name: str, known: set[str]) -> PluginNotInstalled:
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    if near:
        hint = f"; did you mean {near[0]}?"
    else:
        # No command to install a package of that name: whoever has taken it would be trusted.
        hint = ". Exchanges come in packages of their own; this one's author says what it is called"
    return PluginNotInstalled(
        f"no exchange {name!r} is installed; installed: {', '.join(names) or 'none'}{hint}"
    )


def _checked(loaded: Any, name: str, origin: str) -> Any:
    from ccrs_core.contract.exchange import CONTRACT, Exchange

    if not (isinstance(loaded, type) and issubclass(loaded, Exchange)):
        raise PluginBroken(f"{origin} is no subclass of ccrs_core.Exchange")
    contract = getattr(loaded, "contract", None)
    if not isinstance(contract, int):
        raise PluginBroken(
            f"{origin} doesn't say which contract it was written for: contract = {CONTRACT}"
        )
    if contract != CONTRACT:
        side = "plugin" if contract < CONTRACT else "ccrs-core"
        raise PluginMismatch(
            f"{origin} was written for version {contract} of the plugin contract, this ccrs-core "
            f"serves version {CONTRACT}: upgrade the {side}"
        )
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    missing += [a for a in ("name", "capabilities", "environments") if not hasattr(loaded, a)]
    if missing:
        raise PluginBroken(f"{origin} lacks {', '.join(missing)}")
    if loaded.name != name:
        raise PluginBroken(f"{origin} calls itself {loaded.name!r}, not {name!r}")
    environments: Any = loaded.environments
    if not isinstance(environments, Mapping) or "mainnet" not in environments:
        raise PluginBroken(f"{origin} has no environment 'mainnet'")
    try:
        loaded()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and CancelledError, too
        raise PluginBroken(
            f"{origin} can't be instantiated: {type(error).__name__}: {error}"
        ) from error
    return loaded


def load_all() -> tuple[dict[str, Any], dict[str, PluginError]]:
    """All exchanges that load, and the errors of those that don't, both by name."""
    good: dict[str, Any] = {}
    bad: dict[str, PluginError] = {}
    names = dict.fromkeys(info.name for info in installed())
    for name in [*names, *(n for n in sorted(_registered()) if n not in names)]:
        try:
            good[name] = load(name)
        except PluginError as error:
            bad[name] = error
    return good, bad


# --- hooks ----------------------------------------------------------------------------------


@cache
def hook_manager() -> Any:
    """The manager of all installed ``ccrs.plugins``, or None where none is installed."""
    entries = _entries(PLUGINS)
    if not entries:
        return None
    from ccrs_core.extensions.hooks import new_manager

    manager = new_manager()
    for entry in entries:
        _register(manager, entry)
    return manager


def hook_manager_with(listeners: Iterable[object]) -> Any:
    """The hooks of all installed plugins and of these objects; None where there is no listener.

    :raises UsageError: where one of them listens to nothing, to what doesn't exist, or has to be
        awaited.
    """
    listening = list(listeners)
    if not listening:
        return hook_manager()
    from ccrs_core.extensions.hooks import REFUSED, Specs, new_manager

    manager = new_manager()
    for entry in _entries(PLUGINS):
        _register(manager, entry)
    for number, listener in enumerate(listening):
        name = f"{type(listener).__name__}:{number}"
        try:
            manager.register(listener, name=name)
        except REFUSED as error:
            raise UsageError(f"{listener!r} can't listen: {error}") from error
        if wrong := _unknown_hooks(manager, name):
            hooks = [hook for hook in vars(Specs) if hook[0] != "_"]
            raise UsageError(
                f"{listener!r} listens to {wrong[0]}, which doesn't exist; there are "
                f"{', '.join(hooks)}"
            )
        if _async_hooks(manager, name):
            raise UsageError(f"{listener!r} is asynchronous, but hooks are called, never awaited")
        if not manager.get_hookcallers(listener):
            raise UsageError(f"{listener!r} listens to nothing: mark its methods with hookimpl")
    return manager


def _register(manager: Any, entry: EntryPoint) -> None:
    info = _describe(entry)
    # Plugins of different packages may well have the same name.
    name = f"{info.distribution}:{info.name}"
    try:
        with loading(f"the plugin {info.name} of {info}", info.distribution):
            manager.register(entry.load(), name=name)
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        log.warning("%s", error)
        return
    except BaseException as error:  # a broken plugin never stops the others
        if manager.has_plugin(name):  # half of it, where one of its hooks is wrong
            manager.unregister(name=name)
        log.warning(
            "the plugin %s of %s can't be loaded: %s: %s",
            info.name,
            info,
            type(error).__name__,
            error,
        )
        return
    for hook in _async_hooks(manager, name):
        _refuse_async(hook, name)
    for hook in _unknown_hooks(manager, name):
        from ccrs_core.extensions.hooks import Specs

        near = difflib.get_close_matches(hook, [h for h in vars(Specs) if h[0] != "_"], n=1)
        log.warning(
            "the plugin %s of %s listens to %s, which doesn't exist%s",
            info.name,
            info,
            hook,
            f"; did you mean {near[0]}?" if near else "",
        )


def _unknown_hooks(manager: Any, name: str) -> list[str]:
    """What pluggy's ``check_pending`` looks for, of one plugin and all at once."""
    return [
        caller.name
        for caller in manager.get_hookcallers(manager.get_plugin(name)) or ()
        if not caller.has_spec()
        and any(i.plugin_name == name and not i.optionalhook for i in caller.get_hookimpls())
    ]


def _async_hooks(manager: Any, name: str) -> list[str]:
    return [
        caller.name
        for caller in manager.get_hookcallers(manager.get_plugin(name)) or ()
        for implementation in caller.get_hookimpls()
        if implementation.plugin_name == name and _is_async(implementation.function)
    ]


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


_refused: set[tuple[str, str]] = set()
"""Hooks and the plugins whose implementations of them are left out."""


def _refuse_async(hook: str, plugin_name: str) -> None:
    """Leave an implementation out that would have to be awaited, and say so once."""
    if (hook, plugin_name) not in _refused:
        _refused.add((hook, plugin_name))
        log.error(
            "%s of the plugin %s is asynchronous, but hooks are called and never awaited: it is "
            "left out; make it a plain function, which may start a task",
            hook,
            plugin_name,
        )


_LOADING = frozenset({"ccrs_add_command", "ccrs_register_exchanges"})
"""Hooks that are called before there is anything to do."""


def _results(manager: Any, hook: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
    """What each listener of a hook returns; one that raises is logged, and the others go on.

    pluggy itself stops at the first one that raises.
    """
    for listener in reversed(getattr(manager.hook, hook).get_hookimpls()):
        if (hook, listener.plugin_name) in _refused:
            continue
        where = f"{hook} of the plugin {listener.plugin_name}"
        distribution = listener.plugin_name.partition(":")[0]
        watched = loading(where, distribution) if hook in _LOADING else nullcontext()
        try:
            with watched:
                result = listener.function(*(arguments[name] for name in listener.argnames))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError, too
            log.error(
                "the listener of %s in the plugin %s failed: %s",
                hook,
                listener.plugin_name,
                error,
                exc_info=not isinstance(error, PluginError),  # says all, where it hung
            )
        else:
            if inspect.isawaitable(result) or inspect.isasyncgen(result):
                if inspect.iscoroutine(result):
                    result.close()  # else Python warns that nobody has awaited it
                _refuse_async(hook, listener.plugin_name)
            else:
                yield result


def _registered() -> dict[str, Any]:
    manager = hook_manager()
    found: dict[str, Any] = {}
    if manager is not None:
        for offered in _results(manager, "ccrs_register_exchanges", {}):
            if isinstance(offered, Mapping):
                for name, exchange in offered.items():
                    if isinstance(name, str):
                        found[name] = exchange
                    else:
                        log.error("ccrs_register_exchanges names an exchange %r: no text", name)
            elif offered is not None:
                log.error("ccrs_register_exchanges must return a mapping, not %r", offered)
    return found


def call(manager: Any, hook: str, **arguments: Any) -> None:
    """Call a hook's listeners; what they raise is logged and goes no further."""
    if manager is not None:
        for _ in _results(manager, hook, arguments):
            pass
