"""What the installed exchanges offer, or why they can't be loaded, as plain values."""

from __future__ import annotations

from typing import Any

from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel


def rows() -> list[dict[str, Any]]:
    """All exchanges, loaded here and now: what they offer, or why they can't be loaded."""
    good, bad = plugins.load_all()
    installed = {info.name: info for info in plugins.installed()}
    rows: list[dict[str, Any]] = []
    for name in sorted({*good, *bad}):
        info = installed.get(name)
        row: dict[str, Any] = {
            "name": name,
            "distribution": None if info is None else info.distribution,
            "version": None if info is None else info.version,
        }
        if name in bad:
            row["error"] = str(bad[name])
        else:
            try:
                row |= _offer(good[name])
            except Exception as error:  # a declaration of other types
                row["error"] = f"what {name} declares can't be read: {error!r}"
        rows.append(row)
    return rows


def _offer(exchange: Any) -> dict[str, Any]:
    offered = exchange.capabilities
    return {
        "title": exchange.title or exchange.name,
        "environments": list(exchange.environments),
        "emulator": _has_emulator(exchange),
        "markets": {
            market.value: {
                "channels": [c.value for c in Channel if c in offered.channels[market]],
                "book_depths": list(offered.book_depths.get(market, ())),
            }
            for market in Market
            if market in offered.channels
        },
        "intervals": list(offered.intervals),
    }


def _has_emulator(exchange: Any) -> bool:
    from ccrs_core.contract.exchange import Exchange

    return exchange.dialect is not Exchange.dialect
