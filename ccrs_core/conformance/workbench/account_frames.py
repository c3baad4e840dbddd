"""Samples of private connections: frames, and what each of them says of an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ccrs_core.conformance.workbench.reading import RECEIVED_NS, Reader
from ccrs_core.conformance.workbench.sample_values import report
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import Exchange
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription


@attrs.frozen
class AccountSample:
    """Frames of one private connection, and the reports that each of them brings."""

    file: str
    source: str
    subscriptions: Sequence[Subscription]
    frames: Sequence[bytes]
    expected: Sequence[Sequence[Any]]
    """The reports of each frame; of topics in their order, row after row."""

    def reports(self, exchange: Exchange) -> Sequence[Sequence[Any]]:
        """What the plugin reads of each frame."""
        codec = exchange.codec(exchange.route(self.subscriptions[0]))
        for number, subscription in enumerate(self.subscriptions):
            codec.subscribe([subscription], str(number))
        return [
            [
                each
                for message in codec.decode(frame, RECEIVED_NS)
                if isinstance(message, Data)
                for each in message.events
            ]
            for frame in self.frames
        ]


def account_sample(
    file: str, read: Reader, frames: Sequence[bytes], exchange: str
) -> AccountSample:
    """A file of frames, and what is written beside it that they say.

    :raises SampleError: where that isn't written as it must be.
    """
    account = read.typed("account", str)
    channels = {channel.value: channel for channel in Channel}
    markets = {market.value: market for market in Market}
    subscriptions = [
        Subscription(
            each.choice("channel", channels, "Channel"),
            account=account,
            exchange=exchange,
            market=each.choice("market", markets, "Market") if "market" in each.fields else None,
        )
        for each in read.items("channels")
    ]
    if not subscriptions:
        raise read.wrong("channels", "name at least one channel of the account")
    lines = read.lists("frames")
    if len(lines) != len(frames):
        raise read.wrong("frames", f"{len(lines)} lists for the {len(frames)} frames of {file}")
    expected = [[report(each, exchange) for each in line] for line in lines]
    return AccountSample(file, read.typed("source", str), subscriptions, frames, expected)
