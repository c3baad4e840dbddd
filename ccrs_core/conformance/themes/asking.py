"""Properties 11 and 12: what is asked arrives as it is meant, and errors keep their meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core.conformance.workbench.material import places
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.samples import ErrorSample, samples_of
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.rest import (
    GetIndexCandles,
    GetOpenInterestHistory,
    HttpRequest,
    HttpResponse,
)
from ccrs_core.errors import CcrsError, DecodeError, ExchangeError, RateLimited

_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""What a path may be made of. RFC 3986, section 3.3"""

_HOSTILE = (
    *("A B", "A&symbol=B", "A=B", "A?B", "A#B", "A+B", "A/B", "A%2FB", "%", "%zz", "..", "A;B"),
    *(
        "Ä",
        "1000🐕USDT",
        "币安人生USDT",
        "\x00",
        "\r\nX-Injected: 1",
        '"',
        "{}",
        "\\",
        "\u202e",
        "'--",
    ),
)


_SEPARATORS = str.maketrans("", "", "/-_")


def _bare(text: str) -> str:
    """Without separators: some exchanges spell a symbol ``A/B`` here and ``AB`` there."""
    return text.translate(_SEPARATORS)


class AskingProperties:
    """Properties 11 and 12."""

    @proves(11, against=Against.NOTHING)
    def test_symbols_of_any_characters_survive_the_encoding_of_requests(
        self, subject: Subject
    ) -> None:
        """Whatever characters a symbol is made of, a server reads exactly that symbol (with or
        without its separators) out of every request, and nothing unescaped gets into a path."""
        asked: list[tuple[Any, Any]] = [
            (request, subject.exchange.endpoints[type(request)])
            for market in subject.markets
            for request in requests_of(subject, subject.instrument(market))
            if hasattr(request, "instrument")
        ]
        if not asked:
            subject.undeclared("request about an instrument")
        # An index, or what is open of a pair, may be asked for by a name of its own.
        elsewhere = [
            request
            for request, endpoint in asked
            if isinstance(request, GetIndexCandles | GetOpenInterestHistory)
            and not _asks_by_symbol(request, endpoint)
        ]

        def check(native: str) -> None:
            for request, endpoint in asked:
                instrument = attrs.evolve(request.instrument, native=native)
                changed: Any = attrs.evolve(request, instrument=instrument)
                http = endpoint.encode(changed, None)
                name = type(request).__name__
                assert _PATH.fullmatch(http.path), (
                    f"{name} of {native!r} has the path {http.path!r}: quote() what goes into "
                    "paths, and hand parameters over in HttpRequest.query"
                )
                heard = list(_heard(http))
                assert request in elsewhere or any(
                    _bare(native) in _bare(text) for text in heard
                ), (
                    f"a server reads {', '.join(map(repr, heard))} out of {name} of {native!r}: "
                    "put the symbol into HttpRequest.query as it is; the core encodes it, once"
                )
                assert len(parse_qsl(http.query_string, keep_blank_values=True)) == len(
                    http.query
                ), (
                    f"{name} of {native!r} is sent as ?{http.query_string}, in which a server "
                    f"finds another number of parameters than the {len(http.query)} of its query"
                )

        for native in _HOSTILE:
            check(native)
        # Without surrogates, which are no characters.
        characters = st.characters(codec="utf-8")
        subject.check(check, st.text(characters, min_size=1, max_size=12), examples=300)

    # --- 12 ---

    @proves(12, against=Against.SAMPLES)
    def test_every_documented_error_has_its_typed_error(self, subject: Subject) -> None:
        """Every response of ``errors.json`` becomes its typed error, with the exchange's code and
        the time to wait."""
        wrong = []
        for sample in _manifest(subject):
            error = _error(subject, sample.response, sample.where)
            if sample.error is None:
                if error is not None:
                    wrong.append(f"{sample.where}: {_named(error)}, though it stands for none")
                continue
            if type(error) is not sample.error:
                wrong.append(
                    f"{sample.where} (code {sample.code}): {sample.error.__name__} expected, "
                    f"error_of gives {_named(error)}"
                )
                continue
            assert isinstance(error, CcrsError)
            if isinstance(error, ExchangeError) and error.code != sample.code:
                wrong.append(f"{sample.where}: code {sample.code!r} expected, not {error.code!r}")
            waits = getattr(error, "retry_after", None)
            if waits != sample.retry_after:
                wrong.append(
                    f"{sample.where} (code {sample.code}): retry_after {sample.retry_after} "
                    f"expected, not {waits}"
                )
            if "retryable" not in _stated(type(error)):
                wrong.append(f"{sample.where}: {type(error).__name__} doesn't say if it passes")
        if wrong:
            pytest.fail("errors are mapped otherwise than documented:\n" + "\n".join(wrong[:12]))

    @proves(12, against=Against.SAMPLES)
    def test_an_unknown_error_keeps_its_code_and_text(self, subject: Subject) -> None:
        """A code that the exchange adds one day becomes an ``ExchangeError`` with that code and the
        exchange's own text."""
        tried = 0
        for sample in _manifest(subject):
            new = _unheard_of(sample.code)
            changed = _with_code(sample, new)
            if sample.error is None or changed is None:
                continue
            known = _error(subject, sample.response, sample.where)
            error = _error(subject, changed, sample.where)
            assert isinstance(error, ExchangeError), (
                f"{sample.where} with the unknown code {new} is taken for {_named(error)}: give "
                "an ExchangeError with the code and the text"
            )
            assert error.code == new, (
                f"{sample.where}: the unknown code {new} becomes {error.code!r}: keep it"
            )
            if isinstance(known, ExchangeError):
                text = known.text.replace(sample.code, new)
                assert error.text == text, (
                    f"{sample.where}: with an unknown code the text {text!r} becomes {error.text!r}"
                )
            tried += 1
        if not tried:
            pytest.fail(
                "no entry of samples/errors.json has its code in its body, so that unknown codes "
                "can't be tried: add an error as the exchange's documents show one"
            )

    @proves(12, against=Against.NOTHING)
    def test_failures_of_http_are_errors_whatever_their_body(self, subject: Subject) -> None:
        """An HTTP status of 400 and above is never an answer: 429 is a ``RateLimited``, 500 and
        above may be tried again, and a body that can't be read changes nothing about it."""
        _manifest(subject)
        bodies = [b"", b"<html>\xff", b"[]", b"{}", b"null", b"[" * 50_000, b'{"zz":1}']
        for status in (400, 401, 403, 404, 429, 500, 502, 503, 504):
            for body in bodies:
                where = f"HTTP {status} with the body {body[:20]!r}"
                error = _error(subject, HttpResponse(status, {}, body), where, readable=True)
                assert isinstance(error, CcrsError), (
                    f"{where} is taken for {_named(error)}: give a typed error by the status"
                )
                if status == 429:
                    assert isinstance(error, RateLimited), f"{where} is taken for {_named(error)}"
                if status >= 500:
                    assert error.retryable, (
                        f"{where} is taken for {_named(error)}, which is never tried again: give "
                        "ExchangeUnavailable"
                    )

    @proves(12)
    def test_what_the_emulator_says_in_distress_is_understood(self, subject: Subject) -> None:
        """Each failure that the emulator can be made to answer with is a typed error."""
        _manifest(subject)
        dialect = subject.venue().dialect
        for status in (400, 403, 418, 429, 500, 503):
            failure = dialect.failure(status, subject.venue().now_ns)
            headers = {name.lower(): value for name, value in failure.headers.items()}
            response = HttpResponse(failure.status, headers, failure.body)
            error = _error(subject, response, f"the dialect's failure({status})")
            assert isinstance(error, CcrsError), f"failure({status}) is taken for {_named(error)}"


def _manifest(subject: Subject) -> list[ErrorSample]:
    """The errors that the plugin's author documents."""
    if not subject.exchange.endpoints:
        subject.undeclared("request")
    found = list(samples_of(subject).errors)
    if not found:
        pytest.fail(
            "there is no samples/errors.json: list the exchange's documented errors there, each as "
            '{"status": 200, "headers": {}, "body": "…", "error": "RateLimited", "code": "…", '
            '"retry_after": null, "source": "https://…"}'
        )
    return found


def _error(
    subject: Subject, response: HttpResponse, where: str, *, readable: bool = False
) -> CcrsError | None:
    """What a response stands for."""
    try:
        return subject.make().error_of(response)
    except DecodeError as failure:
        advice = "; the status says enough" if readable else ""
        pytest.fail(f"{where}: error_of can't read it: {failure}{advice}")
    except Exception as failure:
        pytest.fail(f"{where}: error_of raises {failure!r}")


def _named(error: CcrsError | None) -> str:
    return "an answer" if error is None else type(error).__name__


def _stated(kind: type[CcrsError]) -> set[str]:
    """The names that classes of errors state, this one and its ancestors."""
    return {name for each in kind.__mro__ for name in vars(each)}


def _unheard_of(code: str) -> str:
    """A code of the same kind that no exchange has."""
    if code.lstrip("-").isdigit():
        return "9" * max(6, len(code) + 1)
    return "Zz:Unheard of" if ":" in code else "ZZ_UNHEARD_OF"


def _with_code(sample: ErrorSample, code: str) -> HttpResponse | None:
    """The sample's response with another code; None where its body doesn't hold it as a value."""
    body = sample.response.body.decode("utf-8", "replace")
    try:
        values = [value for _, value in places(json.loads(body))]
    except ValueError:
        return None
    if not sample.code or not any(
        type(value) in (str, int) and str(value) == sample.code for value in values
    ):
        return None
    word = re.compile(rf"(?<![\w.-]){re.escape(sample.code)}(?![\w.])")
    return attrs.evolve(sample.response, body=word.sub(code, body).encode())


def _asks_by_symbol(request: Any, endpoint: Any) -> bool:
    """Whether a question goes by the exchange's own symbol."""
    other = attrs.evolve(request, instrument=attrs.evolve(request.instrument, native="ZQ9ZQ"))
    return any("ZQ9ZQ" in text for text in _heard(endpoint.encode(other, None)))


def _heard(http: HttpRequest) -> Iterator[str]:
    """The texts that a server reads out of a request."""
    for part in http.path.split("/"):
        yield unquote(part)
    for _, value in parse_qsl(http.query_string, keep_blank_values=True):
        yield value
    try:
        content: Any = json.loads(http.body) if http.body else None
    except ValueError:
        content = None
        for _, value in parse_qsl(http.body.decode(), keep_blank_values=True):
            yield value
    for _, value in places(content):
        if isinstance(value, str):
            yield value
