"""Coverage-guided fuzzing of a plugin's readers: what they make of inputs that nobody thought of.

An input is a file of raw bytes: for the target ``frames`` one received frame, or several with an
empty line between each two; for ``answers`` the body of a REST answer. Every codec of the plugin,
subscribed as its samples are, reads the frames; every endpoint and ``error_of`` read the answers.
``DecodeError`` is the only way out, and what one input takes is bounded.

``ccrs fuzz`` runs this module in processes of their own, since instrumented code stays so, and an
input may well kill the process: see :mod:`ccrs_core.cli.commands.fuzz` and :func:`main`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs

from ccrs_core.conformance.workbench.material import (
    Capture,
    RawNumber,
    captures,
    chunks,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.samples import samples_of
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import HttpResponse, Request
from ccrs_core.errors import DecodeError
from ccrs_core.model.subscriptions import Subscription

SEPARATOR = b"\n\n"
"""Between the frames of one input."""
LARGEST = 16 * 1024
"""Bytes of an input; larger seeds are left out."""
CPU_SECONDS = 2.0
MEMORY = 64 * 1024 * 1024
"""What reading one input may take."""

FOUND = 77
"""Exit code of a process that found something."""

_ALONE, _IN_A_ROW = 40, 4
_STATUSES = (400, 403, 429, 500, 503)
_SHRINKING_SECONDS = 3.0


@attrs.frozen
class Target:
    """Readers of one sort of bytes. ``read`` raises what is a finding, and nothing else."""

    name: str
    package: str
    """The plugin's, of whose code it is told where a failure comes from."""
    seeds: Sequence[bytes]
    read: Callable[[bytes], None]


class TooMuchError(Exception):
    """Reading an input took too much time or memory."""


def targets(subject: Subject) -> list[Target]:
    """What there is to fuzz: nothing where the exchange declares nothing."""
    found = []
    if subject.channels:
        found.append(frames(subject))
    if subject.exchange.endpoints:
        found.append(answers(subject))
    return found


def frames(subject: Subject) -> Target:
    """The codecs of all routes, each subscribed to what its samples are of."""
    exchange = subject.exchange
    merged: dict[Route, dict[object, Subscription]] = {}
    for capture in captures(subject):
        for each in (s for request in capture.requests for s in request):
            key = (each.channel, each.instrument.native, each.depth, each.interval)
            # The samples come first: their instruments are those that their frames are of.
            merged.setdefault(capture.route, {}).setdefault(key, each)
    connections = [
        Capture("", route, chunks(list(subscriptions.values()), route.topics_per_request), ())
        for route, subscriptions in merged.items()
    ]

    def read(data: bytes) -> None:
        for connection in connections:
            # A fresh one for each input, so that a finding doesn't depend on those before it.
            codec = connection.codec(exchange)
            for frame in data.split(SEPARATOR):
                if codec.compression is not None:
                    with _refusing():
                        inflate(frame, codec.compression)
                with _refusing():
                    codec.peek(frame)
                with _refusing():
                    codec.decode(frame, RECEIVED_NS)

    return Target("frames", subject.package, _usable(_frame_seeds(subject)), read)


def _frame_seeds(subject: Subject) -> Iterator[bytes]:
    for capture in captures(subject):
        yield from capture.frames[:_ALONE]
        # In a row too, since what a delta does depends on the snapshot before it.
        for at in range(0, min(_ALONE, len(capture.frames)), _IN_A_ROW):
            yield SEPARATOR.join(capture.frames[at : at + _IN_A_ROW])


def answers(subject: Subject) -> Target:
    """The endpoints, asked what the samples ask, and ``error_of``."""
    exchange = subject.exchange
    asked: dict[object, Request[Any]] = {}
    seeds = [sample.response.body for sample in samples_of(subject).errors]
    for request, body in _answers(subject):
        about = request.market, getattr(request, "channel", None)
        asked.setdefault((type(request), *about), request)
        seeds.append(body)

    def read(data: bytes) -> None:
        for status in _STATUSES:
            with _refusing():
                exchange.error_of(HttpResponse(status, {}, data))
        response = HttpResponse(200, {}, data)
        with _refusing():
            if exchange.error_of(response) is None:
                for request in asked.values():
                    with _refusing():
                        exchange.endpoints[type(request)].decode(
                            request, response, RECEIVED_NS, None
                        )

    return Target("answers", subject.package, _usable(seeds), read)


def _answers(subject: Subject) -> Iterator[tuple[Request[Any], bytes]]:
    endpoints = subject.exchange.endpoints
    for sample in samples_of(subject).requests:
        if type(sample.request) in endpoints:
            yield sample.request, sample.response.body
    line = subject.line()
    for market in subject.markets:
        instrument = subject.instrument(market)
        asked = dict.fromkeys(requests_of(subject, instrument))
        for channel in subject.channels.get(market, ()):
            activity = subject.exchange.activity(subject.subscription(channel, instrument))
            if activity is not None and type(activity) in endpoints:
                asked[activity] = None
        for request in asked:
            yield request, line.http(endpoints[type(request)].encode(request, None)).body


def _usable(seeds: Iterator[bytes] | Sequence[bytes]) -> list[bytes]:
    return [seed for seed in dict.fromkeys(seeds) if len(seed) <= LARGEST]


class _refusing:  # noqa: N801 - reads as a keyword; contextlib.suppress takes twice the time
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, DecodeError)


# --- one input ------------------------------------------------------------------------------


@attrs.frozen
class Finding:
    """An input that isn't read as it must be. ``path`` is the file that holds it."""

    target: str
    error: str
    where: str
    path: str

    def save(self, result: Path) -> None:
        """Leave it where the command looks for it."""
        result.write_text(json.dumps(attrs.asdict(self)), "utf-8")


def bounded(read: Callable[[bytes], None], data: bytes) -> None:
    """Read an input.

    :raises TooMuchError: where that takes too much time or memory.
    """
    memory, started = _peak_memory(), time.process_time()
    read(data)
    # Of the processor's time, since other programs run as well.
    taken, grown = time.process_time() - started, _peak_memory() - memory
    if taken > CPU_SECONDS:
        raise TooMuchError(f"{len(data)} bytes take {taken:.1f} s to read")
    if grown > MEMORY:
        raise TooMuchError(f"{len(data)} bytes take {grown // 2**20} MB of memory to read")


def _peak_memory() -> int:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def failure(target: Target, data: bytes) -> Exception | None:
    """What reading an input fails with; None where it is read or refused, as it must be."""
    try:
        bounded(target.read, data)
    except Exception as error:
        return error
    return None


def place(target: Target, error: Exception) -> str:
    """Where an error comes from, in the plugin's own code: ``file:line in function``."""
    found = ""
    for step in traceback.extract_tb(error.__traceback__):
        path = Path(step.filename)
        if target.package in path.parts:
            inside = path.parts[path.parts.index(target.package) :]
            found = f"{'/'.join(inside)}:{step.lineno} in {step.name}"
    return found


def shrunk(target: Target, data: bytes, error: Exception) -> tuple[bytes, Exception]:
    """The input without what the failure doesn't need, as far as that is found quickly.

    With it comes what this input fails with: the same error from the same place, though its text
    may well speak of another value.
    """
    if isinstance(error, TooMuchError):
        return data, error
    wanted, deadline = (type(error), place(target, error)), time.monotonic() + _SHRINKING_SECONDS
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data) and time.monotonic() < deadline:
            less = data[:at] + data[at + size :]
            found = failure(target, less)
            if found is not None and (type(found), place(target, found)) == wanted:
                data, error = less, found
            else:
                at += size
        size //= 2
    return data, error


def finding_of(target: Target, error: Exception, path: Path) -> Finding:
    """What is told of a failure."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Finding(target.name, " ".join(text.split())[:300], place(target, error), str(path))


# --- mutation -------------------------------------------------------------------------------

_ODD: Sequence[Any] = [
    None, True, *map(RawNumber, ("0", "-1", "1.5", "1e400", "9" * 40)), "", "x", "-1", "NaN",
    "Infinity", "1e999999", "\u0661", [], [[]], {},
]  # fmt: skip


def mutated(data: bytes, rng: Random) -> bytes | None:
    """An input with one value of its JSON changed; None where it has none.

    Changing bytes alone rarely gets beyond the JSON parser.
    """
    parts = data.split(SEPARATOR)
    at = rng.randrange(len(parts))
    try:
        tree = parsed(parts[at])
        if not isinstance(tree, dict | list) or not tree:
            return None
        found = list(places(tree))
        where, old = rng.choice(found)
        match rng.randrange(4):
            case 0:
                new = rng.choice(found)[1]
            case 1 if isinstance(old, dict) and old:
                gone = rng.choice(list(old))
                new = {key: value for key, value in old.items() if key != gone}
            case 1 if isinstance(old, list) and old:
                new = [*old, rng.choice(old)] if rng.random() < 0.5 else old[:-1]
            case 2 if isinstance(old, RawNumber):
                new = RawNumber(rng.choice("123456789") + "0" * rng.randrange(25))
            case 2 if isinstance(old, str) and old:
                cut = rng.randrange(len(old))
                new = old[:cut] + rng.choice("0159-.e") + old[cut + 1 :]
            case _:
                new = rng.choice(_ODD)
        parts[at] = spelled(replaced(tree, where, new))
    except RecursionError:
        return None
    return SEPARATOR.join(parts)


def dictionary(seeds: Sequence[bytes]) -> str:
    """The words of the protocol, in libFuzzer's format."""
    words: dict[str, None] = {}
    for seed in seeds:
        for frame in seed.split(SEPARATOR):
            for word in re.findall(rb'"\w[\w.:/-]{0,23}"', frame):
                words[word.decode()] = None
    escaped = (re.sub(r"[^\w.:/-]", lambda m: f"\\x{ord(m[0]):02x}", w) for w in words)
    return "".join(f'"{word}"\n' for word in list(escaped)[:300])


# --- processes ------------------------------------------------------------------------------


@attrs.frozen
class Job:
    """What one process does, as the command tells it in JSON."""

    exchange: str
    package: str
    """The plugin's, whose code is instrumented."""
    result: str
    """File for the finding."""
    scratch: str
    target: str = ""
    corpus: str = ""
    seconds: int = 0
    seed: int = 0
    inputs: Sequence[str] = ()


def plan(job: Job) -> None:
    """Write the names of the targets, and how many seeds each has."""
    found = {target.name: len(target.seeds) for target in targets(Subject(job.exchange))}
    Path(job.result).write_text(json.dumps(found), "utf-8")


def try_inputs(job: Job) -> int:
    """Read inputs as they are; the first failure is the finding."""
    found = targets(Subject(job.exchange))
    for name in job.inputs:
        path = Path(name)
        data = path.read_bytes()
        # Stands, where the input kills the process.
        Finding("", "reading it ends the process, or doesn't end", "", name).save(Path(job.result))
        # By its name, what found it comes first: other readers may fail at it in other ways.
        for target in sorted(found, key=lambda each: not path.name.startswith(f"{each.name}-")):
            error = failure(target, data)
            if error is not None:
                finding_of(target, error, path).save(Path(job.result))
                return FOUND
    Path(job.result).unlink(missing_ok=True)
    return 0


def fuzz(job: Job) -> None:
    """Fuzz one target. Ends the process: libFuzzer never returns."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=[job.package]):
        subject = Subject(job.exchange)
        target = next(t for t in targets(subject) if t.name == job.target)
    corpus, scratch = Path(job.corpus), Path(job.scratch)
    seeds, words = scratch / f"seeds-{target.name}", scratch / f"words-{target.name}"
    seeds.mkdir()
    for number, seed in enumerate(target.seeds):
        (seeds / f"{number:04}").write_bytes(seed)
    words.write_text(dictionary(target.seeds), "utf-8")
    findings = corpus / "findings"
    for folder in (corpus / target.name, findings):
        folder.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        error = failure(target, data)
        if error is not None:
            data, error = shrunk(target, data, error)
            name = f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
            (findings / name).write_bytes(data)
            finding_of(target, error, findings / name).save(Path(job.result))
            sys.stdout.flush()
            os._exit(FOUND)

    def mutator(data: bytes, largest: int, seed: int) -> bytes:
        rng = Random(seed)
        changed = mutated(data, rng) if rng.random() < 0.6 else None
        if changed is None or len(changed) > largest:
            changed = atheris.Mutate(data, largest)
        return bytes(changed)

    arguments = [
        "ccrs-fuzz",
        str(corpus / target.name),
        str(seeds),
        f"-max_total_time={job.seconds}",
        f"-max_len={LARGEST}",
        f"-dict={words}",
        f"-seed={job.seed}",
        f"-artifact_prefix={findings}/{target.name}-",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, one, custom_mutator=mutator)
    atheris.Fuzz()


def main(text: str) -> int:
    """Do a job that is given as JSON: with a target fuzz it, with inputs try them, else plan."""
    job = Job(**json.loads(text))
    if job.target:
        fuzz(job)
    if job.inputs:
        return try_inputs(job)
    plan(job)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
