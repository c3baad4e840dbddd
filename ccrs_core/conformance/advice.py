"""What a failure would cost a user, and where an author looks first, by the property's number."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Advice:
    """What a broken property costs, and the members of the contract that it is about."""

    costs: str
    look_at: str


def advice(number: int) -> Advice:
    """What is said of a numbered property."""
    return _ADVICE[number]


_ADVICE: Mapping[int, Advice] = {
    1: Advice(
        "one strange frame ends connections, stops the program or takes other instruments away",
        "Codec.decode, Endpoint.decode: the readers of ccrs_core.wire, row_by_row",
    ),
    2: Advice(
        "prices, sizes, sides or times that are not the market's are traded on",
        "Codec.decode, Endpoint.encode and decode; the emulator's dialect; the samples",
    ),
    3: Advice("answers are read from half of their bytes", "Endpoint.decode, Exchange.error_of"),
    4: Advice(
        "a replay differs from the live run, and a reconnect keeps what was before it",
        "Codec: no clock, no randomness, no I/O, nothing kept outside the object",
    ),
    5: Advice(
        "the day the exchange adds a field, a status or a message, the feed ends or tells lies",
        "Codec.decode, Endpoint.decode: unknown values take the cautious meaning",
    ),
    6: Advice("compressed frames can't be read, or fill the memory", "Codec.compression"),
    7: Advice(
        "the same value, spelled otherwise, is another one, or the frame path is slow",
        "Codec.decode, Codec.shortcut, Codec.peek; shapes: usual, kinds of fields",
    ),
    8: Advice(
        "a subscription is believed to work that doesn't, or frames land in the wrong feed",
        "Codec.topic, subscribe, unsubscribe and decode (Ack, Refused)",
    ),
    9: Advice(
        "one delisted symbol takes all the others of its request away, what is refused is believed "
        "to be subscribed, or what is refused for now is never had",
        "Codec.decode (Refused.topics, Refused.later), Route.topics_per_request",
    ),
    10: Advice(
        "keys are shown to whoever reads the log, or requests are refused",
        "Exchange.sign, Codec.login, samples/signatures.json",
    ),
    11: Advice("symbols beyond ASCII can't be asked for", "Endpoint.encode"),
    12: Advice(
        "a temporary failure ends the program, or a lasting one is tried for ever",
        "Exchange.error_of, samples/errors.json",
    ),
    13: Advice("digits are lost: orders are refused or mispriced", "decimals of ccrs_core.wire"),
    14: Advice("a price is worse than was asked for", "Endpoint.decode of GetInstruments"),
    15: Advice(
        "orders are refused by the exchange, or refused here without need",
        "Endpoint.decode of GetInstruments: tick, lot, least and largest size, notional",
    ),
    16: Advice(
        "latency, candles and order of events are wrong",
        "times in Codec and Endpoint: units, ends of candles (ccrs_core.wire.later), funding",
    ),
    17: Advice(
        "one instrument is traded in place of another",
        "Endpoint.decode of GetInstruments, ccrs_core.wire.naming, samples/symbols.json",
    ),
    18: Advice(
        "orders go on by rules that are no more, or for what doesn't trade",
        "Endpoint.decode of GetInstruments: status, tick",
    ),
    19: Advice("the book is not the market's", "Codec.decode (BookUpdate), book_snapshot"),
    20: Advice(
        "a wrong book is served as a valid one",
        "BookUpdate.previous_sequence and sequence, Exchange.checksum, Codec.peek",
    ),
    21: Advice(
        "levels are missing without a word, or a book is crossed",
        "Exchange.book_depth, book_snapshot, wider_snapshot",
    ),
    22: Advice("a wrong book is served as a valid one", "Exchange.checksum"),
    23: Advice("trouble of one symbol stops the others", "Codec.topic, Exchange.book_snapshot"),
    24: Advice(
        "books stay invalid after a fault, or the request budget is used up",
        "Exchange.book_snapshot, Endpoint.weight of GetBook",
    ),
    25: Advice("an old book is served as the present one", "sequence of Endpoint GetBook"),
    26: Advice(
        "fills of the market are counted twice, or states are never told",
        "Data.sequence, Codec.peek, Trade.trade_id",
    ),
    27: Advice("new data is taken for old and dropped", "Data.sequence, Data.restart, Codec.peek"),
    28: Advice(
        "data is missing and nobody is told",
        "BookUpdate.previous_sequence, Exchange.consecutive, Data.sequence",
    ),
    29: Advice("the tape has holes or repeats", "Codec.decode of trades, Exchange.consecutive"),
    30: Advice(
        "strategies act on candles that are of other times, or not final",
        "Candle: start, end and closed; Capabilities.intervals; Endpoint of GetCandles",
    ),
    31: Advice("after a fault the feed never comes back", "Codec.subscribe, decode (Ack, Refused)"),
    32: Advice(
        "a silent stall is taken for a quiet market, or a quiet market for a stall",
        "Exchange.max_silence, Exchange.activity, Codec.decode (Unchanged)",
    ),
    33: Advice("a subscription is dead and said to be active", "Codec.decode (Ack)"),
    34: Advice(
        "a dead connection is noticed late, or a healthy one hung up by the exchange",
        "Codec.heartbeat, ping, decode (Pong, Reply)",
    ),
    35: Advice("the exchange bans the address", "Exchange.limits.connects"),
    36: Advice("the exchange bans the address", "Codec.decode (Closing, Refused)"),
    37: Advice(
        "the exchange refuses requests, or bans the address",
        "Route.messages, topics_per_request; Exchange.rest_budget, rest_pool; Endpoint.weight",
    ),
    38: Advice(
        "subscriptions above the limit are refused or silently dropped",
        "Route.topics_per_connection, topic_chars_per_connection; Exchange.limits",
    ),
    39: Advice("data is lost whenever a connection is replaced", "Route.max_age, Codec.peek"),
    40: Advice("the exchange's own maintenance interrupts feeds", "Codec.decode (Closing)"),
    41: Advice("what one connection says changes what another one means", "Exchange.codec"),
    42: Advice(
        "racing connections deliver something else than one of them", "Codec.peek, Codec.newest"
    ),
    43: Advice(
        "losing one of several connections costs data, or a false alarm", "Codec.probe, peek"
    ),
    44: Advice("a wrong key is tried until the exchange locks it", "Codec.decode (LoginRefused)"),
    45: Advice("the exchange bans the address", "Exchange.error_of: retry-after"),
    46: Advice("a clock that is set ends the feed", "times in Codec and Endpoint"),
    47: Advice(
        "orders are other than users believe: still open, filled, or of another size or price",
        "order reports of Codec.decode and Endpoint.decode; PlaceOrder, AmendOrder, CancelAll",
    ),
    48: Advice("an order comes back to life, or is filled beyond its size", "OrderReport.state"),
    49: Advice(
        "profit, fees and positions are wrong",
        "FillReport: price, size, fee, fee_asset, liquidity; fill_id alike in lists and streams",
    ),
    50: Advice(
        "a fill is lost, or booked twice",
        "Endpoint GetFills: cursors, windows, start and end; fill_id, exchange_order_id",
    ),
    51: Advice(
        "an order is placed twice, or one is open that nobody knows of",
        "Exchange.error_of: which errors prove that nothing was taken; GetOrder",
    ),
    52: Advice(
        "orders are refused for their ids, or are nobody's after a restart",
        "Trading.client_ids; PlaceOrder sends client_order_id",
    ),
    53: Advice(
        "an order's outcome is taken for another one's",
        "Endpoints PlaceOrders, AmendOrders, CancelOrders: one outcome an item, in order",
    ),
    54: Advice("a cancel that came too late stops the program", "error_of: OrderNotFound"),
    55: Advice(
        "positions and money are other than users believe",
        "PositionReport, Balance, IncomeReport: signs, units, assets; GetPositions, GetWallet",
    ),
    56: Advice("fills are lost with a login or a token", "Codec.login, Exchange.token"),
    57: Advice("orders are believed to be protected that aren't", "SetDeadMan, GetDeadMan"),
    58: Advice(
        "an account's orders are placed with another one's key",
        "Exchange.sign, Codec.login: nothing kept outside what they are given",
    ),
    60: Advice("fills are dropped where a program is slow", "Capabilities.account_channels"),
    **dict.fromkeys(
        (59, 61, 66),
        Advice("a slow reader loses what it must not lose", "Data.events: what is one event"),
    ),
    **dict.fromkeys(
        (62, 63, 64, 65),
        Advice(
            "programs hang at their end, or need ever more memory",
            "state in Exchange and Codec, which should have none that grows",
        ),
    ),
    67: Advice(
        "streams stay subscribed that nobody wants, or the reverse; who joins late hears nothing",
        "Codec.topic, subscribe (also to what is subscribed to already), unsubscribe",
    ),
    68: Advice(
        "recordings can't be trusted",
        "Codec: purity; Exchange.subscriptions_in, route; Codec.decode",
    ),
    69: Advice("a recording that was cut is lost", "Codec.decode, Exchange.subscriptions_in"),
    70: Advice("losses can't be counted", "Codec.decode: a message for each frame"),
    71: Advice(
        "what is offered doesn't work, or what works isn't offered",
        "Exchange.capabilities, endpoints, route; the emulator's dialect",
    ),
    72: Advice("importing the plugin slows or breaks programs", "the plugin's imports"),
    73: Advice("the plugin can't be loaded, or breaks others", "entry point, Exchange.contract"),
    74: Advice(
        "tests, or keys, reach the real exchange", "Exchange.environments, route, rest_address"
    ),
    75: Advice("traffic goes past the proxy, or unprotected", "Exchange.environments, route"),
}
