"""Streams of an account are declared as others are; there is no instrument in them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import Balance, Channel, Data, Message, Subscription, TopOfBook, UsageError
from ccrs_core.wire import (
    Best,
    Choice,
    Head,
    Ms,
    Shape,
    Size,
    Stream,
    StreamReader,
    TableCodec,
    Text,
)
from tests.wire.declared import INSTRUMENT, contract

FRAME = '{"topic":"wallet","data":[{"T":1794000123005,"c":"USD","t":"12.50","a":"0"}]}'
FIELDS: dict[str, Any] = {
    "exchange_time_ns": Ms("T"),
    "asset": Text("c"),
    "total": Size("t"),
    "available": Size("a", absent=None),
}
WALLET = Shape(Balance, usual=[FRAME], fields=FIELDS, rows="data")
MAIN = Subscription(Channel.BALANCES, account="main", exchange="toy")
EXPECTED = Balance("toy", "", 1794000123005000000, 5, "main", "USD", Decimal("12.50"), Decimal(0))


class Written(TableCodec):
    """A codec of one table; what it asks for doesn't matter here."""

    head: ClassVar[Head | None] = Head("topic")

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self.open(subscriptions)
        return request_id

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> str:
        self.close(subscriptions)
        return request_id

    def control(self, frame: Any) -> Sequence[Message]:
        return ()


class Declared(Written):
    channels: ClassVar = {
        Channel.BALANCES: Stream("wallet", WALLET),
        Channel.TOP_OF_BOOK: Stream(
            "top.{native}",
            Shape(TopOfBook, usual=[], fields={"bid": Best("b"), "ask": Best("a")}),
        ),
    }


class WalletReader(StreamReader):
    """Of several frames of one account; reads by itself."""

    of_account: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = frame["data"]
        assert self.account is not None
        return (
            Data(
                self.topic,
                [
                    Balance(
                        self.exchange,
                        self.symbol,
                        row["T"] * 10**6,
                        received_time_ns,
                        self.account,
                        row["c"],
                        Decimal(row["t"]),
                        Decimal(row["a"]),
                    )
                    for row in rows
                ],
            ),
        )


class ByClass(Written):
    channels: ClassVar = {Channel.BALANCES: Stream("wallet", WalletReader)}


@pytest.mark.parametrize("kind", [Declared, ByClass])
def test_a_table_may_hold_streams_of_an_account(kind: type[Written]) -> None:
    codec = kind()
    codec.subscribe([MAIN], "1")
    assert codec.topic(MAIN) == "wallet"
    frames = [FRAME, FRAME.replace(":", ": "), FRAME.replace("USD", "XRP"), FRAME]
    for text in frames:
        (data,) = codec.decode(text.encode(), 5)
        assert isinstance(data, Data)
        assert data.topic == "wallet"
        (event,) = data.events
        assert event == attrs.evolve(EXPECTED, asset="XRP" if "XRP" in text else "USD")
    codec.unsubscribe([MAIN], "2")
    assert not any(isinstance(m, Data) for m in codec.decode(FRAME.encode(), 5))


def test_an_accounts_usual_frames_go_the_short_way_and_it_says_what_the_general_one_does() -> None:
    codec = Declared()
    codec.subscribe([MAIN], "1")
    short = codec.shortcut("wallet")
    assert short is not None
    said = short(FRAME.encode(), 5)
    assert said is not None
    assert list(said) == list(codec.read(FRAME.encode(), 5))


def test_an_account_beside_an_instrument_takes_nothing_from_it() -> None:
    codec = Declared()
    top = Subscription(Channel.TOP_OF_BOOK, INSTRUMENT)
    codec.subscribe([MAIN, top], "1")
    (data,) = codec.decode(b'{"topic":"top.BTC","b":[["1","2"]],"a":[]}', 5)
    assert isinstance(data, Data)
    assert (data.topic, data.events[0].symbol) == ("top.BTC", INSTRUMENT.symbol)


def test_a_reader_of_an_account_has_no_instrument() -> None:
    with pytest.raises(UsageError, match="the account main"):
        WalletReader("wallet", MAIN).instrument  # noqa: B018


def test_what_is_wrong_with_a_declaration_of_an_account_is_said() -> None:
    for reads in (WALLET, WalletReader):
        with pytest.raises(ValueError, match="of an account, which has no native name"):
            Stream("wallet.{native}", reads)
    with pytest.raises(ValueError, match="total is scaled by an instrument"):
        Shape(Balance, usual=[], fields=FIELDS | {"total": Size("t", scale=contract)})
    with pytest.raises(ValueError, match="account is filled in"):
        Shape(Balance, usual=[], fields=FIELDS | {"account": Choice({"x": "y"}, "A")})
    with pytest.raises(ValueError, match="balances is of an account, but what reads 'x"):

        class Wrong(Written):
            channels: ClassVar = {
                Channel.BALANCES: Stream(
                    "x.{native}",
                    Shape(TopOfBook, usual=[], fields={"bid": Best("b"), "ask": Best("a")}),
                )
            }

    with pytest.raises(ValueError, match="trades is of instruments, but what reads 'wallet'"):

        class Crossed(Written):
            channels: ClassVar = {Channel.TRADES: Stream("wallet", WALLET)}
