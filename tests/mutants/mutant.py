"""What a mutant is: a working plugin with exactly one thing broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, ClassVar, TypeVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import Endpoint, Request
from ccrs_core.model.events import MarketData

PLUGINS: dict[str, type[Exchange]] = {
    "bybit": Bybit,
    "binance": Binance,
    "okx": Okx,
    "kraken": Kraken,
}
PUBLISHED = {name: resources.files(f"ccrs_{name}") / "samples" for name in PLUGINS}
"""The plugins' samples, which are right."""
SAMPLES = PUBLISHED["bybit"]

K = TypeVar("K", bound=type[Any])


@attrs.frozen
class Mutant:
    """A broken exchange, and the tests of the suite that must notice."""

    name: str
    breaks: str
    make: Callable[[], Exchange]
    aimed_at: tuple[str, ...]
    raises: tuple[type[Exception], ...] = ()
    """What it raises besides typed errors, deliberately."""
    plugin: str = "bybit"
    """The plugin that was broken."""


MUTANTS: list[Mutant] = []
"""Filled by :func:`caught_by`."""
OF_KIND: dict[type[Any], Mutant] = {}
"""The mutant that a class was entered as."""


def caught_by(*tests: str, raises: tuple[type[Exception], ...] = ()) -> Callable[[K], K]:
    """Enter a class into the catalogue: an exchange (whichever plugin's it inherits from), a codec
    of Bybit's, or a plain class whose ``endpoints`` replace Bybit's. Its docstring says what it
    breaks; each of ``tests`` must fail on it."""

    def enter(kind: K) -> K:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
        plugin = next((p for p, base in PLUGINS.items() if issubclass(kind, base)), "bybit")
        assert kind.__doc__, f"{name} doesn't say what it breaks"
        assert all(name != known.name for known in MUTANTS), f"{name} is there already"
        made = _exchange(kind, plugin)
        MUTANTS.append(Mutant(name, kind.__doc__, made, tests, raises, plugin))
        OF_KIND[kind] = MUTANTS[-1]
        return kind

    return enter


def _exchange(kind: type[Any], plugin: str) -> Callable[[], Exchange]:
    if issubclass(kind, Codec):

        class Speaking(Bybit):
            def codec(self, route: Route) -> Codec:
                codec: Codec = kind()
                return codec

        made: type[Exchange] = Speaking
    elif issubclass(kind, Exchange):
        made = kind
    else:

        class Asking(Bybit):
            endpoints: ClassVar[Any] = {**Bybit.endpoints, **kind.endpoints}

        made = Asking
    # Whoever looks for the plugin's package must find the one that is installed.
    if made.__module__.startswith("tests."):
        made.__module__ = f"ccrs_{plugin}"
    return made


# --- what many mutants do -------------------------------------------------------------------


class Misread(BybitCodec):
    """Changes what was read right."""

    def event(self, event: Any) -> Any:
        """The event that is delivered instead, None for none."""
        return event

    def message(self, message: Message) -> Message | None:
        """The message that is given instead, None for none."""
        if not isinstance(message, Data):
            return message
        events = [e for e in map(self.event, message.events) if e is not None]
        return Data(message.topic, events, message.sequence, message.restart) if events else None

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        return [m for m in map(self.message, messages) if m is not None]


class Tampered(BybitCodec):
    """Reads right what was changed before."""

    def tamper(self, frame: dict[str, Any]) -> None:
        """Change a data frame in place."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            message = orjson.loads(frame)
            if "topic" in message and isinstance(message["data"], list | dict):
                self.tamper(message)
                frame = orjson.dumps(message)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError):
            pass  # Malformed: the working codec says so.
        return super().decode(frame, received_time_ns)


def changed(event: MarketData, **fields: Any) -> MarketData:
    """An event with other values."""
    return attrs.evolve(event, **fields)


def endpoint(kind: type[Request[Any]], **changes: Any) -> dict[type[Request[Any]], Any]:
    """Bybit's endpoint of a request with something changed."""
    return {kind: attrs.evolve(Bybit.endpoints[kind], **changes)}


def original(kind: type[Request[Any]]) -> Endpoint[Any, Any]:
    """Bybit's endpoint of a request."""
    return Bybit.endpoints[kind]
