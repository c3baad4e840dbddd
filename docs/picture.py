"""Makes the picture of the live table anew: ``python docs/picture.py``, from the project's folder.

It is what ``ccrs watch`` shows, drawn by its own renderer, after some seconds of the emulator. Some
frames come late, and one connection is dropped. Prices follow the seed; times are measured.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

import ccrs_core
from ccrs_core import Options, top_of_book
from ccrs_core.cli.live.books import Books
from ccrs_core.cli.live.figures import Board
from ccrs_core.cli.live.view import draw

PICTURE = Path(__file__).parent / "_static" / "watch.svg"
WORDS = "BTC/USDT ETH/USDT SOL/USDT BTC/USDT:USDT --connections 3"
WIDTH, HEIGHT, SEED = 112, 30, 7
LAGGING = {1: 0.5, 2: 0.3, 3: 0.2, 4: 0.2, 5: 0.4, 6: 0.5}
"""How many frames of each connection come late, so that each wins some."""

THEME = TerminalTheme(
    (17, 20, 26),
    (214, 219, 226),
    [
        (17, 20, 26),
        (240, 108, 108),
        (88, 196, 122),
        (232, 186, 84),
        (94, 156, 242),
        (190, 132, 232),
        (84, 196, 212),
        (214, 219, 226),
    ],
    [
        (118, 128, 142),
        (240, 108, 108),
        (88, 196, 122),
        (232, 186, 84),
        (94, 156, 242),
        (190, 132, 232),
        (84, 196, 212),
        (255, 255, 255),
    ],
)
# A terminal as rich draws it, in whatever fixed font the reader has: nothing is fetched for it.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 17px; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" \
height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


async def watched(seconds: float) -> Console:
    """A console that has drawn the table as it stands after so long."""
    console = Console(
        record=True, file=io.StringIO(), force_terminal=True, width=WIDTH, height=HEIGHT
    )
    words = WORDS.split()
    symbols = words[: words.index("--connections")]
    options = Options(backoff_initial=0.2)
    client = ccrs_core.connect(
        "bybit", environment="emulator", options=options, seed=SEED, rate=25.0
    )
    board = Board()
    async with client, client.subscribe(*map(top_of_book, symbols), connections=3) as feed:
        for interest in feed.interests:
            board.expect(interest.symbol, interest.channel)
        books = Books(feed.book)
        assert client.emulator is not None
        faults = client.emulator.venue.faults
        for connection, share in LAGGING.items():
            faults.add(f"delay,seconds=0.003,target={connection},probability={share}")
        loop = asyncio.get_running_loop()
        began, dropped = loop.time(), False
        async for batch in feed.batches():
            board.take(list(books.follow(batch)))
            for row in board.rows.values():
                if len(row.prices) < (loop.time() - began) * 4:
                    row.sample()
            if not dropped and loop.time() > began + seconds * 0.6:
                faults.add("drop,target=2")
                dropped = True
            if loop.time() > began + seconds:
                break
        console.print(
            draw(
                board,
                client.status(),
                title=f"{client.exchange.name} · emulator · top_of_book",
                width=WIDTH,
                height=HEIGHT,
            )
        )
    return console


def drawn(seconds: float) -> str:
    """The picture, as SVG."""
    console = asyncio.run(watched(seconds))
    svg = console.export_svg(
        title=f"ccrs watch bybit {WORDS}", theme=THEME, code_format=FORMAT, unique_id="watch"
    )
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    PICTURE.write_text(drawn(12.0), encoding="utf-8")
