"""Limits: the plugin keeps within what the exchange's documents allow, and its emulator, which all
else is proved by, allows just that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

from ccrs_core.conformance.themes.budgets import many
from ccrs_core.conformance.themes.declared import declared_subscriptions
from ccrs_core.conformance.themes.documented import requests_of_facts, stream_fact, tell
from ccrs_core.conformance.themes.healing import of_each_route
from ccrs_core.conformance.workbench.allowance import most_within, question
from ccrs_core.conformance.workbench.crowded import (
    characters_of_a_connection,
    is_refused,
    topics_of_a_connection,
)
from ccrs_core.conformance.workbench.facts import FILE, LimitFact, RequestFact
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.requested import asked, of_size
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.codec import Refused
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import HttpResponse, Request
from ccrs_core.emulator import HttpRefusal, PingAction
from ccrs_core.errors import CcrsError, DecodeError, ExchangeError
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND

_ADDRESS = "192.0.2.1"
_MOST = 2000
"""Greater numbers are compared, and not tried."""
_STATUSES = (400, 401, 403, 404, 405, 418, 429, 451, 500, 502, 503, 504)
_OF_ROUTES = ("topics_per_request", "topics_per_connection", "topic_chars_per_connection")


class EnforcedProperties:
    """Limits are those of the facts, in what is declared and in the emulator."""

    @proves(37, against=Against.FACTS)
    def test_declared_limits_are_within_the_documented_ones(self, subject: Subject) -> None:
        """Connections, weights, frames and topics are kept within what the exchange's documents
        allow, connections end before the exchange ends them, and heartbeats come in time."""
        if not subject.markets:
            subject.undeclared("channel or request")
        facts, exchange, wrong = subject.facts, subject.exchange, []
        of = {fact.of for fact in facts.limits}
        if subject.channels and "connects" not in of:
            wrong.append(f'no [[limit]] of {FILE} is of = "connects"')
        counted = "requests" in of or any(fact.limit for fact in facts.requests)
        if exchange.endpoints and not counted:
            wrong.append(
                f'no [[limit]] of {FILE} is of = "requests", and no [[request]] has its own'
            )
        for fact in facts.limits:
            if fact.of == "connects" and not _within(exchange.limits.connects, fact.budget):
                wrong.append(f"Exchange.limits.connects is {exchange.limits.connects}, by {fact}")
            if fact.of == "requests":
                budget = exchange.rest_budget(exchange.rest_pool(fact.address))
                if not _within(budget, fact.budget):
                    wrong.append(
                        f"the budget of {fact.address} is {budget}, by {fact} {fact.budget}"
                    )
        wrong += _wrong_weights(subject)
        for route, found in of_each_route(subject).items() if subject.channels else ():
            market = found[0].instrument.market
            for fact in facts.limits:
                if market in fact.markets:
                    wrong += _beyond(subject, route, fact)
            if not of & {"idle", "server_ping"}:
                wrong.append(
                    f'no [[limit]] of {FILE} says after how long without a frame (of = "idle"), or '
                    'a pong (of = "server_ping"), a connection is ended'
                )
        tell(
            list(dict.fromkeys(wrong)),
            "the exchange would refuse requests, end connections, or ban the address "
            "(Exchange.limits, Route, Endpoint.weight, Codec.heartbeat)",
        )

    @proves(37, against=Against.FACTS, quick=False)
    def test_the_emulator_allows_what_the_documents_do(self, subject: Subject) -> None:
        """The emulator accepts as many connections, requests, frames and topics as the exchange's
        documents allow, and not one more: what it forgave would be proved by nothing."""
        if not subject.markets:
            subject.undeclared("channel or request")
        wrong: list[str] = []
        for fact in subject.facts.limits:
            if fact.unemulated or not fact.markets & set(subject.markets):
                continue
            if fact.of == "requests":
                wrong += _weighed(subject, fact)
            elif subject.channels:
                for route, found in _routes(subject, fact):
                    wrong += _TRIED.get(fact.of, _untried)(subject, fact, route, found[0])
        for each in subject.facts.requests:
            if each.limit is not None and not each.unemulated:
                wrong += _counted(subject, each, each.limit)
        tell(
            wrong,
            "the emulator's limits aren't the exchange's, so that nothing proves that the plugin "
            "keeps to those (the dialect; where it can't, the fact says why: unemulated = ...)",
        )

    @proves(12, against=Against.FACTS, quick=False)
    def test_the_emulator_says_no_error_that_is_not_documented(self, subject: Subject) -> None:
        """Every error code that the emulator answers with, to wrong requests, in distress and on
        streams, is one of the exchange's documents."""
        if not subject.markets:
            subject.undeclared("channel or request")
        known = [code for fact in subject.facts.errors for code in fact.codes]
        known += [str(status) for fact in subject.facts.errors for status in fact.statuses]
        wrong = [
            f"{code} ({text[:80]}), {when}: no [[error]] of {FILE} names it"
            for code, text, when in _said(subject)
            if not any(_is_code(code, each) for each in known)
        ]
        tell(
            list(dict.fromkeys(wrong)),
            "the emulator makes up errors, so that the exchange's own are proved by nothing",
        )

    @proves(71, against=Against.FACTS)
    def test_what_is_declared_without_a_fact_is_told(self, subject: Subject) -> None:
        """Limits, weights and deadlines that are declared and of which no fact speaks are listed in
        the report."""
        if not subject.markets:
            subject.undeclared("channel or request")
        found = list(dict.fromkeys(_without(subject)))
        facts = list(subject.facts)
        subject.figures["facts"] = {
            "looked up": f"{len(facts)} on {len({fact.source for fact in facts})} pages, the "
            f"oldest on {min(fact.date for fact in facts)}"
            if facts
            else "none",
            "declared without a fact": "; ".join(found) or "nothing",
        }


# --- what is declared ---


def _within(budget: Budget, fact: Budget) -> bool:
    """Whether who keeps to a budget keeps to the other one as well."""
    return min(most_within(limit, fact.seconds) for limit in budget.all) <= fact.amount


def _beyond(subject: Subject, route: Route, fact: LimitFact) -> Iterator[str]:
    """What a route allows itself beyond a limit."""
    heartbeat = subject.exchange.codec(route).heartbeat
    name = f"Route of {route.url}{f' ({route.name})' if route.name else ''}"
    if fact.of in _OF_ROUTES:
        declared = getattr(route, fact.of)
        if declared is None or declared > fact.amount:
            yield f"{name}: {fact.of} is {declared}, by {fact} {fact.amount}"
    elif fact.of == "messages":
        if route.messages is None or not _within(route.messages, fact.budget):
            yield f"{name}: messages is {route.messages}, by {fact} {fact.budget}"
    elif fact.of == "lifetime":
        if route.max_age is None or route.max_age > fact.amount:
            yield f"{name}: max_age is {route.max_age}, by {fact} {fact.amount} s"
    elif fact.of == "idle" and (heartbeat is None or heartbeat.interval >= fact.amount):
        beat = "no heartbeat" if heartbeat is None else f"one every {heartbeat.interval:g} s"
        yield f"{name}: Codec.heartbeat sends {beat}, by {fact} {fact.amount} s may pass without"


def _wrong_weights(subject: Subject) -> Iterator[str]:
    exchange = subject.exchange
    for request, market, channel in asked(subject):
        endpoint = exchange.endpoints[type(request)]
        for fact in requests_of_facts(subject.facts, type(request), market, channel):
            for least, most, weight in _steps(fact):
                for rows in sorted({least, most}):
                    each = of_size(request, rows)
                    declared = endpoint.weight_of(each)
                    if declared < weight and _is_asked_at(subject, each, fact):
                        yield (
                            f"{type(request).__name__} of {market.value} for {min(rows, 10**5)} "
                            f"rows: weight is {declared}, by {fact} {weight}"
                        )
            if fact.limit is not None and _is_asked_at(subject, request, fact):
                held = question(exchange, request)
                if not any(_within(limit, fact.limit) for limit in held.limits):
                    yield (
                        f"{type(request).__name__} of {market.value} may be asked "
                        f"{held.told} by its weight and Endpoint.pool, by {fact} "
                        f"{fact.limit.amount} times in {fact.limit.seconds:g} s"
                    )


def _steps(fact: RequestFact) -> list[tuple[int, int, int]]:
    """The fewest and the most rows of each weight."""
    mosts = [most for most, _ in fact.weights]
    leasts = [1, *(most + 1 for most in mosts[:-1])]
    return [(a, b, weight) for a, (b, weight) in zip(leasts, fact.weights, strict=False)]


def _is_asked_at(subject: Subject, request: Request[Any], fact: RequestFact) -> bool:
    exchange = subject.exchange
    http = exchange.endpoints[type(request)].encode(request, None)
    addresses = exchange.environments["mainnet"].addresses
    return addresses[exchange.rest_address(http)] + http.path == fact.url


def _without(subject: Subject) -> Iterator[str]:
    """Declared constants that no fact speaks of."""
    facts, exchange = subject.facts, subject.exchange
    for route, found in of_each_route(subject).items() if subject.channels else ():
        market = found[0].instrument.market
        of = {fact.of for fact in facts.limits if market in fact.markets}
        for name in ("topics_per_request", "topics_per_connection", "messages"):
            if getattr(route, name) is not None and name not in of:
                yield f"{name} of {market.value}"
        if route.max_age is not None and "lifetime" not in of:
            yield f"max_age of {market.value}"
    for request, market, channel in asked(subject):
        weight = exchange.endpoints[type(request)].weight_of(request)
        found_facts = requests_of_facts(facts, type(request), market, channel)
        if weight > 1 and not any(fact.weights or fact.limit for fact in found_facts):
            yield f"weight of {type(request).__name__} of {market.value}"
    for sub in declared_subscriptions(subject) if subject.channels else ():
        fact = stream_fact(facts, sub)
        if fact is not None and not fact.says:
            yield f"topic of {sub.channel.value} of {sub.instrument.market.value}"


# --- what the emulator allows: requests ---


def _weighed(subject: Subject, fact: LimitFact) -> Iterator[str]:
    """Requests that weigh otherwise in the emulator than in the facts."""
    exchange = subject.exchange
    # One of each path and weight.
    found: dict[tuple[str, int], Request[Any]] = {}
    for request, market, channel in asked(subject):
        for each in requests_of_facts(subject.facts, type(request), market, channel):
            for least, _, weight in _steps(each) or [(1, 1 << 62, 1)]:
                sized = of_size(request, least)
                http = exchange.endpoints[type(request)].encode(sized, None)
                address = exchange.rest_address(http)
                mine = exchange.rest_pool(address) == exchange.rest_pool(fact.address)
                if mine and each.limit is None and _is_asked_at(subject, sized, each):
                    found.setdefault((http.path, weight), sized)
    kinds = [(request, path, weight) for (path, weight), request in found.items()]
    if not kinds:
        return
    filler, _, least = min(kinds, key=lambda kind: _cost(subject, kind[0], kind[2]))
    for request, path, weight in kinds:
        line = Line(subject.make(), subject.venue(), _ADDRESS)
        left = fact.amount
        # Most of the budget goes for what is answered most cheaply.
        while left >= least + 3 * weight and not _refused(line, filler):
            left -= least
        count = 0
        while count <= left // weight + 1 and count < _MOST and not _refused(line, request):
            count += 1
        if count != left // weight and count < _MOST:
            yield (
                f"the emulator takes {'at least ' if count > left // weight else ''}{count} "
                f"requests {path} for a weight of {left}, by {fact} {left // weight} of "
                f"{weight} each"
            )


def _cost(subject: Subject, request: Request[Any], weight: int) -> float:
    """Bytes of an answer for each weight that it costs."""
    http = subject.exchange.endpoints[type(request)].encode(request, None)
    return len(subject.line().http(http).body) / weight


def _counted(subject: Subject, fact: RequestFact, limit: Budget) -> Iterator[str]:
    """A call that the emulator allows more or less often than the facts."""
    exchange = subject.exchange
    for request, market, channel in asked(subject):
        if not any(
            f is fact for f in requests_of_facts(subject.facts, type(request), market, channel)
        ) or not _is_asked_at(subject, request, fact):
            continue
        line, count = Line(subject.make(), subject.venue(), _ADDRESS), 0
        one = of_size(request, 1)
        while count <= limit.amount and count < _MOST and not _refused(line, one):
            count += 1
        if count != limit.amount and count < _MOST:
            path = exchange.endpoints[type(request)].encode(request, None).path
            yield (
                f"the emulator takes {count}{' or more' if count > limit.amount else ''} requests "
                f"{path} at once, by {fact} {limit.amount}"
            )
        return


def _refused(line: Line, request: Request[Any]) -> bool:
    response = line.http(line.exchange.endpoints[type(request)].encode(request, None))
    return line.exchange.error_of(response) is not None


# --- what the emulator allows: connections ---


def _routes(subject: Subject, fact: LimitFact) -> Iterator[tuple[Route, Sequence[Subscription]]]:
    """A route of each address that a limit is for; of limits of an address one is enough."""
    seen: set[str] = set()
    for route, found in of_each_route(subject).items():
        market = found[0].instrument.market
        if market in fact.markets and route.url not in seen:
            seen.add(route.url)
            yield route, found
            if fact.of in {"connects", "lifetime"}:
                return


def _connects(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    venue = subject.venue()
    path, query = _opened(subject, route)
    count = 0
    while count <= min(fact.amount, _MOST):
        peer = venue.open(path, query, venue.now_ns, _ADDRESS, route.headers)
        if isinstance(peer, HttpRefusal):
            break
        peer.gone()
        count += 1
    if count != fact.amount and count <= _MOST:
        yield f"the emulator accepts {count} connections at once, by {fact} {fact.amount}"


def _opened(subject: Subject, route: Route) -> tuple[str, dict[str, str]]:
    from ccrs_core.transport.addresses import everything_at

    url = urlsplit(route.at(everything_at("http://emulator", subject.exchange)))
    return url.path, dict(parse_qsl(url.query))


def _messages(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    wire, count = subject.line().open(route), 0
    while count <= min(fact.amount, _MOST):
        make = wire.codec.subscribe if count % 2 == 0 else wire.codec.unsubscribe
        if is_refused(wire, make([sub], str(count + 1))):
            break
        count += 1
    if count != fact.amount and count <= _MOST:
        yield (
            f"the emulator takes {count}{' or more' if count > fact.amount else ''} requests at "
            f"once on {route.url}, by {fact} {fact.amount}"
        )


def _topics(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    codec = subject.exchange.codec(route)
    named: dict[str, Subscription] = {}
    for each in many(subject, sub.instrument.market, 3000, route, every_depth=True):
        if codec.request_kind(each) == codec.request_kind(sub):
            named.setdefault(codec.topic(each), each)
    subs = list(named.values())
    if len(subs) <= fact.amount:
        return
    for count in (fact.amount, fact.amount + 1):
        wire = subject.line().open(route)
        refused = is_refused(wire, wire.codec.subscribe(subs[:count], "1"))
        if refused != (count > fact.amount):
            does = "refuses" if refused else "takes"
            yield f"the emulator {does} {count} topics in one request on {route.url}, by {fact}"


def _idle(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    venue = subject.venue()
    peer = Line(subject.make(), venue).open(route).peer
    for seconds, fine in ((fact.amount - 1, True), (fact.amount + 1, False)):
        venue.advance(venue.start_ns + seconds * NS_PER_SECOND)
        if peer.open is not fine:
            does = "keeps" if peer.open else "ends"
            yield f"the emulator {does} a connection after {seconds} s without a frame, by {fact}"
            return


def _server_ping(
    subject: Subject, fact: LimitFact, route: Route, sub: Subscription
) -> Iterator[str]:
    market = sub.instrument.market
    pong = next(
        (f.amount for f in subject.facts.limits if f.of == "pong" and market in f.markets), 0
    )
    venue = subject.venue()
    peer = Line(subject.make(), venue).open(route).peer
    venue.advance(venue.start_ns + (fact.amount - 1) * NS_PER_SECOND)
    early = any(isinstance(action, PingAction) for action in peer.take())
    venue.advance(venue.start_ns + (fact.amount + 1) * NS_PER_SECOND)
    if early or not any(isinstance(action, PingAction) for action in peer.take()):
        yield f"the emulator doesn't send its first ping on {route.url} as {fact} says"
    for seconds, fine in ((fact.amount + pong - 1, True), (2 * fact.amount + pong + 1, False)):
        venue.advance(venue.start_ns + seconds * NS_PER_SECOND)
        if pong and peer.open is not fine:
            does = "keeps" if peer.open else "ends"
            yield f"the emulator {does} a connection {seconds} s old without any pong, by {fact}"
            return


def _lifetime(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    wire = subject.line().open(route)
    for seconds, fine in ((fact.amount - 60, True), (120, False)):
        wire.run(seconds)
        if wire.peer.open is not fine:
            does = "keeps" if wire.peer.open else "ends"
            yield f"the emulator {does} a connection on {route.url} otherwise than {fact} says"
            return


def _untried(subject: Subject, fact: LimitFact, route: Route, sub: Subscription) -> Iterator[str]:
    """Limits that other tests reach."""
    yield from ()


_TRIED = {
    "connects": _connects,
    "messages": _messages,
    "topics_per_request": _topics,
    "topics_per_connection": topics_of_a_connection,
    "topic_chars_per_connection": characters_of_a_connection,
    "idle": _idle,
    "server_ping": _server_ping,
    "lifetime": _lifetime,
}


# --- errors ---


def _is_code(code: str, known: str) -> bool:
    return code == known or (known.endswith("*") and code.startswith(known[:-1]))


def _said(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Code and text of every error that the emulator can be made to say, and when it does."""
    exchange, line = subject.exchange, subject.line()
    answers: list[tuple[HttpResponse, str]] = []
    if exchange.endpoints:
        failure, now_ns = line.venue.dialect.failure, line.venue.now_ns
        answers += [(failure(status, now_ns), "in distress") for status in _STATUSES]
        for request, _, _ in asked(subject):
            http = exchange.endpoints[type(request)].encode(request, None)
            for at, (key, _) in enumerate(http.query):
                query = (*http.query[:at], (key, "zzz"), *http.query[at + 1 :])
                answers.append((line.http(attrs.evolve(http, query=query)), f"to a wrong {key}"))
                query = (*http.query[:at], *http.query[at + 1 :])
                answers.append((line.http(attrs.evolve(http, query=query)), f"without {key}"))
            unknown = attrs.evolve(http, path=http.path + "zzz")
            answers.append((line.http(unknown), "to a wrong path"))
    for response, when in answers:
        try:
            error: CcrsError | None = exchange.error_of(response)
        except DecodeError:
            continue
        # Without a code of its own the HTTP status tells.
        if isinstance(error, ExchangeError) and error.code and error.code.encode() in response.body:
            yield error.code, error.text, when
    for route, found in of_each_route(subject).items() if subject.channels else ():
        wire = line.open(route)
        strange = attrs.evolve(found[0].instrument, native="ZZZ", symbol="ZZZ/ZZZ")
        for message in wire.subscribe(attrs.evolve(found[0], instrument=strange)):
            if isinstance(message, Refused) and message.code:
                yield message.code, message.text, "to a subscription to what isn't listed"
