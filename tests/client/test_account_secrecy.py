"""The secret of an account that trades is nowhere but in what is signed with it."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pytest

import ccrs_core
from ccrs_core import (
    AuthError,
    CcrsError,
    SqliteStore,
    TransportOptions,
    hookimpl,
    limit,
    to_json,
)
from ccrs_core.emulator import ApiKey
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.choice import make_transport
from ccrs_core.transport.masking import spelled

KEY, SECRET = "keyOfNobody0123456", "sEcReT/of+nobody=0123456789"


class Listener:
    """Notes what hooks are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def ccrs_session_changed(self, url: str, state: str, reason: str) -> None:
        self.told.append(f"{url} {state} {reason}")

    @hookimpl
    def ccrs_request_finished(self, request: str, error: str | None) -> None:
        self.told.append(f"{request} {error}")


async def trade(folder: Path, listener: Listener, found: list[str]) -> None:
    writer = RecordingWriter(folder / "recording.jsonl")
    transport = RecordingTransport(make_transport(None, TransportOptions()), writer)
    client = ccrs_core.connect(
        "bybit", environment="emulator", transport=transport, listeners=[listener]
    )
    async with client:
        assert client.emulator is not None
        desk = client.emulator.venue.desk
        desk.open_account("a")
        desk.add_key(ApiKey(key=KEY, secret=SECRET, account="a"))
        writer.begin(
            Header(
                ns=0,
                exchange="bybit",
                exchange_version="",
                core_version="",
                environment="emulator",
                subscriptions=(),
            )
        )
        keys = ccrs_core.Credentials(KEY, SECRET)
        store = SqliteStore(folder / "ledger.sqlite")
        async with client.account(credentials=keys, store=store) as account:
            async with account.events() as feed:
                order = await account.place(limit("BTC/USDT", "buy", price="100000", size="0.01"))
                await account.cancel(order)
                await order.ended(timeout=10)
                found += [f"{each!r} {each}" for each in account.orders()]
                event = await anext(aiter(feed))
                found.append(f"{event!r} {to_json(event)!r}")
            found.append(f"{account!r} {account.info!r} {client.status()!r} {vars(account)!r}")
            desk.revoke(KEY)
            with pytest.raises(CcrsError) as refused:
                await account.place(limit("BTC/USDT", "buy", price="100000", size="0.01"))
            found += traceback.format_exception(refused.value)
        with pytest.raises(AuthError) as denied:
            async with client.account("b", credentials=keys, store="memory"):
                pass
        found += traceback.format_exception(denied.value)
    writer.close()


def test_the_secret_of_an_account_is_nowhere_but_in_what_it_signs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener, found = Listener(), list[str]()
    asyncio.run(trade(tmp_path, listener, found))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    recorded = files["recording.jsonl"]
    assert b"/v5/order/create" in recorded or recorded.count(b"***") > 5
    assert b"order" in files["ledger.sqlite"]
    assert listener.told
    places = {
        **files,
        "hooks": " ".join(listener.told).encode(),
        "values and errors": " ".join(found).encode(),
        "logs": caplog.text.encode(),
    }
    for place, content in places.items():
        for secret in spelled(SECRET):
            assert secret not in content, place
    for place in ("recording.jsonl", "logs", "hooks"):
        assert KEY.encode() not in places[place], place
