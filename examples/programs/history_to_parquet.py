"""A month of one-minute candles into a Parquet file, page by page, in spite of a line that fails.

    pip install 'ccrs-core[arrow]'
    python examples/programs/history_to_parquet.py              # emulated: seconds
    python examples/programs/history_to_parquet.py --environment mainnet --symbol ETH/USDT

Memory holds one page. Where the network fails in the middle, that page is asked for again: no
candle is missing or there twice. Broken off, it keeps nothing and begins anew; `ccrs history` does
the same from the command line, and goes on where it was.
"""

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ccrs_core
from ccrs_core import Candle, FrameWriter, TransportError

PATIENCE = 10  # failures in a row, after which it gives up


async def download(exchange, symbol, interval, start, end, path, environment):
    async with ccrs_core.connect(exchange, environment=environment) as client:
        history = client.history(symbol, "candles", interval=interval, start=start, end=end)
        # Under its own name the file is whole: until then it ends in ".part".
        with FrameWriter(path, Candle, decimals="float") as writer:
            failures = 0
            while True:
                try:
                    async for page in history:
                        writer.write(page.rows)
                        failures = 0
                        print(f"{page.progress:4.0%}  {writer.rows} candles")
                    return writer.rows
                except TransportError as error:  # it goes on where it was
                    failures += 1
                    if failures == PATIENCE:
                        raise
                    print("trying again:", error)
                    await asyncio.sleep(2)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exchange", default="bybit")
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--interval", default="1m")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--output", type=Path, default=Path("candles.parquet"))
    parser.add_argument("--environment", default="emulator")
    parser.add_argument("--seconds", type=float, default=None, help="give up after so many")
    chosen = parser.parse_args(arguments)

    async def bounded():
        end = datetime.now(UTC)
        start = end - timedelta(days=chosen.days)
        async with asyncio.timeout(chosen.seconds):
            return await download(
                chosen.exchange,
                chosen.symbol,
                chosen.interval,
                start,
                end,
                chosen.output,
                chosen.environment,
            )

    try:
        rows = asyncio.run(bounded())
    except TimeoutError:
        raise SystemExit(f"not whole after {chosen.seconds:g} s: nothing is kept") from None
    except KeyboardInterrupt:
        raise SystemExit("broken off: nothing is kept") from None
    except ccrs_core.CcrsError as error:
        raise SystemExit(f"given up: {error}") from None
    print(f"{rows} candles in {chosen.output}")
    return rows


if __name__ == "__main__":
    main()
