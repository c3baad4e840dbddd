"""A recording instead of simulated markets: its frames, at their own pace or faster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import orjson

from ccrs_core.emulator.dialect import Frame
from ccrs_core.emulator.streams import Stream
from ccrs_core.errors import UsageError
from ccrs_core.model.units import NS_PER_SECOND

if TYPE_CHECKING:
    from ccrs_core.emulator.venue import EmulatedExchange

_UNTIMED_NS = 10_000_000


@attrs.frozen
class RecordedFrame:
    """A received frame and when it arrived, nanoseconds UTC; None where nobody wrote it down."""

    time_ns: int | None
    raw: bytes


def read_recording(lines: Iterable[bytes | str]) -> list[RecordedFrame]:
    """Read lines of ``{"recv_ts": seconds, "raw": text}``, or of bare frames.

    :raises UsageError: naming the first line that is neither.
    """
    frames = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"line {number} of the recording can't be read: {error}") from None
        if not (isinstance(record, dict) and "recv_ts" in record and "raw" in record):
            raw = line.encode() if isinstance(line, str) else line
            frames.append(RecordedFrame(None, raw.strip()))
            continue
        time, text = record["recv_ts"], record["raw"]
        if not isinstance(text, str) or not isinstance(time, int | float | None):
            raise UsageError(f"line {number} of the recording has no text or no time")
        time_ns = None if time is None else round(time * NS_PER_SECOND)
        frames.append(RecordedFrame(time_ns, text.encode()))
    return frames


class _RecordedStream(Stream):
    """A topic of the recording; the replay itself sends its frames."""

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()


class Replay:
    """Plays a recording's frames to the subscribers of their topics.

    It starts ``delay`` seconds after the first subscription, so that several connections see all
    of it. Whoever comes later joins where it is by then.
    """

    def __init__(
        self, frames: Sequence[RecordedFrame], *, speed: float = 1.0, delay: float = 0.5
    ) -> None:
        if speed <= 0:
            raise UsageError(f"speed {speed:g} must be above 0")
        self._recorded = frames
        self._speed = speed
        self._delay_ns = round(delay * NS_PER_SECOND)
        self._streams: dict[str, _RecordedStream] = {}
        self._frames: list[tuple[int, str, Frame]] = []
        self._venue: EmulatedExchange | None = None
        self._started = False
        self.finished = False
        """Whether all frames have been sent."""

    @classmethod
    def of_file(cls, path: Path, *, speed: float = 1.0) -> Replay:
        """The replay of a file of recorded lines."""
        with path.open("rb") as lines:
            return cls(read_recording(lines), speed=speed)

    def attach(self, venue: EmulatedExchange) -> None:
        """Called by the emulator: sort the frames by topic, in its exchange's words."""
        self._venue = venue
        first_ns: int | None = None
        offset_ns = 0
        for recorded in self._recorded:
            known = venue.dialect.recorded(recorded.raw)
            if known is None:
                continue
            topic, exchange_ns = known
            time_ns = recorded.time_ns if recorded.time_ns is not None else exchange_ns
            if time_ns is None:
                offset_ns += _UNTIMED_NS if self._frames else 0
            else:
                first_ns = time_ns if first_ns is None else first_ns
                # Frames keep their order, whatever their times say.
                offset_ns = max(offset_ns, time_ns - first_ns)
            self._streams.setdefault(topic, _RecordedStream(topic, ()))
            self._frames.append((offset_ns, topic, Frame(recorded.raw)))

    @property
    def topics(self) -> frozenset[str]:
        """The topics that were recorded."""
        return frozenset(self._streams)

    def stream(self, topic: str, now_ns: int) -> Stream | None:
        """The stream of a topic, None where it wasn't recorded; the first call starts the clock."""
        stream = self._streams.get(topic)
        if stream is not None and not self._started:
            self._started = True
            self._play(0, now_ns + self._delay_ns)
        return stream

    def _play(self, index: int, start_ns: int) -> None:
        if index == len(self._frames):
            self.finished = True
            return
        assert self._venue is not None
        offset_ns, topic, frame = self._frames[index]

        def send(_: int) -> None:
            self._streams[topic].send(frame)
            self._play(index + 1, start_ns)

        self._venue.at(start_ns + round(offset_ns / self._speed), send)
