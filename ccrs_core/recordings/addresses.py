"""Which routes a recorded connection may be of, by the address that it was opened to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ccrs_core.contract.exchange import Route


def routes_to(url: str, routes: Iterable[Route], addresses: Mapping[str, str]) -> list[Route]:
    """Those whose address this is; ``addresses`` are known by name, others may be any."""
    bare = url.partition("?")[0]
    fits = {
        route: len(pattern)
        for route in routes
        for pattern in (_pattern(each, addresses) for each in (route.url, *route.alternatives))
        if re.fullmatch(pattern, bare)
    }
    # One route's path may be the end of another's.
    return [route for route in fits if fits[route] == max(fits.values())]


def _pattern(template: str, addresses: Mapping[str, str]) -> str:
    """What addresses of a template look like; a host may be any where it isn't known."""
    literals = re.split(r"\{(\w+)\}", template.partition("?")[0])
    parts = [re.escape(each) for each in literals]
    for place, name in enumerate(literals[1::2]):
        known = addresses.get(name)
        parts[2 * place + 1] = ".*" if known is None else re.escape(known)
    return "".join(parts)
