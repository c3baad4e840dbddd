"""``python -m tests.trading.everything --seconds 300 --seed 1``: as long as one likes."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.trading.everything.conductor import Conductor
from tests.trading.everything.venues import EXCHANGES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("exchanges", nargs="*", default=list(EXCHANGES))
parser.add_argument("--seconds", type=float, default=60.0)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--keep", type=Path, help="a folder where everything stays")
chosen = parser.parse_args()
with tempfile.TemporaryDirectory() as scratch:
    folder = chosen.keep or Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    conductor = Conductor(folder, chosen.seed, exchanges=chosen.exchanges)
    report = asyncio.run(conductor.run(seconds=chosen.seconds))
    print(report)  # noqa: T201
    sys.exit(bool(report.wrong))
