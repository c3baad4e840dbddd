"""Mutants that are packages of their own, because what is broken is their import."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ccrs_bybit import Bybit

from ccrs_core.contract.exchange import Exchange
from tests.mutants.mutant import MUTANTS, Mutant

_folder = tempfile.TemporaryDirectory(prefix="ccrs-mutants-")
FOLDER = _folder.name
"""Where the packages are: put it into ``sys.path`` and ``PYTHONPATH``."""


_IMPORT = "test_importing_the_plugin_does_nothing_but_define"


def _package(name: str, breaks: str, code: str) -> None:
    """Enter a package that does something when it is imported, and else is Bybit."""
    package = f"ccrs_{name.replace('-', '_')}"
    folder = Path(FOLDER, package)
    folder.mkdir()
    source = f"from ccrs_bybit import Bybit\n\n{code}\n\n\nclass Mutated(Bybit):\n    pass\n"
    (folder / "__init__.py").write_text(source)
    # It isn't imported here: that would harm this process, too.
    kind: type[Exchange] = type("Mutated", (Bybit,), {"__module__": package})
    MUTANTS.append(Mutant(name, breaks, kind, (_IMPORT,)))


_package(
    "import-opens-a-socket",
    "Importing the plugin opens a socket.",
    "import socket\n\nOPEN = socket.create_server(('127.0.0.1', 0))",
)
_package(
    "import-starts-a-thread",
    "Importing the plugin starts a thread.",
    "import threading\nimport time\n\n"
    "threading.Thread(target=time.sleep, args=(20,), daemon=True).start()",
)
_package(
    "import-takes-long",
    "Importing the plugin takes most of a second.",
    "import time\n\ntime.sleep(0.8)",
)
_package(
    "import-brings-the-network",
    "Importing the plugin imports the HTTP library, which only connecting needs.",
    "import aiohttp",
)
