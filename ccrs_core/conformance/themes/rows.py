"""Property 1, of frames that list what happened: a strange row takes none of the others away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ccrs_core.conformance.themes.answer_lists import AnswerListProperties
from ccrs_core.conformance.themes.exponents import ExponentProperties
from ccrs_core.conformance.themes.lists import ListProperties
from ccrs_core.conformance.workbench.material import (
    Place,
    captures,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Codec, Data, LeftOut, Message
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Liquidation, Trade

_STRANGE: Sequence[Any] = ({}, None, "x", {"zz": 1})
"""Rows that no exchange means to send."""

_Shown = tuple[Any, Place, list[Any], list[Any]]
"""A frame, where its rows are, those rows, and what they say."""


class RowProperties(ListProperties, AnswerListProperties, ExponentProperties):
    """Of lists in frames."""

    @proves(1, against=Against.NOTHING)
    def test_a_strange_row_takes_none_of_the_others_away(self, subject: Subject) -> None:
        """Where a frame lists trades or liquidations, a row that can't be read is a ``LeftOut`` of
        their topic, in its place, and the others are delivered."""
        tried = False
        for capture in captures(subject):
            codec = capture.codec(subject.make())
            seen: dict[tuple[str, int], _Shown] = {}
            for frame in capture.frames:
                topic, shown = _listed(codec, frame)
                if shown is None:
                    continue
                # Frames of one row often: two of a topic make one of several.
                before = seen.get((topic, len(shown[0])))
                seen[topic, len(shown[0])] = shown
                if before is not None and _together(codec, before, shown):
                    tried = True
                    for strange in _STRANGE:
                        _one_is_strange(codec, topic, before, shown, strange)
                    break
        if not tried:
            subject.undeclared("frame that lists trades or liquidations")


def _listed(codec: Codec, frame: bytes) -> tuple[str, _Shown | None]:
    """The rows of a frame, if each of them is a trade or a liquidation."""
    messages = codec.decode(frame, RECEIVED_NS)
    events = _events(messages)
    topics = {message.topic for message in messages if isinstance(message, Data)}
    if len(topics) != 1 or not all(isinstance(each, Trade | Liquidation) for each in events):
        return "", None
    try:
        tree = parsed(frame)
    except ValueError:
        return "", None
    for place, value in places(tree):
        if isinstance(value, list) and len(value) == len(events) and _rows(value):
            return topics.pop(), (tree, place, value, events)
    return "", None


def _rows(value: list[Any]) -> bool:
    return all(isinstance(row, dict) and len(row) > 1 for row in value)


def _events(messages: Sequence[Message]) -> list[Any]:
    return [event for m in messages if isinstance(m, Data) for event in m.events]


def _joined(one: _Shown, rows: list[Any]) -> bytes:
    return spelled(replaced(one[0], one[1], rows))


def _together(codec: Codec, one: _Shown, other: _Shown) -> bool:
    """Whether rows of two frames may stand in one."""
    if one[1] != other[1]:
        return False
    try:
        found = _events(codec.decode(_joined(one, one[2] + other[2]), RECEIVED_NS))
    except DecodeError:
        return False
    return found == one[3] + other[3]


def _one_is_strange(codec: Codec, topic: str, one: _Shown, other: _Shown, strange: Any) -> None:
    frame = _joined(one, [*one[2], strange, *other[2]])
    was = f"\n  it was: {frame[:500]!r}"
    try:
        messages = codec.decode(frame, RECEIVED_NS)
    except DecodeError as error:
        raise AssertionError(
            f"one strange row takes the others away ({error}): read them by "
            f"ccrs_core.wire.row_by_row where they can't be read together{was}"
        ) from None
    found = _events(messages)
    assert found == one[3] + other[3], f"beside a strange row others are missing or changed{was}"
    left = [message for message in messages if isinstance(message, LeftOut)]
    assert [each.topic for each in left] == [topic], (
        f"the strange row is told as {left or 'nothing'}, not as one LeftOut of {topic}: what is "
        f"lost in silence is missed by nobody{was}"
    )
    assert list(_before(messages)) == one[3], f"LeftOut stands in another place{was}"


def _before(messages: Sequence[Message]) -> Iterator[Any]:
    """The events before what was left out."""
    for message in messages:
        if isinstance(message, LeftOut):
            return
        if isinstance(message, Data):
            yield from message.events
