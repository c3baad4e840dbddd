"""Looks out for streams that are dead without anybody saying so, and has them revived.

Streams with a cadence have a deadline. Of all others, while they are quiet, the exchange is asked
whether something has happened that they should have told of: a few questions for all, spread, and
for no more than a twentieth of its request budget.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from ccrs_core.connections.carried import Carried
from ccrs_core.connections.quiet import Life, Quiet, Verdict
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetActivity, GetBook, GetTopOfBook, GetTrades, Request
from ccrs_core.errors import CcrsError
from ccrs_core.model.events import BookUpdate, TopOfBook
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.base import Clock
from ccrs_core.transport.limits import HostLimits, Window
from ccrs_core.transport.pace import Pace, Timer

log = logging.getLogger("ccrs.lookout")


class Reviver(Protocol):
    """What may be known of a shard's topics, and done for them."""

    def life(self, topic: str) -> Life | None: ...
    def compare(self, topic: str) -> None: ...
    def revive(self, dead: Mapping[str, Quiet]) -> None: ...
    def renew(self, topic: str, since: float) -> None: ...
    def speaks(self, route: Route, address: str) -> bool: ...


class Watched(Protocol):
    """A shard, whose topics are watched."""

    topics: dict[str, Carried]
    closed: bool

    def subscribed(self, topic: str) -> Sequence[Subscription]: ...

    @property
    def revival(self) -> Reviver: ...


@attrs.define(eq=False)
class _Entry:
    shard: Watched
    name: str
    quiet: Quiet
    kinds: int
    subscription: Subscription | None
    """None where a stream of the topic has a deadline of its own, or is an account's."""
    question: Request[Any] | None


class Lookout:
    """Watches the quiet streams of one client.

    ``ask(request)`` asks the exchange once; ``price(request)`` tells the budgets of the address
    that a question goes to, which the clients of a process share, and what it costs of them.
    """

    LOOK = 5.0
    """Seconds in which each topic is looked at once."""
    AT_ONCE = 200
    """Topics that are looked at in one go, so that nothing else waits for long."""
    SHARE = 0.05
    """Of the request budget."""
    ASKING = 4
    """Questions under way at a time."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        ask: Callable[[Request[Any]], Coroutine[Any, Any, Any]],
        price: Callable[[Request[Any]], tuple[HostLimits, int]],
        shards: Callable[[], Sequence[Watched]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        pace: Pace,
        unproved_after: float,
    ) -> None:
        self.found_dead = 0
        self._exchange = exchange
        self._clock = clock
        self._ask = ask
        self._price = price
        self._shards = shards
        self._spawn = spawn
        self._unproved_after = unproved_after
        self._known: dict[Carried, _Entry] = {}
        self._round: Iterator[tuple[Watched, str, Carried]] | None = None
        self._seen: dict[Carried, _Entry] = {}
        self._prices: dict[Request[Any], tuple[HostLimits, int]] = {}
        self._asking: dict[Request[Any], asyncio.Task[None]] = {}
        self._pace = pace
        self._timer: Timer | None = None
        self._ended = False

    def wake(self) -> None:
        """There is something to watch."""
        if self._timer is None and not self._ended:
            self._arm(self.LOOK)

    def end(self) -> None:
        """Watch nothing more."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._asking.values():
            task.cancel()

    def speaks(self, route: Route, address: str) -> bool:
        """Whether anything has come from an address lately, to whatever shard."""
        return any(shard.revival.speaks(route, address) for shard in self._shards())

    def unproved(self, shard: Watched, topic: str) -> bool:
        """Whether nothing has been heard of an acknowledged topic for long, or ever, and nothing
        can be asked about it."""
        entry = self._entry(shard, topic)
        life = shard.revival.life(topic)
        if entry.subscription is None or life is None:
            return False
        if entry.question is not None and entry.quiet.provable:
            return False
        return not life.told or self._clock.monotonic() - life.at >= self._unproved_after

    # --- looking ---

    def _arm(self, delay: float) -> None:
        self._timer = self._pace.later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._ended:
            return
        now = self._clock.monotonic()
        if self._round is None:
            self._round = self._all()
            self._seen = {}
        for _ in range(self.AT_ONCE):
            found = next(self._round, None)
            if found is None:
                self._round = None
                self._known = self._seen
                wanted = {entry.question for entry in self._known.values()}
                self._prices = {q: price for q, price in self._prices.items() if q in wanted}
                break
            shard, name, topic = found
            if not shard.closed and shard.topics.get(name) is topic:
                self._seen[topic] = self._look_at(shard, name, now)
        self._ask_what_is_due(now)
        if self._shards() or self._asking:
            share = self.AT_ONCE / max(len(self._known), self.AT_ONCE)
            self._arm(self.LOOK * share)

    def _all(self) -> Iterator[tuple[Watched, str, Carried]]:
        for shard in tuple(self._shards()):
            for name, topic in tuple(shard.topics.items()):
                yield shard, name, topic

    def _look_at(self, shard: Watched, name: str, now: float) -> _Entry:
        entry = self._entry(shard, name)
        if entry.subscription is None or not self._hear(entry):
            return entry
        shard.revival.compare(name)
        asked = entry.question is not None and entry.quiet.provable
        if not asked and now - entry.quiet.heard >= self._unproved_after:
            shard.revival.renew(name, entry.quiet.heard)
        return entry

    def _entry(self, shard: Watched, name: str) -> _Entry:
        """What is known of a topic; anew where something else is subscribed to in it."""
        known = self._known.get(shard.topics[name])
        exchange, subscriptions = self._exchange, shard.subscribed(name)
        if known is not None and len(subscriptions) == known.kinds:
            return known
        quiet = Quiet(self._clock.monotonic())
        kinds = len(subscriptions)
        # Nothing may happen to an account for days, and nobody can be asked whether it did.
        if not kinds or any(
            each.account is not None or exchange.max_silence(each) is not None
            for each in subscriptions
        ):
            return _Entry(shard, name, quiet, kinds, None, None)
        for each in subscriptions:
            question = self._question(each)
            if question is not None:
                return _Entry(shard, name, quiet, kinds, each, question)
        return _Entry(shard, name, quiet, kinds, subscriptions[0], None)

    def _question(self, subscription: Subscription) -> Request[Any] | None:
        """The question about a stream, if it can be asked."""
        try:
            question = self._exchange.activity(subscription)
            if question is not None and question not in self._prices:
                self._prices[question] = self._price(question)
        except Exception as error:  # a plugin's mistake: nothing can be asked
            log.warning("nothing can be asked about %s: %r", subscription, error)
            return None
        return question

    def _hear(self, entry: _Entry) -> bool:
        """Take note of the last sign of life; False where there is no subscription at present."""
        life = None if entry.shard.closed else entry.shard.revival.life(entry.name)
        if life is None:
            return False
        if life.goes_on:
            entry.quiet.hears(life.at)
        else:
            entry.quiet.begins(life.at)
        return True

    # --- asking ---

    def _ask_what_is_due(self, now: float) -> None:
        due: dict[Request[Any], float] = {}
        for entry in self._known.values():
            question = entry.question
            if question is None or entry.quiet.due > now or question in self._asking:
                continue
            if self._hear(entry) and entry.quiet.due <= now:
                due[question] = min(entry.quiet.due, due.get(question, math.inf))
        spent: set[HostLimits] = set()
        for question in sorted(due, key=lambda each: due[each]):
            if len(self._asking) >= self.ASKING:
                return
            limits, weight = self._prices[question]
            if limits in spent or not self._granted(limits, weight):
                spent.add(limits)
                continue
            work = self._find_out(question)
            try:
                self._asking[question] = self._spawn(work)
            except RuntimeError:
                # The client's connections are ending for good, and say why.
                work.close()
                self._ended = True
                return

    def _granted(self, limits: HostLimits, weight: int) -> bool:
        if limits.questions is None:
            budget = limits.requests.budget
            rate = self.SHARE * budget.rate
            seconds = max(60.0, budget.seconds, 1 / rate)
            amount = max(int(rate * seconds), 1)
            while amount < weight:
                # Seldom is as good as cheap.
                amount, seconds = amount * 2, seconds * 2
            limits.questions = Window(Budget(amount=amount, seconds=seconds), self._clock)
        return limits.questions.take(weight) == 0.0

    async def _find_out(self, question: Request[Any]) -> None:
        asked = self._clock.monotonic()
        marks: dict[str | None, str] | None = None
        try:
            # Read in here: an answer of another kind than promised must not end the client.
            marks = _marks(question, await self._ask(question))
        except CcrsError as error:
            log.debug("%r: no answer: %s", question, error)
        except Exception:
            log.warning("%r failed", question, exc_info=True)  # a plugin's bug
        finally:
            self._asking.pop(question, None)
        self._judge(question, marks, asked)

    def _judge(
        self, question: Request[Any], marks: Mapping[str | None, str] | None, asked: float
    ) -> None:
        """Hold the marks of an answer, None where none came, against what was heard."""
        now = self._clock.monotonic()
        dead: dict[Watched, dict[str, Quiet]] = {}
        for entry in list(self._known.values()):
            quiet = entry.quiet
            if entry.question != question or not quiet.soon(now) or not self._hear(entry):
                continue
            if not quiet.soon(now):
                continue
            if marks is None:
                quiet.unanswered(now)
                continue
            assert entry.subscription is not None
            mark = marks.get(entry.subscription.instrument.native, marks.get(None))
            if quiet.answered(mark, asked, now) is Verdict.DEAD:
                self.found_dead += 1
                dead.setdefault(entry.shard, {})[entry.name] = quiet
        for shard, topics in dead.items():
            shard.revival.revive(topics)


def _marks(question: Request[Any], answer: Any) -> dict[str | None, str]:
    """The marks in an answer by instrument; under None where it is of one instrument alone."""
    match question, answer:
        case GetActivity(), [*rows]:
            return {row.native: row.mark for row in rows}
        case GetTrades(), [*found]:
            return {None: found[-1].trade_id if found else ""}
        case GetTopOfBook(), TopOfBook() as top:
            return {None: f"{top.bid_price} {top.bid_size} {top.ask_price} {top.ask_size}"}
        case GetBook(), BookUpdate() as book:
            return {None: f"{book.bids[:1]} {book.asks[:1]}"}
        case _:
            return {}
