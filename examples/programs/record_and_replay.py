"""Record a market for a while, then play it back and compute: bars, and where the book leans.

python examples/programs/record_and_replay.py
python examples/programs/record_and_replay.py --environment mainnet --seconds 60
"""

import argparse
import asyncio
from datetime import timedelta
from decimal import Decimal

import ccrs_core
from ccrs_core import Trade, book, book_snapshots, imbalance, microprice, time_bars, trades


async def capture(exchange, symbol, environment, seconds, path):
    wanted = trades(symbol), book(symbol)
    async with ccrs_core.record(
        exchange, *wanted, to=path, connections=2, environment=environment
    ) as recording:
        await asyncio.sleep(seconds)  # or read recording.feed meanwhile
    print(f"{recording.frames} frames, {recording.bytes} bytes before compression, in {path}")


def compute(path):
    # As often as you like: a recording gives the same events every time.
    played = [event for event in ccrs_core.replay(path) if isinstance(event, Trade)]
    volume = sum((trade.size for trade in played), Decimal(0))
    print(f"{len(played)} trades of {volume}")
    second = timedelta(seconds=1)
    bars = list(time_bars(ccrs_core.replay(path), second))
    for bar in bars[:5]:
        hole = "" if bar.complete else "  (not whole)"
        print(f"{bar.open} {bar.high} {bar.low} {bar.close}  {bar.volume}{hole}")
    snapshots = [each for each in book_snapshots(ccrs_core.replay(path), second) if each.complete]
    for each in snapshots[:5]:
        print(f"microprice {microprice(each):.4f}  imbalance {imbalance(each, 5):+.2f}")
    return played, bars, snapshots


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exchange", default="bybit")
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--environment", default="emulator")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--path", default="recording.jsonl.gz")
    chosen = parser.parse_args(arguments)
    asyncio.run(
        capture(chosen.exchange, chosen.symbol, chosen.environment, chosen.seconds, chosen.path)
    )
    return compute(chosen.path)


if __name__ == "__main__":
    main()
