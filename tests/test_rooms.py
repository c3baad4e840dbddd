"""Who may import whom, who waits, who reads a clock: the rules of the house, over its syntax trees.

Annotations count: what is imported for type checkers alone is read by whoever takes the code over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
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
    "transport": "extensions contract",
    "connections": "transport",
    "feeds": "transport",
    "topics": "connections feeds",
    "requests": "transport",
    "client": "topics requests",
    "several": "client",
    "recordings": "topics",
    "emulator": "transport contract",
    "conformance/workbench": "wire several recordings emulator",
    "conformance/judges": "conformance/workbench",
    "conformance/themes": "conformance/judges",
    "conformance": "conformance/themes",
    "cli": "conformance",
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
    "connections.link",
    "connections.shard",
    "feeds.feed",
    "requests.instruments",
    "requests.requester",
    "several.clients",
    "topics.lookout",
    "topics.snapshots",
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


def imports(name: str) -> Iterator[Import]:
    """All imports of the core's modules by one of them, wherever in its code."""
    path = MODULES[name]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                deeper = [f"{module}.{alias.name}" for alias in names]
                found = [d if d.removeprefix("ccrs_core.") in MODULES else module for d in deeper]
            case _:
                continue
        for each in dict.fromkeys(found):
            other = each.removeprefix("ccrs_core.")
            if each.startswith("ccrs_core.") and other != name:
                yield Import(name, other, path, node.lineno)


IMPORTS = [each for name in MODULES for each in imports(name)]
BY = {name: [each for each in IMPORTS if each.by == name] for name in MODULES}


def room(module: str) -> str | None:
    """The room that a module stands in; None for what stands beside them all."""
    parts = module.split(".")
    if len(parts) > 1 and f"{parts[0]}/{parts[1]}" in ROOMS:
        return f"{parts[0]}/{parts[1]}"
    return parts[0] if parts[0] in ROOMS else None


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


@pytest.mark.parametrize("name", MODULES)
def test_a_room_imports_from_rooms_above_it_alone(name: str) -> None:
    mine = room(name)
    for each in BY[name]:
        other, pair = room(each.of), (each.by, each.of)
        if mine is None or other is None or mine == other or pair in EXCEPTIONS | BREACHES:
            continue
        assert other in above(mine), (
            f"{each}\n{mine} may import {', '.join(sorted(above(mine))) or 'nothing'}, "
            f"not {other} (tests/test_rooms.py, ROOMS)"
        )


@pytest.mark.parametrize("pair", EXCEPTIONS | BREACHES, ids=" -> ".join)
def test_what_is_excepted_is_still_there(pair: tuple[str, str]) -> None:
    assert pair in {(each.by, each.of) for each in IMPORTS}, "it is mended: take it off the list"


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
    for each in IMPORTS:
        if (each.by, each.of) not in EXCEPTIONS:
            arrows.setdefault(each.by, set()).add(each.of)
    found = circles(arrows)
    assert not found, "\n".join(
        str(each) for circle in found for each in IMPORTS if each.by in circle and each.of in circle
    )


def test_no_rooms_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for each in IMPORTS:
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


def waits(path: Path) -> int | None:
    """The line at which a module imports what one waits with, for other than annotations."""
    tree = ast.parse(path.read_text("utf-8"))
    hints = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if id(node) not in hints and any(n.split(".")[0] in ("asyncio", "tenacity") for n in names):
            return node.lineno
    return None


@pytest.mark.parametrize("name", MODULES)
def test_only_named_modules_wait(name: str) -> None:
    free = ("transport", "client", "emulator", "conformance", "cli", "_pytest_plugin")
    if name.split(".")[0] in free or name in WAITING:
        return
    line = waits(MODULES[name])
    assert line is None, (
        f"{MODULES[name].relative_to(ROOT)}:{line}: only {', '.join(sorted(WAITING))} wait: "
        "everything else is values and functions of them (tests/test_rooms.py, WAITING)"
    )


@pytest.mark.parametrize("name", sorted(WAITING))
def test_modules_that_may_wait_do(name: str) -> None:
    assert waits(MODULES[name]) is not None, "take it off the list"


WRITERS = {"stream": "feeds.stream", "race": "topics.race", "link": "connections.link"}
"""What is called so is written by its own module alone: whoever wants a change asks for it."""


def written(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The objects whose attributes a module assigns to."""
    for node in ast.walk(tree):
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


@pytest.mark.parametrize("name", MODULES)
def test_a_state_has_one_writer(name: str) -> None:
    if not name.startswith(("feeds.", "topics.", "connections.", "client.", "recordings.")):
        return
    for line, owner in written(ast.parse(MODULES[name].read_text("utf-8"))):
        assert WRITERS.get(owner, name) == name, (
            f"{MODULES[name].relative_to(ROOT)}:{line} writes a {owner}'s state, which "
            f"{WRITERS[owner]} alone does (tests/test_rooms.py, WRITERS)"
        )


def test_writing_is_seen_wherever_it_hides() -> None:
    code = "stream.a, x = 1, 2\nself._race.b += 1\nif x:\n    link.c: int = 3\nother.d = 4"
    assert {owner for _, owner in written(ast.parse(code))} == {"stream", "race", "link", "other"}


CLOCKS = {
    "time": {
        *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
        *("process_time", "localtime", "gmtime", "sleep"),
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def clock_readings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if node.attr in CLOCKS.get(name, ()):
                yield node.lineno, f"{name}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield node.lineno, "from time import"


@pytest.mark.parametrize("name", MODULES)
def test_the_clock_is_read_in_one_place_and_at_the_programs_edges(name: str) -> None:
    if name.startswith(("cli", "conformance", "emulator.server")):
        return
    found = list(clock_readings(ast.parse(MODULES[name].read_text("utf-8"))))
    assert bool(found) == (name == "transport.base"), f"{MODULES[name].relative_to(ROOT)}: {found}"


PACKAGES = sorted(
    [
        *ROOT.glob("plugins/*/ccrs_*/*.py"),
        *ROOT.glob("examples/*/ccrs_*/*.py"),
        *CORE.glob("_template/ccrs_*/*.py"),
    ]
)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_plugin_imports_public_packages_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            found = [node.module or ""]
        for name in found:
            assert not name.startswith("ccrs_core") or name in PUBLIC, (
                f"{path.relative_to(ROOT)}:{node.lineno} imports {name}: plugins import "
                f"{', '.join(sorted(PUBLIC))} alone"
            )


def test_no_package_is_called_like_a_public_function() -> None:
    import ccrs_core

    functions = {name for name in ccrs_core.__all__ if not name[0].isupper()}
    assert functions.isdisjoint({name.split(".")[0] for name in MODULES})
    coming = {"orders", "fills", "positions", "balances"}
    assert coming.isdisjoint({name.split(".")[0] for name in MODULES})
