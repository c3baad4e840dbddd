"""Property 10: signatures are those that the exchange publishes, and secrets are never shown."""

from __future__ import annotations

import gc
import json
import logging
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest

from ccrs_core.client.client import Client, connect
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.samples import SignatureVector, samples_of
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import HOST, World, settle
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.addresses import everything_at

_CREDENTIALS = Credentials("kZq7wKeyOfNobody", "c2VjcmV0T2ZOb2JvZHlxN1o=", "pZq7wPhraseOfNobody")
"""Distinctive texts. The secret is base64 too, since some exchanges decode it."""
_HIDDEN = {"secret": _CREDENTIALS.secret, "passphrase": _CREDENTIALS.passphrase}

_REQUESTS = (
    HttpRequest("GET", "/zz", (("symbol", "A&B"), ("limit", "5"))),
    HttpRequest("POST", "/zz", body=b'{"symbol":"AB"}', headers={"content-type": "text/plain"}),
)
_NOW_MS = 1_700_000_000_000
_ACCESS = Access(now_ms=_NOW_MS, url="https://host.of.nobody", credentials=_CREDENTIALS)


class SecretsProperties:
    """Property 10."""

    @proves(10, against=Against.SAMPLES)
    def test_signatures_equal_the_published_vectors(self, subject: Subject) -> None:
        """Signed requests, signed frames and login frames equal the examples that the exchange
        publishes."""
        exchange = subject.exchange
        vectors = samples_of(subject).signatures
        signs, logs_in = _signs(subject), _logs_in(subject)
        if not (signs or logs_in or vectors):
            subject.undeclared("signed request and no private stream")
        advice = (
            ": write samples/signatures.json from the examples that the exchange publishes, with "
            "their credentials, the request, login or frame, and the result"
        )
        if signs and not any(vector.request for vector in vectors):
            pytest.fail(f"no vector shows that {subject.name} signs requests rightly{advice}")
        if logs_in and not any(vector.login or vector.frame for vector in vectors):
            pytest.fail(f"no vector shows that {subject.name} logs in rightly{advice}")
        for vector in vectors:
            if vector.request is not None:
                _signed(exchange, vector, vector.request)
            elif vector.frame is not None:
                _signed_frame(subject, vector, vector.frame)
            else:
                _logged_in(subject, vector)

    @proves(10, against=Against.NOTHING)
    def test_signed_requests_and_logins_show_no_secret(self, subject: Subject) -> None:
        """No secret occurs in the text of credentials, signed requests and exchanges, nor as it is
        in what is sent."""
        exchange = subject.make()
        _hides(f"{_CREDENTIALS!r} {_CREDENTIALS}", "the text of Credentials")
        for request in _REQUESTS:
            try:
                signed = exchange.sign(request, _ACCESS)
            except Unsupported as refusal:
                _hides(f"{refusal!r}", "the refusal to sign")
                continue
            _hides(f"{signed!r} {signed}", "the text of a signed request")
            sent = f"{signed.path} {signed.query} {dict(signed.headers)} {signed.body!r}"
            assert _CREDENTIALS.secret not in sent, (
                "sign() sends the secret itself: only a signature made with it may leave"
            )
        for codec in _codecs(subject, exchange):
            frame = codec.login(_ACCESS, "1")
            _hides(f"{codec!r} {vars(codec) if hasattr(codec, '__dict__') else ''}", "a codec")
            text = frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame or ""
            assert _CREDENTIALS.secret not in text, "login() sends the secret itself"
            ping = codec.ping("1")
            text = "" if ping is None else str(codec.sign(ping, _ACCESS))
            assert _CREDENTIALS.secret not in text, "Codec.sign() sends the secret itself"
        _hides(f"{exchange!r} {vars(exchange)} {vars(type(exchange))}", "the exchange")

    @proves(10, against=Against.NOTHING)
    def test_a_client_shows_no_secret(self, subject: Subject) -> None:
        """No secret occurs in the text of a client and what hangs on it, in its exceptions, in log
        lines of any level, nor in a recording of its traffic."""
        cases = subject.cases()
        requests = list(requests_of(subject, subject.instrument(cases[0].market)))

        async def scenario(world: World) -> str:
            client = world.client
            texts = [repr(client), repr(vars(client)), repr(client.options)]
            async with client.subscribe(*dict.fromkeys(c.interest for c in cases[:4])) as feed:
                await subscribed(feed)
                await settle(2.0)
                texts += [repr(client.status()), *_reachable(subject, client)]
                for peer in tuple(world.venue.peers):
                    peer.abort()
                await settle(5.0)
            world.fault("http,status=500")
            for request in requests:
                try:
                    await client.request(request)
                except CcrsError as error:
                    texts += [repr(error), *traceback.format_exception(error)]
            world.quieten()
            return "\n".join(texts + await _send_signed(subject, world))

        with _logged() as lines, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording"
            with RecordingWriter(path, credentials=_CREDENTIALS) as writer:
                world = _Recorded(subject.make(), subject.venue(), writer)
                said = world.run(scenario)
            recorded = path.read_text("utf-8", "replace")
        _hides(said, "what a client and its errors say of themselves")
        _hides("\n".join(lines), "the log")
        assert '"in"' in recorded, "nothing was recorded"
        _hides(recorded, "a recording")


class _Recorded(World):
    """A world whose client has credentials and is recorded."""

    def __init__(self, exchange: Exchange, venue: Any, writer: RecordingWriter) -> None:
        super().__init__(exchange, venue)
        self.transport = RecordingTransport(self.tap, writer, clock=self.clock)
        header = Header(
            ns=venue.now_ns,
            exchange=exchange.name,
            exchange_version="",
            core_version="",
            environment="emulator",
            subscriptions=(),
        )
        writer.begin(header)

    def _connect(self) -> Client:
        return connect(
            self.exchange,
            base_url=HOST,
            transport=self.transport,
            clock=self.clock,
            credentials=_CREDENTIALS,
        )


async def _send_signed(subject: Subject, world: World) -> list[str]:
    """Send what is signed past the client, so that it is recorded; what is said of it."""
    assert isinstance(world, _Recorded)
    exchange, texts = world.exchange, []
    for request in _REQUESTS:
        try:
            signed = exchange.sign(request, _ACCESS)
            response = await world.transport.request(HOST, signed)
            texts.append(repr(exchange.error_of(response)))
        except CcrsError as error:
            texts += [repr(error), *traceback.format_exception(error)]
    case = subject.cases()[0]
    route = exchange.route(case.subscription)
    frame = exchange.codec(route).login(_ACCESS, "1")
    if frame is not None:
        connection = await world.transport.connect(route.at(everything_at(HOST, exchange)))
        await connection.send(frame)
        await settle(0.5)
        connection.abort()
    return texts


def _signs(subject: Subject) -> bool:
    exchange = subject.exchange
    return (
        any(endpoint.signed for endpoint in exchange.endpoints.values())
        or type(exchange).sign is not Exchange.sign
    )


def _logs_in(subject: Subject) -> bool:
    exchange = subject.exchange
    declared = subject.channels
    cases = subject.cases() if declared else []
    return any(exchange.route(case.subscription).private for case in cases) or any(
        type(codec).login is not Codec.login for codec in _codecs(subject, exchange)
    )


def _codecs(subject: Subject, exchange: Exchange) -> Iterator[Codec]:
    """A codec of each route."""
    if subject.channels:
        for route in {exchange.route(case.subscription) for case in subject.cases()}:
            yield exchange.codec(route)


def _signed(exchange: Exchange, vector: SignatureVector, request: HttpRequest) -> None:
    found = exchange.sign(request, vector.access)
    headers = {name.lower(): value for name, value in found.headers.items()}
    for name, value in vector.headers.items():
        assert headers.get(name.lower()) == value, (
            f"{vector.where}: the header {name} is {headers.get(name.lower())!r}, not {value!r}"
        )
    for name, value in request.headers.items():
        assert headers.get(name.lower()) == value, f"{vector.where}: signing loses header {name}"
    query = tuple(request.query if vector.query is None else vector.query)
    assert found.query == query, f"{vector.where}: the query is {found.query}, not {query}"
    for part in ("method", "path", "body"):
        is_, was = getattr(found, part), getattr(request, part)
        assert is_ == was, f"{vector.where}: signing changes the {part}: {is_!r}, not {was!r}"


def _logged_in(subject: Subject, vector: SignatureVector) -> None:
    frames = [codec.login(vector.access, "1") for codec in _codecs(subject, subject.make())]
    assert vector.login is not None
    _among(vector, "login()", frames, vector.login)


def _signed_frame(subject: Subject, vector: SignatureVector, frame: Mapping[str, str]) -> None:
    codecs = _codecs(subject, subject.make())
    frames = [codec.sign(frame["unsigned"], vector.access) for codec in codecs]
    _among(vector, "Codec.sign()", frames, frame["signed"])


def _among(vector: SignatureVector, by: str, found: Sequence[Outbound | None], text: str) -> None:
    texts = [f.decode() if isinstance(f, bytes) else f for f in found if f is not None]
    assert _meaning(text) in map(_meaning, texts), (
        f"{vector.where}: {by} gives {texts[0] if texts else None!r}, not {text!r}"
    )


def _meaning(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _hides(text: str, what: str) -> None:
    for name, hidden in _HIDDEN.items():
        assert hidden not in text, (
            f"the {name} occurs in {what}: keep it out of repr (attrs.field(repr=False)), log "
            f"lines and messages: …{_around(text, hidden)}…"
        )


def _around(text: str, hidden: str) -> str:
    at = text.index(hidden)
    return text[max(0, at - 80) : at] + "SECRET"


def _reachable(subject: Subject, root: object) -> Iterator[str]:
    """The texts of all objects of the core and the plugin that hang on one."""
    own = ("ccrs_core", subject.package)
    foreign = ("ccrs_core.emulator", "ccrs_core.conformance")
    seen: set[int] = set()
    waiting: list[object] = [root]
    while waiting and len(seen) < 20_000:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | WeakSet):
            continue
        seen.add(id(each))
        module = type(each).__module__
        if module.startswith(foreign):
            continue
        if module.startswith(own):
            yield f"{each!r} {each}"
        if module.startswith(own) or isinstance(each, dict | list | tuple | set):
            waiting += gc.get_referents(each)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
        self.lines.append(f"{formatter.format(record)} {record.args!r}")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Log lines of every level and logger."""
    root, handler = logging.getLogger(), _Lines()
    loggers = [root, logging.getLogger("ccrs")]
    levels = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
