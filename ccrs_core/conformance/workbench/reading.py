"""Reads samples' JSON into the library's values, and says where it is wrong and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, cast, get_args

import attrs

from ccrs_core.contract.rest import Request
from ccrs_core.model.events import Event
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.serialize import EVENTS, converter

T = TypeVar("T")

RECEIVED_NS = 1_794_000_500_000_000_000
"""When samples are taken to have been received."""

_REQUIRED: Any = object()


class SampleError(AssertionError):
    """A sample isn't written as it must be; the message names file and place, and what to write."""


class Reader:
    """One JSON value of a sample and where it is."""

    def __init__(self, value: Any, file: str, path: str) -> None:
        self.value = value
        self.file = file
        self.path = path

    @property
    def where(self) -> str:
        return f"{self.file}: {self.path.removeprefix('.')}" if self.path else self.file

    def wrong(self, name: str, what: str) -> SampleError:
        """The error to raise about one of its fields."""
        place = f"{self.path}.{name}" if name else self.path
        place = place.removeprefix(".")
        return SampleError(f"{self.file}: {place}: {what}" if place else f"{self.file}: {what}")

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its fields, as an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("", f"must be an object {{…}}, not {_shown(self.value)}")
        return self.value

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """One of its fields as it is."""
        if name in self.fields:
            return self.fields[name]
        if default is _REQUIRED:
            has = ", ".join(self.fields) or "nothing"
            raise self.wrong(name, f"missing: write it (there is {has})")
        return default

    def typed(self, name: str, kind: type[T], default: Any = _REQUIRED) -> T:
        """One of its fields, of that very type; an enumeration by its value. Null is as good as
        none where there is a default."""
        value = self.get(name, default)
        if value is None and default is not _REQUIRED:
            return default  # type: ignore[no-any-return]
        if issubclass(kind, Enum):
            try:
                return kind(value)
            except ValueError:
                known = ", ".join(str(member.value) for member in kind)
                raise self.wrong(name, f"no {_shown(value)}; write one of {known}") from None
        if type(value) is not kind:
            word = _WORDS.get(kind, kind.__name__)
            raise self.wrong(name, f"must be {word}, not {_shown(value)}")
        return value

    def number(self, name: str) -> float | None:
        """One of its fields as seconds."""
        value = self.get(name, None)
        if value is not None and type(value) not in (int, float):
            raise self.wrong(name, f"must be a number or null, not {_shown(value)}")
        return value  # type: ignore[no-any-return]

    def choice(self, name: str, among: Mapping[str, T], of: str) -> T:
        """What one of its fields names."""
        key = self.typed(name, str)
        if key not in among:
            raise self.wrong(name, f"no {key!r} in {of}; there is {', '.join(among) or 'nothing'}")
        return among[key]

    def item(self, name: str) -> Reader:
        """One of its fields, an object."""
        found = Reader(self.get(name), self.file, f"{self.path}.{name}")
        _ = found.fields
        return found

    def items(self, name: str, default: Any = _REQUIRED) -> Sequence[Reader]:
        """One of its fields (or itself: ``name`` empty), a list."""
        value = self.get(name, default) if name else self.value
        if not isinstance(value, list):
            raise self.wrong(name, f"must be a list […], not {_shown(value)}")
        path = f"{self.path}.{name}" if name else self.path
        return [Reader(item, self.file, f"{path}[{at}]") for at, item in enumerate(value)]

    def lists(self, name: str) -> Sequence[Sequence[Reader]]:
        """One of its fields, a list of lists."""
        return [item.items("") for item in self.items(name)]

    def pairs(self, name: str, default: Any = _REQUIRED) -> Sequence[tuple[str, str]]:
        """One of its fields, a list of pairs of texts."""
        found = []
        for item in self.items(name, default):
            if not (
                isinstance(item.value, list)
                and len(item.value) == 2
                and all(isinstance(text, str) for text in item.value)
            ):
                raise item.wrong("", f'must be a pair ["name", "value"], not {_shown(item.value)}')
            found.append((item.value[0], item.value[1]))
        return found

    def texts(self, name: str, default: Any = _REQUIRED) -> Mapping[str, str]:
        """One of its fields, an object of texts."""
        value = self.get(name, default)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self.wrong(name, f"must be an object of texts, not {_shown(value)}")
        return value

    def hexadecimal(self, name: str) -> bytes:
        """One of its fields, bytes in hexadecimal digits."""
        try:
            return bytes.fromhex(self.typed(name, str))
        except ValueError:
            raise self.wrong(name, "must be hexadecimal digits") from None

    # --- the library's values ---

    def event(self, exchange: str, symbol: str | None) -> Event:
        """An event; it is of ``symbol`` unless it says otherwise."""
        kind = self.choice("type", EVENTS, "ccrs_core.model.events")
        given = {"exchange": exchange, "received_time_ns": RECEIVED_NS, "type": None}
        if "symbol" not in self.fields:
            if symbol is None:
                raise self.wrong("symbol", "missing: the topic doesn't tell of which symbol it is")
            given["symbol"] = symbol
        return self.structure(kind, **given)

    def request(
        self, kind: type[Request[Any]], instruments: Mapping[str, Instrument]
    ) -> Request[Any]:
        """A unified question about one of these instruments, named by ``symbol``."""
        given: dict[str, Any] = {"type": None}
        fields = {field.name: field for field in attrs.fields(kind)}
        if "items" in fields:
            item = get_args(attrs.fields(attrs.resolve_types(cast(Any, kind))).items.type)[0]
            given["items"] = tuple(each.request(item, instruments) for each in self.items("items"))
        for field in attrs.fields(attrs.resolve_types(cast(Any, kind))):
            if isinstance(field.type, type) and issubclass(field.type, Request):
                part = self.item(field.name)
                given[field.name] = part.request(field.type, instruments)
        of_one = fields.get("instrument")
        if of_one is not None and ("symbol" in self.fields or of_one.default is attrs.NOTHING):
            given |= {"instrument": self.choice("symbol", instruments, "instruments")}
            given |= {"symbol": None}
        return self.structure(kind, **given)

    def structure(self, kind: type[T], **given: Any) -> T:
        """An object of a class of the library; what is given need not be written."""
        attributes = attrs.fields(attrs.resolve_types(cast(Any, kind)))
        names = [field.name for field in attributes]
        for name in self.fields:
            if name not in names and name not in given:
                raise self.wrong(
                    name, f"{kind.__name__} has no such field; it has {', '.join(names)}"
                )
        values: dict[str, Any] = {}
        for field in attributes:
            if field.name in given:
                values[field.name] = given[field.name]
            elif field.name in self.fields or field.default is attrs.NOTHING:
                value = self.fields.get(field.name)
                try:
                    values[field.name] = converter().structure(value, field.type)
                except Exception as error:  # cattrs groups what it finds in exceptions of its own
                    problem = "missing" if field.name not in self.fields else _reason(error)
                    wanted = str(field.type).replace("<class '", "").replace("'>", "")
                    raise self.wrong(
                        field.name, f"{problem}: write a {wanted} (decimals as text)"
                    ) from None
        return kind(**values)


def _reason(error: BaseException) -> str:
    """The innermost of the errors that cattrs wraps."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


_WORDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
}


# --- comparing ------------------------------------------------------------------------------


def differences(expected: Any, found: Any, where: str) -> Iterable[str]:
    """What differs between an expected and a decoded value, one line each; decimals in each
    digit, numbers also in their type."""
    if attrs.has(type(expected)) and type(expected) is type(found):
        for field in attrs.fields(type(expected)):
            yield from differences(
                getattr(expected, field.name), getattr(found, field.name), f"{where}.{field.name}"
            )
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        if len(expected) != len(found):
            yield f"{where}: {len(expected)} expected, {len(found)} decoded"
        for at, pair in enumerate(zip(expected, found, strict=False)):
            yield from differences(*pair, f"{where}[{at}]")
    elif isinstance(expected, Exception) and isinstance(found, Exception):
        yield from differences(_told(expected), _told(found), where)
    elif type(expected) is not type(found) or not _same(expected, found):
        yield f"{where}: {_shown(expected)} expected, {_shown(found)} decoded"


def _told(error: Exception) -> list[Any]:
    names = ("code", "text", "reason", "retry_after")
    return [type(error).__name__, *(getattr(error, name, None) for name in names)]


def _same(expected: Any, found: Any) -> bool:
    if hasattr(expected, "as_tuple"):
        return bool(expected.as_tuple() == found.as_tuple())
    return bool(expected == found)
