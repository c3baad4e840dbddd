"""Raw frames on disk, in both directions, with their times: what was really said, to be replayed.

One JSON object per line. A ``header`` says what was subscribed to, then come ``open``, ``in``,
``out``, ``close`` and ``http`` records, and an ``end`` where recording was ended on purpose. A file
cut at any byte loses at most its last record, and a recording may be appended to: each part begins
with a header of its own. Frames are kept to the byte: as text, or in base64 where they are none.

Secrets are never written: login frames and signed requests are masked.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_core.errors import UsageError
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.masking import all_shown

FORMAT = 1
"""Version of the format that this module writes."""


ABORTED = "aborted by the client"
"""How the end of a connection is told that the client has dropped."""


@attrs.frozen(kw_only=True)
class Header:
    """What a recording (or a part that was appended to one) holds, and where it comes from."""

    kind: ClassVar[str] = "header"

    format: int = FORMAT
    ns: int
    """When recording began, nanoseconds UTC."""
    exchange: str
    exchange_version: str
    core_version: str
    environment: str
    subscriptions: tuple[Subscription, ...]
    connections: int = 1
    """How many raced for each of them."""
    addresses: Mapping[str, str] = attrs.field(factory=dict, converter=all_shown)
    """What was dialled, by name (see :class:`Environment`); empty where it isn't known."""
    part: int = 1
    """Which of the files it begins that one recording was spread over: those of one ``ns``."""


@attrs.frozen
class Opened:
    """A connection was opened. Numbers count from 1 within a header."""

    kind: ClassVar[str] = "open"

    ns: int | None
    connection: int
    url: str


@attrs.frozen
class Received:
    """A frame came in; ``ns`` is None where a recording of other make doesn't say when."""

    kind: ClassVar[str] = "in"

    ns: int | None
    connection: int
    frame: bytes


@attrs.frozen
class Sent:
    """A frame went out; a ``masked`` one held secrets, and is gone."""

    kind: ClassVar[str] = "out"

    ns: int | None
    connection: int
    frame: bytes
    masked: bool = False


@attrs.frozen
class Closed:
    """A connection ended, whoever ended it."""

    kind: ClassVar[str] = "close"

    ns: int | None
    connection: int
    reason: str
    code: int | None = None


@attrs.frozen
class Http:
    """A request and its answer; ``ns`` is when the answer came. None of the headers are kept."""

    kind: ClassVar[str] = "http"

    ns: int | None
    method: str
    url: str
    status: int
    body: bytes
    masked: bool = False


@attrs.frozen
class End:
    """Recording was ended on purpose; the connections were healthy."""

    kind: ClassVar[str] = "end"

    ns: int | None


Record = Header | Opened | Received | Sent | Closed | Http | End

_KINDS: dict[str, type[Any]] = {k.kind: k for k in (Opened, Received, Sent, Closed, Http, End)}
_BYTES = {"frame": "raw", "body": "body"}
_TYPES: dict[str, tuple[type[Any], bool]] = {
    "ns": (int, True),
    "connection": (int, False),
    "url": (str, False),
    "masked": (bool, False),
    "reason": (str, False),
    "code": (int, True),
    "method": (str, False),
    "status": (int, False),
}
"""What the fields of records hold, and whether it may be null."""


def encode(record: Record) -> bytes:
    """A record as one line, newline included."""
    line: dict[str, Any] = {"kind": record.kind}
    if isinstance(record, Header):
        from ccrs_core.model.serialize import converter

        line.update(converter().unstructure(record))
    else:
        for field in attrs.fields(type(record)):
            value = getattr(record, field.name)
            if field.name not in _BYTES:
                if value is not field.default:
                    line[field.name] = value
                continue
            try:
                line[_BYTES[field.name]] = value.decode()
            except UnicodeDecodeError:
                line["base64"] = base64.b64encode(value).decode()
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Record:
    """The record of a line that :func:`encode` wrote.

    :raises ValueError: where it is none.
    """
    content = orjson.loads(line)
    kind = content.pop("kind", None) if isinstance(content, dict) else None
    if kind == Header.kind:
        return _header(content)
    found = _KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError(f"no kind of record: {kind!r}")
    values: dict[str, Any] = {}
    try:
        for field in attrs.fields(found):
            if field.name not in _BYTES:
                if field.name in content or field.default is attrs.NOTHING:
                    values[field.name] = content[field.name]
            elif "base64" in content:
                values[field.name] = base64.b64decode(content["base64"], validate=True)
            else:
                values[field.name] = content[_BYTES[field.name]].encode()
    except (KeyError, AttributeError, TypeError, binascii.Error) as error:
        raise ValueError(f"incomplete record: {error!r}") from error
    for name, value in values.items():
        _check(name, value)
    record: Record = found(**values)
    return record


def _check(name: str, value: Any) -> None:
    """:raises ValueError: where a field holds what is none of its values."""
    kind, optional = _TYPES.get(name, (None, False))
    if kind is None or (optional and value is None):
        return
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} can't be {value!r:.100}")
    if kind is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} is out of range: {value}")


def _header(content: Mapping[str, Any]) -> Header:
    if content.get("format") != FORMAT:
        raise UsageError(
            f"recorded in format {content.get('format')!r}, this version reads format {FORMAT}"
        )
    from ccrs_core.model.serialize import converter

    try:
        return converter().structure(content, Header)
    except Exception as error:  # cattrs groups what it finds in exceptions of its own
        raise ValueError(f"incomplete header: {error!r}") from error
