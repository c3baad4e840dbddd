"""Which of 200 order books lean most: more is bid than asked near the best price, or less.

python examples/programs/imbalance.py
python examples/programs/imbalance.py --environment mainnet --books 50 --seconds 60
"""

import argparse
import asyncio

import ccrs_core
from ccrs_core import BookInvalid, InstrumentStatus, Market, book


def imbalance(order_book, levels=5):
    """From -1 (only asks) to +1 (only bids), of the sizes on the best levels; None: unknown now."""
    try:
        bids = sum(size for _, size in order_book.bids(levels))
        asks = sum(size for _, size in order_book.asks(levels))
    except BookInvalid:
        return None  # it is being fetched anew; it heals by itself
    return (bids - asks) / (bids + asks) if bids + asks else None


async def lean(exchange, count, environment, seconds):
    async with ccrs_core.connect(exchange, environment=environment) as client:
        listed = await client.get_instruments(Market.LINEAR)
        symbols = sorted(
            each.symbol
            for each in listed
            if each.status is InstrumentStatus.TRADING and each.quote == each.settle == "USDT"
        )[:count]
        # ccrs spreads them over as many connections as the exchange's limits ask for.
        async with client.subscribe(*[book(symbol) for symbol in symbols]) as feed:
            await feed.ready()
            print(f"{len(symbols)} books on {len(client.status().connections)} connections")
            books = {symbol: feed.book(symbol) for symbol in symbols}
            updates = 0
            try:
                async with asyncio.timeout(seconds):
                    async for batch in feed.batches():  # the books keep themselves
                        updates += len(batch)
            except TimeoutError:
                pass
            known = {symbol: imbalance(each) for symbol, each in books.items()}
    ranked = sorted(
        ((value, symbol) for symbol, value in known.items() if value is not None), reverse=True
    )
    print(f"{updates} updates; {len(ranked)} of {len(symbols)} books are valid")
    for value, symbol in [*ranked[:5], *ranked[-5:]]:
        print(f"{value:+.2f}  {symbol}")
    return ranked


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exchange", default="bybit")
    parser.add_argument("--books", type=int, default=200)
    parser.add_argument("--environment", default="emulator")
    parser.add_argument("--seconds", type=float, default=10)
    chosen = parser.parse_args(arguments)
    return asyncio.run(lean(chosen.exchange, chosen.books, chosen.environment, chosen.seconds))


if __name__ == "__main__":
    main()
