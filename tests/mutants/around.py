"""What mutants of states put around codecs and dialects, beyond the plain wrappers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect
from tests.mutants.wrappers import Through


class Remembering(Through):
    """Knows the last event of each kind and symbol."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self.last: dict[tuple[type[Any], str], Any] = {}

    def event(self, event: Any) -> Any:
        key = type(event), event.symbol
        found = self.after(self.last.get(key), event)
        if found is not None:
            self.last[key] = found
        return found

    def after(self, before: Any, event: Any) -> Any:
        """What is delivered instead of an event that follows another one."""
        return event


def reading(base: Any, through: Callable[[Codec], Codec]) -> Any:
    """A plugin's ``codec`` with something around it."""

    def codec(self: Any, route: Route) -> Codec:
        return through(base.codec(self, route))

    return codec


def speaking(base: Any, through: Callable[[Dialect], Dialect]) -> Any:
    """A plugin's ``dialect`` with something around it."""

    def dialect(self: Any) -> Dialect:
        return through(base.dialect(self))

    return dialect


def rewritten(payload: bytes, change: Callable[[Any], Any]) -> bytes:
    """A frame or body with each of its objects changed; what isn't JSON as it was."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload

    def each(value: Any) -> Any:
        if isinstance(value, dict):
            return change({key: each(item) for key, item in value.items()})
        return [each(item) for item in value] if isinstance(value, list) else value

    return json.dumps(each(value), separators=(",", ":")).encode()


def never(name: str, kind: type[Any]) -> type[Remembering]:
    """What a field was before stands for what is None."""

    class Kept(Remembering):
        def after(self, before: Any, event: Any) -> Any:
            if type(event) is kind and before is not None and getattr(event, name) is None:
                return attrs.evolve(event, **{name: getattr(before, name)})
            return event

    return Kept


def told(kind: type[Any], **changes: Callable[[Any], Any]) -> type[Through]:
    """Changes fields of a kind of event."""

    class Told(Through):
        def event(self, event: Any) -> Any:
            if not isinstance(event, kind):
                return event
            return attrs.evolve(event, **{name: act(event) for name, act in changes.items()})

    return Told
