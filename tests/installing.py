"""Installs a package as ``pip install -e`` would, in a moment and without a network.

What Python knows of an installed distribution is a folder of metadata on its path, and its code.
"""

from __future__ import annotations

import os
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

GOOD = """
    from ccrs_core import Capabilities, Environment, Exchange

    class {cls}(Exchange):
        name = "{name}"
        contract = 2
        capabilities = Capabilities()
        environments = {{"mainnet": Environment(addresses={{"rest": "https://x.test"}})}}
        def route(self, subscription): raise KeyError
        def codec(self, route): raise KeyError
        def sign(self, request, access): return request
        def error_of(self, response): return None
"""


class Site:
    """A folder of installed packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        distribution: str,
        code: str = "",
        *,
        exchanges: str = "",
        plugins: str = "",
        version: str = "1.2.3",
        metadata: str | None = None,
    ) -> None:
        """A package with one module, named as itself, and entry points as ``name = target``."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        if metadata is None:
            metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        groups = {"ccrs.exchanges": exchanges, "ccrs.plugins": plugins}
        (info / "entry_points.txt").write_text(
            "".join(f"[{group}]\n{lines}\n" for group, lines in groups.items() if lines)
        )
        module = self.folder / f"{distribution.replace('-', '_')}.py"
        module.write_text(textwrap.dedent(code))

    def good(self, name: str) -> None:
        self.install(
            f"ccrs-{name}",
            GOOD.format(cls="It", name=name),
            exchanges=f"{name} = ccrs_{name}:It",
        )


def install(package: Path, site: Path) -> None:
    """Let processes that have ``site`` on their path find a package: metadata and code."""
    about = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))
    project = about["project"]
    folder = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(head, "utf-8")
    (folder / "entry_points.txt").write_text("\n".join(_entry_points(project)), "utf-8")
    for module in about["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        (site / module).symlink_to((package / module).resolve())


def _entry_points(project: dict[str, dict[str, dict[str, str]]]) -> Iterator[str]:
    for group, entries in project["entry-points"].items():
        yield f"[{group}]"
        yield from (f"{name} = {target}" for name, target in entries.items())


def environment(site: Path) -> dict[str, str]:
    """The variables of a process that finds what is installed in ``site``, before all else."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
