"""Every fault of the menu does what it says, on the transport without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from ccrs_core import ConnectFailed, ConnectionLost, TransportError, Unsupported, UsageError
from ccrs_core.contract.rest import HttpRequest
from ccrs_core.emulator import (
    EmulatedExchange,
    EmulatorConnection,
    EmulatorTransport,
    Fault,
    FaultKind,
    parse_fault,
)
from ccrs_core.transport.memory import run
from tests.emulator.plain import START_NS, Announcing, PlainDialect

TOPIC = "book.AB"


class Client:
    """A connection and all that it has heard, with when."""

    def __init__(self, connection: EmulatorConnection) -> None:
        self.connection = connection
        self.heard: list[tuple[float, str]] = []
        self.lost: ConnectionLost | None = None
        self.task = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                for frame in await self.connection.receive():
                    self.heard.append((loop.time(), frame.decode()))
        except ConnectionLost as lost:
            self.lost = lost

    @property
    def data(self) -> list[tuple[float, str]]:
        return [(time, text) for time, text in self.heard if text.startswith("book.")]

    @property
    def numbers(self) -> list[int]:
        return [int(text.split()[1]) for _, text in self.data]


class World:
    def __init__(self, *, announcing: bool = False, seed: int = 0) -> None:
        dialect = Announcing() if announcing else PlainDialect()
        self.venue = EmulatedExchange(dialect, seed=seed, start_ns=START_NS)
        self.transport = EmulatorTransport(self.venue, connect_timeout=5.0)

    async def client(self, *topics: str, path: str = "/ws") -> Client:
        client = Client(await self.transport.connect(f"ws://anywhere{path}"))
        for topic in topics:
            await client.connection.send(f"+{topic}")
        return client


def scene(
    act: Callable[[World], Awaitable[None]], *, announcing: bool = False, seed: int = 0
) -> None:
    async def main() -> None:
        world = World(announcing=announcing, seed=seed)
        try:
            await act(world)
        finally:
            await world.transport.aclose()

    run(main())


def steady(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_without_faults_numbers_have_no_holes() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        await asyncio.sleep(5)
        assert len(client.numbers) > 200
        assert steady(client.numbers)
        assert world.venue.faults.quiet

    scene(act)


def test_a_drop_ends_one_random_connection_at_every_turn() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("drop,every=2,target=random,after=1")
        clients = [await world.client(TOPIC) for _ in range(5)]
        for expected in (0, 1, 2, 3):
            assert sum(client.lost is not None for client in clients) == expected
            await asyncio.sleep(2 if expected else 1.5)

    scene(act)


def test_a_drop_without_anyone_to_drop_waits_for_the_first() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("drop")
        first = await world.client()
        second = await world.client(TOPIC)
        await asyncio.sleep(1)
        assert first.lost is not None
        assert first.lost.code is None
        assert second.lost is None

    async def numbered(world: World) -> None:
        world.venue.faults.add("drop,target=2")
        first, second = await world.client(TOPIC), await world.client()
        await asyncio.sleep(1)
        assert (first.lost is None, second.lost is None) == (True, False)

    scene(act)
    scene(numbered)


def test_a_close_carries_its_code_and_reason() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        world.venue.faults.add("close,code=1012,reason=restarting,after=1")
        await asyncio.sleep(2)
        assert client.lost is not None
        assert client.lost.code == 1012
        assert "restarting" in str(client.lost)

    scene(act)


def test_a_half_open_connection_says_and_hears_nothing_but_stays() -> None:
    async def act(world: World) -> None:
        client, other = await world.client(TOPIC), await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("half_open,target=1,duration=30")
        before = len(client.heard)
        await client.connection.send("?")
        await asyncio.sleep(20)
        assert len(client.heard) == before
        assert client.lost is None
        assert steady(other.numbers)
        await asyncio.sleep(20)
        assert client.lost is not None

    scene(act)


def test_a_stalled_topic_is_silent_while_others_and_answers_flow() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC, "book.CD")
        stall = world.venue.faults.add("stall,topic=*.AB,duration=2")
        await asyncio.sleep(1)
        before = len(client.heard)
        await client.connection.send("?")
        await asyncio.sleep(0.9)
        said = [text for _, text in client.heard[before:]]
        assert "!" in said
        assert all(text == "!" or text.startswith("book.CD") for text in said)
        await asyncio.sleep(1)
        assert any(text.startswith(TOPIC) for _, text in client.heard[before:])
        assert stall.hits > 50

    scene(act)


def test_stalling_all_silences_answers_too() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("stall_all")
        before = len(client.heard)
        await client.connection.send("?")
        await asyncio.sleep(5)
        assert len(client.heard) == before
        assert client.lost is None
        world.venue.faults.clear()
        await asyncio.sleep(1)
        assert len(client.heard) > before

    scene(act)


def test_delayed_frames_come_late_and_in_order() -> None:
    async def act(world: World) -> None:
        on_time, late = await world.client(TOPIC), await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("delay,seconds=0.5,target=2,duration=2")
        await asyncio.sleep(5)
        assert late.numbers == on_time.numbers
        lags = {
            round(after - before, 3)
            for (before, _), (after, _) in zip(on_time.data, late.data, strict=True)
        }
        assert {0.0, 0.5} <= lags
        assert max(lags) == 0.5

    scene(act)


def test_a_duplicate_comes_twice_in_a_row() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("duplicate")
        await asyncio.sleep(2)
        twice = [a for a, b in pairwise(client.numbers) if a == b]
        assert len(twice) == 1

    scene(act)


def test_a_reordered_frame_comes_after_the_next_one() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("reorder")
        await asyncio.sleep(2)
        assert not steady(client.numbers)
        assert steady(sorted(client.numbers))
        backwards = [b for a, b in pairwise(client.numbers) if b < a]
        assert len(backwards) == 1

    scene(act)


def test_a_gap_leaves_out_one_number_for_one_connection_only() -> None:
    async def act(world: World) -> None:
        client, other = await world.client(TOPIC), await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add("gap,target=1,every=2")
        await asyncio.sleep(5)
        assert steady(other.numbers)
        missing = set(other.numbers) - set(client.numbers)
        assert len(missing) == 3

    scene(act)


@pytest.mark.parametrize("kind", ["truncate", "corrupt"])
def test_a_spoiled_frame_differs_from_what_others_get(kind: str) -> None:
    async def act(world: World) -> None:
        client, other = await world.client(TOPIC), await world.client(TOPIC)
        await asyncio.sleep(1)
        world.venue.faults.add(f"{kind},target=1")
        await asyncio.sleep(1)
        pairs = zip(client.heard, other.heard, strict=True)
        spoiled = [(mine[1], theirs[1]) for mine, theirs in pairs if mine[1] != theirs[1]]
        assert len(spoiled) == 1
        [(mine, theirs)] = spoiled
        if kind == "truncate":
            assert theirs.startswith(mine)
            assert len(mine) < len(theirs)
        else:
            assert len(mine) == len(theirs)
            assert "#" in mine

    scene(act)


def test_a_restart_counts_from_one_for_everybody() -> None:
    async def act(world: World) -> None:
        clients = [await world.client(TOPIC), await world.client(TOPIC)]
        await asyncio.sleep(1)
        world.venue.faults.add("restart,topic=book.*")
        await asyncio.sleep(1)
        for client in clients:
            again = [text for _, text in client.data if text.startswith(f"{TOPIC} 1 ")]
            assert len(again) == 1
            assert " first " in again[0]
            assert client.numbers[-1] < 100

    scene(act)


def test_a_slow_ack_comes_late_and_data_does_not_wait_for_it() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("slow_ack,seconds=3")
        client = await world.client(TOPIC)
        await asyncio.sleep(5)
        [acked] = [time for time, text in client.heard if text.startswith("ok")]
        assert acked == pytest.approx(3)
        assert client.data[0][0] < 0.1

    scene(act)


def test_a_missing_ack_never_comes_and_pongs_do() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("no_ack,count=1")
        client = await world.client(TOPIC, "book.CD")
        await client.connection.send("?")
        await asyncio.sleep(5)
        control = [text for _, text in client.heard if not text.startswith("book.")]
        assert control == ["ok +book.CD", "!"]
        assert len(client.data) > 100

    scene(act)


def test_refusals_come_as_http_status_or_as_a_dropped_connection() -> None:
    async def act(world: World) -> None:
        refuse = world.venue.faults.add("refuse,status=403,count=2")
        for _ in range(2):
            with pytest.raises(ConnectFailed) as caught:
                await world.client()
            assert caught.value.status == 403
        await world.client()
        refuse.cancel()
        world.venue.faults.add("refuse,path=/ws")
        with pytest.raises(ConnectFailed) as caught:
            await world.client()
        assert caught.value.status is None
        await world.client(path="/other")

    scene(act)


def test_a_slow_handshake_takes_its_time_or_times_out() -> None:
    async def act(world: World) -> None:
        loop = asyncio.get_running_loop()
        world.venue.faults.add("slow_handshake,seconds=3,count=1")
        await world.client(TOPIC)
        assert loop.time() == pytest.approx(3)
        world.venue.faults.add("slow_handshake,seconds=60")
        with pytest.raises(ConnectFailed, match="5 s"):
            await world.client()
        assert len(world.venue.peers) == 1

    scene(act)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_requests_are_refused_with_a_status(status: int) -> None:
    async def act(world: World) -> None:
        world.venue.faults.add(f"http,status={status},path=/bad*,count=1")
        good = await world.transport.request("http://x", HttpRequest("GET", "/good"))
        bad = await world.transport.request("http://x", HttpRequest("GET", "/bad"))
        again = await world.transport.request("http://x", HttpRequest("GET", "/bad"))
        assert (good.status, bad.status, again.status) == (200, status, 200)

    scene(act)


def test_an_exchange_announces_its_shutdown_where_it_has_words_for_it() -> None:
    async def act(world: World) -> None:
        client = await world.client(TOPIC)
        world.venue.faults.add("shutdown_notice")
        await asyncio.sleep(1)
        assert "bye soon" in [text for _, text in client.heard]

    async def silent(world: World) -> None:
        with pytest.raises(Unsupported, match="plain"):
            world.venue.faults.add("shutdown_notice")

    scene(act, announcing=True)
    scene(silent)


def test_a_probability_hits_about_that_share_of_frames() -> None:
    async def act(world: World) -> None:
        client, other = await world.client(TOPIC), await world.client(TOPIC)
        world.venue.faults.add("gap,target=1,probability=0.25")
        await asyncio.sleep(20)
        missing = len(other.numbers) - len(client.numbers)
        assert missing / len(other.numbers) == pytest.approx(0.25, abs=0.06)

    scene(act)


def test_the_same_seed_makes_the_same_faults() -> None:
    heard: list[list[tuple[float, str]]] = []

    async def act(world: World) -> None:
        world.venue.faults.add("corrupt,probability=0.1")
        world.venue.faults.add("drop,after=3,target=random")
        clients = [await world.client(TOPIC) for _ in range(4)]
        await asyncio.sleep(5)
        heard.append([entry for client in clients for entry in client.heard])

    for seed in (7, 7, 8):
        scene(act, seed=seed)
    assert heard[0] == heard[1]
    assert heard[0] != heard[2]


def test_a_silent_client_is_cut_after_the_idle_timeout() -> None:
    async def act(world: World) -> None:
        idle, talking, fed = await world.client(), await world.client(), await world.client(TOPIC)
        for _ in range(4):
            await asyncio.sleep(25)
            await talking.connection.send("?")
        assert idle.lost is not None
        assert talking.lost is None
        assert fed.lost is None

    scene(act)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("explode", "no fault 'explode'; there are refuse"),
        ("drop,every", "no fault setting 'every'"),
        ("drop,often=5", "no fault setting 'often=5'"),
        ("drop,every=soon", "every=soon is no number"),
        ("drop,every=0", "every=0 must be above 0"),
        ("drop,every=1,every=2", "given twice"),
        ("drop,target=some", "target=some must be all, random or a number"),
        ("drop,target=0", "numbered from 1"),
        ("gap,probability=2", "probability=2"),
        ("drop,after=-1", "must not be negative"),
        ("http", "http needs a status"),
        ("garble,how=gently", "how=gently must be one of cut, empty, gzip, html, redirect"),
    ],
)
def test_a_fault_that_makes_no_sense_is_told_why(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_fault(text)


@pytest.mark.parametrize("how", ["empty", "html", "redirect"])
def test_what_stands_before_the_exchange_answers_in_its_place(how: str) -> None:
    async def act(world: World) -> None:
        asked = HttpRequest("GET", "/time")
        plain = await world.transport.request("http://e.invalid", asked)
        world.venue.faults.add(f"garble,how={how},count=1")
        spoiled = await world.transport.request("http://e.invalid", asked)
        assert spoiled.status == (302 if how == "redirect" else 200)
        assert spoiled.body.startswith(b"" if how == "empty" else b"<!DOCTYPE html>")
        assert plain.body not in spoiled.body
        assert ("location" in spoiled.headers) is (how == "redirect")
        assert (await world.transport.request("http://e.invalid", asked)).status == plain.status

    scene(act)


def test_an_answer_is_cut_on_its_way() -> None:
    async def act(world: World) -> None:
        asked = HttpRequest("GET", "/time")
        plain = await world.transport.request("http://e.invalid", asked)
        world.venue.faults.add("garble,how=cut,path=/time")
        spoiled = await world.transport.request("http://e.invalid", asked)
        assert spoiled.body
        assert spoiled.body == plain.body[: len(plain.body) // 2]
        world.venue.faults.clear()
        world.venue.faults.add("garble,how=gzip")
        with pytest.raises(TransportError, match="gzip"):
            await world.transport.request("http://e.invalid", asked)

    scene(act)


def test_optional_fields_of_matching_topics_are_blank_while_the_fault_lasts() -> None:
    venue = EmulatedExchange(PlainDialect(), start_ns=START_NS)
    assert not venue.blank(TOPIC)
    venue.faults.add("blank,topic=book.*,after=1,duration=2")
    seen = []
    for second in range(5):
        venue.advance(START_NS + second * 10**9)
        seen.append((venue.blank(TOPIC), venue.blank("/time")))
    assert seen == [(second in {1, 2}, False) for second in range(5)]


def test_faults_are_read_from_text() -> None:
    assert parse_fault("half-open, target=3, after=1.5, path=/ws*") == Fault(
        kind=FaultKind.HALF_OPEN, target=3, after=1.5, path="/ws*"
    )
