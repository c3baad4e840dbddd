"""A frame's JSON as it is spelled: its values with their paths and places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

MOST_TOKENS = 400
"""Values that a frame may have of which a spelling is learned."""
_DEEPEST = 32
"""How deep they may lie. Python's stack would not bear everything that parsers take."""

_STRING = re.compile(r'"[^"\\\x00-\x1f]*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"true|false|null")
_SPACE = re.compile(r"[ \t\r\n]*")


class Unspelled(ValueError):
    """That a text isn't spelled in a way of which a pattern can be made."""


@attrs.frozen
class Token:
    """One value: where it stands (its path begins at the frame), from which to which character."""

    path: str
    kind: str
    """``text``, ``number``, ``word``; ``list`` and ``object``, which end after what they hold."""
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """All values of a JSON text; lists and objects come before what they hold.

    :raises Unspelled: for escapes, for a key that comes twice or is empty, for what is no JSON.
    """
    found = _Walk(text)
    end = found.value(0, "")
    if _space(text, end) != len(text):
        raise Unspelled("something stands after the frame")
    return found.tokens


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []

    def value(self, at: int, path: str) -> int:
        """Take the value at a place; the place after it."""
        at = _space(self.text, at)
        sign = self.text[at : at + 1]
        if sign in ("{", "["):
            if path.count(".") >= _DEEPEST:
                raise Unspelled("values lie too deep")
            place = len(self.tokens)
            kind = "object" if sign == "{" else "list"
            token = Token(path, kind, at, at)
            self._add(token)
            end = self._members(at + 1, path) if sign == "{" else self._items(at + 1, path)
            self.tokens[place] = attrs.evolve(token, end=end)
            return end
        for kind, pattern in (("text", _STRING), ("number", _NUMBER), ("word", _WORD)):
            match = pattern.match(self.text, at)
            if match is not None:
                self._add(Token(path, kind, at, match.end()))
                return match.end()
        raise Unspelled(f"no value at {at}")

    def _add(self, token: Token) -> None:
        if len(self.tokens) >= MOST_TOKENS:
            raise Unspelled("too many values")
        self.tokens.append(token)

    def _members(self, at: int, path: str) -> int:
        keys: set[str] = set()
        for start in self._parts(at, "}"):
            match = _STRING.match(self.text, start)
            if match is None:
                raise Unspelled("a key is spelled strangely")
            key = match[0][1:-1]
            if not key or key in keys or "." in key or "/" in key:
                raise Unspelled("a key comes twice, or can't be in a path")
            keys.add(key)
            after = _space(self.text, match.end())
            if self.text[after : after + 1] != ":":
                raise Unspelled("a key without a value")
            self._at = self.value(after + 1, f"{path}.{key}" if path else key)
        return self._at

    def _items(self, at: int, path: str) -> int:
        for place, start in enumerate(self._parts(at, "]")):
            self._at = self.value(start, f"{path}.{place}" if path else str(place))
        return self._at

    def _parts(self, at: int, close: str) -> Iterator[int]:
        """Where each part of a list or object begins; leaves ``_at`` after its end."""
        at = _space(self.text, at)
        if self.text[at : at + 1] == close:
            self._at = at + 1
            return
        while True:
            yield _space(self.text, at)
            at = _space(self.text, self._at)
            sign = self.text[at : at + 1]
            at += 1
            if sign == close:
                self._at = at
                return
            if sign != ",":
                raise Unspelled("neither a comma nor an end")


__all__ = ["MOST_TOKENS", "Token", "Unspelled", "tokens"]
