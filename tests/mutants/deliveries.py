"""Options that are held until they are delivered, one at a price and one at nothing: what random
schedules come to rarely."""

from __future__ import annotations

from ccrs_core import Market
from ccrs_core.conformance import Subject
from ccrs_core.conformance.themes.account_machine import AccountSchedule
from ccrs_core.conformance.workbench.schedules import Beginning, pairs_of
from ccrs_core.conformance.workbench.trader import trading_of


def options_are_delivered(subject: Subject) -> None:
    """Calls out of the money, and puts in it, of another program: the ledger is true after their
    delivery."""
    pairs = pairs_of(trading_of(subject))
    options = next(at for at, pair in enumerate(pairs) if pair[1:] == [Market.OPTION])
    for number in (0, 1):
        schedule = type("Held", (AccountSchedule,), {"subject": subject})()
        schedule.begin(
            beginning=Beginning(
                weather=(),
                via="rest",
                on_disk=False,
                markets=options,
                hedged=False,
                protected=False,
                appointment="delivery",
                account=0,
                seed=0,
            )
        )
        schedule.stalls[1] = schedule.world.stall(Market.OPTION, number)
        for _ in range(2):
            schedule.another_program_places(which=1, buys=True, level=2, again=False)
        assert schedule.life.account.positions(), "nothing is held"
        schedule.world.pass_time(400.0)  # and differences of that time are judged
        schedule.teardown()
