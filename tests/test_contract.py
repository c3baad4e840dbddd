"""The public contract, guarded: every public name with its signature, as it was last recorded.

What changes here changes for those who write plugins and programs. ``python -m tests.test_contract
--write`` records a change, once the changelog tells of it or the contract's number is raised.
"""

from __future__ import annotations

import ast
import difflib
import enum
import hashlib
import importlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core.contract.exchange import CONTRACT

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_name("contract.json")
CHANGELOG = ROOT / "CHANGELOG.md"
MODULES = (
    "ccrs_core",
    "ccrs_core.emulator",
    "ccrs_core.wire",
    "ccrs_core.conformance",
    "ccrs_core.transport",
    "ccrs_core.transport.memory",
)
COMMAND = "python -m tests.test_contract --write"

Description = Mapping[str, Any]


# --- describing -----------------------------------------------------------------------------


def public(module: ModuleType) -> list[str]:
    """A module's public names: its ``__all__``, else what it defines without an underscore."""
    if hasattr(module, "__all__"):
        return sorted(set(module.__all__) - {"__version__"})
    assert module.__file__ is not None
    found = []
    for node in ast.parse(Path(module.__file__).read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.append(name)
            case ast.Assign(targets=targets):
                for target in targets:
                    elements = target.elts if isinstance(target, ast.Tuple) else [target]
                    found += [each.id for each in elements if isinstance(each, ast.Name)]
    return sorted(name for name in found if not name.startswith("_"))


def describe(value: Any) -> Any:
    """A public name's contract, without anything that differs between versions of Python."""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return {"enum": {member.name: shown(member.value) for member in value}}
    if isinstance(value, type):
        return {"class": bases_of(value), **members_of(value)}
    if inspect.isroutine(value):
        return signature(value)
    return shown(value)


def bases_of(kind: type) -> str:
    names = [base.__name__ for base in kind.__bases__ if base is not object]
    return ", ".join(name for name in names if not name.startswith("_"))


def members_of(kind: type) -> Description:
    """The constructor, methods and attributes that a class adds to its public bases."""
    found: dict[str, Any] = {}
    hidden = [base for base in kind.__mro__[1:] if base.__name__.startswith("_")]
    for owner in (*reversed(hidden), kind):
        if not owner.__module__.startswith("ccrs_core"):
            continue
        annotations = inspect.get_annotations(owner)
        own = vars(owner)
        if "__init__" in own and not getattr(kind, "_is_protocol", False):
            found["()"] = signature(own["__init__"])
            found |= assigned(own["__init__"])
        for name in (*annotations, *own):
            # Properties of the suite are counted by its report, and no contract.
            if not name.startswith(("_", "test_")):
                found[name] = member(own.get(name), annotations.get(name))
    abstract: frozenset[str] = getattr(kind, "__abstractmethods__", frozenset())
    return {
        name: f"abstract {text}" if name in abstract and isinstance(text, str) else text
        for name, text in sorted(found.items())
    }


def assigned(constructor: Any) -> dict[str, str]:
    """The public attributes that a constructor sets."""
    try:
        source = textwrap.dedent(inspect.getsource(constructor))
    except (OSError, TypeError):
        return {}
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        targets: list[ast.expr] = []
        text = "attribute"
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets, text = [node.target], ast.unparse(node.annotation)
        for target in targets:
            if isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self":
                found[target.attr] = text
    return {name: text for name, text in found.items() if not name.startswith("_")}


def member(value: Any, annotation: Any) -> str:
    if annotation is not None:
        return spelled(annotation)
    if type(value).__name__ == "FixtureFunctionDefinition" or hasattr(
        value, "_pytestfixturefunction"
    ):
        return "fixture"
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__} {signature(value.__func__)}"
    if isinstance(value, property):
        assert value.fget is not None
        return f"property{signature(value.fget).partition(')')[2]}"
    if inspect.isfunction(value):
        return signature(value)
    return type(value).__name__


def signature(function: Any) -> str:
    """``async (self, a: int = 1, *, b: str = …) -> None``."""
    try:
        found = inspect.signature(function)
    except ValueError:
        return "(…)"
    parts: list[str] = []
    keywords = False
    for parameter in found.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            keywords = True
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            parts.append("*")
        stars: dict[Any, str] = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        text = stars.get(parameter.kind, "") + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {spelled(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {shown(parameter.default)}"
        parts.append(text)
    answer = found.return_annotation
    returns = "" if answer is found.empty else f" -> {spelled(answer)}"
    waits = "async " if inspect.iscoroutinefunction(function) else ""
    return f"{waits}({', '.join(parts)}){returns}"


def spelled(annotation: Any) -> str:
    """An annotation as it is written in the source, wherever its names come from."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def shown(value: Any) -> str:
    """A value, if it is plain enough to be part of a contract."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if value is None or isinstance(value, bool | int | float | str | Decimal):
        return repr(value)
    if type(value) is tuple:
        return f"({', '.join(map(shown, value))})"
    if type(value) is dict:
        return f"{{{', '.join(f'{shown(k)}: {shown(v)}' for k, v in value.items())}}}"
    if isinstance(value, type):
        return value.__name__
    if type(value).__module__ in {"types", "typing", "collections.abc"}:
        return spelled(str(value))
    return f"<{type(value).__name__}>"


def now() -> dict[str, Any]:
    """Every public name of every public module, as they are."""
    found: dict[str, Any] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        found[name] = {each: describe(getattr(module, each)) for each in public(module)}
    return found


# --- comparing and recording ----------------------------------------------------------------


def unreleased(changelog: str) -> str:
    """The changelog's section of what isn't released yet."""
    found = re.search(r"(?ims)^## [^\n]*unreleased.*?(?=^## |\Z)", changelog)
    return "" if found is None else found[0].strip()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lines(names: Description) -> Iterator[str]:
    """A description line by line: ``ccrs_core.Codec.topic  (self, …) -> str``."""
    for module, entries in names.items():
        for name, entry in entries.items():
            whole = f"{module}.{name}"
            if isinstance(entry, str):
                yield f"{whole}  {entry}"
                continue
            for part, text in entry.items():
                if isinstance(text, str):
                    yield f"{whole}.{part}  {text}"
                else:
                    yield from (f"{whole}.{key}  {value}" for key, value in text.items())


def differences(old: Description, new: Description) -> list[str]:
    """What was removed (-) and added (+)."""
    found = difflib.unified_diff(list(lines(old)), list(lines(new)), lineterm="", n=0)
    return [line for line in found if line[:1] in "+-" and line[:3] not in {"+++", "---"}]


@attrs.frozen
class Record:
    """The contract as it was at some time."""

    contract: int
    unreleased: str
    names: Description

    @classmethod
    def read(cls, path: Path = RECORD) -> Record:
        return cls(**json.loads(path.read_text("utf-8")))

    def write(self, path: Path = RECORD) -> None:
        path.write_text(
            json.dumps(attrs.asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8"
        )

    def told(self, new: Record) -> bool:
        """Whether a change from this one to another is told of."""
        return new.contract > self.contract or (
            new.unreleased != self.unreleased and bool(new.unreleased)
        )


def present() -> Record:
    return Record(CONTRACT, digest(unreleased(CHANGELOG.read_text("utf-8"))), now())


def advice(old: Record, new: Record) -> str | None:
    """What is to be done about a difference; None where there is none."""
    changes = differences(old.names, new.names)
    if not changes and old.contract == new.contract:
        return None
    text = "the public contract has changed:\n  " + "\n  ".join(changes or ["CONTRACT"])
    if old.told(new):
        return f"{text}\nif that is meant, record it: {COMMAND}"
    return (
        f"{text}\nif that is not meant, undo it. If it is: where existing plugins break, raise "
        "CONTRACT in ccrs_core/contract/exchange.py; else tell of it in CHANGELOG.md under "
        f"'unreleased'. Then record it: {COMMAND}"
    )


# --- the tests ------------------------------------------------------------------------------


def test_the_public_contract_is_as_it_was_recorded() -> None:
    told = advice(Record.read(), present())
    assert told is None, told


class _Sample:
    kind: ClassVar[str] = "x"

    def __init__(self, size: int, *, depth: int | None = None) -> None:
        self.size = size

    @property
    def half(self) -> int:
        return self.size // 2

    async def ask(self, *names: str, limit: float = 1.5) -> list[Decimal]:
        return []


def test_a_class_is_described_by_what_callers_can_see() -> None:
    class Sample(_Sample):
        pass

    Sample.__module__ = _Sample.__module__ = "ccrs_core.sample"
    assert describe(Sample) == {
        "class": "",
        "()": "(self, size: int, *, depth: int | None = None) -> None",
        "ask": "async (self, *names: str, limit: float = 1.5) -> list[Decimal]",
        "half": "property -> int",
        "kind": "ClassVar[str]",
        "size": "attribute",
    }


def record(contract: int, changelog: str, **names: str) -> Record:
    return Record(contract, digest(unreleased(changelog)), {"m": names})


OLD = record(1, "## 0.2 — unreleased\n- a\n\n## 0.1\n", f="(a: int) -> None")
CHANGED = {"f": "(a: int, b: int) -> None"}


def test_what_is_unchanged_needs_nothing() -> None:
    assert advice(OLD, attrs.evolve(OLD, unreleased="other")) is None


def test_a_change_that_nothing_tells_of_says_what_to_do() -> None:
    told = advice(OLD, attrs.evolve(OLD, names={"m": CHANGED}))
    assert told is not None
    assert "- m.f  (a: int) -> None" in told.replace("-m", "- m")
    assert "+m.f  (a: int, b: int) -> None" in told
    assert "raise CONTRACT" in told
    assert "CHANGELOG.md" in told


@pytest.mark.parametrize(
    "new",
    [
        record(2, "## 0.2 — unreleased\n- a\n", **CHANGED),
        record(1, "## 0.2 — unreleased\n- a\n- f takes b\n\n## 0.1\n", **CHANGED),
    ],
    ids=["contract raised", "changelog entry"],
)
def test_a_change_that_is_told_of_may_be_recorded(new: Record) -> None:
    told = advice(OLD, new)
    assert told is not None
    assert told.endswith(f"record it: {COMMAND}")
    assert OLD.told(new)


def test_released_sections_of_the_changelog_tell_nothing() -> None:
    new = record(1, "## 0.2 — unreleased\n- a\n\n## 0.1\n- older\n", **CHANGED)
    assert not OLD.told(new)


def main(arguments: list[str]) -> int:
    """Record the present contract, if what changed is told of."""
    if arguments != ["--write"]:
        sys.stdout.write(f"usage: {COMMAND}\n")
        return 2
    new = present()
    if RECORD.exists():
        old = Record.read()
        changes = differences(old.names, new.names)
        if changes and not old.told(new):
            sys.stdout.write(f"{advice(old, new)}\n")
            return 1
        sys.stdout.write("\n".join(changes or ["no change"]) + "\n")
    new.write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
