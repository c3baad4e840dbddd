"""An emulator server that counts what it sends. Imports aiohttp."""

from __future__ import annotations

from typing import Any

from ccrs_core.emulator.server import EmulatorServer


class CountingServer(EmulatorServer):
    """Counts the frames that it hands to its sockets."""

    frames = 0

    def _write(self, link: Any, parts: list[bytes]) -> None:
        self.frames += len(parts)
        super()._write(link, parts)
