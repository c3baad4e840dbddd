"""Property 68, of recordings that other programs made: what is claimed of them is read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ccrs_core.conformance.judges.agreement import watching
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import Exchange
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.recordings.replay import Replay


class ForeignProperties:
    """Property 68."""

    @proves(68, quick=False)
    def test_what_is_guessed_of_frames_has_a_route_and_is_read(self, subject: Subject) -> None:
        """Of frames alone, as other programs record them, only what can be routed is guessed, the
        stream that they are of among it, and a replay reads every one of its data frames."""
        claimed = 0
        for case in subject.cases():
            exchange = subject.make()
            route = exchange.route(case.subscription)
            if exchange.codec(route).compression is not None:
                continue
            frames = _brought(subject, case)
            data = [frame for frame in frames if _is_data(exchange, case.subscription, frame)]
            if not data:
                continue
            exchange.subscriptions_in(frames, None)
            guessed = exchange.subscriptions_in(frames, case.market)
            if not guessed:
                continue
            claimed += 1
            _routable(exchange, case, guessed)
            _read(subject, case, data)
        if not claimed:
            subject.undeclared("stream that it guesses of frames")


class _Heard(World):
    """A world that keeps the frames that come in."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.frames: list[bytes] = []
        dial = self.tap.connect

        async def connect(url: str, headers: Any = ()) -> Any:
            connection = await dial(url, headers)
            receive = connection.receive

            async def heard() -> Sequence[bytes]:
                frames = await receive()
                self.frames += frames
                return frames

            connection.receive = heard
            return connection

        self.tap.connect = connect  # type: ignore[method-assign]


def _brought(subject: Subject, case: Case) -> list[bytes]:
    """What a connection with this one subscription brings."""
    world = _Heard(subject.make(), subject.venue(rate=4.0))

    async def scenario(world: World) -> None:
        async with watching(world, case.subscription):
            await settle(4.0)

    world.run(scenario)
    return world.frames


def _is_data(exchange: Exchange, subscription: Subscription, frame: bytes) -> bool:
    codec = exchange.codec(exchange.route(subscription))
    codec.subscribe([subscription], "1")
    topic = codec.topic(subscription)
    messages = codec.decode(frame, 0)
    return any(isinstance(each, Data) and each.topic == topic for each in messages)


def _routable(exchange: Exchange, case: Case, guessed: Sequence[Subscription]) -> None:
    for subscription in guessed:
        try:
            exchange.codec(exchange.route(subscription)).topic(subscription)
        except Exception as error:
            pytest.fail(
                f"subscriptions_in() takes frames of {case} for {subscription}, which has no "
                f"route: {error!r}"
            )
    channels = {subscription.channel for subscription in guessed}
    assert case.channel in channels, (
        f"frames of {case} are taken for {', '.join(map(str, guessed))}, and so nothing of "
        f"{case.channel.value} is replayed"
    )


def _read(subject: Subject, case: Case, frames: Sequence[bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="ccrs-conformance-") as folder:
        path = Path(folder) / "frames"
        path.write_bytes(b"".join(frame.strip() + b"\n" for frame in frames))
        playing = Replay(subject.make(), path, market=case.market)
        for _ in playing.steps():
            pass
        became = dict(playing.frames)
        used = became.get("data", 0) + became.get("late", 0)
        assert used == len(frames), (
            f"of {len(frames)} frames of {case} alone, which subscriptions_in() claims as "
            f"{', '.join(map(str, playing.guessed))}, a replay reads {used}: {became}"
        )
