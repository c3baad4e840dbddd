"""What is declared is what the exchange's documents say: addresses, streams, requests, errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from ccrs_core.conformance.themes.declared import declared_subscriptions
from ccrs_core.conformance.themes.healing import of_each_route
from ccrs_core.conformance.workbench.facts import FILE, ErrorFact, Facts, RequestFact, StreamFact
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.requested import asked, contents, fits, same_text
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import LoginRefused, Refused
from ccrs_core.contract.exchange import Environment
from ccrs_core.contract.rest import GetCandles, GetInstruments, HttpRequest, HttpResponse, Request
from ccrs_core.model.instruments import InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_SHOWN = 12
_PATIENCE = 1.5
"""How many times its cadence a stream may be silent before it is called so, at the least."""
_LONG = {"1d", "3d", "1w", "1M"}


class DocumentedProperties:
    """What the plugin declares is held against its file of facts."""

    @proves(74, against=Against.FACTS)
    def test_addresses_are_those_of_the_exchanges_documents(self, subject: Subject) -> None:
        """Every address of every environment is the one that the exchange's documents print, and
        hosts that don't go together are explained."""
        facts = {fact.name: fact for fact in subject.facts.environments}
        wrong = []
        for name, environment in subject.exchange.environments.items():
            fact = facts.get(name)
            if fact is None:
                wrong.append(f"environment {name}: no [[environment]] of {FILE} has its addresses")
                continue
            for what, declared, documented in (
                ("address", environment.addresses, fact.addresses),
                ("header", environment.headers, fact.headers),
            ):
                wrong += [
                    f"environment {name}: {what} {key} is {declared.get(key)}, by {fact} "
                    f"{documented.get(key)}"
                    for key in sorted({*declared, *documented})
                    if declared.get(key) != documented.get(key)
                ]
            strange = list(_unlike(name, environment, subject.exchange.environments))
            if strange and not fact.unlike:
                wrong.append(
                    f"environment {name}: {strange[0]}: is one of them another environment's? "
                    f"Where it is meant, say why: unlike = ... in its [[environment]] of {FILE}"
                )
        tell(
            wrong,
            "whoever chooses such an environment would send orders and get prices elsewhere "
            "(Exchange.environments)",
        )

    @proves(8, against=Against.FACTS)
    def test_streams_are_asked_for_as_the_documents_say(self, subject: Subject) -> None:
        """Every declared channel, depth and interval is asked for at the address, and in the words,
        that the exchange's documents print."""
        subject.cases()
        facts, exchange, wrong = subject.facts, subject.exchange, []
        addresses = exchange.environments["mainnet"].addresses
        for sub in declared_subscriptions(subject):
            fact = stream_fact(facts, sub)
            if fact is None:
                wrong.append(f"{_of(sub)}: no [[stream]] of {FILE} says how it is asked for")
                continue
            route = exchange.route(sub)
            url = route.at(addresses)
            others = tuple(each.format(**addresses) for each in route.alternatives)
            if url != fact.url:
                wrong.append(f"{_of(sub)}: Exchange.route leads to {url}, by {fact} {fact.url}")
            if not set(others) <= set(fact.alternatives):
                wrong.append(
                    f"{_of(sub)}: alternatives are {others}, by {fact} {fact.alternatives}"
                )
            if sub.interval is not None and sub.interval not in facts.spelled:
                wrong.append(f"{_of(sub)}: [intervals] of {FILE} doesn't name {sub.interval}")
                continue
            said = contents(exchange.codec(route).subscribe([sub], "1"))
            for text in fact.says:
                expected = fits(text, facts.spelled, sub.instrument, sub.depth, sub.interval)
                if not same_text(expected, said):
                    wrong.append(
                        f"{_of(sub)}: Codec.subscribe sends {said}, which lacks {expected} of "
                        f"{fact}"
                    )
        tell(
            wrong,
            "the exchange would refuse what the emulator takes, or send something else "
            "(Exchange.route, Codec.topic, Codec.subscribe)",
        )

    @proves(71, against=Against.FACTS)
    def test_requests_are_made_as_the_documents_say(self, subject: Subject) -> None:
        """Every declared request goes to the address, with the parameters and for no more rows than
        the exchange's documents print."""
        exchange, facts, wrong = subject.exchange, subject.facts, []
        if not exchange.endpoints:
            subject.undeclared("request")
        addresses = exchange.environments["mainnet"].addresses
        for request, market, channel in asked(subject):
            name = f"{type(request).__name__} of {market.value}"
            found = list(requests_of_facts(facts, type(request), market, channel))
            if not found:
                wrong.append(f"{name}: no [[request]] of {FILE} says how it is asked")
                continue
            http = exchange.endpoints[type(request)].encode(request, None)
            url = addresses[exchange.rest_address(http)] + http.path
            fact = next((fact for fact in found if fact.url == url), None)
            if fact is None:
                wrong.append(f"{name} is asked at {url}, by {found[0]} at {found[0].url}")
                continue
            query = dict(http.query)
            instrument = getattr(request, "instrument", None) or subject.instrument(market)
            interval = getattr(request, "interval", None)
            for key, text in fact.asks.items():
                expected = fits(text, facts.spelled, instrument, None, interval)
                if query.get(key) != expected:
                    wrong.append(
                        f"{name}: the parameter {key} is {query.get(key)}, by {fact} {expected}"
                    )
            if fact.size is not None:
                key, most = fact.size
                rows = query.get(key)
                if rows is None or not rows.isdecimal() or int(rows) > most:
                    wrong.append(f"{name}: asks for {key}={rows}, by {fact} at most {most}")
        tell(
            wrong,
            "the exchange would refuse what the emulator answers, or answer something else "
            "(Endpoint.encode, Exchange.rest_address)",
        )

    @proves(71, against=Against.FACTS)
    def test_all_that_the_documents_list_is_asked_for(self, subject: Subject) -> None:
        """Where a list must be asked for in parts (by coin, by type, by status), each part that the
        documents name is asked for."""
        facts = [(f, market) for f in subject.facts.requests for market in f.markets if f.values]
        facts = [(f, m) for f, m in facts if GetInstruments in f.kinds and m in subject.markets]
        if not facts:
            subject.undeclared("list in parts")
        wrong = []
        for fact, market in facts:
            line = _Listening(subject.make(), subject.venue())
            line.ask(GetInstruments(market))
            for key, values in fact.values.items():
                missing = sorted(set(values) - {query.get(key, "") for query in line.heard})
                if missing:
                    wrong.append(
                        f"instruments of {market.value} are never asked for with {key} "
                        f"{', '.join(missing)}, which {fact} names"
                    )
        tell(wrong, "those instruments don't exist for a user (the endpoint of GetInstruments)")

    @proves(12, against=Against.FACTS)
    def test_errors_mean_what_the_documents_say(self, subject: Subject) -> None:
        """Every error code and HTTP status of the exchange's documents becomes the typed error that
        tells a user what to do about it; too many requests are among them."""
        if not subject.exchange.endpoints:
            subject.undeclared("request")
        facts, wrong = subject.facts.errors, []
        if not any(f.error is not None and f.error.__name__ == "RateLimited" for f in facts):
            wrong.append(f"no [[error]] of {FILE} says how too many requests are answered")
        for fact in facts:
            if fact.streams and fact.body and subject.channels:
                wrong += _refusals(subject, fact)
            answers = (
                []
                if fact.streams
                else [
                    (f"code {code}", HttpResponse(fact.status, {}, _body(fact.body, code)))
                    for code in fact.codes
                ]
            )
            answers += [(f"HTTP {each}", HttpResponse(each, {}, b"")) for each in fact.statuses]
            for what, response in answers:
                error = subject.exchange.error_of(response)
                found = None if error is None else type(error)
                if found is not fact.error:
                    named = "no error" if found is None else found.__name__
                    expected = "none" if fact.error is None else fact.error.__name__
                    wrong.append(f"{what} is {named}, by {fact} {expected}")
        tell(
            wrong,
            "a user would retry what can't succeed, or give up what passes, or be banned "
            "(Exchange.error_of)",
        )

    @proves(32, against=Against.FACTS)
    def test_streams_are_called_silent_by_their_documented_cadence(self, subject: Subject) -> None:
        """A stream is called silent only where the exchange's documents say how often it speaks,
        and not before half as much again has passed."""
        subject.cases()
        wrong = []
        for sub in declared_subscriptions(subject):
            silence, fact = subject.exchange.max_silence(sub), stream_fact(subject.facts, sub)
            if silence is None or fact is None:
                continue
            if fact.cadence is None:
                wrong.append(
                    f"{_of(sub)}: max_silence is {silence:g} s, but {fact} states no cadence: "
                    "where the documents tell none, silence proves nothing: None"
                )
            elif silence < fact.cadence * _PATIENCE:
                wrong.append(
                    f"{_of(sub)}: max_silence is {silence:g} s, and by {fact} it may be silent for "
                    f"{fact.cadence:g} s: one late message would make it Stale"
                )
        tell(wrong, "streams that live would be called Stale (Exchange.max_silence)")

    @proves(18, against=Against.FACTS)
    def test_words_of_statuses_mean_what_the_documents_say(self, subject: Subject) -> None:
        """An instrument whose row has a status of the exchange's documents has the unified status
        that they mean, and the emulator uses no other words."""
        facts = [f for f in subject.facts.statuses if f.markets & set(subject.markets)]
        if not facts:
            subject.undeclared("status that the documents name")
        wrong: list[str] = []
        for fact in facts:
            for market in (m for m in subject.markets if m in fact.markets):
                wrong += _misnamed(subject, market, fact.field, fact.words, str(fact))
        tell(
            wrong,
            "orders would be sent for what can't be traded, or not for what can "
            "(the endpoint of GetInstruments)",
        )

    @proves(30, against=Against.FACTS)
    def test_long_candles_begin_when_the_documents_say(self, subject: Subject) -> None:
        """Candles of a day, a week and a month begin at the hour, and the day of the week, that the
        exchange's documents state."""
        calendar = subject.facts.calendar
        intervals = [i for i in subject.exchange.capabilities.intervals if i in _LONG]
        if not intervals or GetCandles not in subject.exchange.endpoints:
            subject.undeclared("request for candles of a day or more")
        if calendar is None:
            pytest.fail(f"{FILE} has no [calendar]: write when weeks and days of candles begin")
        endpoint, line, wrong = subject.exchange.endpoints[GetCandles], subject.line(), []
        for market in (m for m in subject.markets if m in endpoint.markets):
            for interval in intervals:
                request = GetCandles(subject.instrument(market), interval, None, None, 5)
                for candle in line.ask(request):
                    begin = datetime.fromtimestamp(candle.open_time_ns // NS_PER_SECOND, UTC)
                    fine = (begin.hour, begin.minute) == (calendar.hour, 0)
                    if interval == "1w":
                        fine &= begin.weekday() == calendar.weekday
                    if interval == "1M":
                        fine &= begin.day == 1
                    if not fine:
                        wrong.append(
                            f"{interval} of {market.value}: one begins at {begin:%A %d %b %H:%M} "
                            f"UTC, otherwise than {calendar} says"
                        )
                        break
        tell(
            wrong,
            "highs and lows of another week would be shown (is the name of the interval "
            "that of another time zone?)",
        )


class _Listening(Line):
    """A line that keeps the queries of the requests that are made on it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.heard: list[Mapping[str, str]] = []

    def http(self, request: HttpRequest) -> HttpResponse:
        self.heard.append(dict(request.query))
        return super().http(request)


def stream_fact(facts: Facts, sub: Subscription) -> StreamFact | None:
    """What the documents say of a subscription."""
    for fact in facts.streams:
        if (
            sub.instrument.market in fact.markets
            and sub.channel in fact.channels
            and (sub.channel is not Channel.BOOK or not fact.depths or sub.depth in fact.depths)
            and sub.rpi == fact.rpi
        ):
            return fact
    return None


def requests_of_facts(
    facts: Facts, kind: type[Request[Any]], market: Market, channel: Channel | None
) -> Iterator[RequestFact]:
    """What the documents say of a question."""
    for fact in facts.requests:
        if (
            kind in fact.kinds
            and market in fact.markets
            and (channel is None or channel in fact.channels)
        ):
            yield fact


def tell(wrong: Sequence[str], harm: str) -> None:
    if wrong:
        more = f"\n  … and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        shown = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
        pytest.fail(f"otherwise than in the exchange's documents: {harm}:{shown}{more}")


def _of(sub: Subscription) -> str:
    more = f" of {sub.depth} levels" if sub.depth else f" of {sub.interval}" if sub.interval else ""
    return f"{sub.instrument.market.value} {sub.channel.value}{more}"


def _body(template: str, code: str) -> bytes:
    return template.replace("{code}", code).encode()


def _refusals(subject: Subject, fact: ErrorFact) -> Iterator[str]:
    """What codecs make of refusals as the documents say that streams send them."""
    codecs = [(route, subject.exchange.codec(route)) for route in of_each_route(subject)]
    for code in fact.codes:
        for route, codec in codecs:
            messages = codec.decode(_body(fact.body, code), START_NS)
            told = [m.code for m in messages if isinstance(m, Refused | LoginRefused)]
            if told != [code]:
                became = ", ".join(map(repr, messages)) or "nothing"
                yield f"a refusal of code {code} on {route.url} is {became}, by {fact} Refused"


# --- addresses ---


def _unlike(
    name: str, environment: Environment, others: Mapping[str, Environment]
) -> Iterator[str]:
    """How an environment's hosts don't go together."""
    hosts = {key: urlsplit(url).hostname or "" for key, url in environment.addresses.items()}
    domains = {".".join(host.split(".")[-2:]) for host in hosts.values()}
    if len(domains) > 1:
        yield f"its hosts are of {' and of '.join(sorted(domains))}"
    for other, each in others.items():
        if other == name:
            continue
        theirs = {urlsplit(url).hostname for url in each.addresses.values()}
        shared = sorted({host for host in hosts.values() if host in theirs})
        if shared and name != "mainnet":
            yield f"{', '.join(shared)} is {other}'s as well"
    for mark in ("test", "demo", "sandbox", "paper"):
        marked = {host for host in hosts.values() if mark in host}
        if marked and marked != set(hosts.values()):
            plain = min(set(hosts.values()) - marked)
            yield f"{min(marked)} says {mark!r}, {plain} doesn't"


# --- statuses ---


def _misnamed(
    subject: Subject,
    market: Market,
    field: str,
    words: Mapping[str, InstrumentStatus],
    fact: str,
) -> Iterator[str]:
    """What becomes of rows with each word in the place of their own."""
    line, request = subject.line(), GetInstruments(market)
    endpoint = line.exchange.endpoints[GetInstruments]
    pages = [
        (page.cursor, page.response)
        for page in line.pages(request)
        if field.encode() in page.response.body
    ]
    said = {row[field] for _, page in pages for row in _rows(orjson.loads(page.body), field)}
    if not said:
        yield f"no row of {market.value} instruments has the field {field} of {fact}"
        return
    unknown = sorted(word for word in said if word not in words)
    if unknown:
        yield f"the emulator says {field}={', '.join(unknown)}, which {fact} doesn't know"
    trading = {word for word, status in words.items() if status is _TRADING}
    plain = {i.native for i in subject.instruments[market] if i.status is _TRADING}
    for word, status in words.items():
        found = set()
        for cursor, page in pages:
            body = orjson.loads(page.body)
            for row in _rows(body, field):
                if row[field] in trading:
                    row[field] = word
            changed = HttpResponse(page.status, page.headers, orjson.dumps(body))
            answer = endpoint.decode(request, changed, line.received_time_ns, cursor)
            found |= {each.status for each in answer.value if each.native in plain}
        if found != {status} and not (status in _OVER and found <= {status}):
            became = ", ".join(sorted(map(str, found))) or "none at all"
            yield f"{market.value} instruments with {field}={word} are {became}, by {fact} {status}"


_TRADING = InstrumentStatus.TRADING
_OVER = frozenset({InstrumentStatus.CLOSED, InstrumentStatus.SETTLING})
"""Instruments that are over may be left out."""


def _rows(value: object, field: str) -> Iterator[dict[str, str]]:
    """Everything in an answer that has a field, which is text."""
    if isinstance(value, dict):
        if isinstance(value.get(field), str):
            yield value
        for each in value.values():
            yield from _rows(each, field)
    elif isinstance(value, list):
        for each in value:
            yield from _rows(each, field)
