"""What two plugins write alike belongs into the core."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(ROOT.glob("plugins/*/ccrs_*"))
LEAST = 8
"""Statements of a function that is worth comparing."""
MOST_ALIKE = 0.8
"""Of two functions' parts."""


@attrs.frozen
class Function:
    """One function of a plugin's package, and what its code is made of whatever it calls things."""

    package: str
    name: str
    parts: tuple[str, ...]


def parts(node: ast.AST) -> Iterator[str]:
    """What code does, in order: kinds of nodes, names of attributes and of what is called; not what
    variables are called, and which texts and numbers there are."""
    match node:
        case ast.expr_context() | ast.arguments():
            return
        case ast.Attribute(attr=name):
            yield f".{name}"
        case ast.Call(func=ast.Name(id=name)):
            yield f"{name}()"
        case _:
            yield type(node).__name__
    for child in ast.iter_child_nodes(node):
        yield from parts(child)


def functions(tree: ast.AST, package: str, within: str) -> Iterator[Function]:
    """Those with enough statements, their docstrings and annotations left out."""
    for node in ast.iter_child_nodes(tree):
        name = f"{within}.{getattr(node, 'name', '')}".rstrip(".")
        yield from functions(node, package, name)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[ast.get_docstring(node) is not None :]
        if sum(isinstance(each, ast.stmt) for part in body for each in ast.walk(part)) >= LEAST:
            yield Function(package, name, tuple(each for part in body for each in parts(part)))


def likeness(one: Function, other: Function) -> float:
    """The share of their parts that both have in the same order."""
    matcher = SequenceMatcher(None, one.parts, other.parts, autojunk=False)
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) <= MOST_ALIKE:
        return 0.0
    return matcher.ratio()


def alike(found: list[Function]) -> dict[frozenset[str], float]:
    """Pairs of functions of different packages that do the same."""
    pairs = ((one, other) for one, other in combinations(found, 2) if one.package != other.package)
    shares = {frozenset((one.name, other.name)): likeness(one, other) for one, other in pairs}
    return {names: share for names, share in shares.items() if share > MOST_ALIKE}


ONE = """
def enter(self, address, now):
    times = self._times.setdefault(address, [])
    while times and times[0] <= now - self._length:
        times.pop(0)
    if len(times) >= self.limit:
        return False
    times.append(now)
    total = sum(times)
    self.seen += 1
    return True
"""
OTHER = ONE.replace("times", "moments").replace("address", "key").replace("enter", "may_connect")
DIFFERENT = """
def write(self, rows):
    for row in rows:
        first, *rest = row.split(",")
        if first in self.known:
            yield self.known[first]
        try:
            value = int(rest[0])
        except ValueError:
            continue
        self.known[first] = value
    print(self.known)
"""


def test_the_same_under_other_names_is_found_and_what_differs_is_not() -> None:
    one, other, different = (
        next(functions(ast.parse(source), package, package))
        for source, package in ((ONE, "a"), (OTHER, "b"), (DIFFERENT, "c"))
    )
    assert list(alike([one, other, different])) == [frozenset({"a.enter", "b.may_connect"})]
    assert likeness(one, attrs.evolve(one, parts=one.parts * 2)) < MOST_ALIKE


def test_no_function_is_written_twice_in_two_plugins() -> None:
    found = [
        function
        for package in PACKAGES
        for path in sorted(package.glob("*.py"))
        for function in functions(
            ast.parse(path.read_text("utf-8")), package.name, f"{package.name}.{path.stem}"
        )
    ]
    assert len({function.package for function in found}) > 1
    twice = alike(found)
    told = [f"{share:.0%} {' and '.join(sorted(names))}" for names, share in twice.items()]
    assert not twice, "\n".join(sorted(told))
