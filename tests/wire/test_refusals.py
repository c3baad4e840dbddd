"""What an answer means that says nothing in an exchange's own words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AuthError,
    ExchangeError,
    ExchangeUnavailable,
    HttpResponse,
    InvalidRequest,
    RateLimited,
)
from ccrs_core.wire import http_error, json_object


@given(st.integers(400, 599), st.binary(max_size=300))
def test_every_status_is_an_error_of_one_kind_that_says_it(status: int, body: bytes) -> None:
    error = http_error(HttpResponse(status, {}, body))
    assert error.code == str(status)
    assert f"HTTP {status}" in error.text
    assert isinstance(error, ExchangeUnavailable) is (status >= 500)
    assert len(error.text) < 250


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AuthError),
        (403, ExchangeError),
        (404, InvalidRequest),
        (410, InvalidRequest),
        (418, RateLimited),
        (429, RateLimited),
        (451, AuthError),
        (499, ExchangeError),
        (502, ExchangeUnavailable),
    ],
)
def test_a_status_means_what_it_means_everywhere(status: int, kind: type[ExchangeError]) -> None:
    assert type(http_error(HttpResponse(status, {}, b"<html>"))) is kind


@pytest.mark.parametrize(
    ("headers", "wait", "expected"),
    [
        ({}, None, None),
        ({}, 2.0, 2.0),
        ({"retry-after": "7"}, 2.0, 7.0),
        ({"retry-after": "0"}, 2.0, 0.0),
    ],
)
def test_a_limit_is_lifted_when_the_answer_says_so(
    headers: dict[str, str], wait: float | None, expected: float | None
) -> None:
    error = http_error(HttpResponse(429, headers, b""), wait)
    assert isinstance(error, RateLimited)
    assert error.retry_after == expected


@given(
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.text() | st.integers(0, 9), st.lists).map(
            lambda value: json.dumps(value).encode()
        ),
    )
)
def test_what_is_no_object_is_none(body: bytes) -> None:
    assert json_object(body) is None or body.strip().startswith(b"{")
    assert json_object(b'{"a":' + json.dumps(body.hex()).encode() + b"}") == {"a": body.hex()}
