"""Frames as OKX spells them, and what a codec says of them: for the tests of several modules."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of

from ccrs_core import Channel, Codec, Data, Instrument, Market, SizeUnit, Subscription

NOW = 1_794_000_000_000
MINUTE = 60_000
SPOT, LINEAR, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"
OPTION = "BTC-USD-261225-100000-C"


def instrument(native: str = SPOT, contract: str = "1") -> Instrument:
    found = instrument_of(native)
    assert found is not None
    return worth(found, contract)


def worth(found: Instrument, contract: Decimal | str) -> Instrument:
    """A guessed instrument as the list tells it: with contracts of a worth."""
    if found.market is Market.SPOT:
        return found
    if found.market is Market.INVERSE:
        return attrs.evolve(found, quote_per_contract=Decimal(contract))
    return attrs.evolve(found, size_unit=SizeUnit.BASE, base_per_native_contract=Decimal(contract))


def worth_of(found: Instrument) -> Decimal:
    return found.quote_per_contract or found.base_per_native_contract or Decimal(1)


def codec_for(*channels: Channel, of: Instrument | None = None, **options: Any) -> Codec:
    codec = OkxCodec()
    codec.subscribe([Subscription(c, of or instrument(), **options) for c in channels], "1")
    return codec


def said(codec: Codec, frame: dict[str, Any]) -> list[Any]:
    return list(codec.decode(json.dumps(frame).encode(), 7))


def told(channel: str, *rows: Any, of: str = SPOT, **more: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": of}, **more, "data": list(rows)}


def data_of(codec: Codec, frame: dict[str, Any]) -> Data:
    (message,) = said(codec, frame)
    assert isinstance(message, Data)
    return message


def only(codec: Codec, frame: dict[str, Any]) -> Any:
    """The one event of a frame."""
    (event,) = data_of(codec, frame).events
    return event
