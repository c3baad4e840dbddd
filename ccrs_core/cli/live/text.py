"""What ``watch`` prints where standard output is no terminal: text lines, one second apart."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ccrs_core.cli import form
from ccrs_core.cli.live.figures import Board, Figures
from ccrs_core.model.events import (
    Candle,
    Funding,
    Greeks,
    IndexPrice,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Ticker,
    Trade,
)
from ccrs_core.model.subscriptions import Channel
from ccrs_core.several.best import BestPrice, ConsolidatedBBO, QuoteState
from ccrs_core.several.names import qualified


def lines(board: Board, exchange: str | None = None) -> Iterator[str]:
    """One line per symbol and channel that has brought anything; symbols with their exchange, where
    one is given."""
    now = time.monotonic()
    for row in board.rows.values():
        if row.latest is None:
            yield f"{_head(row, exchange)} nothing yet"
            continue
        p50, p99 = row.latency(0.5, 0.99)
        marks = "  STALE" if row.stale else ""
        if row.gaps:
            marks += f"  gaps {row.gaps}"
        yield (
            f"{_head(row, exchange)} {_content(row)}  {form.rate(row.rate(now))}/s  "
            f"p50 {form.ms(p50)} ms  p99 {form.ms(p99)} ms{marks}"
        )


def best_line(best: ConsolidatedBBO) -> str:
    """The best prices of a symbol over several exchanges, and how far each is ahead."""
    head = f"{form.clock(time.time_ns())} {best.symbol} best"
    bid, ask, spread, mid = best.best_bid, best.best_ask, best.spread, best.mid
    text = f"{head} bid {_offer(bid)}  ask {_offer(ask)}"
    if spread is not None and mid is not None:
        sign = "-" if spread < 0 else ""
        text += f"  spread {spread:f} ({sign}{form.bps(abs(spread), mid)} bps)"
    if best.locked or best.crossed:
        text += "  CROSSED" if best.crossed else "  LOCKED"
    for each in best.exchanges:
        if each.lead.mean_ns is not None:
            lead = f"{each.lead.mean_ns / 1e6:+.2f} ms ({form.plural(each.lead.samples, 'sample')})"
            text += f"  {each.exchange} lead {lead}"
    silent = [e.exchange for e in best.exchanges if e.state is not QuoteState.FRESH]
    return f"{text}  without {', '.join(silent)}" if silent else text


def _offer(best: BestPrice | None) -> str:
    return form.NONE if best is None else f"{best.price:f} x {best.size:f} {best.exchange}"


def _head(row: Figures, exchange: str | None) -> str:
    ns = time.time_ns() if row.latest is None else row.latest.received_time_ns
    symbol = row.symbol if exchange is None else qualified(exchange, row.symbol)
    return f"{form.clock(ns)} {symbol} {row.channel.value.replace('_', '-')}"


def _content(row: Figures) -> str:
    match row.latest:
        case (
            Trade(price=price, size=size, side=side)
            | Liquidation(price=price, size=size, side=side)
        ):
            return f"{side.value} {price:f} x {size:f}"
        case Candle() as c:
            state = "closed" if c.closed else "open"
            return f"{c.interval} O {c.open:f} H {c.high:f} L {c.low:f} C {c.close:f} {state}"
        case MarkPrice(mark_price=mark, index_price=index):
            return f"mark {mark:f} index {form.price(index)}"
        case Greeks() as g:
            ivs = f"iv {form.percent(g.mark_iv)} bid {form.percent(g.bid_iv)}"
            figures = {"delta": g.delta, "gamma": g.gamma, "vega": g.vega, "theta": g.theta}
            told = " ".join(f"{name} {form.rough(value)}" for name, value in figures.items())
            underlying = form.size(g.underlying_price, 10)
            return f"{ivs} ask {form.percent(g.ask_iv)}  {told}  underlying {underlying}"
        case IndexPrice(index_price=index):
            return f"index {index:f}"
        case OpenInterest(open_interest=held, value=value):
            return f"open interest {held:f} value {form.price(value)}"
        case Funding(rate=rate):
            return f"rate {rate:f}"
        case Ticker(last_price=last, volume=volume):
            return f"last {form.price(last)} volume {form.price(volume)}"
        case _:
            pass
    if row.channel is Channel.BOOK and (row.book is None or not row.book.valid):
        return f"book {'syncing' if row.book is None else row.book.state.value}"
    bid, bid_size, ask, ask_size = row.quote()
    text = f"bid {form.price(bid)} x {form.price(bid_size)}  "
    text += f"ask {form.price(ask)} x {form.price(ask_size)}"
    if bid is not None and ask is not None:
        text += f"  spread {ask - bid:f} ({form.bps(ask - bid, (ask + bid) / 2)} bps)"
    return text
