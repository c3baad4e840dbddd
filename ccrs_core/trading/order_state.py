"""What is known of one order, merged: total, monotone, and the same in any order of arrival.

State and quantity are two facts. The state only climbs, and a final one stays. The filled size is
the larger of what the ledger's fills add up to and what the exchange says; fills are taken for
ever. Fields that the exchange may change (a price, a size) are those of its newest word, by its
own clock and count, whenever that arrives. Nothing here is guessed: what contradicts what is known
isn't taken, and is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import attrs

from ccrs_core.errors import EndReason
from ccrs_core.model.constructors import fast_evolve
from ccrs_core.model.order_requests import OrderRequest
from ccrs_core.model.orders import Order, OrderState, Times, average
from ccrs_core.model.reports import OrderReport
from ccrs_core.model.units import PLAIN
from ccrs_core.trading.children import ZERO, Child, added, covered, end_of

Version = tuple[int, int, int, Decimal]
"""What tells which of two words on an order is newer: the exchange's time, its number, how far the
order has come, and how much of it was filled."""


class Facts(NamedTuple):
    """What an :class:`Order` is made of, besides what it shows."""

    fills_size: Decimal = ZERO
    """Of the ledger's fills, summed up."""
    fills_value: Decimal | None = ZERO
    """Of them; None where the value of one isn't known."""
    told_size: Decimal | None = None
    """The exchange's largest cumulative size."""
    told_value: Decimal | None = None
    """What it said of that."""
    told_average: Decimal | None = None
    fees: tuple[tuple[str, Decimal], ...] = ()
    """Of the ledger's fills, by asset."""
    versions: Mapping[str, Version] = {}
    """By field: how new the word is that it is from."""
    alarmed: bool = False
    """Whether a contradiction of its quantity was told."""
    fired: bool = False
    """Whether the exchange said that its trigger has fired."""
    children: Mapping[str, Child] = {}
    """What it has placed, by the exchange's ids."""
    sideless: tuple[str, ...] = ()
    """Keys of fills that don't tell which of two positions they are of, until the order does."""


class Conflict(NamedTuple):
    """Two facts that can't both be true."""

    what: str
    known: str
    told: str


class Merged(NamedTuple):
    """What an order is after a word on it."""

    order: Order
    facts: Facts
    changed: bool
    """Whether users have to be told."""
    conflict: Conflict | None = None
    keep: bool = False
    """Whether the store has to know, though users needn't."""


evolve_order = fast_evolve(Order)
_evolve_times = fast_evolve(Times)

_FOLLOWED = (
    *("size", "quote_size", "price", "trigger", "type", "time_in_force", "post_only"),
    *("reduce_only", "position_side"),
)
"""Fields of which the exchange's newest word counts."""
_followed = attrgetter(*_FOLLOWED)
_QUIET = {"verified_ns", "updated_ns", "created_ns", "native", "times"}
"""Fields that change without anything having happened."""
_ALIVE = "alive"
"""Under this name it is kept when the exchange called an order alive that had ended."""
OPEN_QUESTIONS = frozenset({OrderState.PLANNED, OrderState.SENT, OrderState.UNKNOWN})
"""States in which nobody knows whether the exchange has an order."""
_UNBORN = (OrderState.REJECTED, OrderState.NOT_SENT, OrderState.ABSENT)
"""Final states that say that the order never was in a book."""


_REPEATED: Version = (-1, -1, 0, ZERO)
"""Of a row that another one is to be taken for."""


def version_of(report: OrderReport) -> Version:
    """How new a word on an order is."""
    return (
        report.exchange_time_ns or 0,
        -1 if report.sequence is None else report.sequence,
        report.state.rank,
        report.filled_size or ZERO,
    )


def reported(order: Order, facts: Facts, said: OrderReport, contract: Decimal | None) -> Merged:
    """An order after the exchange's word on it, in the instrument's own size unit. ``contract``: as
    of :func:`~ccrs_core.model.orders.average`."""
    if said.side is not None and said.side is not order.side:
        sides = Conflict("side of an order", order.side.value, said.side.value)
        return Merged(order, facts, False, sides)
    if said.late and order.state.final:
        return Merged(order, facts, False)
    version = _REPEATED if said.late else version_of(said)
    versions = dict(facts.versions)
    changes: dict[str, Any] = {}
    for name, value, known in zip(_FOLLOWED, _followed(said), _followed(order), strict=True):
        if value is not None and version >= versions.get(name, version):
            versions[name] = version
            if known != value:
                changes[name] = value
    if said.native_fields and version >= versions.get("native", version):
        versions["native"] = version
        changes["native"] = said.native_fields
    for name in ("parent_id", "fired_by"):
        if getattr(said, name) and not getattr(order, name):
            changes[name] = getattr(said, name)
    if said.exchange_order_id and not order.exchange_order_id:
        changes["exchange_order_id"] = said.exchange_order_id
    if said.client_order_id and not order.client_order_id:
        changes["client_order_id"] = said.client_order_id
    time_ns = None if said.late else said.exchange_time_ns
    _times(order, changes, time_ns, said.created_ns, said.received_time_ns)
    why = (None, "") if said.late else (said.reason, said.reason_text)
    conflict = _climb(order, versions, changes, version, said.state, *why)
    told = _told(facts, said)
    if said.fired or said.children:
        named = {each: facts.children.get(each, Child()) for each in said.children}
        told = told._replace(fired=facts.fired or said.fired, children={**facts.children, **named})
    merged = _settled(order, told._replace(versions=versions), changes, contract, conflict)
    return merged if told is facts and conflict is None else merged._replace(keep=True)


def _times(
    order: Order,
    changes: dict[str, Any],
    exchange_time_ns: int | None,
    created_ns: int | None,
    received_ns: int,
) -> None:
    if exchange_time_ns is not None and exchange_time_ns > (order.updated_ns or 0):
        changes["updated_ns"] = exchange_time_ns
    if created_ns is not None and (order.created_ns is None or created_ns < order.created_ns):
        changes["created_ns"] = created_ns
    if received_ns > (order.verified_ns or 0):
        changes["verified_ns"] = received_ns


def _climb(
    order: Order,
    versions: dict[str, Version],
    changes: dict[str, Any],
    version: Version,
    state: OrderState,
    reason: EndReason | None,
    text: str,
) -> Conflict | None:
    """The state after the exchange's word on it, and why."""
    before = order.state
    if state.rank > before.rank:
        versions["state"] = version
        changes["state"], changes["reason"], changes["reason_text"] = state, None, ""
        for name, value in (("reason", reason), ("reason_text", text)):
            versions.pop(name, None)
            if value:
                versions[name], changes[name] = version, value
    elif state is before:
        versions["state"] = max(version, versions.get("state", version))
        # What one row leaves out, another may say.
        for name, value in (("reason", reason), ("reason_text", text)):
            if value and version >= versions.get(name, version):
                versions[name] = version
                if value != getattr(order, name):
                    changes[name] = value
    elif before.final and (state.final or "state" not in versions):
        if state.final:
            versions.pop(_ALIVE, None)
        else:
            versions[_ALIVE] = version
        return Conflict("state of an order", _end(before, order.reason), _end(state, reason))
    return None


def contradicted(order: Order, facts: Facts) -> bool:
    """Whether an order that has ended by this side's word alone (settled by hand, say) was told to
    be alive by the exchange, which hasn't said since how it ended."""
    return order.state.final and _ALIVE in facts.versions and "state" not in facts.versions


def denied(order: Order, facts: Facts) -> Merged:
    """An order that the exchange shows nowhere any more: nothing contradicts its end."""
    versions = {name: each for name, each in facts.versions.items() if name != _ALIVE}
    return Merged(order, facts._replace(versions=versions), False, keep=True)


def _end(state: OrderState, reason: EndReason | None) -> str:
    return state.value if reason is None else f"{state.value} ({reason.value})"


def _told(facts: Facts, said: OrderReport) -> Facts:
    """The exchange's largest cumulative figures."""
    size, known = said.filled_size, facts.told_size
    if size is None or (known is not None and size < known):
        return facts
    if known is None or size > known:
        return facts._replace(
            told_size=size, told_value=said.filled_value, told_average=said.average_price
        )
    value = said.filled_value if facts.told_value is None else facts.told_value
    price = said.average_price if facts.told_average is None else facts.told_average
    if (value, price) == (facts.told_value, facts.told_average):
        return facts
    return facts._replace(told_value=value, told_average=price)


def filled(
    order: Order,
    facts: Facts,
    *,
    size: Decimal,
    value: Decimal | None,
    fee: Decimal | None,
    fee_asset: str,
    exchange_time_ns: int,
    received_time_ns: int,
    contract: Decimal | None,
) -> Merged:
    """An order after one more of its fills. (Whether it is one more isn't judged here.)"""
    facts = with_fill(facts, size, value, fee, fee_asset)
    changes: dict[str, Any] = {}
    _times(order, changes, exchange_time_ns, None, received_time_ns)
    conflict = None
    state = order.state
    if not state.final:
        if state.rank < OrderState.OPEN.rank:
            changes["state"] = OrderState.OPEN
            changes["reason"], changes["reason_text"] = None, ""
    elif state in _UNBORN and "state" not in facts.versions:
        known = _end(state, order.reason)
        conflict = Conflict("state of an order", known, f"a fill of {size:f}")
    return _settled(order, facts, changes, contract, conflict)._replace(keep=True)


def with_fill(
    facts: Facts, size: Decimal, value: Decimal | None, fee: Decimal | None, fee_asset: str
) -> Facts:
    """The sums after one more fill."""
    known = facts.fills_value
    return facts._replace(
        fills_size=PLAIN.add(facts.fills_size, size),
        fills_value=None if known is None or value is None else PLAIN.add(known, value),
        fees=facts.fees if fee is None else added(facts.fees, fee_asset, fee),
    )


def with_fee(order: Order, facts: Facts, fee_asset: str, fee: Decimal) -> Merged:
    """An order after the fee of one of its fills became known."""
    facts = facts._replace(fees=added(facts.fees, fee_asset, fee))
    fees = covered(facts.children).fees if facts.children else ()
    for each in facts.fees:
        fees = added(fees, *each)
    return Merged(evolve_order(order, {"fees": fees}), facts, True)


def _settled(
    order: Order,
    facts: Facts,
    changes: dict[str, Any],
    contract: Decimal | None,
    conflict: Conflict | None = None,
) -> Merged:
    """The order with what follows from its facts."""
    state = changes.get("state", order.state)
    size = changes.get("size", order.size)
    told, sums = facts.told_size, facts.fills_size
    fills_value, fees, all_there = facts.fills_value, facts.fees, True
    if facts.children or facts.fired or order.fired:
        placed = covered(facts.children)
        sums, all_there = PLAIN.add(sums, placed.filled_size), placed.complete
        known = fills_value is not None and placed.filled_value is not None
        fills_value = PLAIN.add(fills_value, placed.filled_value) if known else None  # type: ignore[arg-type]
        for each in placed.fees:
            fees = added(fees, *each)
        _follow(order, facts, changes, sums)
        state = changes.get("state", state)
    elif told is None and state is OrderState.FILLED and size is not None:
        told = size  # that is what the word means
    reached = told is None or sums >= told
    complete = reached and all_there
    done = sums if told is None or reached else told
    value, price = facts.told_value, facts.told_average
    if reached and (fills_value is not None or sums != told):
        value, price = fills_value, None
    if done != order.filled_size:
        changes["filled_size"] = done
    if value != order.filled_value:
        changes["filled_value"] = value
    if fees != order.fees:
        changes["fees"] = fees
    if complete != order.fills_complete:
        changes["fills_complete"] = complete
    if value is not None:
        price = average(value, done, contract) or price
    if price != order.average_price:
        changes["average_price"] = price
    if (
        conflict is None
        and not facts.alarmed
        and state.final
        and size is not None
        and not facts.children
        and done > size
        and "size" in facts.versions
        and facts.versions["size"] >= facts.versions.get("state", facts.versions["size"])
    ):
        facts = facts._replace(alarmed=True)
        conflict = Conflict("size of an order", f"{size:f}", f"{done:f} filled")
    if not changes:
        return Merged(order, facts, False, conflict)
    return _evolved(order, facts, changes, conflict)


def _follow(order: Order, facts: Facts, changes: dict[str, Any], filled_size: Decimal) -> None:
    """What an order that waited is by what it has placed."""
    seen = any(each.seen for each in facts.children.values())
    asked = order.asked.trigger if order.asked is not None else None
    waited = asked is not None or changes.get("trigger", order.trigger) is not None
    fired = facts.fired or (seen and waited)
    ids = tuple(facts.children)
    if fired != order.fired:
        changes["fired"] = fired
    if ids != order.children:
        changes["children"] = ids
    state = changes.get("state", order.state)
    if state.final or not fired or not seen:
        return
    size = changes.get("size", order.size), changes.get("quote_size", order.quote_size)
    end = end_of(facts.children, *size, filled_size, listed=facts.fired)
    if end is not None:
        changes["state"], changes["reason"], changes["reason_text"] = end
    elif state.rank < OrderState.OPEN.rank:
        changes["state"], changes["reason"], changes["reason_text"] = OrderState.OPEN, None, ""


def child_of(order: Order | None, facts: Facts) -> Child:
    """What the one that waited keeps of an order that it has placed; of which only fills are known
    where it is None."""
    if order is None:
        return Child(
            filled_size=facts.fills_size,
            filled_value=facts.fills_value,
            complete=False,
            fees=facts.fees,
        )
    return Child(
        *(order.state, order.reason, order.reason_text, order.size, order.quote_size),
        *(order.filled_size, order.filled_value, order.fills_complete, order.fees),
    )


def followed(
    order: Order, facts: Facts, placed: Mapping[str, Child], contract: Decimal | None, time_ns: int
) -> Merged:
    """An order that waited, after ``placed`` became known of what it has placed."""
    changes: dict[str, Any] = {}
    _times(order, changes, time_ns, None, 0)
    facts = facts._replace(children=dict(placed))
    merged = _settled(order, facts, changes, contract)
    if merged.order.state is not order.state:
        # What it has placed is the exchange's word on it: an older one contradicts nothing.
        versions = {"state": _REPEATED, **facts.versions}
        merged = merged._replace(facts=facts._replace(versions=versions))
    return merged._replace(keep=True)


def _evolved(
    order: Order, facts: Facts, changes: dict[str, Any], conflict: Conflict | None = None
) -> Merged:
    changed = not changes.keys() <= _QUIET
    keep = not changes.keys() <= {"verified_ns"}
    return Merged(evolve_order(order, changes), facts, changed, conflict, keep)


# --- What this side knows of its own orders ---


def climbed(
    order: Order,
    facts: Facts,
    state: OrderState,
    reason: EndReason | None = None,
    text: str = "",
    **more: Any,
) -> Merged:
    """An order of which this side has learned something: it stays as it is where it has come
    further already."""
    changes = {name: value for name, value in more.items() if getattr(order, name) != value}
    if state.rank > order.state.rank:
        changes |= {"state": state, "reason": reason, "reason_text": text}
    if not changes:
        return Merged(order, facts, False)
    return _evolved(order, facts, changes)


def acknowledged(order: Order, facts: Facts, exchange_order_id: str, times: Times) -> Merged:
    """An order that the exchange has taken."""
    planned_ns = order.times.planned_ns
    more: dict[str, Any] = {"times": _evolve_times(times, {"planned_ns": planned_ns})}
    if exchange_order_id and not order.exchange_order_id:
        more["exchange_order_id"] = exchange_order_id
    verified = times.received_ns
    if verified is not None and verified > (order.verified_ns or 0):
        more["verified_ns"] = verified
    merged = climbed(order, facts, OrderState.ACCEPTED, **more)
    known = order.exchange_order_id
    if exchange_order_id and known and known != exchange_order_id:
        told = Conflict("exchange's id of an order", known, exchange_order_id)
        return merged._replace(conflict=told)
    return merged


def asked_anew(order: Order, facts: Facts, asked: Mapping[str, Any]) -> Merged:
    """An order whose amendment was taken: only what was asked follows."""
    if order.asked is None or not asked:
        return Merged(order, facts, False)
    wanted: OrderRequest = attrs.evolve(order.asked, **asked)
    if wanted == order.asked:
        return Merged(order, facts, False)
    return Merged(evolve_order(order, {"asked": wanted}), facts, True)


def joined(
    order: Order,
    facts: Facts,
    other: Order | None,
    others: Facts,
    time_ns: int,
    contract: Decimal | None,
) -> Merged:
    """An own order, and what was told of it until ``time_ns``, before it was known to be ours."""
    changes: dict[str, Any] = {}
    versions = dict(facts.versions)
    if other is not None:
        for name in (*_FOLLOWED, "native"):
            version = others.versions.get(name)
            if version is not None and version >= versions.get(name, version):
                versions[name] = version
                changes[name] = getattr(other, name)
        if "state" in others.versions:
            said = others.versions["state"]
            _climb(order, versions, changes, said, other.state, other.reason, other.reason_text)
        elif other.state.rank > order.state.rank:
            changes["state"] = other.state
        _times(order, changes, other.updated_ns, other.created_ns, other.verified_ns or 0)
    else:
        if order.state.rank < OrderState.OPEN.rank:
            changes |= {"state": OrderState.OPEN, "reason": None, "reason_text": ""}
        _times(order, changes, time_ns, None, 0)
    facts = with_fill(facts, others.fills_size, others.fills_value, None, "")
    for asset, fee in others.fees:
        facts = facts._replace(fees=added(facts.fees, asset, fee))
    facts = facts._replace(sideless=facts.sideless + others.sideless)
    told, known = others.told_size, facts.told_size
    if told is not None and (known is None or told > known):
        facts = facts._replace(
            told_size=told, told_value=others.told_value, told_average=others.told_average
        )
    return _settled(order, facts._replace(versions=versions), changes, contract)
