"""``python -m tests.trading.processes NAME --seconds 600 --seed 7``: as long as one likes."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.trading.processes.conductor import Conductor

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("exchange", nargs="?", default="bybit")
parser.add_argument("--seconds", type=float)
parser.add_argument("--kills", type=int)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--keep", type=Path, help="a folder where everything stays")
chosen = parser.parse_args()
if chosen.seconds is None and chosen.kills is None:
    chosen.kills = 20
with tempfile.TemporaryDirectory() as scratch:
    folder = chosen.keep or Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    conductor = Conductor(chosen.exchange, folder, chosen.seed)
    print(asyncio.run(conductor.run(kills=chosen.kills, seconds=chosen.seconds)))  # noqa: T201
