"""What importing costs, what is public, and which module may touch what."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ccrs_core

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ccrs_core"
MODULES = sorted(path for path in CORE.rglob("*.py") if "_template" not in path.parts)

HEAVY = {
    *("aiohttp", "asyncio", "attr", "attrs", "cattrs", "click", "hypothesis", "orjson", "pluggy"),
    *("pytest", "rich", "ssl", "tenacity", "trustme"),
}

PLUGINS = [
    path.parent.name
    for path in sorted(ROOT.glob("plugins/*/*/__init__.py"))
    if path.parent.name.startswith("ccrs_") and path.parent.name != "ccrs_picows"
]
"""Of exchanges."""


WATCH_SOCKETS = """
opened = []
sys.addaudithook(lambda name, _: opened.append(name) if name.startswith("socket.") else None)
"""


def after(code: str) -> Any:
    """The value of ``answer`` after running code in an interpreter of its own."""
    program = f"import json, sys\n{code}\nsys.stdout.write(json.dumps(answer))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imported(code: str) -> set[str]:
    """Top-level packages that running code brings in."""
    found = after(f"{code}\nanswer = sorted({{name.partition('.')[0] for name in sys.modules}})")
    return set(found)


# --- what importing costs ---


def test_importing_the_core_imports_nothing_heavy() -> None:
    bare = imported("pass")
    assert (imported("import ccrs_core") - bare).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import ccrs_core; ccrs_core.top_of_book('A/B')", "aiohttp asyncio cattrs pluggy rich"),
        ("from ccrs_core import *", "aiohttp cattrs click rich pytest hypothesis"),
        (
            "from ccrs_core.extensions import exchanges; exchanges.installed()",
            "aiohttp cattrs pluggy rich",
        ),
        ("import ccrs_core.cli", "aiohttp cattrs rich tenacity asyncio"),
        ("import ccrs_core.transport.memory", "aiohttp cattrs pluggy rich tenacity"),
        ("import ccrs_core.recordings.replay", "aiohttp cattrs pluggy rich"),
    ],
)
def test_each_way_in_imports_no_more_than_it_needs(code: str, absent: str) -> None:
    assert imported(code).isdisjoint(absent.split())


@pytest.mark.parametrize("plugin", PLUGINS)
def test_importing_a_plugin_opens_no_socket_starts_no_thread_and_imports_no_aiohttp(
    plugin: str,
) -> None:
    answer = after(
        "import socket, threading\n"
        f"{WATCH_SOCKETS}"
        f"import {plugin}\n"
        "threads = threading.active_count()\n"
        "heavy = {'aiohttp', 'click', 'rich', 'pytest', 'cattrs'} & set(sys.modules)\n"
        "answer = [opened, threads, sorted(heavy)]"
    )
    assert answer == [[], 1, []]


def test_connecting_opens_nothing_before_the_client_is_entered() -> None:
    answer = after(
        "import ccrs_core\n"
        "from tests.toy import Toy\n"
        f"{WATCH_SOCKETS}"
        "ccrs_core.connect(Toy())\n"
        "answer = [opened, 'aiohttp' in sys.modules]"
    )
    assert answer == [[], False]


# --- what is public ---


def exports() -> dict[str, str]:
    """Public names and the modules they are imported from, as type checkers see them."""
    found: dict[str, str] = {}
    tree = ast.parse((CORE / "__init__.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                for alias in statement.names:
                    assert alias.asname == alias.name, "re-exports are spelled `X as X`"
                    found[alias.name] = statement.module.removeprefix("ccrs_core.")
    return found


def test_type_checkers_and_the_interpreter_see_the_same_public_names() -> None:
    assert exports() == {**ccrs_core._HOME, "sync": "ccrs_core"}, "and a module, by its name"
    assert set(ccrs_core.__all__) == {*ccrs_core._HOME, "__version__"}
    assert sorted(ccrs_core.__all__) == sorted(set(ccrs_core.__all__))
    assert dir(ccrs_core) == sorted(ccrs_core.__all__)


def test_every_public_name_resolves_to_what_its_module_has() -> None:
    for name in ccrs_core.__all__:
        value = getattr(ccrs_core, name)
        if name in ccrs_core._HOME:
            home = importlib.import_module(f"ccrs_core.{ccrs_core._HOME[name]}")
            assert value is getattr(home, name), name


def test_a_name_that_is_not_public_is_an_attribute_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match="'ccrs_core' has no attribute 'Nonsense'"):
        ccrs_core.Nonsense  # noqa: B018


def test_every_public_name_is_documented_where_it_is_defined() -> None:
    missing = [
        f"{home}: {name}"
        for name, home in sorted(ccrs_core._HOME.items())
        if not documented(tree_of(home), name)
    ]
    assert not missing, "\n".join(missing)


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((CORE / f"{module.replace('.', '/')}.py").read_text("utf-8"))


def documented(module: ast.Module, name: str) -> bool:
    """Whether a class or function has a docstring, or an assignment a string after it."""
    for node, following in zip(module.body, [*module.body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef) and any(
            getattr(each, "id", "") == "overload" for each in node.decorator_list
        ):
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return bool(ast.get_docstring(node))
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    raise AssertionError(f"{name} is not defined there")


# --- which module may touch what ---


def relative(path: Path) -> str:
    return path.relative_to(CORE).as_posix()


def importing(package: str) -> set[str]:
    """Modules of the core that import a package, wherever in their code."""
    return {relative(path) for path in MODULES if package in packages_of(path)}


def packages_of(path: Path) -> set[str]:
    """The packages that a module imports, wherever in its code."""
    return read(path)[0]


@functools.cache
def read(path: Path) -> tuple[set[str], bool]:
    """The packages that a module imports, and whether it has a docstring: parsed once."""
    found: set[str] = set()
    module = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found, bool(ast.get_docstring(module))


def outside(found: set[str], *allowed: str) -> set[str]:
    """Those that are neither an allowed module nor in an allowed folder."""
    return {path for path in found if not path.startswith(allowed)}


def test_only_the_transport_the_emulators_server_and_the_command_line_import_aiohttp() -> None:
    allowed = "transport/http.py", "transport/connectors.py", "emulator/server.py", "cli/"
    assert not outside(importing("aiohttp"), *allowed)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("click", ("cli/", "extensions/hooks.py")),
        ("rich", ("cli/",)),
        ("pluggy", ("extensions/hooks.py",)),
        ("tenacity", ("requests/requester.py", "client/patient.py")),
        ("pytest", ("cli/suite.py", "cli/worker.py", "conformance/", "_pytest_plugin.py")),
        ("hypothesis", ("conformance/",)),
        ("socket", ("transport/", "cli/", "emulator/server.py", "conformance/")),
        (
            "threading",
            (
                "conformance/",
                "sync/background.py",
                "trading/sqlite.py",
                "transport/account_limits.py",
                "transport/budgets_kept.py",
                "transport/gate.py",
                "transport/limits.py",
                "cli/looking.py",
                "cli/patience.py",
                "transport/names.py",
            ),
        ),
    ],
)
def test_a_library_is_used_in_one_place(package: str, allowed: tuple[str, ...]) -> None:
    assert not {path for path in importing(package) if not path.startswith(allowed or ("-",))}


EXCHANGES = (
    "binance|bitfinex|bitget|bithumb|bitmex|bitstamp|bybit|coinbase|deribit|dydx|gateio|gate\\.io|"
    "gemini|htx|huobi|hyperliquid|kraken|kucoin|mexc|okx|poloniex|upbit"
)
EXAMPLE = re.compile(rf"ccrs( \w+ |-)({EXCHANGES})", re.IGNORECASE)
"""A command in a help text: ``ccrs watch bybit``, ``pip install ccrs-bybit``."""


def test_the_core_names_no_exchange() -> None:
    named = {}
    for path in MODULES:
        text = path.read_text("utf-8")
        if relative(path).startswith("cli/"):
            text = EXAMPLE.sub("", text)
        # Each name where it stands, rather than each word that might hold one: much faster.
        if found := re.findall(rf"(?:{EXCHANGES})\w*", text, re.IGNORECASE):
            named[relative(path)] = found
    assert not named


WRITTEN = sorted(
    path
    for pattern in ("ccrs_core/**/*.py", "plugins/*/**/*.py", "examples/*/**/*.py", "tests/**/*.py")
    for path in ROOT.glob(pattern)
)


def test_no_module_grows_too_long_to_be_one_idea() -> None:
    long = {}
    for path in WRITTEN:
        place = path.relative_to(ROOT)
        lines = len(path.read_text("utf-8").splitlines())
        if lines > (700 if "tests" in place.parts else 520):
            long[place.as_posix()] = lines
    assert not long


def test_every_module_says_what_it_is() -> None:
    assert not [relative(path) for path in MODULES if not read(path)[1]]
