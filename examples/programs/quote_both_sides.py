"""Quotes both sides with play money, through lost connections, lost answers and a kill -9, and ends
with a ledger that says what the exchange says.

python examples/programs/quote_both_sides.py [--seconds 60]
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
from decimal import Decimal

import ccrs_core
from ccrs_core import CcrsError, TopOfBook, limit, top_of_book

SYMBOL, SIZE, PLAY_MONEY = "BTC/USDT", Decimal("0.01"), Decimal(20)
CCRS = [sys.executable, "-m", "ccrs_core.cli"]
FAULTS = ["--fault", "drop,every=4", "--fault", "lose_answer,path=/v5/order/*,every=2,count=1"]


async def trade(url, ledger, seconds):
    keys = ccrs_core.Credentials("emulator", "emulator")
    async with ccrs_core.connect("bybit", base_url=url, credentials=keys) as client:
        async with client.account(store=ledger) as account:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(quote(client, account), seconds)
            await account.cancel_all()
            await account.reconcile()
            fills = await account.fetch_fills(symbol=SYMBOL)
            bought = sum(f.size if f.side == "buy" else -f.size for f in fills)
            fees = sum(f.fee for f in fills if f.fee_asset == "BTC")
            return fills, PLAY_MONEY + bought - fees, account.balances()["BTC"].wallet


async def quote(client, account):
    orders = {}
    async with client.subscribe(top_of_book(SYMBOL)) as feed:
        async for event in feed:
            if isinstance(event, TopOfBook) and account.synced:
                for side, price in (("buy", event.bid_price), ("sell", event.ask_price)):
                    with contextlib.suppress(CcrsError):  # what isn't known the account finds out
                        orders[side] = await requote(account, orders.get(side), side, price)


async def requote(account, order, side, price):
    if order is None or order.state.final:
        return await account.place(limit(SYMBOL, side, price=price, size=SIZE, post_only=True))
    if order.now.price != price:
        await account.amend(order, price=price, send_within=1.0)
    return order


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--at", nargs=2, help="an emulator's address and a ledger, to trade there")
    told = parser.parse_args(arguments)
    if told.at:
        return asyncio.run(trade(*told.at, told.seconds))
    command = [*CCRS, "emulator", "bybit", *FAULTS]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE) as emulator,
    ):
        try:
            at = [emulator.stdout.readline().decode().split()[3], f"{folder}/ledger.sqlite"]
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed while it quotes
                me = [sys.executable, __file__, "--at", *at]
                subprocess.run(me, timeout=told.seconds / 2, check=False)
            fills, ledger, exchange = asyncio.run(trade(*at, told.seconds / 2))
            print(f"{len(fills)} fills; BTC {ledger} by the ledger, {exchange} by the exchange")
            checked = subprocess.run([*CCRS, "ledger", "check", at[1], "--offline"], check=False)
            return checked.returncode or int(ledger != exchange)
        finally:
            emulator.terminate()


if __name__ == "__main__":
    sys.exit(main())
