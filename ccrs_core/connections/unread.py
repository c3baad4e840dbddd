"""What a plugin can't read, or breaks over: of which topics it is, and how the log is told."""

from __future__ import annotations

import logging

import orjson

from ccrs_core.connections.effects import Unreadable
from ccrs_core.contract.codec import Codec
from ccrs_core.errors import DecodeError
from ccrs_core.transport.context import Context

log = logging.getLogger("ccrs.connections")

AGAIN = 60.0
"""Seconds after which the log is told anew that a topic's values can't be read."""


def typed(cause: Exception, frame: bytes) -> DecodeError:
    """What a codec has raised, as what it should have raised: a plugin's bug must not take the
    client's other connections down."""
    if isinstance(cause, DecodeError):
        return cause
    error = DecodeError(f"the codec failed: {type(cause).__name__}: {cause}", frame)
    error.__cause__ = cause
    return error


def broken(error: Exception, url: str) -> str:
    """Tell of what only a mistake raises, a plugin's most likely: it costs the connection, and must
    not take the client's other ones down. What is to be said of the connection."""
    log.error("a connection to %s broke", url, exc_info=error)
    return f"it broke: {error!r}"[:500]


def topics_of(codec: Codec, error: Exception, frame: bytes) -> tuple[str, ...]:
    """Whose values couldn't be read, where a frame is a message but for those."""
    if isinstance(error, DecodeError) and error.topics:
        return error.topics
    try:
        orjson.loads(frame)
        told = codec.peek(frame)
    except Exception:
        return ()
    return () if told is None else (told[0],)


class UnreadLog:
    """Tells the log of one connection's unreadable frames: of a topic, whose every frame may be
    unreadable, once in a while."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._told: dict[tuple[str, ...], float] = {}

    def tell(self, effect: Unreadable, now: float) -> None:
        topics, level, what = effect.topics, logging.WARNING, "frame"
        if topics:
            what = f"frame of {', '.join(topics)}"[:200]
            if now - self._told.get(topics, -AGAIN) < AGAIN:
                level = logging.DEBUG
            else:
                self._told[topics] = now
        log.log(level, "unreadable %s on %s: %s", what, self._where, effect.error)


def tell_unanswered(context: Context, number: int, url: str, name: str, text: str) -> None:
    """What a connection was to ask for once wasn't granted: tell listeners and the log."""
    log.warning("%s on connection %d to %s: %s", name, number, url, text)
    context.hook(
        "ccrs_request_unanswered",
        exchange=context.exchange.name,
        url=url,
        number=number,
        request=name,
        text=text,
    )
