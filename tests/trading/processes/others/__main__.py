"""Another program of the account, by a client that nobody here wrote.

Started as ``python -m tests.trading.processes.others EXCHANGE CLIENT URL SEED
CATEGORY:NATIVE:HEDGED…``; it goes on until it is killed, and prints what goes wrong.
"""

from __future__ import annotations

import logging
import sys

from tests.trading.processes.others.clients import load
from tests.trading.processes.others.other import Traded


def main(exchange: str, client: str, url: str, seed: str, *traded: str) -> None:
    logging.disable()  # the clients', of each refusal
    other = load(exchange, client, url, int(seed))
    found = [Traded.of(text) for text in traded]
    while True:
        try:
            other.act(other.random.choice(found))
        except Exception as error:  # whatever goes wrong with a request: the next one
            print(repr(error)[:300], flush=True)  # noqa: T201
        other.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
