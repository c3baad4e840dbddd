"""What an exchange keeps no more: refused, and never answered with a part. Pure."""

from __future__ import annotations

from typing import Any

from ccrs_core.contract.rest import Endpoint, Request
from ccrs_core.errors import Unsupported
from ccrs_core.model.times import shown
from ccrs_core.model.units import NS_PER_SECOND

_MINUTE_NS = 60 * NS_PER_SECOND
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def check_retention(
    exchange: str,
    endpoint: Endpoint[Any, Any],
    request: Request[Any],
    cursor: str | None,
    now_ns: int,
) -> None:
    """Hold what the page of a cursor asks for against how far back the exchange tells by its clock.

    Where pages go back the last one asks for the beginning, else the first.

    :raises Unsupported: where some of it, or all, lies further back.
    """
    kept_ns = endpoint.retention_of(request)
    if kept_ns is None or (cursor is not None and not endpoint.goes_back(request)):
        return
    # Clocks of answers tell whole seconds: one may have passed.
    since_ns = now_ns + NS_PER_SECOND - kept_ns
    start_ns, end_ns = request.start_ns, getattr(request, "end_ns", None)
    name, length = type(request).__name__.removeprefix("Get"), _in_words(kept_ns)
    # By the time that somebody reads it, it will be a little later.
    told = -(-since_ns // _MINUTE_NS) * _MINUTE_NS + _MINUTE_NS
    if start_ns is not None and start_ns < since_ns:
        asked = f"from {shown(start_ns)} on"
    elif start_ns is None and end_ns is not None and end_ns <= since_ns:
        asked = f"before {shown(end_ns)}"
    else:
        return
    raise Unsupported(
        f"{exchange} tells {name} of the last {length} alone: what is asked for {asked} is gone. "
        f"Ask from {shown(told)} on ({told} ns)"
    )


def _in_words(ns: int) -> str:
    seconds = ns // NS_PER_SECOND
    for length, unit in _UNITS:
        if seconds % length == 0 and seconds >= 2 * length:
            return f"{seconds // length:,} {unit}"
    return f"{seconds:,} seconds"


__all__ = ["check_retention"]
