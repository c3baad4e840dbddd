"""Mutants that misunderstand order: snapshots, deltas, numbers, copies, state."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import attrs
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import BookUpdate, TopOfBook
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Subscription
from tests.mutants.mutant import Misread, caught_by, changed


@caught_by("test_the_book_is_the_markets_after_each_update")
class ZeroSizesNotRemoved(Misread):
    """Levels of size 0, which remove a price from the book, are left out of the updates."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate):
            return event
        return changed(
            event,
            bids=tuple(level for level in event.bids if level[1]),
            asks=tuple(level for level in event.asks if level[1]),
        )


@caught_by("test_a_delta_before_its_snapshot_is_not_applied")
class DeltaAppliedBeforeItsSnapshot(Misread):
    """The first delta that comes without a snapshot before it is taken for one."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[str] = set()

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate) or event.symbol in self._begun:
            return event
        self._begun.add(event.symbol)
        return changed(event, snapshot=True, previous_sequence=None)


@caught_by("test_a_lost_repeated_or_swapped_delta_never_leaves_a_wrong_valid_book")
class SequenceHoleIgnored(Misread):
    """Deltas don't say which update they follow, so that a lost one goes unnoticed."""

    def event(self, event: Any) -> Any:
        return changed(event, previous_sequence=None) if isinstance(event, BookUpdate) else event


@caught_by(
    "test_a_lost_repeated_or_swapped_delta_never_leaves_a_wrong_valid_book",
    "test_a_hole_in_a_books_sequence_is_told_before_what_follows",
)
class EveryDeltaFollowsTheLast(Misread):
    """Each delta claims to follow whichever came before it."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, int] = {}

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate):
            return event
        last = self._last.get(event.symbol)
        self._last[event.symbol] = event.sequence
        return event if event.snapshot else changed(event, previous_sequence=last)


@caught_by(
    "test_every_sample_frame_says_what_is_expected_of_it",
    "test_each_change_of_a_book_names_the_update_that_it_follows",
)
class PreviousNumberOffByOne(Misread):
    """Each delta claims to follow the update before the one that it follows."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate) or event.previous_sequence is None:
            return event
        return changed(event, previous_sequence=event.previous_sequence - 1)


@caught_by("test_a_stream_within_its_cadence_is_never_called_stale")
class RepeatedSnapshotTakenForAnError(Misread):
    """A top of book that comes again with the same number is called malformed."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, int | None] = {}

    def event(self, event: Any) -> Any:
        if isinstance(event, TopOfBook) and event.sequence is not None:
            if self._seen.get(event.symbol) == event.sequence:
                raise DecodeError("repeated", b"")
            self._seen[event.symbol] = event.sequence
        return event


# The core heals it, with a Gap, after some seconds.
@caught_by(
    "test_every_sample_frame_says_what_is_expected_of_it",
    "test_a_count_that_begins_anew_is_told_with_its_first_frame",
)
class RestartIgnored(Misread):
    """That the exchange has begun to count anew isn't told."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Data):
            message.restart = False
        return message

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        copy = super().peek(frame)
        return None if copy is None else (copy[0], copy[1], False)


@caught_by("test_sequences_rise_between_gaps", "test_racing_connections_deliver_what_one_does")
class RepeatsNotNumbered(Misread):
    """Top of book carries no number by which repeats and copies are recognised."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Data) and isinstance(message.events[0], TopOfBook):
            message.sequence = None
        return message

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None


@caught_by("test_racing_connections_deliver_what_one_does")
class PeekTakesUpdatesForCopies(BybitCodec):
    """Trades are told apart by their first few bytes, which many have in common."""

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        copy = super().peek(frame)
        if copy is None or isinstance(copy[1], int):
            return copy
        return copy[0], copy[1][:5], copy[2]


@caught_by("test_a_glance_at_a_frame_says_what_decoding_it_says")
class PeekedNumberIsAnother(BybitCodec):
    """The cheap look at a frame finds another number than decoding it."""

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        copy = super().peek(frame)
        if copy is None or not isinstance(copy[1], int):
            return copy
        return copy[0], copy[1] // 10 * 10, copy[2]


@caught_by("test_a_glance_at_a_frame_says_what_decoding_it_says")
class PeekedTopicIsAnother(BybitCodec):
    """The cheap look at a frame finds the topic that was subscribed first."""

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        copy = super().peek(frame)
        return None if copy is None else (next(iter(self.topics)), copy[1], copy[2])


@caught_by("test_a_glance_at_a_frame_says_what_decoding_it_says")
class DeltasCalledIndependent(BybitCodec):
    """What depends on the frames before is said to be recognised at a glance."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        return [
            attrs.evolve(m, peek_agrees=True) if isinstance(m, Data) else m
            for m in super().decode(frame, received_time_ns)
        ]


@caught_by("test_a_burst_keeps_the_newest_state_of_each_topic")
class BurstKeepsTheOldest(BybitCodec):
    """Of a burst the first state is kept."""

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        kept, superseded = super().newest(frames, replaceable)
        first: dict[str, bytes] = {}
        for frame in frames:
            copy = self.peek(frame)
            if copy is not None and copy[0] in superseded:
                first.setdefault(copy[0], frame)
        copies = [self.peek(frame) for frame in kept]
        return [
            frame if copy is None else first.get(copy[0], frame)
            for frame, copy in zip(kept, copies, strict=True)
        ], superseded


@caught_by("test_a_burst_keeps_the_newest_state_of_each_topic")
class BurstLosesOtherTopics(BybitCodec):
    """Only the last frame of a burst is kept, whatever the others are."""

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        kept, superseded = super().newest(frames, replaceable)
        if len(superseded) != 1:
            return kept, superseded
        return kept[-1:], dict.fromkeys(superseded, len(frames) - 1)


@caught_by("test_racing_connections_deliver_what_one_does")
class NumbersPerConnectionCalledGlobal(Bybit):
    """Copies of options' tickers, which carry no number, are said to be recognisable."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        if subscription.instrument.market is not Market.OPTION:
            return route
        return Route(url=route.url, sequence_scope=SequenceScope.GLOBAL, topics_per_request=50)


_SHARED: dict[str, dict[Any, Any]] = {"_readers": {}, "_lanes": {}, "_tags": {}}


@caught_by("test_each_connection_has_a_codec_of_its_own")
class StateSharedBetweenConnections(BybitCodec):
    """What is subscribed is remembered for all connections together."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__ |= _SHARED


@caught_by("test_each_connection_has_a_codec_of_its_own")
class OneCodecForAllConnections(Bybit):
    """The same codec is handed out to every connection."""

    def __init__(self) -> None:
        self._codec = BybitCodec()

    def codec(self, route: Route) -> Codec:
        return self._codec


_KEPT: list[BybitCodec] = []


@caught_by("test_opening_and_closing_over_and_over_leaves_memory_flat")
class CodecsKeptForEver(BybitCodec):
    """Every codec is kept in a list that nobody empties."""

    def __init__(self) -> None:
        super().__init__()
        _KEPT.append(self)


@caught_by("test_after_unsubscribing_nothing_of_a_topic_is_data")
class DataBeforeItWasSubscribed(BybitCodec):
    """After unsubscribing, frames of the topic are read as before."""

    def close(self, subscriptions: Sequence[Subscription]) -> None:
        pass


@caught_by(
    "test_every_sample_frame_says_what_is_expected_of_it",
    "test_nothing_is_delivered_that_is_not_subscribed_to",
)
class ChannelsOfATopicAllDelivered(BybitCodec):
    """Whoever subscribes to one of a ticker's channels gets all of them under its topic twice."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = list(super().decode(frame, received_time_ns))
        return messages + [m for m in messages if isinstance(m, Data) and "tickers" in m.topic]
