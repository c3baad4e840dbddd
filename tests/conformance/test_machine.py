"""The theme "supervisor under faults" passes for a good exchange, and fails where it must."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.emulator import BybitDialect, BybitVisitor

from ccrs_core.conformance.themes.supervisor import SupervisorProperties
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Ack, Closing, Codec, Heartbeat, Message, Outbound, Unrecognised
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import HttpResponse
from ccrs_core.emulator import Dialect, Frame, Peer
from ccrs_core.errors import CcrsError, ExchangeError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Subscription

PROPERTIES = SupervisorProperties()
NAMES = [name for name in dir(PROPERTIES) if name.startswith("test_")]


def check(name: str, exchange: Callable[[], Exchange]) -> None:
    getattr(PROPERTIES, name)(Subject(exchange, profile=Profile.QUICK))


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject("bybit", profile=Profile.QUICK)


@pytest.mark.parametrize("name", NAMES)
def test_an_exchange_that_keeps_the_contract_passes(name: str, subject: Subject) -> None:
    getattr(PROPERTIES, name)(subject)


# --- what Bybit doesn't have ---


class PrivateOptions(Bybit):
    """Its options need a login, which its emulator always refuses."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        option = subscription.instrument.market is Market.OPTION
        return attrs.evolve(route, private=True) if option else route

    def codec(self, route: Route) -> Codec:
        return BybitCodec()


class Announcing(Bybit):
    """It tells before it ends a connection."""

    class Codec(BybitCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            if b"bye" in frame:
                return (Closing("bye"),)
            return super().decode(frame, received_time_ns)

    class Dialect(BybitDialect):
        announces_shutdown = True

        def shutdown_notice(self, peer: Peer, now_ns: int) -> Frame:
            return Frame(b'{"op":"bye"}')

    def codec(self, route: Route) -> Codec:
        return self.Codec()

    def dialect(self) -> Dialect:
        return self.Dialect()


class Inattentive(Announcing):
    def codec(self, route: Route) -> Codec:
        return BybitCodec()


def test_a_refused_login_is_raised_once() -> None:
    check("test_a_refused_login_ends_the_client_once", PrivateOptions)


def test_a_notice_of_a_shutdown_is_heeded() -> None:
    check("test_a_shutdown_notice_leads_to_a_rollover", Announcing)
    check("test_one_connection_survives_any_schedule_of_faults", Announcing)


# --- what must be caught ---


class Broken(Bybit):
    """Bybit with another codec."""

    make: ClassVar[type[Codec]]

    def codec(self, route: Route) -> Codec:
        return self.make()


def with_codec(codec: type[Codec]) -> Callable[[], Exchange]:
    return type("Broken", (Broken,), {"make": codec})


class NoHeartbeat(BybitCodec):
    heartbeat: ClassVar[Heartbeat | None] = None


class WrongPing(BybitCodec):
    def ping(self, request_id: str) -> Outbound:
        return '{"op":"pingpong"}'


class DeafToPongs(BybitCodec):
    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if b"pong" in frame:
            return (Unrecognised("pong"),)
        return super().decode(frame, received_time_ns)


class EverythingIsAnAck(BybitCodec):
    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if b'"topic"' not in frame:
            return (Ack("1"), Ack("2"))
        return super().decode(frame, received_time_ns)


class LosesSubscriptions(BybitCodec):
    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        super().subscribe(subscriptions, request_id)
        return super().subscribe(subscriptions[:1], request_id)


class KeepsSubscriptions(BybitCodec):
    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        super().unsubscribe(subscriptions, request_id)
        return self.ping(request_id)


class Shared(BybitCodec):
    kept: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        for name in ("_readers", "_lanes", "_tags"):
            setattr(self, name, self.kept.setdefault(name, getattr(self, name)))


class Prefers(BybitCodec):
    """Its numbers differ from connection to connection."""

    made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1
        self._offset = self.made * 10**6

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        for message in messages:
            sequence = getattr(message, "sequence", None)
            if isinstance(sequence, int):
                message.sequence = sequence + self._offset  # type: ignore[union-attr]
        return messages

    def peek(self, frame: bytes) -> None:
        return None


class Hasty(Bybit):
    def max_silence(self, subscription: Subscription) -> float | None:
        return 2.0


class Greedy(Bybit):
    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topics_per_request=100)


class Overfull(Bybit):
    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), topic_chars_per_connection=30_000)


class Impatient(Bybit):
    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        return None if error is None else ExchangeError("", str(error))


class QuietSession(BybitVisitor):
    def _pong(self, request: Any, now_ns: int) -> None:
        pass


class Mute(Bybit):
    """Its emulator answers no heartbeat."""

    def dialect(self) -> Dialect:
        class Muted(BybitDialect):
            def open(self, handshake: Any) -> Any:
                session = super().open(handshake)
                if isinstance(session, BybitVisitor):
                    return QuietSession(self, session._category)
                return session

        return Muted()


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("test_heartbeats_keep_a_quiet_connection_alive", with_codec(NoHeartbeat)),
        ("test_heartbeats_keep_a_quiet_connection_alive", Mute),
        ("test_the_answer_to_a_heartbeat_is_a_sign_of_life", Mute),
        ("test_the_answer_to_a_heartbeat_is_a_sign_of_life", with_codec(WrongPing)),
        ("test_the_answer_to_a_heartbeat_is_a_sign_of_life", with_codec(DeafToPongs)),
        (
            "test_a_missing_acknowledgement_is_asked_for_again_then_told",
            with_codec(EverythingIsAnAck),
        ),
        ("test_after_each_kind_of_fault_all_is_as_wanted_again", with_codec(LosesSubscriptions)),
        ("test_after_each_kind_of_fault_all_is_as_wanted_again", with_codec(KeepsSubscriptions)),
        ("test_each_connection_has_a_codec_of_its_own", with_codec(Shared)),
        ("test_racing_connections_deliver_what_one_does", with_codec(Prefers)),
        ("test_a_stream_within_its_cadence_is_never_called_stale", Hasty),
        ("test_frames_and_requests_keep_to_the_limits", Greedy),
        ("test_the_declared_limits_are_the_exchanges", Overfull),
        ("test_a_rate_limit_that_states_a_time_is_kept", Impatient),
        ("test_a_shutdown_notice_leads_to_a_rollover", Inattentive),
    ],
)
def test_a_broken_exchange_is_caught(name: str, exchange: Callable[[], Exchange]) -> None:
    with pytest.raises(AssertionError):
        check(name, exchange)


_LOG = """
import hashlib
from ccrs_core.conformance.themes.schedules import event_log
from ccrs_core.conformance.workbench.subject import Subject
print(hashlib.sha256("\\n".join(event_log(Subject("bybit"))).encode()).hexdigest())
"""


def test_the_same_seed_makes_the_same_events_in_every_process() -> None:
    """Whatever the order of hashes."""
    found = {
        subprocess.run(
            [sys.executable, "-c", _LOG],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
