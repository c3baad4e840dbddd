"""What is said of accounts is read as samples say: private streams, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from ccrs_core.conformance.workbench.call_facts import CallFact
from ccrs_core.conformance.workbench.facts_entry import FILE
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS, differences
from ccrs_core.conformance.workbench.samples import AccountSample, RequestSample, samples_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Data, LeftOut
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import PlaceEither
from ccrs_core.errors import DecodeError
from ccrs_core.model.subscriptions import Channel

_SAYS_NOTHING = frozenset({Channel.DEAD_MAN})
_SHOWN = 12

_seeds = st.integers(0, 2**32 - 1)


class AccountSamplesProperties:
    """Property 2, of private streams."""

    @proves(2, against=Against.SAMPLES)
    def test_every_channel_of_accounts_has_a_sample_frame(self, subject: Subject) -> None:
        """Every declared channel of accounts is shown by a frame of the samples."""
        declared = _declared(subject)
        shown = {s.channel for sample in samples_of(subject).accounts for s in sample.subscriptions}
        _report(
            [
                f"no frame shows {channel.value} of accounts: add one to a file "
                "samples/accounts/NAME.jsonl, and its reports to NAME.expected.json beside it"
                for channel in sorted(declared - shown)
            ],
            "declared channels of accounts without a sample",
        )

    @proves(2, against=Against.SAMPLES)
    def test_every_sample_frame_of_accounts_brings_its_reports(self, subject: Subject) -> None:
        """Every frame of an account in the samples brings exactly the reports that are expected
        of it, digit for digit."""
        _declared(subject)
        _report(
            [line for sample in samples_of(subject).accounts for line in _wrong(subject, sample)],
            "frames of accounts are read otherwise than the samples say",
        )

    @proves(2, against=Against.FACTS)
    def test_signed_calls_go_where_the_documents_say(self, subject: Subject) -> None:
        """Each signed request of the samples goes to the path of its documents, and spends from a
        budget of the size that they name, by request or by order."""
        endpoints = subject.exchange.endpoints
        signed = [s for s in samples_of(subject).requests if endpoints[type(s.request)].signed]
        if not signed:
            subject.undeclared("signed request")
        _report(
            [line for sample in signed for line in _undocumented(subject, sample)],
            "signed calls are made otherwise than the documents say",
        )

    @proves(2, against=Against.SAMPLES)
    def test_a_row_of_accounts_that_is_odd_takes_no_other_away(self, subject: Subject) -> None:
        """A row of an account that can't be read is told, and the others of its frame are read;
        a field that nobody knows changes nothing."""
        _declared(subject)
        frames = [
            (sample, json.loads(frame))
            for sample in samples_of(subject).accounts
            for frame in sample.frames
        ]
        frames = [(s, f) for s, f in frames if isinstance(f, dict) and _rows(f)]
        if not frames:
            subject.undeclared("frames of accounts with rows")

        def check(seed: int) -> None:
            rng = Random(seed)
            sample, frame = rng.choice(frames)
            (name,) = _rows(frame)
            rows = frame[name]
            whole = _read(subject, sample, {**frame, name: [*rows, *rows]})
            odd: dict[str, object] = dict.fromkeys(rows[0], rng.choice([None, "?", [], {}, 7]))
            beside = _read(subject, sample, {**frame, name: [*rows, odd, *rows]})
            assert beside.reports[: len(whole.reports)] == whole.reports, (
                f"{sample.file}: an odd row takes others away: {len(whole.reports)} reports without"
                f" it, {len(beside.reports)} with it"
            )
            told = len(beside.reports) - len(whole.reports) + beside.left_out
            assert told > 0, f"{sample.file}: an odd row is lost in silence"
            known = [{"zzUnknownField": [1], **row} for row in (*rows, *rows)]
            assert _read(subject, sample, {**frame, name: known}).reports == whole.reports

        subject.check(check, _seeds, examples=40)


class _Heard:
    def __init__(self) -> None:
        self.reports: list[object] = []
        self.left_out = 0


def _read(subject: Subject, sample: AccountSample, frame: object) -> _Heard:
    exchange, heard = subject.make(), _Heard()
    codec = exchange.codec(exchange.route(sample.subscriptions[0]))
    for number, subscription in enumerate(sample.subscriptions):
        codec.subscribe([subscription], str(number))
    try:
        messages = codec.decode(json.dumps(frame).encode(), RECEIVED_NS)
    except DecodeError as error:
        pytest.fail(f"{sample.file}: a frame with one odd row can't be read at all: {error}")
    for message in messages:
        if isinstance(message, Data):
            heard.reports += message.events
        elif isinstance(message, LeftOut):
            heard.left_out += 1
    return heard


def _rows(frame: dict[str, object]) -> Sequence[str]:
    """Where rows of a frame stand, if there is one such place."""
    names = [
        name
        for name, value in frame.items()
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    ]
    return names if len(names) == 1 else ()


def _declared(subject: Subject) -> frozenset[Channel]:
    declared = subject.exchange.capabilities.account_channels - _SAYS_NOTHING
    if not declared:
        subject.undeclared("channel of accounts")
    return declared


def _wrong(subject: Subject, sample: AccountSample) -> Iterable[str]:
    found = sample.reports(subject.make())
    for at, (expected, reports) in enumerate(zip(sample.expected, found, strict=True)):
        yield from differences(list(expected), list(reports), f"{sample.file}:{at + 1}")


def _undocumented(subject: Subject, sample: RequestSample) -> Iterable[str]:
    request = sample.request
    endpoint, name = subject.exchange.endpoints[type(request)], type(request).__name__
    http = endpoint.encode(request, sample.cursor)
    facts = [fact for fact in _calls(subject, request) if fact.path == http.path]
    # Where an answer is made of several calls it may have the least of their budgets.
    least = min(
        ((each.per_second, each.seconds) for each in _calls(subject, request)), default=None
    )
    if not facts:
        yield f"{sample.file}: no [[call]] of {FILE} says that {name} goes to {http.path}"
    for fact in facts:
        if http.method != fact.method:
            yield f"{sample.file}: {http.method}, by {fact} {fact.method}"
        pool, weight = endpoint.pool_of(request), endpoint.pool_weight_of(request)
        budget = None if pool is None else pool.budget
        told = None if budget is None else (budget.amount, budget.seconds)
        spent = endpoint.weight_of(request, sample.cursor)
        if fact.weight not in {-1, spent}:
            yield f"{sample.file}: it weighs {spent}, by {fact} {fact.weight}"
        if not fact.per_second:
            if budget is not None:
                yield f"{sample.file}: a budget of {budget}, by {fact} none"
            continue
        if told not in {(fact.per_second, fact.seconds), least}:
            allowed = f"{fact.per_second} in {fact.seconds:g} s"
            yield f"{sample.file}: a budget of {budget}, by {fact} {allowed}"
        items = getattr(request, "items", ())
        counted = len(items) if fact.counts == "orders" else 1
        if weight != counted:
            yield f"{sample.file}: it costs {weight}, by {fact} {counted}"
        trading = subject.exchange.trading
        if items and trading is not None and request.market is not None:
            pair = isinstance(request, PlaceEither)
            most = len(items) if pair else trading.batch.get(request.market, 0)
            if most != fact.most:
                yield f"{sample.file}: batches of {most} orders, by {fact} {fact.most}"


def _calls(subject: Subject, request: Request[Any]) -> list[CallFact]:
    """What the facts say of calls of its type and market."""
    return [
        fact
        for fact in subject.facts.calls
        if fact.asks is type(request) and (request.market is None or request.market in fact.markets)
    ]


def _report(lines: Sequence[str], what: str) -> None:
    if lines:
        more = f"\n… and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        pytest.fail(f"{what}:\n" + "\n".join(lines[:_SHOWN]) + more, pytrace=False)
