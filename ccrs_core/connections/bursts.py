"""What arrives together is handed on together, whichever topics it is of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ccrs_core.connections.carried import Carried, Outlet
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.model.events import StreamData


def deliver(
    topics: Mapping[str, Carried], burst: Sequence[Data], runner: Runner, now: float
) -> None:
    """Hand on what a connection has brought, in the order of its arrival over all topics.

    Runs of one topic and of one consumer cost the less for it, neither changes what anybody gets.
    """
    name = burst[0].topic
    if burst[-1].topic is name and all(data.topic is name for data in burst):
        if (topic := topics.get(name)) is not None:
            topic.deliver_all(burst, runner, now)
        return
    outlet: Outlet | None = None
    events: list[StreamData] = []
    """For the outlet."""
    for data in burst:
        topic = topics.get(data.topic)
        if topic is None:
            continue
        other = topic.take(data, runner, now)
        if other is not None and other is outlet:
            events += data.events
            continue
        if outlet is not None:
            outlet.put(events)
        outlet, events = other, []
        if other is None:
            topic.deliver_all((data,), runner, now)
        else:
            events += data.events
    if outlet is not None:
        outlet.put(events)
