"""Which transport a client gets: aiohttp's, or one that a package offers by entry point."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from ccrs_core.errors import CcrsError, PluginBroken, PluginNotInstalled, UsageError
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.extensions.loading import loading

if TYPE_CHECKING:
    from ccrs_core.transport.base import Transport, TransportOptions

GROUP = "ccrs.transports"
"""Entry points: a name, and what makes a ``Transport`` of ``TransportOptions``."""

DEFAULT = "aiohttp"

log = logging.getLogger("ccrs.plugins")


def make_transport(name: str | None, options: TransportOptions) -> Transport:
    """A transport by name; None chooses.

    The choice is the one installed plugin that can serve these options, and aiohttp where there is
    none or more than one. A plugin that fails is then left out, with a warning.

    :raises PluginNotInstalled: where no package offers a transport of that name.
    :raises PluginBroken: where it fails to load or to start, or where two packages offer it.
    :raises UsageError: where it can't do what the options ask for.
    """
    if name is None:
        return _chosen(options) or _default(options)
    if name == DEFAULT:
        return _default(options)
    entries = {str(plugins._describe(e)): e for e in plugins._entries(GROUP) if e.name == name}
    if not entries:
        raise _not_installed(name)
    if len(entries) > 1:
        raise PluginBroken(
            f"the transport {name!r} is offered by {' and by '.join(sorted(entries))}: uninstall "
            "all but one"
        )
    (entry,) = entries.values()
    return _made(entry, options)


def described(transport: Transport) -> str:
    """What a transport is, for people: its name and where it comes from."""
    package = type(transport).__module__.partition(".")[0]
    if package == __name__.partition(".")[0]:
        return DEFAULT if type(transport).__name__ == "HttpTransport" else type(transport).__name__
    for entry in plugins._entries(GROUP):
        if entry.value.partition(":")[0].partition(".")[0] == package:
            info = plugins._describe(entry)
            return f"{info.name} ({info.distribution} {info.version})"
    return f"{type(transport).__module__}.{type(transport).__name__}"


def _default(options: TransportOptions) -> Transport:
    # aiohttp takes a while to import and isn't needed to list exchanges.
    from ccrs_core.transport.http import HttpTransport

    return HttpTransport(options)


def _chosen(options: TransportOptions) -> Transport | None:
    able = []
    for entry in plugins._entries(GROUP):
        try:
            able.append(_made(entry, options))
        except UsageError:
            continue  # not with these options
        except CcrsError as error:
            log.warning("%s; aiohttp is used instead", error)
    return able[0] if len(able) == 1 else None


def _made(entry: EntryPoint, options: TransportOptions) -> Transport:
    origin = f"the transport {entry.name!r} of {plugins._describe(entry)}"
    try:
        with loading(origin, plugins._describe(entry).distribution):
            made: Any = entry.load()(options)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginBroken(f"{origin} can't be loaded: {type(error).__name__}: {error}") from error
    missing = [name for name in ("connect", "request", "aclose") if not hasattr(made, name)]
    if missing:
        raise PluginBroken(f"{origin} is no transport: it lacks {', '.join(missing)}")
    return made  # type: ignore[no-any-return]


def _not_installed(name: str) -> PluginNotInstalled:
    known = sorted({DEFAULT, *(entry.name for entry in plugins._entries(GROUP))})
    return PluginNotInstalled(f"no transport {name!r} is installed; installed: {', '.join(known)}")
