"""Samples of signatures hold hosts, tokens and single frames, not requests and logins alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec

from ccrs_core.conformance.themes.secrecy import SecretsProperties
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.access import Access
from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import HttpRequest

SHARED: dict[str, Any] = {
    "source": "https://host.of.nobody/docs",
    "now_ms": 1_700_000_000_000,
    "credentials": {"key": "k", "secret": "x"},
}


def proof(access: Access) -> str:
    keys = access.credentials
    text = f"{keys.secret}{access.host}{access.now_ms}{access.token}"
    return hashlib.sha256(text.encode()).hexdigest()


class EachFrame(BybitCodec):
    def login(self, access: Access, request_id: str) -> Any:
        return None

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        return json.dumps({**json.loads(frame), "proof": proof(access)})


class SignsTheHost(Bybit):
    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        return attrs.evolve(request, headers={"X-PROOF": proof(access)})

    def codec(self, route: Route) -> Codec:
        return EachFrame()


def judged(folder: Path, kind: type[Bybit], **changes: Any) -> None:
    """Judge a plugin by two vectors, of a request and a frame, made of what these change."""
    told = {"url": "https://api.example", "token": "t0k", **changes}
    right = Access(
        now_ms=SHARED["now_ms"],
        url="https://api.example",
        token="t0k",
        credentials=Credentials(**SHARED["credentials"]),
    )
    request = {
        **SHARED,
        **told,
        "request": {"method": "POST", "path": "/order", "body": "{}"},
        "signed": {"headers": {"X-PROOF": proof(right)}},
    }
    unsigned = '{"op":"subscribe"}'
    signed = json.dumps({"op": "subscribe", "proof": proof(right)})
    frame = {**SHARED, **told, "frame": {"unsigned": unsigned, "signed": signed}}
    (folder / "signatures.json").write_text(json.dumps([request, frame]))
    subject = Subject(kind, profile=Profile.QUICK, samples=folder)
    SecretsProperties().test_signatures_equal_the_published_vectors(subject)


def test_host_token_and_frame_are_judged(tmp_path: Path) -> None:
    judged(tmp_path, SignsTheHost)


@pytest.mark.parametrize(
    "changes", [{"url": "https://api.example:8443"}, {"token": ""}, {"now_ms": 1}], ids=str
)
def test_what_is_signed_otherwise_than_the_vector_says_fails(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match="X-PROOF"):
        judged(tmp_path, SignsTheHost, **changes)


def test_a_codec_that_signs_no_frame_fails(tmp_path: Path) -> None:
    class Forgets(EachFrame):
        def sign(self, frame: Outbound, access: Access) -> Outbound:
            return frame

    class Other(SignsTheHost):
        def codec(self, route: Route) -> Codec:
            return Forgets()

    with pytest.raises(AssertionError, match=r"Codec\.sign"):
        judged(tmp_path, Other)
