"""A plugin's samples: what the exchange sends, and what that means.

They lie in the folder ``samples`` of the plugin's package (a wheel or a zip will do):
``streams/NAME.jsonl`` with ``NAME.expected.json``, ``accounts/NAME.jsonl`` with
``NAME.expected.json`` of private connections, ``requests/NAME.json`` with ``NAME.body``,
``errors.json``, ``symbols.json`` and ``signatures.json``. They are written from the exchange's
documents, and keep the plugin's decoder and its emulator from sharing one misconception.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, get_args
from weakref import WeakKeyDictionary

import attrs

from ccrs_core import errors
from ccrs_core.conformance.workbench.account_frames import AccountSample, account_sample
from ccrs_core.conformance.workbench.reading import RECEIVED_NS, Reader, SampleError
from ccrs_core.conformance.workbench.sample_values import answer_value
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract import rest, trading_requests
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import Message
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import HttpRequest, HttpResponse, Request
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel, Subscription

__all__ = [
    "RECEIVED_NS",
    "AccountSample",
    "ErrorSample",
    "Expected",
    "Origin",
    "RequestSample",
    "SampleError",
    "Samples",
    "SignatureVector",
    "Source",
    "StreamSample",
    "SymbolPair",
    "samples_of",
]


class Origin(enum.StrEnum):
    """Where a sample is from."""

    CAPTURED = "captured"
    """Sent by the exchange, and recorded; its source is where the recording is published."""
    DOCUMENTED = "documented"
    """Printed in the exchange's documents."""
    MADE = "made"
    """Made by the author in the form of what the documents print, which are its source."""


@attrs.frozen
class Source:
    """The pages that a sample is from, or has its form from."""

    where: str
    """Of the sample."""
    text: str
    origin: Origin
    date: str

    @property
    def pages(self) -> Sequence[str]:
        """The addresses in it."""
        return re.findall(r"https?://[^\s,]+", self.text)


@attrs.frozen
class Expected:
    """A message that a frame must decode to; of its fields, those that the sample states."""

    kind: str
    """Name of the message's class."""
    fields: Mapping[str, Any]


@attrs.frozen
class StreamSample:
    """Frames of one connection in their order, and what each of them says."""

    file: str
    """Of the frames, within the folder of samples; what is expected of them is beside it."""
    source: str
    instruments: Mapping[str, Instrument]
    """By unified symbol."""
    subscriptions: Sequence[Subscription]
    topics: Sequence[str]
    """Of each subscription."""
    frames: Sequence[bytes]
    expected: Sequence[Sequence[Expected]]
    """The messages of each frame."""

    def where(self, index: int) -> str:
        """How to find a frame."""
        return f"{self.file}:{index + 1}"

    def route(self, exchange: Exchange) -> Route:
        """The socket that carries the frames.

        :raises SampleError: where its subscriptions go by several.
        """
        subscriptions = self.subscriptions
        if not subscriptions:
            instrument = next(iter(self.instruments.values()))
            declared = exchange.capabilities.channels.get(instrument.market, frozenset())
            if not declared:
                market = instrument.market.value
                raise SampleError(f"{self.file}: {exchange.name} declares no {market} channel")
            channel = min(declared, key=list(Channel).index)
            depth = min(exchange.capabilities.book_depths.get(instrument.market, (0,)))
            interval = next(iter(exchange.capabilities.intervals), None)
            subscriptions = [Subscription(channel, instrument, depth, interval)]
        routes = {exchange.route(s): s for s in subscriptions}
        if len(routes) > 1:
            raise SampleError(
                f"{self.file}: {' and '.join(map(str, routes.values()))} come by different routes: "
                "split it into one file for each connection"
            )
        return next(iter(routes))

    def decoder(self, exchange: Exchange) -> Callable[[bytes], Sequence[Message]]:
        """Decodes frames as a connection would that has subscribed to the sample's topics."""
        route = self.route(exchange)
        codec = exchange.codec(route)
        size = route.topics_per_request
        subs = self.subscriptions
        for number, start in enumerate(range(0, len(subs), size), start=1):
            codec.subscribe(subs[start : start + size], str(number))
        return lambda frame: codec.decode(frame, RECEIVED_NS)


@attrs.frozen
class RequestSample:
    """A unified question, the HTTP request that asks it, a response to it and its meaning."""

    file: str
    source: str
    request: Request[Any]
    cursor: str | None
    """Of the page that is asked for."""
    http: HttpRequest
    response: HttpResponse
    value: Any
    next_cursor: str | None


@attrs.frozen
class ErrorSample:
    """A response that stands for an error; ``error`` None: that stands for none, in spite of its
    looks."""

    where: str
    source: str
    response: HttpResponse
    error: type[errors.CcrsError] | None
    code: str
    retry_after: float | None


@attrs.frozen
class SymbolPair:
    """The exchange's name of an instrument and the unified one."""

    native: str
    market: Market
    symbol: str


@attrs.frozen
class SignatureVector:
    """A signed request, or the login frame of a private connection, with made-up credentials."""

    where: str
    source: str
    now_ms: int
    credentials: Credentials
    request: HttpRequest | None
    headers: Mapping[str, str]
    """That signing adds or changes."""
    query: Sequence[tuple[str, str]] | None
    """The whole query once it is signed; None: as it was."""
    login: str | None
    url: str = "https://"
    """Where it goes to, where that is signed, too."""
    token: str = ""
    frame: Mapping[str, str] | None = None
    """``unsigned``: what a codec writes; ``signed``: what it makes of that."""

    @property
    def access(self) -> Access:
        """What it is signed with."""
        return Access(
            now_ms=self.now_ms, url=self.url, credentials=self.credentials, token=self.token
        )


class Samples:
    """The samples of one exchange, read when they are needed.

    :raises SampleError: (on reading) where a file isn't written as it must be.
    """

    def __init__(self, folder: Traversable, exchange: str) -> None:
        self.folder = folder
        self.exchange = exchange

    @cached_property
    def streams(self) -> Sequence[StreamSample]:
        """The files ``streams/*.jsonl``, by name."""
        names = self._names("streams", ".jsonl")
        for name in self._names("streams", ".expected.json"):
            if name not in names:
                raise SampleError(
                    f"streams/{name}.expected.json: there is no streams/{name}.jsonl: write its "
                    "frames there, one a line"
                )
        return [self._stream(name) for name in names]

    def _stream(self, name: str) -> StreamSample:
        file = f"streams/{name}.jsonl"
        read = self._reader(f"streams/{name}.expected.json", beside=file)
        instruments = self._instruments(read)
        subscriptions, topics = [], []
        for entry in read.items("subscriptions"):
            subscriptions.append(
                Subscription(
                    entry.typed("channel", Channel),
                    entry.choice("symbol", instruments, "instruments"),
                    entry.typed("depth", int, None),
                    entry.typed("interval", str, None),
                    rpi=entry.typed("rpi", bool, False),
                )
            )
            topics.append(entry.typed("topic", str))
        if not instruments:
            raise read.wrong("instruments", "name at least one instrument of the connection's")
        symbols: dict[str, set[str]] = {}
        for subscription, topic in zip(subscriptions, topics, strict=True):
            symbols.setdefault(topic, set()).add(subscription.symbol)
        frames = (self.folder / file).read_bytes().splitlines()
        for number, frame in enumerate(frames, start=1):
            if not frame.strip():
                raise SampleError(f"{file}:{number}: an empty line: write one frame a line")
        lines = read.lists("frames")
        if len(lines) != len(frames):
            raise read.wrong(
                "frames",
                f"{len(lines)} lists of messages for the {len(frames)} frames of {file}: write one "
                "list for each frame, [] for a frame that says nothing",
            )
        expected = [
            [_expected(message, self.exchange, symbols, instruments) for message in line]
            for line in lines
        ]
        source = read.typed("source", str)
        return StreamSample(file, source, instruments, subscriptions, topics, frames, expected)

    @cached_property
    def accounts(self) -> Sequence[AccountSample]:
        """The files ``accounts/*.jsonl``, by name."""
        found = []
        for name in self._names("accounts", ".jsonl"):
            file = f"accounts/{name}.jsonl"
            read = self._reader(f"accounts/{name}.expected.json", beside=file)
            frames = (self.folder / file).read_bytes().splitlines()
            found.append(account_sample(file, read, frames, self.exchange))
        return found

    @cached_property
    def requests(self) -> Sequence[RequestSample]:
        """The files ``requests/*.json``, by name."""
        return [self._request(name) for name in self._names("requests", ".json")]

    def _request(self, name: str) -> RequestSample:
        file, beside = f"requests/{name}.json", f"requests/{name}.body"
        read = self._reader(file)
        asked = read.item("request")
        kind = asked.choice("type", _REQUESTS, "ccrs_core.contract.rest")
        request = asked.request(kind, self._instruments(read))
        body = self.folder / beside
        if not body.is_file():
            raise SampleError(f"{file}: there is no {beside}: write the raw response there")
        status, headers = read.typed("status", int, 200), _lower(read.texts("headers", {}))
        return RequestSample(
            file=file,
            source=read.typed("source", str),
            request=request,
            cursor=read.typed("cursor", str, None),
            http=_http(read.item("http")),
            response=HttpResponse(status, headers, body.read_bytes()),
            value=answer_value(read, kind, self.exchange, getattr(request, "instrument", None)),
            next_cursor=read.typed("next_cursor", str, None),
        )

    @cached_property
    def errors(self) -> Sequence[ErrorSample]:
        """The entries of ``errors.json``."""
        return [
            ErrorSample(
                where=entry.where,
                source=entry.typed("source", str),
                response=HttpResponse(
                    entry.typed("status", int),
                    _lower(entry.texts("headers", {})),
                    entry.typed("body", str).encode("utf-8", "surrogateescape"),
                ),
                error=(
                    None
                    if entry.get("error", None) is None
                    else entry.choice("error", _ERRORS, "ccrs_core.errors")
                ),
                code=entry.typed("code", str, ""),
                retry_after=entry.number("retry_after"),
            )
            for entry in self._entries("errors.json")
        ]

    @cached_property
    def symbols(self) -> Sequence[SymbolPair]:
        """The entries of ``symbols.json``."""
        return [
            SymbolPair(
                entry.typed("native", str),
                entry.typed("market", Market),
                entry.typed("symbol", str),
            )
            for entry in self._entries("symbols.json")
        ]

    @cached_property
    def signatures(self) -> Sequence[SignatureVector]:
        """The entries of ``signatures.json``."""
        return [_signature(entry) for entry in self._entries("signatures.json")]

    @cached_property
    def sources(self) -> Sequence[Source]:
        """Where each sample is from, stated beside its ``source`` by ``origin`` and ``date``."""
        files = [
            f"{folder}/{name}.expected.json"
            for folder in ("streams", "accounts")
            for name in self._names(folder, ".jsonl")
        ]
        files += [f"requests/{name}.json" for name in self._names("requests", ".json")]
        entries = [self._reader(file) for file in files]
        entries += self._entries("errors.json")
        entries += self._entries("signatures.json")
        return [
            Source(
                entry.where,
                entry.typed("source", str),
                entry.typed("origin", Origin, Origin.MADE),
                entry.typed("date", str, ""),
            )
            for entry in entries
        ]

    # --- files ---

    def _names(self, folder: str, suffix: str) -> list[str]:
        """The files of a folder that end in a suffix, without it, in alphabetical order."""
        place = self.folder / folder
        if not place.is_dir():
            return []
        found = [path.name for path in place.iterdir()]
        return sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix))

    def _entries(self, file: str) -> Sequence[Reader]:
        return self._reader(file).items("") if (self.folder / file).is_file() else []

    def _reader(self, file: str, beside: str | None = None) -> Reader:
        path = self.folder / file
        if not path.is_file():
            raise SampleError(f"{beside}: there is no {file}: write there what its frames say")
        try:
            return Reader(json.loads(path.read_text("utf-8")), file, "")
        except json.JSONDecodeError as error:
            raise SampleError(f"{file}:{error.lineno}:{error.colno}: {error.msg}") from None
        except UnicodeDecodeError as error:
            raise SampleError(f"{file}: not UTF-8 at byte {error.start}") from None

    def _instruments(self, read: Reader) -> dict[str, Instrument]:
        found: dict[str, Instrument] = {}
        for entry in read.items("instruments", []):
            instrument = entry.structure(Instrument, exchange=self.exchange)
            found[instrument.symbol] = instrument
        return found


def _expected(
    read: Reader,
    exchange: str,
    symbols: Mapping[str, set[str]],
    instruments: Mapping[str, Instrument],
) -> Expected:
    fields = dict(read.fields)
    kind = read.choice("message", _MESSAGES, "ccrs_core.contract.codec")
    del fields["message"]
    known = [field.name for field in attrs.fields(kind)]
    for name in fields:
        if name not in known:
            raise read.wrong(name, f"{kind.__name__} has no such field; it has {', '.join(known)}")
    if fields.get("topics") is not None:
        fields["topics"] = tuple(read.typed("topics", list))
    if isinstance(fields.get("sequence"), dict):
        fields["sequence"] = read.item("sequence").hexadecimal("hex")
    if "events" in fields:
        own = symbols.get(read.typed("topic", str), set())
        implied = next(iter(own)) if len(own) == 1 else None
        events = [event.event(exchange, implied) for event in read.items("events")]
        for event in events:
            if event.symbol not in instruments:
                raise read.wrong("events", f"{event.symbol} is not among the instruments")
        fields["events"] = events
    elif kind.__name__ == "Data":
        raise read.wrong("events", "missing: list the frame's events")
    return Expected(kind.__name__, fields)


def _http(read: Reader) -> HttpRequest:
    return HttpRequest(
        read.typed("method", str),
        read.typed("path", str),
        tuple(read.pairs("query", [])),
        read.texts("headers", {}),
        read.typed("body", str, "").encode(),
    )


def _signature(read: Reader) -> SignatureVector:
    now_ms = read.typed("now_ms", int)
    source = read.typed("source", str)
    credentials = read.item("credentials").structure(Credentials)
    url, token = read.typed("url", str, "https://"), read.typed("token", str, "")
    where = read.where, source, now_ms, credentials
    if read.get("login", None) is not None:
        login = read.typed("login", str)
        return SignatureVector(*where, None, {}, None, login, url, token)
    if read.get("frame", None) is not None:
        frame = read.item("frame")
        texts = {name: frame.typed(name, str) for name in ("unsigned", "signed")}
        return SignatureVector(*where, None, {}, None, None, url, token, texts)
    signed = read.item("signed")
    return SignatureVector(
        where=read.where,
        source=source,
        now_ms=now_ms,
        credentials=credentials,
        request=_http(read.item("request")),
        headers=signed.texts("headers", {}),
        query=None if signed.get("query", None) is None else signed.pairs("query"),
        login=None,
        url=url,
        token=token,
    )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


_REQUESTS: Mapping[str, type[Request[Any]]] = {
    name: kind
    for name, kind in (vars(rest) | vars(trading_requests)).items()
    if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request
}
KNOWN_REQUESTS = frozenset(_REQUESTS.values())
"""Those that samples can show."""
_ERRORS: Mapping[str, type[errors.CcrsError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.CcrsError)
}
_MESSAGES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}

_read: WeakKeyDictionary[Subject, Samples] = WeakKeyDictionary()


def samples_of(subject: Subject) -> Samples:
    """The samples of an exchange under test; the same ones every time."""
    if subject not in _read:
        _read[subject] = Samples(subject.samples_folder, subject.name)
    return _read[subject]
