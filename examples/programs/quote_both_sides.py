"""Quotes both sides through lost connections, lost answers and a kill -9 of itself, and ends with
the exchange's figures: python examples/programs/quote_both_sides.py [EXCHANGE [SECONDS]]"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile

import ccrs_core
from ccrs_core import CcrsError, TopOfBook, Unsupported, emulator, limit, top_of_book

SYMBOL, SIZE = "BTC/USDT", "0.01"
FAULTS = "drop,every=4", "lose_answer,path=*order*,every=2,count=1"


async def trade(exchange, seconds, url, ledger):
    there = ccrs_core.connect(exchange, environment="emulator", base_url=url)
    async with there as client, client.account(store=ledger) as account:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(quote(client, account), seconds)
        await account.cancel_all()
        found = await account.compare(quiet=True)  # with the exchange's lists, both ways
        print(*found.looked_at, *found.differences, *found.left_out, *found.unread, sep="\n")
        return 0 if found.agrees and found.complete else 1


async def quote(client, account):
    orders = {}
    async with client.subscribe(top_of_book(SYMBOL)) as feed:
        async for event in feed:
            if not isinstance(event, TopOfBook) or not account.synced:
                continue
            for side, price in (("buy", event.bid_price), ("sell", event.ask_price)):
                order = orders.get(side)
                wanted = limit(SYMBOL, side, price=price, size=SIZE, post_only=True)
                with contextlib.suppress(CcrsError):  # what isn't known the account finds out
                    if order is None or order.state.final:
                        orders[side] = await account.place(wanted)
                    elif order.now.price != price:
                        try:
                            await account.amend(order, price=price, send_within=1.0)
                        except Unsupported:  # by exchanges that change no prices
                            orders[side] = await account.replace(order, wanted)


def main(exchange="bybit", seconds=60.0, *at):
    if at:
        return asyncio.run(trade(exchange, float(seconds), *at))
    half = float(seconds) / 2
    with emulator.process(exchange, *FAULTS) as url, tempfile.TemporaryDirectory() as folder:
        me = [sys.executable, __file__, exchange, str(half), url, f"{folder}/ledger.sqlite"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(me, timeout=half, check=False)  # and kills it while it quotes
        return subprocess.run(me, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
