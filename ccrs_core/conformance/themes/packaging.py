"""Properties 72 and 73: importing a plugin costs little, and a wrong one harms nobody."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import attrs
import pytest

from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.exchange import CONTRACT, Exchange
from ccrs_core.errors import PluginBroken, PluginError, PluginMismatch
from ccrs_core.extensions import exchanges as plugins

_BUDGET = 0.5
"""Seconds that importing a plugin may take beyond the contract."""
_TRIES = 3

_IMPORT = """
import json, sys, threading, time
from ccrs_core import *
import ccrs_core.wire, ccrs_core.emulator.dialect
sockets = []
sys.addaudithook(lambda name, _: sockets.append(name) if name.startswith("socket.") else None)
known, threads = set(sys.modules), threading.active_count()
began = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps({
    "seconds": seconds,
    "sockets": sorted(set(sockets)),
    "threads": threading.active_count() - threads,
    "modules": sorted(set(sys.modules) - known),
}))
"""

_NEEDLESS = ("aiohttp", "pytest", "hypothesis")


class PackagingProperties:
    """Properties 72 and 73."""

    @proves(72, against=Against.NOTHING)
    def test_importing_the_plugin_does_nothing_but_define(self, subject: Subject) -> None:
        """Importing the plugin opens no socket, starts no thread, imports neither another plugin
        nor the HTTP library nor test libraries, and takes less than half a second."""
        own = {kind.__module__ for kind in type(subject.exchange).__mro__}
        packages = {name.partition(".")[0] for name in own}
        module = type(subject.exchange).__module__
        best = float("inf")
        for _ in range(_TRIES):
            found = _imported(module)
            best = min(best, found["seconds"])
            if best < _BUDGET:
                break
        name = subject.name
        assert not found["sockets"], (
            f"importing {name} uses sockets ({', '.join(found['sockets'])}): a plugin holds no "
            "connection; the core dials"
        )
        assert not found["threads"], f"importing {name} starts {found['threads']} threads"
        brought = {each.partition(".")[0] for each in found["modules"]}
        others = {info.target.partition(":")[0].partition(".")[0] for info in plugins.installed()}
        foreign = sorted((others - packages) & brought)
        assert not foreign, f"importing {name} imports other exchanges' plugins: {foreign}"
        needless = sorted(brought.intersection(_NEEDLESS))
        assert not needless, (
            f"importing {name} imports {', '.join(needless)}: import it where it is used, if at all"
        )
        assert best < _BUDGET, (
            f"importing {name} takes {best:.2f} s, {_BUDGET} s are allowed; see python -X "
            f"importtime -c 'import {module}'"
        )

    @proves(73, against=Against.NOTHING)
    def test_the_plugin_loads_by_its_entry_point(self, subject: Subject) -> None:
        """The plugin says by a literal number which contract it was written for, which this core
        serves, and loads by an entry point of its name."""
        kind = type(subject.exchange)
        contract = getattr(kind, "contract", None)
        assert type(contract) is int, (
            f"{kind.__name__}.contract is {contract!r}: write the number that it was written for, "
            f"contract = {CONTRACT}"
        )
        assert contract == CONTRACT, (
            f"{kind.__name__} was written for version {contract} of the contract, this core serves "
            f"version {CONTRACT}"
        )
        _literal(kind)
        with _installed(_Entry(subject.name, lambda: kind)):
            assert plugins.load(subject.name) is kind, (
                f"plugins.load({subject.name!r}) gives another class than its entry point names"
            )
            assert [info.name for info in plugins.installed()] == [subject.name], (
                f"an entry point named {subject.name!r} is listed as another name"
            )
        offered = [info for info in plugins.installed() if info.name == subject.name]
        if offered:
            found = plugins.load(subject.name)
            assert found.name == subject.name, (
                f"what is installed as {subject.name!r} calls itself {found.name!r}"
            )

    @proves(73, against=Against.NOTHING)
    def test_a_plugin_of_another_contract_is_refused_and_a_broken_one_harms_no_other(
        self, subject: Subject
    ) -> None:
        """A copy of the plugin for the next contract is refused with advice, and neither it nor
        plugins that fail to import stop the others from being found."""
        kind = type(subject.exchange)
        later = type(kind.__name__, (kind,), {"contract": CONTRACT + 1, "name": "later"})
        nameless = type(kind.__name__, (kind,), {"contract": None, "name": "nameless"})

        def fails() -> Any:
            raise ImportError("no module named nonsense")

        def leaves() -> Any:
            raise SystemExit("an import that ends the program")

        entries = [
            _Entry("broken", fails),
            _Entry("leaving", leaves),
            _Entry("later", lambda: later),
            _Entry("nameless", lambda: nameless),
            _Entry("strange", object),
            _Entry(subject.name, lambda: kind),
        ]
        with _installed(*entries):
            good, bad = plugins.load_all()
            assert good == {subject.name: kind}, (
                f"beside broken plugins found are {sorted(good)}, not {subject.name!r} alone"
            )
            assert set(bad) == {"broken", "leaving", "later", "nameless", "strange"}, (
                f"of five broken plugins told are {sorted(bad)}"
            )
            assert isinstance(bad["later"], PluginMismatch), repr(bad["later"])
            assert "upgrade" in str(bad["later"]), f"without advice to upgrade: {bad['later']}"
            for name in ("broken", "leaving", "nameless", "strange"):
                assert isinstance(bad[name], PluginBroken), repr(bad[name])
            with pytest.raises(PluginError):
                plugins.load("later")


def _imported(module: str) -> dict[str, Any]:
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(  # noqa: S603 - of the code above
        [sys.executable, "-c", _IMPORT, module],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{module} can't be imported by itself:\n{done.stderr[-2000:]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _literal(kind: type[Exchange]) -> None:
    """Fails where the contract's number is computed: it would follow the core's."""
    owner = next(each for each in kind.__mro__ if "contract" in vars(each))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError, SyntaxError):
        return  # made at run time: there is no source to look at
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)).body
    for node in body:
        targets: Sequence[ast.expr] = ()
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "contract" for target in targets):
            value = getattr(node, "value", None)
            assert isinstance(value, ast.Constant), (
                f"{owner.__name__}.contract must be spelled out as a number (contract = "
                f"{CONTRACT}), or it would claim to serve every core"
            )


@attrs.frozen
class _Entry:
    """What stands in for an installed package's entry point."""

    name: str
    load: Callable[[], Any]
    group: str = plugins.EXCHANGES
    dist: None = None

    @property
    def value(self) -> str:
        return f"{self.name}:Exchange"


@contextmanager
def _installed(*entries: _Entry) -> Any:
    """As if only these were installed."""

    def found(group: str) -> list[_Entry]:
        return list(entries) if group == plugins.EXCHANGES else []

    with patch.object(plugins, "_entries", found), patch.object(plugins, "_registered", dict):
        yield
