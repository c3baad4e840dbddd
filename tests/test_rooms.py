"""Who may import whom, who waits, who reads a clock: the rules of the house, over its syntax trees.

Annotations count: what is imported for type checkers alone is read by whoever takes the code over.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ccrs_core"

OPEN = {"errors", "model", "contract"}
"""To all rooms that stand below them."""
ROOMS: dict[str, str] = {
    "errors": "",
    "model": "",
    "contract": "",
    "wire": "contract",
    "extensions": "contract",
    "frames": "extensions",
    "analytics": "",
    "transport": "extensions contract",
    "connections": "transport",
    "feeds": "transport",
    "topics": "connections feeds",
    "requests": "transport",
    "trading": "connections feeds requests",
    "client": "topics requests trading",
    "several": "client",
    "sync": "client trading",
    "recordings": "client",
    "emulator": "transport contract",
    "conformance/workbench": "wire several recordings emulator",
    "conformance/judges": "conformance/workbench",
    "conformance/themes": "conformance/judges",
    "conformance": "conformance/themes",
    "cli": "conformance frames",
    "cli/live": "cli",
    "cli/commands": "cli/live",
}
"""Each room and which of those above it it may import; what these may comes with them."""

EXCEPTIONS = {
    ("contract.exchange", "emulator.dialect"): "an annotation: an exchange may have an emulator",
    ("client.client", "emulator.server"): "inside the function that starts it",
}
"""Arrows that go upwards, by name."""

BREACHES: dict[tuple[str, str], str] = {}
"""What isn't right yet: the list can only get shorter."""

WAITING = {
    "connections.entry_line",
    "connections.entry_passage",
    "connections.link",
    "connections.shard",
    "feeds.feed",
    "recordings.recorder",
    "requests.exchange_clock",
    "requests.instruments",
    "requests.requester",
    "requests.shared_pages",
    "several.clients",
    "several.merge",
    "sync.background",
    "sync.client",
    "topics.lookout",
    "topics.snapshots",
    "trading.sqlite",
    "trading.sweeping",
    "trading.account",
    "trading.account_orders",
    "trading.amending",
    "trading.canceling",
    "trading.compare",
    "trading.confirmations",
    "trading.context",
    "trading.dead_man",
    "trading.delivery",
    "trading.flights",
    "trading.hub",
    "trading.journal",
    "trading.listing",
    "trading.live_order",
    "trading.order_entry",
    "trading.outcomes",
    "trading.parts",
    "trading.price_bands",
    "trading.private_stream",
    "trading.reconcile",
    "trading.rules",
    "trading.sending",
    "trading.taking",
    "trading.timers",
    "trading.upkeep",
}
"""Of the rooms from ``model`` to ``recordings``, besides ``transport`` and ``client``."""

PUBLIC = {
    "ccrs_core",
    *(f"ccrs_core.{name}" for name in ("wire", "emulator", "transport", "conformance")),
    "ccrs_core.transport.memory",
}


@attrs.frozen
class Import:
    """One module's import of another, where it stands."""

    by: str
    of: str
    path: Path
    line: int

    def __str__(self) -> str:
        text = self.path.read_text("utf-8").splitlines()[self.line - 1].strip()
        return f"{self.path.relative_to(ROOT)}:{self.line}: {text}"


def name_of(path: Path) -> str:
    """A module's name below ``ccrs_core``; a package's is its folder's."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): path
    for path in sorted(CORE.rglob("*.py"))
    if "_template" not in path.parts and path != CORE / "__init__.py"
}


Nodes = Sequence[ast.AST]


@attrs.frozen
class Facts:
    """What the rules ask of a module's code, with the lines."""

    imports: list[tuple[int, str]]
    hints: set[int]
    """Lines of imports for annotations alone."""
    written: list[tuple[int, str]]
    clocks: list[tuple[int, str]]


@functools.cache
def facts_of(code: str) -> Facts:
    """Read once for all rules."""
    nodes = list(ast.walk(ast.parse(code)))
    return Facts(
        imports=list(_imports_of(nodes)),
        hints=set(_hints(nodes)),
        written=list(_written(nodes)),
        clocks=list(_clock_readings(nodes)),
    )


@functools.cache
def code_of(name: str) -> str:
    """What a module of the core says."""
    return MODULES[name].read_text("utf-8")


def imports_of(code: str) -> list[tuple[int, str]]:
    """What code imports, wherever in it and however it is written, with the lines. Of an import of
    names from a package these are told: each may be a module of it."""
    return facts_of(code).imports


def _imports_of(nodes: Nodes) -> Iterator[tuple[int, str]]:
    importers = {"import_module", "__import__"}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "importlib":
            importers |= {each.asname or each.name for each in node.names if each.name in importers}
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                package = "." * level + (f"{module}." if module else "")
                yield from ((node.lineno, f"{package}{each.name}") for each in names)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[wanted, *_]
            ) if called in importers:
                yield node.lineno, beginning(wanted)


def beginning(node: ast.expr) -> str:
    """What a text that is put together begins with; ``?`` where nothing tells."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first):
            return beginning(first)
    return "?"


def test_imports_are_seen_wherever_they_hide() -> None:
    code = """
import a.one as other
def f():
    from a import two
    from .three import four
    importlib.import_module("a.five")
    return import_module(f"a.six.{f}"), __import__("a." + f), other(f), import_module(f)
if TYPE_CHECKING:
    from importlib import import_module as seven
    seven("a.eight")
"""
    assert {name for _, name in imports_of(code)} == {
        *("a.one", "a.two", ".three.four", "a.five", "a.six.", "a.", "?", "a.eight"),
        "importlib.import_module",
    }


def module_of(name: str) -> str:
    """The core's module that an imported name is, or is of; empty for the core itself and for what
    is none of its."""
    below = name.removeprefix("ccrs_core.")
    if below == name or below.endswith("."):
        return ""
    return below if below in MODULES else below.rpartition(".")[0]


def imports(name: str) -> Iterator[Import]:
    """All imports of the core's modules by one of them, wherever in its code."""
    path = MODULES[name]
    for line, found in imports_of(code_of(name)):
        other = module_of(found)
        if other and other != name:
            yield Import(name, other, path, line)


@functools.cache
def all_imports() -> list[Import]:
    """Of all modules of the core."""
    return [each for name in MODULES for each in dict.fromkeys(imports(name))]


def room(module: str) -> str | None:
    """The room that a module stands in; None for what stands beside them all."""
    parts = module.split(".")
    if len(parts) > 1 and f"{parts[0]}/{parts[1]}" in ROOMS:
        return f"{parts[0]}/{parts[1]}"
    return parts[0] if parts[0] in ROOMS else None


@functools.cache
def above(name: str) -> set[str]:
    """The rooms that a room may import."""
    found: set[str] = set()
    waiting = ROOMS[name].split()
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += ROOMS[each].split()
    before = list(ROOMS)[: list(ROOMS).index(name)]
    return found | (OPEN & set(before))


def test_every_module_stands_in_a_room() -> None:
    homeless = {name for name in MODULES if room(name) is None}
    assert homeless == {"_pytest_plugin"}


def test_a_room_imports_from_rooms_above_it_alone() -> None:
    found = []
    for each in all_imports():
        mine, other, pair = room(each.by), room(each.of), (each.by, each.of)
        if mine is None or other is None or mine == other or pair in EXCEPTIONS | BREACHES:
            continue
        if other not in above(mine):
            found.append(
                f"{each}\n{mine} may import {', '.join(sorted(above(mine))) or 'nothing'}, "
                f"not {other} (tests/test_rooms.py, ROOMS)"
            )
    assert not found, "\n".join(found)


ON_FIRST_USE = {
    "emulator": "?",
    "transport": "?",
    "extensions.extras": "?",
    "cli.group": "ccrs_core.cli.commands.",
}
"""Modules that bring in others by name, each of its own room, when somebody asks for them."""


def hidden(name: str, found: str) -> str | None:
    """What is wrong with how a module imports, so that these rules don't see what."""
    if found.startswith("."):
        return "a relative import"
    if found == "?" or (found.startswith("ccrs_core") and found.endswith(".")):
        return None if found == ON_FIRST_USE.get(name) else "imports whatever a variable says"
    public = f"{found}.".startswith("ccrs_core.") and not module_of(found)
    if public and not name.startswith(("cli", "conformance")):
        return "of what is public, which brings in any room: name the module"
    return None


def test_imports_are_written_so_that_these_rules_see_them() -> None:
    wrong = [
        f"{MODULES[name].relative_to(ROOT)}:{line}: {why}"
        for name in MODULES
        for line, found in imports_of(code_of(name))
        if (why := hidden(name, found)) is not None
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("pair", EXCEPTIONS | BREACHES, ids=" -> ".join)
def test_what_is_excepted_is_still_there(pair: tuple[str, str]) -> None:
    assert pair in {(each.by, each.of) for each in all_imports()}, (
        "it is mended: take it off the list"
    )


def test_arrows_upwards_are_two_and_only_one_of_them_is_followed_at_import() -> None:
    assert len(EXCEPTIONS) == 2
    inside = ast.parse(MODULES["client.client"].read_text("utf-8"))
    assert not any(
        isinstance(node, ast.ImportFrom) and node.module == "ccrs_core.emulator.server"
        for node in inside.body
    )


def circles(arrows: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The sets of names that reach each other."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for each in arrows.get(waiting.pop(), ()):
                if each not in found:
                    found.add(each)
                    waiting.append(each)
        return found

    reach = {name: reached(name) for name in arrows}
    return {
        frozenset(each for each in reach[name] if name in reach.get(each, ()))
        for name in arrows
        if name in reach[name]
    }


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}}) == {frozenset("abc")}


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for each in all_imports():
        if (each.by, each.of) not in EXCEPTIONS:
            arrows.setdefault(each.by, set()).add(each.of)
    found = circles(arrows)
    assert not found, "\n".join(
        str(each)
        for circle in found
        for each in all_imports()
        if each.by in circle and each.of in circle
    )


def test_no_rooms_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for each in all_imports():
        one, other = room(each.by), room(each.of)
        if one and other and one != other and (each.by, each.of) not in EXCEPTIONS | BREACHES:
            arrows.setdefault(one, set()).add(other)
    assert circles(arrows) == set()


def test_the_house_has_no_more_than_twelve_floors() -> None:
    arrows = {name: above(name) for name in ROOMS if "/" not in name}

    def floor(name: str) -> int:
        return 1 + max((floor(each) for each in arrows[name] if each in arrows), default=0)

    rooms = [name for name in arrows if name not in ("conformance", "cli")]
    assert max(map(floor, rooms)) <= 12


WAITED_WITH = {"asyncio", "tenacity", "concurrent", "selectors", "queue"}


def _hints(nodes: Nodes) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            yield from (inner.lineno for inner in node.body)


def waits(code: str) -> int | None:
    """The line at which code imports what one waits with, for other than annotations."""
    for line, found in imports_of(code):
        if line not in facts_of(code).hints and WAITED_WITH.intersection(found.split(".")):
            return line
    return None


@pytest.mark.parametrize(
    "code",
    [
        *("import asyncio", "import asyncio.events as e", "from asyncio import sleep as s"),
        *("def f():\n    import asyncio", "importlib.import_module('asyncio')"),
        *("from ccrs_core.feeds.feed import asyncio", "from concurrent import futures"),
        "if TYPE_CHECKING:\n    import a\nelse:\n    import asyncio",
    ],
)
def test_waiting_is_seen_wherever_it_hides(code: str) -> None:
    assert waits(code) is not None
    assert waits("if TYPE_CHECKING:\n    import asyncio\nimport asyncio_mqtt") is None


def test_only_named_modules_wait() -> None:
    free = ("transport", "client", "emulator", "conformance", "cli", "_pytest_plugin")
    found = [
        f"{MODULES[name].relative_to(ROOT)}:{line}"
        for name in MODULES
        if name.split(".")[0] not in free and name not in WAITING
        if (line := waits(code_of(name))) is not None
    ]
    assert not found, (
        f"{', '.join(found)}: only {', '.join(sorted(WAITING))} wait: "
        "everything else is values and functions of them (tests/test_rooms.py, WAITING)"
    )


def test_modules_that_may_wait_do() -> None:
    idle = {name for name in WAITING if waits(code_of(name)) is None}
    assert not idle, "take them off the list"


WRITERS = {"stream": "feeds.stream", "race": "topics.race", "link": "connections.link"}
"""What is called so is written by its own module alone: whoever wants a change asks for it."""


def written(code: str) -> list[tuple[int, str]]:
    """The objects whose attributes a module assigns to."""
    return facts_of(code).written


def _written(nodes: Nodes) -> Iterator[tuple[int, str]]:
    for node in nodes:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = [
                each for t in node.targets for each in ast.walk(t) if isinstance(each, ast.expr)
            ]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store):
                owner = target.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                yield node.lineno, name.lstrip("_")


def test_a_state_has_one_writer() -> None:
    rooms = ("feeds.", "topics.", "connections.", "client.", "recordings.")
    found = [
        f"{MODULES[name].relative_to(ROOT)}:{line} writes a {owner}'s state, which "
        f"{WRITERS[owner]} alone does (tests/test_rooms.py, WRITERS)"
        for name in MODULES
        if name.startswith(rooms)
        for line, owner in written(code_of(name))
        if WRITERS.get(owner, name) != name
    ]
    assert not found, "\n".join(found)


def test_writing_is_seen_wherever_it_hides() -> None:
    code = "stream.a, x = 1, 2\nself._race.b += 1\nif x:\n    link.c: int = 3\nother.d = 4"
    assert {owner for _, owner in written(code)} == {"stream", "race", "link", "other"}


CLOCKS = {
    "time": {
        *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
        *("process_time", "localtime", "gmtime", "sleep"),
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def clock_readings(code: str) -> list[tuple[int, str]]:
    """Where code reads a clock, whatever it calls it."""
    return facts_of(code).clocks


def _clock_readings(nodes: Nodes) -> Iterator[tuple[int, str]]:
    called = {
        each.asname: each.name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for each in node.names
        if each.asname
    }
    for node in nodes:
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            name = called.get(name, name)
            if node.attr in CLOCKS.get(name, ()):
                yield node.lineno, f"{name}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node.lineno, "from time import"


@pytest.mark.parametrize(
    "code",
    [
        *("import time\nnow = time.time_ns", "import time as t\nt.monotonic()"),
        *("from time import monotonic as m", "def f():\n    import time\n    time.sleep(1)"),
        *("import datetime as d\nd.datetime.now()", "from datetime import date as d\nd.today()"),
        "from datetime import datetime as d\nd.now(UTC)",
    ],
)
def test_a_clock_is_seen_whatever_it_is_called(code: str) -> None:
    assert clock_readings(code)


def test_the_clock_is_read_in_one_place_and_at_the_programs_edges() -> None:
    found = {
        name: readings
        for name in MODULES
        if not name.startswith(("cli", "conformance", "emulator.server"))
        if (readings := clock_readings(code_of(name)))
    }
    assert set(found) == {"transport.base"}, found


PACKAGES = sorted(
    [
        *ROOT.glob("plugins/*/ccrs_*/**/*.py"),
        *ROOT.glob("examples/*/ccrs_*/**/*.py"),
        *CORE.glob("_template/ccrs_*/**/*.py"),
    ]
)


def test_a_plugin_imports_public_packages_alone() -> None:
    assert PACKAGES
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}: plugins import public names of "
        f"{', '.join(sorted(PUBLIC))} alone"
        for path in PACKAGES
        for line, name in imports_of(path.read_text("utf-8"))
        if not may_be_imported_by_plugins(name)
    ]
    assert not found, "\n".join(found)


def may_be_imported_by_plugins(name: str) -> bool:
    if name == "?":
        return False
    package, _, own = name.rpartition(".")
    if not f"{name}.".startswith("ccrs_core.") or name in PUBLIC:
        return True
    return (
        package in PUBLIC
        and own.isidentifier()
        and own[0] != "_"
        and module_of(name) != (name.removeprefix("ccrs_core."))
    )


@pytest.mark.parametrize(
    "name",
    [
        *("ccrs_core.topics", "ccrs_core.topics.race", "ccrs_core.topics.race.Race"),
        *("ccrs_core.transport.http", "ccrs_core.wire._private", "ccrs_core.", "?"),
    ],
)
def test_what_is_the_cores_own_is_not_for_plugins(name: str) -> None:
    assert not may_be_imported_by_plugins(name)
    assert may_be_imported_by_plugins("ccrs_core.Exchange")
    assert may_be_imported_by_plugins("ccrs_core.wire.row_by_row")


def test_no_package_is_called_like_a_public_function() -> None:
    import ccrs_core

    functions = {name for name in ccrs_core.__all__ if not name[0].isupper()}
    assert functions.isdisjoint({name.split(".")[0] for name in MODULES})
    coming = {"orders", "fills", "positions", "balances"}
    assert coming.isdisjoint({name.split(".")[0] for name in MODULES})
