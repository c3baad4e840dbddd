"""The documentation is true: its code runs, its commands work, its reference is complete.

On each page, Python and console blocks run in order, in one namespace and one folder. Blocks of
``text`` are output; settings (``ini``, ``toml``) are parsed. Files are included from packages and
programs whose own tests run them.
"""

from __future__ import annotations

import ast
import asyncio
import configparser
import importlib.util
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import ccrs_core
from ccrs_core import conformance, emulator, sync, transport, wire
from ccrs_core.extensions import hooks as hooks_of_the_core
from tests.installing import environment, install

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Measuring takes a quarter of an hour; decisions say what was.
TOLD = ("performance.md", "decisions/")
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not path.relative_to(DOCS).as_posix().startswith((*TOLD, "_build/"))
)
SECONDS = 100

FENCE = re.compile(
    r"(?m)^(?P<fence>```+|:::+)(?P<head>[^\n]*)\n(?P<body>.*?)^(?P=fence)$", re.DOTALL
)
RUN = {"python", "console", "ini", "toml"}
INCLUDED = re.compile(r"\{(?:literal)?include\} (?P<path>\S+)")
OTHER = {"text", "dockerfile", "{toctree}", "{eval-rst}", "{ccrs-properties}", "{note}", "{tip}"}

# Whole suites take longer than a page's test should: .ci/run runs those of the finished plugins.
ELSEWHERE = {"ccrs conformance bybit --profile quick", "ccrs conformance kraken"}

# Hooks that build something rather than tell of it.
BUILDING = {"ccrs_add_command", "ccrs_register_exchanges"}


@attrs.frozen
class Block:
    """A fenced block of a page."""

    line: int
    kind: str
    head: str
    body: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        head = found["head"].strip()
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line, head.split()[0] if head else "", head, found["body"])


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# --- what is run ---


@every_page
def test_every_code_block_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as cells:
        for block in blocks(page):
            follow_block(block, page, tmp_path, namespace, cells)


def follow_block(
    block: Block, page: Path, tmp_path: Path, namespace: dict[str, Any], cells: asyncio.Runner
) -> None:
    """Do what a block says; one that awaits, as a notebook's cell does, on the page's own loop."""
    included = INCLUDED.match(block.head)
    if included is not None:
        follow((page.parent / included["path"]).resolve(), tmp_path)
    if block.kind == "python":
        # Its lines are counted from its place in the page, for tracebacks.
        code = "\n" * block.line + block.body
        awaiting = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        waits = eval(compile(code, str(page), "exec", awaiting, dont_inherit=True), namespace)
        if inspect.iscoroutine(waits):
            cells.run(waits)
    elif block.kind == "console":
        for line in block.body.splitlines():
            if line.startswith("$ "):
                run(line.removeprefix("$ "), tmp_path)
    elif block.kind == "toml":
        tomllib.loads(block.body)
    elif block.kind == "ini":
        configparser.ConfigParser(strict=False, interpolation=None).read_string(block.body)


def follow(file: Path, folder: Path) -> None:
    """Do as the reader of a page does that shows a file of an example which was begun before."""
    if not file.is_relative_to(ROOT / "examples"):
        return
    package, module = file.relative_to(ROOT / "examples").parts[:2]
    begun = folder / package / module
    if begun.is_dir():
        shutil.rmtree(begun)
        unused = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "examples" / package / module, begun, ignore=unused)


def run(line: str, folder: Path) -> None:
    """Run a line of a console block. Installing a local package is done without a network."""
    words = shlex.split(line)
    site = folder / "site"
    if words[:2] == ["pip", "install"]:
        for word in words[2:]:
            target = word.partition("[")[0]
            if target.startswith("./"):
                install(folder / target, site)
            elif target != "-e" and target not in {"ccrs-core", "ccrs-bybit"}:
                there = (ROOT / target / "pyproject.toml").is_file()
                assert there, f"{line}: not a package of this project"
        return
    assert words[0] == "ccrs", f"{line}: only commands of this project can be tried"
    if line in ELSEWHERE:
        assert "conformance" in (ROOT / ".ci" / "run").read_text("utf-8")
        return
    done = subprocess.run(
        [sys.executable, "-m", "ccrs_core.cli", *words[1:]],
        cwd=folder,
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


@every_page
def test_every_block_is_run_included_from_what_is_run_or_output(page: Path) -> None:
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        included = INCLUDED.match(block.head)
        if included is None:
            assert block.kind in RUN | OTHER, f"{where}: {block.head!r} is neither run nor output"
            continue
        path = (page.parent / included["path"]).resolve()
        tried = (ROOT / "examples", ROOT / "ccrs_core" / "_template", ROOT / "plugins")
        assert path.is_file(), f"{where}: there is no {path}"
        assert any(path.is_relative_to(folder) for folder in tried), f"{where}: nothing runs {path}"


# --- what is complete ---


def documented() -> Mapping[str, set[str]]:
    """The names that reference pages document, by the module that they are imported from."""
    found: dict[str, set[str]] = {}
    for page in DOCS.glob("reference/*.md"):
        for name in re.findall(
            r"(?m)^\.\. auto(?:class|function|data|exception):: (\S+)$", page.read_text("utf-8")
        ):
            module, _, last = name.rpartition(".")
            home = ccrs_core._HOME.get(last)
            public = "ccrs_core" if home and module == f"ccrs_core.{home}" else module
            found.setdefault(public, set()).add(last)
    return found


@pytest.mark.parametrize(
    "module",
    [ccrs_core, emulator, conformance, sync, transport, wire],
    ids=lambda module: module.__name__,
)
def test_the_reference_has_every_public_name_and_no_other(module: Any) -> None:
    assert documented()[module.__name__] == set(module.__all__) - {"__version__"}


def test_every_logger_and_every_hook_is_told() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "ccrs_core").rglob("*.py")]
    loggers = {name for text in sources for name in re.findall(r'getLogger\("(ccrs\.\w+)"\)', text)}
    assert loggers
    told = (DOCS / "guide" / "logging.md").read_text("utf-8")
    assert not [name for name in sorted(loggers) if f"`{name}`" not in told]
    told = (DOCS / "guide" / "metrics.md").read_text("utf-8")
    hooks = [name for name in vars(hooks_of_the_core.Specs) if name.startswith("ccrs_")]
    assert not [name for name in hooks if name not in told and name not in BUILDING]


def test_the_picture_of_the_live_table_can_be_drawn_anew() -> None:
    spec = importlib.util.spec_from_file_location("picture", DOCS / "picture.py")
    assert spec is not None
    assert spec.loader is not None
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    svg = picture.drawn(0.3)
    for shown in ("BTC/USDT:USDT", "linear", "reconnect"):
        assert shown in svg
        assert shown in picture.PICTURE.read_text("utf-8")
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched for it"


def test_every_page_can_be_reached() -> None:
    """Each page stands in a table of contents."""
    listed = set()
    for page in PAGES + sorted(DOCS.rglob("index.md")):
        for block in blocks(page):
            if block.kind == "{toctree}":
                entries = [line for line in block.body.splitlines() if line and line[0] != ":"]
                listed |= {(page.parent / entry).resolve() for entry in entries}
    for page in PAGES:
        if page.name != "index.md":
            assert page.with_suffix("") in listed, f"{name_of(page)} is in no table of contents"


def test_the_pages_that_the_readme_links_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\((docs[^)#]*|examples[^)#]*)", readme):
        assert (ROOT / target).exists(), target
