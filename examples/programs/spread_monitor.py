"""Where to buy and where to sell: the best prices of three exchanges, once a second.

python examples/programs/spread_monitor.py                          # emulated, runs at once
python examples/programs/spread_monitor.py --environment mainnet    # live
"""

import argparse
import asyncio

import ccrs_core
from ccrs_core import ConsolidatedBBO, QuoteState, top_of_book


def line(best):
    """One line about all exchanges; those whose quotes are old count for nothing."""
    bid, ask = best.best_bid, best.best_ask
    if bid is None or ask is None:
        return f"{best.symbol}  waiting for quotes"
    basis_points = best.spread / ask.price * 10_000
    crossed = "  CROSSED" if best.crossed else ""
    old = [each.exchange for each in best.exchanges if each.state is not QuoteState.FRESH]
    without = f"  (without {', '.join(old)})" if old else ""
    return (
        f"{best.symbol}  sell {bid.price:>10} at {bid.exchange:<8} buy {ask.price:>10} at "
        f"{ask.exchange:<8} {basis_points:+.2f} bps{crossed}{without}"
    )


async def monitor(exchanges, symbol, environment, seconds):
    best = ConsolidatedBBO(symbol, exchanges)
    async with ccrs_core.connect_many(*exchanges, environment=environment) as clients:
        # A plain symbol means every exchange. `conflate` keeps the newest quote of each: an old
        # price is of no use here, however slow we are.
        async with clients.subscribe(top_of_book(symbol), policy="conflate") as feed:
            await feed.ready()
            loop = asyncio.get_running_loop()
            end = loop.time() + seconds
            told = 0.0
            async for batch in feed.batches():
                for event in batch:
                    best.take(event)  # quotes, and Stale, Gap and Resumed as well
                now = loop.time()
                if now >= told + 1:
                    print(line(best))
                    told = now
                if now >= end:
                    return best


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exchanges", nargs="+", default=["bybit", "binance", "okx"])
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--environment", default="emulator")
    parser.add_argument("--seconds", type=float, default=10)
    chosen = parser.parse_args(arguments)
    return asyncio.run(monitor(chosen.exchanges, chosen.symbol, chosen.environment, chosen.seconds))


if __name__ == "__main__":
    main()
