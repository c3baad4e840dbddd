"""The fuzzer reaches the readers, finds what is wrong with them, and keeps what it finds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import attrs
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec

from ccrs_core import cli
from ccrs_core.cli.commands import conformance
from ccrs_core.cli.commands.new import Package
from ccrs_core.conformance import fuzz
from ccrs_core.conformance.fuzz import SEPARATOR, Target
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import Answer, Endpoint, HttpResponse, Request
from ccrs_core.errors import DecodeError
from tests.installing import environment, install

from .test_doors import Done, ccrs

needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is not installed (ccrs-core[fuzz])"
)

SAMPLES = resources.files("ccrs_bybit") / "samples"


# --- targets ---


class Watched(Bybit):
    """Notes which events its codecs decode."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def codec(self, route: Route) -> Codec:
        seen = self.seen

        class Watching(BybitCodec):
            def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
                messages = super().decode(frame, received_time_ns)
                seen.update(e.type for m in messages if isinstance(m, Data) for e in m.events)
                return messages

        return Watching()


def test_the_seeds_reach_the_reader_of_every_channel() -> None:
    subject = Subject(Watched, samples=SAMPLES)
    assert isinstance(subject.exchange, Watched)
    target = fuzz.frames(subject)
    subject.exchange.seen.clear()
    for seed in target.seeds:
        target.read(seed)
    channels = {c.value for declared in subject.channels.values() for c in declared}
    names = {name.rstrip("s") for name in channels}  # trades bring a trade
    assert {name.rstrip("s") for name in subject.exchange.seen} == names


def test_the_seeds_reach_the_reader_of_every_request() -> None:
    read: set[type[Request[Any]]] = set()

    def watched(kind: type[Request[Any]], endpoint: Endpoint[Any, Any]) -> Endpoint[Any, Any]:
        def decode(
            request: Any, response: HttpResponse, received_time_ns: int, cursor: str | None
        ) -> Answer[Any]:
            answer: Answer[Any] = endpoint.decode(request, response, received_time_ns, cursor)
            read.add(kind)
            return answer

        return attrs.evolve(endpoint, decode=decode)

    class Asked(Bybit):
        endpoints: ClassVar = {kind: watched(kind, e) for kind, e in Bybit.endpoints.items()}

    target = fuzz.answers(Subject(Asked, samples=SAMPLES))
    read.clear()
    for seed in target.seeds:
        target.read(seed)
    assert read == set(Bybit.endpoints)


def test_an_exchange_that_declares_nothing_has_nothing_to_fuzz() -> None:
    class Nothing(Bybit):
        capabilities = type(Bybit.capabilities)()
        endpoints: ClassVar = {}

    assert fuzz.targets(Subject(Nothing)) == []


# --- one input ---


def _brittle(data: bytes) -> None:
    if b"x" in data and b"y" in data:
        raise KeyError("y")
    if b"z" in data:
        raise ValueError("z")


def test_an_input_shrinks_to_what_the_same_failure_needs() -> None:
    target = Target("frames", "ccrs_toy", (), _brittle)
    data = b"a" * 50 + b"x" + b"b" * 50 + b"y" + b"c" * 9
    error = fuzz.failure(target, data)
    assert isinstance(error, KeyError)
    assert fuzz.shrunk(target, data, error)[0] == b"xy"


def test_what_is_told_of_a_shrunk_input_is_what_that_input_does() -> None:
    def speaking(data: bytes) -> None:
        if b"x" in data:
            raise ValueError(f"{len(data)} bytes with an x")

    target = Target("frames", "ccrs_toy", (), speaking)
    data = b"a" * 50 + b"x"
    error = fuzz.failure(target, data)
    assert error is not None
    data, error = fuzz.shrunk(target, data, error)
    assert (data, str(error)) == (b"x", "1 bytes with an x")


@pytest.mark.parametrize("name", ["frames", "answers"])
def test_a_kept_input_is_tried_first_by_the_readers_that_it_was_found_with(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(data: bytes) -> None:
        raise ValueError("no")

    both = [Target(each, "ccrs_toy", (), refuse) for each in ("frames", "answers")]
    monkeypatch.setattr(fuzz, "targets", lambda subject: both)
    kept, result = tmp_path / f"{name}-0123456789ab", tmp_path / "result"
    kept.write_bytes(b"input")
    job = fuzz.Job("bybit", "ccrs_bybit", str(result), str(tmp_path), inputs=[str(kept)])
    assert fuzz.try_inputs(job) == fuzz.FOUND
    assert json.loads(result.read_text("utf-8"))["target"] == name


def test_an_input_that_takes_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 1e-5)
    target = Target("frames", "ccrs_toy", (), lambda data: [*range(100_000)].clear())
    error = fuzz.failure(target, b"input")
    assert "5 bytes take" in str(error)
    assert fuzz.shrunk(target, b"input", fuzz.TooMuchError())[0] == b"input"


def test_an_input_that_takes_much_memory_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([0, fuzz.MEMORY, 0, fuzz.MEMORY + 1])
    monkeypatch.setattr(fuzz, "_peak_memory", lambda: next(peaks))
    target = Target("frames", "ccrs_toy", (), lambda data: None)
    assert fuzz.failure(target, b"") is None
    assert isinstance(fuzz.failure(target, b""), fuzz.TooMuchError)


def test_mutations_change_one_frame_and_leave_it_json() -> None:
    frames = [b'{"a":[1,{"b":"2.50"}],"c":null}', b'{"d":"e"}']
    data = SEPARATOR.join(frames)
    seen: set[bytes] = set()
    for seed in range(300):
        changed = fuzz.mutated(data, Random(seed))
        assert changed is not None
        parts = changed.split(SEPARATOR)
        assert len(parts) == 2
        assert frames[0] == parts[0] or frames[1] == parts[1]
        for part in parts:
            json.loads(part)
        seen.add(changed)
    assert len(seen) > 100
    assert fuzz.mutated(b"no JSON", Random(0)) is None
    assert fuzz.mutated(b"[" * 5000 + b"]" * 5000, Random(0)) is None


def test_the_dictionary_has_the_words_of_the_seeds_in_libfuzzers_spelling() -> None:
    words = fuzz.dictionary([b'{"topic":"a.b","x y":"\xff"}' + SEPARATOR + b'{"topic":1}'])
    assert words.splitlines() == [r'"\x22topic\x22"', r'"\x22a.b\x22"']


# --- the command ---


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Where the user is."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


KIND = '        kind = frame.get("type")\n'
"""Of a new package's codec: the kind of a frame that is none of an open topic."""


def plant(package: Path, old: str, new: str) -> None:
    """Change the codec of a new package, with its trades switched on."""
    channels = package / "ccrs_toy" / "channels.py"
    text = channels.read_text("utf-8")
    channels.write_text(text.replace("# Channel.TRADES: Stream", "Channel.TRADES: Stream"), "utf-8")
    path = package / "ccrs_toy" / "codec.py"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return Package.of("toy").write(tmp_path)


def fuzzing(toy: Path, empty: Path, *arguments: str) -> Done:
    site = toy.parent / "site"
    if not site.exists():
        install(toy, site)
    return ccrs(empty, "fuzz", "toy", *arguments, variables=environment(site))


@needs_atheris
def test_a_sound_plugin_is_fuzzed_for_its_time_and_its_corpus_kept(empty: Path) -> None:
    done = ccrs(empty, "fuzz", "bybit", "--seconds", "3", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nothing found\n")
    for name in ("frames", "answers"):
        figures = re.search(
            rf"{name}: (\d+) seeds, \d s, ([\d,]+) inputs, (\d+) branches", done.stdout
        )
        assert figures is not None, done.stdout
        seeds, tried, branches = (int(figure.replace(",", "")) for figure in figures.groups())
        assert tried > seeds > 20
        assert branches > 50, "the plugin isn't instrumented"
    assert [path.name for path in empty.iterdir()] == ["ccrs-fuzz-bybit"]
    assert list((empty / "ccrs-fuzz-bybit" / "frames").iterdir())
    assert not list((empty / "ccrs-fuzz-bybit" / "findings").iterdir())


@needs_atheris
def test_a_fault_is_found_kept_reproduced_and_tried_first_until_it_is_mended(
    toy: Path, empty: Path
) -> None:
    raised = f'{KIND}        if kind is None:\n            raise RuntimeError("of no type")\n'
    plant(toy, KIND, raised)
    done = fuzzing(toy, empty, "--seconds", "20", "--corpus", "kept")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"found: \w+: .* \(ccrs_toy/codec\.py:\d+ in \S+\)", done.stderr)
    again = re.search(r"again: ccrs (fuzz toy (kept/findings/frames-\w+))\n", done.stderr)
    assert again is not None
    assert (empty / again[2]).is_file()

    site = environment(toy.parent / "site")
    alone = ccrs(empty, *again[1].split(), variables=site)
    assert alone.returncode == 1
    assert alone.stderr == done.stderr

    next_run = fuzzing(toy, empty, "--seconds", "1", "--corpus", "kept")
    assert next_run.returncode == 1
    assert "trying what was found before: 1" in next_run.stdout
    assert "seeds" not in next_run.stdout

    plant(toy, raised, KIND)
    mended = ccrs(empty, *again[1].split(), variables=site)
    assert mended.returncode == 0, mended.stderr
    assert "1 input is read or refused" in mended.stdout


@needs_atheris
def test_an_input_that_kills_the_process_is_found_too(toy: Path, empty: Path) -> None:
    plant(toy, KIND, f'{KIND}        if kind is None:\n            __import__("os").abort()\n')
    done = fuzzing(toy, empty, "--seconds", "5")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "found: reading it ends the process" in done.stderr
    again = re.search(r"again: ccrs (fuzz toy (ccrs-fuzz-toy/findings/frames-\S+))\n", done.stderr)
    assert again is not None
    alone = fuzzing(toy, empty, again[2])
    assert alone.returncode == 1
    assert "ends the process" in alone.stderr


def test_an_input_can_be_tried_without_atheris(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conformance, "find_spec", lambda name: None if name == "atheris" else 1)
    (empty / "input").write_bytes(b"\xff{")
    assert cli.run(["fuzz", "bybit", str(empty / "input")]) == 0
    assert cli.run(["fuzz", "bybit"]) == 2
    assert capsys.readouterr().err == (
        "Error: atheris must be installed: pip install 'ccrs-core[fuzz]'\n"
    )


def test_decode_errors_are_no_failures() -> None:
    def refuse(data: bytes) -> None:
        with fuzz._refusing():
            raise DecodeError("no")

    assert fuzz.failure(Target("frames", "ccrs_toy", (), refuse), b"") is None
