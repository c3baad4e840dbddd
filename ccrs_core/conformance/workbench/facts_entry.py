"""A table of a plugin's file of facts: what is taken from it is gone, and the rest is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

import attrs

FILE = "facts.toml"
E = TypeVar("E", bound=Enum)
F = TypeVar("F", bound="Fact")


class FactsError(AssertionError):
    """The file of facts isn't written as it must be; the message says where, and what to write."""


@attrs.frozen(kw_only=True)
class Fact:
    """Something that the exchange's documents say."""

    where: str
    """How to find it in the file."""
    source: str
    """The page that says so."""
    date: dt.date
    """The day on which the page was read."""

    def __str__(self) -> str:
        return f"{FILE}, {self.where} ({self.source}, {self.date})"


_MISSING: Any = object()


class Entry:
    """One table of the file."""

    def __init__(self, where: str, values: dict[str, Any], common: Any = None) -> None:
        self.where = where
        self._left = values
        self._known: list[str] = []
        self._common: Mapping[str, Any] = common or {}

    def wrong(self, text: str) -> FactsError:
        return FactsError(f"{FILE}, {self.where}: {text}")

    def of(self, name: str, value: Any, kind: Any, word: str) -> Any:
        """A value of that type. Whole numbers are numbers of seconds, too."""
        if kind is float and type(value) is int:
            return float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(f"{name} must be {word}, not {value!r}")
        return value

    def take(self, name: str, kind: Any, default: Any = _MISSING) -> Any:
        """A value, which is used up."""
        self._known.append(name)
        if name not in self._left:
            if default is _MISSING:
                raise self.wrong(f"{name} is missing: write {_WORDS.get(kind, 'it')}")
            return default
        return self.of(name, self._left.pop(name), kind, _WORDS.get(kind, "text or a list"))

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(
            self.of(name, each, str, "a list of texts") for each in self.take(name, list, ())
        )

    def numbers(self, name: str) -> tuple[int, ...]:
        found = self.take(name, list, ())
        return tuple(self.of(name, each, int, "a list of whole numbers") for each in found)

    def table(self, name: str) -> dict[str, str]:
        found = self.take(name, dict, {})
        return {key: self.of(f"{name}.{key}", text, str, "text") for key, text in found.items()}

    def members(self, name: str, kind: type[E]) -> frozenset[E]:
        """Of an enumeration; all of them where none is named."""
        return frozenset(self.member(name, text, kind) for text in self.texts(name)) or frozenset(
            kind
        )

    def member(self, name: str, text: Any, kind: type[E]) -> E:
        try:
            return kind(text)
        except ValueError:
            known = ", ".join(str(each.value) for each in kind)
            raise self.wrong(f"{name}: there is no {text!r}; write one of {known}") from None

    def entries(self, name: str, told_by: str, common: Any) -> Iterator[Entry]:
        """The tables ``[[name]]``."""
        for number, values in enumerate(self.take(name, list, ()), 1):
            table = self.of(name, values, dict, f"tables: write [[{name}]]")
            told = table.get(told_by, "")
            yield Entry(f"{name} {number}{f' ({told})' if told else ''}", dict(table), common)

    def entry(self, name: str, common: Any, make: Callable[[Entry], F]) -> F | None:
        """The table ``[name]``."""
        found = self.take(name, dict, None)
        return None if found is None else make(Entry(name, dict(found), common))

    def known(self) -> dict[str, Any]:
        """Where it is, its source and its date."""
        source, pages = self.take("source", str, ""), self._common["pages"]
        source = pages.get(source, source)
        if not source.startswith(("https://", "http://")):
            named = f"{source!r} is neither an address nor one of [pages]" if source else "missing"
            raise self.wrong(f"source is {named}: write the page of the exchange that says so")
        date = self.take("date", dt.date, self._common["date"])
        if date is None:
            raise self.wrong(
                "date is missing: write the day on which the page was read, here or once at the "
                "top of the file (date = 2026-01-31)"
            )
        self.take("note", str, "")
        return {"where": self.where, "source": source, "date": date}

    def finish(self) -> None:
        """Refuse what nobody has taken."""
        if self._left:
            raise self.wrong(
                f"{', '.join(self._left)} is unknown; there may be {', '.join(self._known)}"
            )

    def fact(self, kind: type[F], **fields: Any) -> F:
        found = kind(**self.known(), **fields)
        self.finish()
        return found


_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list [...]",
    dict: "a table {...}",
    dt.date: "a date such as 2026-01-31",
}
