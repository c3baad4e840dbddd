"""A recording instead of simulated markets: its frames, at their own pace or faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import orjson

from ccrs_core.emulator.broadcasts import Broadcast
from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.roles import Timetable
from ccrs_core.errors import UsageError
from ccrs_core.model.units import NS_PER_SECOND

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


class _RecordedTopic(Broadcast):
    """A topic of the recording; the rebroadcast itself sends its frames."""

    def first(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()


class Rebroadcast:
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
        self._topics: dict[str, _RecordedTopic] = {}
        self._frames: list[tuple[int, str, Frame]] = []
        self._timetable: Timetable | None = None
        self._started = False
        self.finished = False
        """Whether all frames have been sent."""

    @classmethod
    def of_file(cls, path: Path, *, speed: float = 1.0) -> Rebroadcast:
        """The rebroadcast of a file of recorded lines."""
        with path.open("rb") as lines:
            return cls(read_recording(lines), speed=speed)

    def attach(
        self, timetable: Timetable, read: Callable[[bytes], tuple[str, int | None] | None]
    ) -> None:
        """Called by the emulator: sort the frames by topic, which ``Dialect.recorded`` reads."""
        self._timetable = timetable
        first_ns: int | None = None
        offset_ns = 0
        for recorded in self._recorded:
            known = read(recorded.raw)
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
            self._topics.setdefault(topic, _RecordedTopic(topic, ()))
            self._frames.append((offset_ns, topic, Frame(recorded.raw)))

    @property
    def topics(self) -> frozenset[str]:
        """The topics that were recorded."""
        return frozenset(self._topics)

    def broadcast(self, topic: str, now_ns: int) -> Broadcast | None:
        """That of a topic, None where it wasn't recorded; the first call starts the clock."""
        found = self._topics.get(topic)
        if found is not None and not self._started:
            self._started = True
            self._play(0, now_ns + self._delay_ns)
        return found

    def _play(self, index: int, start_ns: int) -> None:
        if index == len(self._frames):
            self.finished = True
            return
        assert self._timetable is not None
        offset_ns, topic, frame = self._frames[index]

        def send(_: int) -> None:
            self._topics[topic].send(frame)
            self._play(index + 1, start_ns)

        self._timetable.at(start_ns + round(offset_ns / self._speed), send)
