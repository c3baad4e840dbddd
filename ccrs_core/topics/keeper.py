"""The order book of one topic, kept up to date from what several connections bring.

It starts from a snapshot, which the stream itself brings or a request fetches; it waits for what is
missing where another connection may bring it; and it is asked for anew as soon as it can't be
trusted. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ccrs_core.connections.runner import Runner
from ccrs_core.feeds.stream import Stream
from ccrs_core.model.events import BookUpdate, Reason
from ccrs_core.model.orderbook import Applied, BookState, OrderBook
from ccrs_core.topics.race import Race
from ccrs_core.topics.snapshot_ages import SnapshotAges
from ccrs_core.topics.waiting_changes import (
    Ask,
    Pending,
    Waiting,
    how_patient,
    leaves_hole,
    of_new_count,
)
from ccrs_core.topics.widening import Widened, Widening

_APPLIED = Applied.APPLIED  # at a fraction of what looking it up costs


class BookKeeper:
    """Keeps one book.

    ``ask`` is called when it has to be asked for, and ``fetched`` says that a request may bring it,
    see :meth:`fetched`. ``live()`` tells how many connections carry the topic now, ``arm()`` that
    ``wake_at`` has moved, ``confirmed(now_ns)`` that the last update has come once more.
    """

    HOLD = 0.5
    """Seconds for which an update waits for what comes before it from another connection."""
    HOLD_LIMIT = 512
    """Updates that may wait for that."""
    PATIENCE = 10.0
    """Seconds after which a stream is asked for its book again, and after which a request is made
    again that has failed, or has brought a book that is wrong in itself."""
    QUIET = 1.0
    """Seconds after the exchange's acknowledgement in which no change comes, after which a book
    that needs a request is asked for all the same."""
    AGAIN_IN = 0.25
    """Seconds after which another snapshot is asked for, where one was too old."""

    def __init__(
        self,
        book: OrderBook,
        race: Race,
        stream: Stream,
        *,
        fetched: bool,
        live: Callable[[], int],
        ask: Callable[[Ask], None],
        arm: Callable[[], None],
        confirmed: Callable[[int], None],
    ) -> None:
        self.book = book
        self.resyncs = 0
        self.resync_seconds = 0.0
        self.attempt = 0
        """Counts how often the book began anew, connections and all: a snapshot that was asked for
        before isn't one for now."""
        self.brings_snapshots = False
        """Whether the stream has ever brought a snapshot by itself."""
        self._race = race
        self._stream = stream
        self._fetched = fetched
        self._live = live
        self._ask_for = ask
        self._arm = arm
        self._confirmed = confirmed
        self._invalid_at: float | None = None
        self._asked = False
        """Whether the book was asked for, and isn't there yet."""
        self._vain = 0  # how often in a row it was asked for again
        self._again_at: float | None = None
        """When it is asked for again; None while a request waits in line or is under way."""
        self._ahead: dict[int, Waiting] = {}
        self._held_since = 0.0
        self._fallback: BookUpdate | None = None
        self._joined: set[int] = set()
        self._pending = Pending()
        self._snapshots: deque[int] = deque(maxlen=64)
        """Numbers of the latest snapshots that a connection brought, to know them when they are
        repeated."""
        self._unproven_until: float | None = None
        """No change has followed on the fetched snapshot yet; until then, older ones may come."""
        self._ages = SnapshotAges()
        self._quiet_at: float | None = None
        """When the exchange will have been quiet for long enough."""
        self._widening: Widening | None = None
        """The request for more of a valid book that is under way, or was just fulfilled."""
        self._wide_until = 0.0
        """When a book that was widened may be widened again."""

    # --- updates in ---

    def update(self, update: BookUpdate, restart: bool, runner: Runner, now: float) -> None:
        """One update as a connection brought it; ``restart`` says that it begins a new count."""
        book, race, number = self.book, self._race, update.sequence
        if self._unproven_until is not None and self._contained(update, restart, now):
            return
        if restart and number == race.last:
            if book.shows(update):
                race.again(number, runner)
                self._confirmed(update.received_time_ns)
                return
            if race.may_be_another(number, runner):
                race.reset()
        if race.late(number, restart, runner, now):
            if number == race.last:
                self._confirmed(update.received_time_ns)
            if update.snapshot and not self._fetched:
                self._widened(update, None, now)
            return
        if restart:
            race.announced(runner)
        if update.snapshot:
            self.brings_snapshots = True
            if not restart and book.valid and self._joins(runner):
                # A connection that has just joined shows the state it starts from. The others bring
                # every step up to there: keep it for the case that they don't.
                if self._fallback is None or number > self._fallback.sequence:
                    self._fallback = update
                if not self._fetched:
                    self._widened(update, None, now)
                return
            if book.valid:
                if restart:
                    self._stream.interrupt(Reason.RESTART)
                elif number <= (book.sequence or 0):
                    if number in self._snapshots and now - race.advanced_at <= race.STUCK:
                        race.repeated(runner)
                        return
                    # Of a state that nobody has seen, or of a count that has begun unheard.
                    self._stream.interrupt(Reason.SEQUENCE)
            if self._older(update, restart, now):
                return
        applied = book.apply(update)
        if applied is _APPLIED:
            if restart or update.snapshot or race.ahead or self._fallback is not None:
                self._applied(update, restart, runner, now)
            else:
                self._unproven_until = None
                race.won(number, False, runner, now)
                self._put(update, now)
        elif applied is Applied.AHEAD:
            self._keep_ahead(update, restart, runner, now)
        elif applied is Applied.BROKEN:
            assert book.reason is not None
            self._broken(book.reason, now, update.received_time_ns)
        elif applied is Applied.OLD:
            # No late copy, yet behind the book: the exchange began to count anew, and what said so
            # was lost on the way.
            race.copied(number, runner)
            self._broken(Reason.SEQUENCE, now, update.received_time_ns)
        else:
            self._unsynced(update, restart, runner, now)

    def _contained(self, update: BookUpdate, restart: bool, now: float) -> bool:
        """Whether the snapshot that was fetched holds an update, which was under way meanwhile."""
        until, held = self._unproven_until, self.book.sequence
        if until is None or restart or update.snapshot or not self.book.valid:
            return False
        if now >= until:
            self._unproven_until = None
            return False
        return held is not None and update.sequence <= held

    def _older(self, update: BookUpdate, restart: bool, now: float) -> bool:
        """Whether a connection that lags brings a snapshot older than what was shown before, where
        a request brings a newer one."""
        if not self._fetched or self.book.valid or restart:
            return False
        older = self._ages.goes_back(update.sequence, self.book.sequence, now)
        if older and not self._asked:
            self._ask(now)
        return older

    def _unsynced(self, update: BookUpdate, restart: bool, runner: Runner, now: float) -> None:
        """A change, but no snapshot before it."""
        if self._fetched:
            self._pending.add(update, restart, runner, now)
        if self._invalid_at is None or (self._fetched and not self._asked):
            self._ask(now)
        elif self._vain and self._again_at is not None:
            self._vain, self._again_at = 0, min(self._again_at, now + self.PATIENCE)
            self._arm()  # it speaks: there is no need to wait for long

    def _joins(self, runner: Runner) -> bool:
        if runner.epoch in self._joined:
            return False
        self._joined.add(runner.epoch)
        return self._live() > 1

    def _keep_ahead(self, update: BookUpdate, restart: bool, runner: Runner, now: float) -> None:
        """Something before it is missing: another connection may still bring it."""
        race = self._race
        if self._live() > 1 and len(self._ahead) < self.HOLD_LIMIT:
            self._ahead[update.sequence] = (update, restart, runner)
            if not race.ahead:
                self._held_since = now
            race.hold(update.sequence, runner, now)
            self._arm()
        elif self._fall_back(now):
            self.update(update, restart, runner, now)
        else:
            self._ahead[update.sequence] = (update, restart, runner)
            self._broken(Reason.SEQUENCE, now, update.received_time_ns)

    def _applied(self, update: BookUpdate, restart: bool, runner: Runner, now: float) -> None:
        race, number = self._race, update.sequence
        later: list[Waiting] = []
        anew: Waiting | None = None
        if update.snapshot:
            if restart:
                self._snapshots.clear()
            self._snapshots.append(number)
            self._joined.add(runner.epoch)
            if self._pending and not restart:  # else it is all of a former count
                later, anew = self._pending.after(number)
                if self._live() <= 1 and leaves_hole(later, number):
                    later = []  # nobody else brings what is missing: of a former count, too
            self._found(now)
        self._unproven_until = None
        race.won(number, restart, runner, now)
        if restart:
            self._narrow_still()
            self._ages.counts_anew(update, now)
        elif anew is not None:
            race.restarted(anew[2])
            race.counts_anew(runner)
            self._ages.counts_anew(anew[0], now)
        self._put(update, now)
        if race.ahead or self._fallback is not None:
            self._release(now)
        for each, begins, by in later:
            self.update(each, begins, by, now)

    def _put(self, update: BookUpdate, now: float) -> None:
        book = self.book
        if book.every_level and (
            self._widening is not None or book.narrow or book.cut is not None or book.trimmed
        ):
            told = self._told(update, now)
            if told is None:
                return
            update = told
        self._stream.put((update,), update.sequence)

    def _told(self, update: BookUpdate, now: float) -> BookUpdate | None:
        """What to tell of an applied update to those who rebuild the book: without the levels
        beyond its edge, or the whole book where that has moved. None where it is found wrong."""
        book, widening = self.book, self._widening
        if widening is None:
            if book.narrow and now >= self._wide_until:
                self._widen(now)
        elif not widening.done:
            widening.note(update)
            self._judge(widening.attempt(), now, update.received_time_ns)
            if not book.valid:
                return None
        if widening is not None and widening.done:
            self._widening = None
        elif not book.trimmed:
            return update if book.cut is None else book.cut
        return book.snapshot(update)

    def _release(self, now: float) -> None:
        """Apply what waited, as far as it follows now."""
        book, race = self.book, self._race
        for number in sorted(self._ahead):
            update, _, _ = self._ahead[number]
            applied = book.apply(update)
            if applied is Applied.AHEAD:
                break
            del self._ahead[number]
            race.released(number, delivered=applied is Applied.APPLIED)
            if applied is Applied.APPLIED:
                self._put(update, now)
            elif applied is Applied.BROKEN:
                assert book.reason is not None
                self._broken(book.reason, now, update.received_time_ns)
                return
        fallback, reached = self._fallback, book.sequence
        if fallback is not None and reached is not None and fallback.sequence <= reached:
            self._fallback = None
        if race.ahead:
            self._held_since = now

    # --- snapshots that requests bring ---

    def fetched(self, snapshot: BookUpdate, now: float, reach: int | None = None) -> None:
        """A snapshot that was asked for has come: apply it, and what has waited for it. ``reach``
        is how many levels a side were asked for (None: as many as for a book that begins).

        One that is older than all that waits is of no use, and another one is asked for soon; one
        that is wrong in itself may well stay so for a while.
        """
        book, race = self.book, self._race
        if book.valid:
            self._widened(snapshot, reach or book.reach, now)  # unless the stream was faster
            return
        later, anew = self._pending.after(snapshot.sequence)
        too_old = leaves_hole(later, snapshot.sequence)
        known = book.sequence or 0
        if too_old:
            if snapshot.sequence >= known:
                self._ages.forget()
        elif anew is None or of_new_count(anew[0], known):
            too_old = self._ages.goes_back(snapshot.sequence, book.sequence, now)
        if too_old or book.apply(snapshot, reach) is not Applied.APPLIED:
            # What no snapshot reaches for so long is of a count that has ended unheard.
            self._pending.expire(now - self.PATIENCE)
            if self._asked:
                self._again_at = now + (self.AGAIN_IN if too_old else self.PATIENCE)
                self._arm()
            return
        self._found(now)
        self._unproven_until = now + self.PATIENCE
        race.begin(snapshot.sequence, now)
        if anew is not None:
            race.restarted(anew[2])
            self._ages.counts_anew(anew[0], now)
        self._put(snapshot, now)
        for update, restart, runner in later:
            self.update(update, restart, runner, now)

    def acknowledged(self, now: float) -> None:
        """The exchange will bring every change from now on."""
        if self._fetched and not self.book.valid and not self._asked:
            self._quiet_at = now + self.QUIET
            self._arm()

    def wants(self, attempt: int) -> bool:
        """Whether the snapshot that was asked for in an attempt is still waited for."""
        return (self._asked or self._widens) and attempt == self.attempt

    def unanswered(self, now: float) -> None:
        """What was asked for didn't come; :meth:`tick` asks again in a while."""
        if self._asked or self._widens:
            self._again_at = now + self.PATIENCE
            self._arm()

    # --- a book that is right, but comes near to the edge of what it knows ---

    @property
    def _widens(self) -> bool:
        """Whether more of a valid book is waited for."""
        return self._widening is not None and not self._widening.done

    def _widen(self, now: float) -> None:
        if self._widening is None:
            self._widening = Widening(self.book)
        self._again_at = None if self._fetched else now + self.PATIENCE
        self._ask_for(Ask.WIDER)
        self._arm()

    def _widened(self, snapshot: BookUpdate, reach: int | None, now: float) -> None:
        """More of a valid book has come, maybe of a moment that is over."""
        widening = self._widening
        if widening is not None and not widening.done:
            widening.answered(snapshot, reach)
            self._again_at = now + self.PATIENCE
            self._judge(widening.attempt(), now, snapshot.received_time_ns)

    def _judge(self, outcome: Widened, now: float, now_ns: int) -> None:
        if outcome is Widened.WAITS:
            return
        if outcome is Widened.DIFFERS:
            self._broken(Reason.SEQUENCE, now, now_ns)
            return
        if outcome is Widened.DONE:
            self._again_at = None
            self._wide_until = now + self.QUIET
        else:
            soon = outcome is Widened.TOO_OLD and self._fetched
            self._again_at = now + (self.AGAIN_IN if soon else self.PATIENCE)
        self._arm()

    def _narrow_still(self) -> None:
        """Numbers can't be compared any more, and what was asked for to widen the book is void."""
        if self._widens:
            self.attempt += 1
            self._widening = self._again_at = None

    # --- trouble ---

    def _found(self, now: float) -> None:
        """There is a snapshot."""
        if self._invalid_at is not None:
            self.resync_seconds += now - self._invalid_at
        self._asked = False
        self._invalid_at = self._again_at = self._quiet_at = None
        self._ages.forget()
        self._widening = None
        self._pending.clear()

    def _broken(self, reason: Reason, now: float, now_ns: int) -> None:
        """The book can't be trusted any more: say so and ask for it anew."""
        book = self.book
        if book.valid or book.reason is None:
            book.invalidate(reason)
        held = [self._ahead[number] for number in sorted(self._ahead)]
        self._forget()
        if self._fetched:
            for update, restart, runner in held:
                self._pending.add(update, restart, runner, now)
        self._stream.interrupt(reason)
        self._stream.stale(reason, now_ns)
        self._ask(now)

    def _forget(self) -> None:
        self._ahead.clear()
        self._fallback = self._widening = None
        self._unproven_until = None
        self._race.reset()

    def doubt(self, reason: Reason, now: float, now_ns: int) -> None:
        """An update may have been lost without a trace: the book is not to be trusted any more."""
        if self.book.valid:
            self._broken(reason, now, now_ns)

    def _ask(self, now: float) -> None:
        if self._invalid_at is None:
            self._invalid_at = now
        if self._asked and self._again_at is None:
            return  # a request waits in line or is under way
        self.resyncs += 1
        self._vain = self._vain + 1 if self._asked else 0
        self._asked = True
        # Whoever makes requests says what becomes of them; a stream may just stay silent.
        self._again_at = None if self._fetched else now + self.PATIENCE * how_patient(self._vain)
        self._quiet_at = None
        self._joined.clear()
        self._ask_for(Ask.AGAIN if self._stream.delivered else Ask.FIRST)
        self._arm()

    def _fall_back(self, now: float) -> bool:
        """Go on from the state that a joining connection has shown, where it is ahead."""
        book, race, fallback = self.book, self._race, self._fallback
        self._fallback = None
        if fallback is None or not book.valid or fallback.sequence <= (book.sequence or 0):
            return False
        self._narrow_still()
        self._stream.interrupt(Reason.SEQUENCE)
        if book.apply(fallback) is not Applied.APPLIED:
            return False
        race.released(fallback.sequence, delivered=True)
        self._ahead.pop(fallback.sequence, None)
        self._put(fallback, now)
        self._release(now)
        return True

    def narrowed(self, now: float) -> None:
        """A connection has gone. Where just one is left, nobody else brings the steps up to the
        state that it has shown on joining."""
        fallback, book = self._fallback, self.book
        if fallback is None or self._live() > 1 or self._fall_back(now) or book.valid:
            return
        assert book.reason is not None
        self._broken(book.reason, now, fallback.received_time_ns)

    def lost_sync(self, reason: Reason) -> None:
        """No connection brings the topic any more: what is known of it is not up to date."""
        if self._fetched:
            # What comes next needs a snapshot of its own; nothing that was asked for is one.
            self.attempt += 1
            self._pending.clear()
            self._asked = False
            self._again_at = self._quiet_at = None
            self._ages.forget()
        if self.book.state is not BookState.VALID:
            return
        self.book.invalidate(reason)
        self._joined.clear()
        self._forget()

    def end(self, why: str = "") -> None:
        """Nobody wants the book any more: whoever still holds it must not take it for fresh."""
        self._asked = False
        self._again_at = self._quiet_at = self._invalid_at = None
        self._forget()
        self.book.close(why)

    # --- time ---

    @property
    def wake_at(self) -> float | None:
        """When ``tick`` should be called, None for never."""
        if self._race.ahead:
            return self._held_since + self.HOLD
        return self._quiet_at if self._again_at is None else self._again_at

    def tick(self, now: float, now_ns: int) -> None:
        """What was waited for didn't come in time."""
        if self._race.ahead and now >= self._held_since + self.HOLD:
            if self._fall_back(now):
                return
            self._broken(Reason.SEQUENCE, now, now_ns)
        if self._again_at is not None and now >= self._again_at:
            if self._widens:
                self._widen(now)
            else:
                self._ask(now)
        if self._quiet_at is not None and now >= self._quiet_at:
            self._quiet_at = None
            if not self.book.valid:
                self._ask(now)
