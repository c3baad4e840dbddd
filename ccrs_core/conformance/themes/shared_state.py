"""What a plugin keeps beside its connections (41): nothing that one could take from another."""

from __future__ import annotations

import itertools
import random
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Set
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.errors import CcrsError

_DEEP = 6
_SECONDS = 1.5
_MEMO = "ccrs_core.wire.values"
_PLAIN = (str, bytes, int, float, bool, type(None))


class SharedStateProperties:
    """Of classes and modules."""

    @proves(41, against=Against.NOTHING)
    def test_nothing_is_kept_in_classes_or_modules(self, subject: Subject) -> None:
        """Using a plugin changes nothing in the classes and modules of its exchange, codecs and
        dialect, nor in the exchange itself: what one connection, client or emulator learns must not
        reach another. (A ``functools.lru_cache`` of a pure function is fine.)"""
        if not subject.markets:
            subject.undeclared("channel or request")
        _use(subject, 0)  # What is computed once, at the first use, is there afterwards.
        exchange = subject.make()
        before = _kept(subject) | _state_of(exchange)
        _use(subject, 1, exchange)
        after = _kept(subject) | _state_of(exchange)
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        assert not changed, (
            f"using the plugin changes {', '.join(changed[:5])}: it is shared by all connections, "
            "clients and emulators of the process, so that one takes what another has learnt for "
            "its own, and nothing ever goes. Keep it in the object (self.… in __init__) of the "
            "codec, the session or the dialect; Exchange keeps nothing"
        )


def _use(subject: Subject, round_: int, exchange: Any = None) -> None:
    """Subscribe to everything, let something happen, ask everything; of another instrument in each
    round."""
    exchange = exchange or subject.make()
    for market in subject.markets:
        found = subject.some_instruments(market, 2)
        instrument = found[round_ % len(found)]
        line = Line(exchange, subject.venue(seed=round_, rate=40.0))
        wires = {}
        for channel in sorted(subject.channels.get(market, ())):
            subscription = subject.subscription(channel, instrument)
            route = exchange.route(subscription)
            if route not in wires:
                wires[route] = line.open(route)
            wires[route].subscribe(subscription)
        for wire in wires.values():
            wire.run(_SECONDS)
            for frame in wire.frames:
                if wire.codec.compression is None:
                    wire.codec.peek(frame)
        for request in requests_of(subject, instrument):
            try:
                line.ask(request)
            except CcrsError:
                continue
        for wire in wires.values():
            wire.peer.gone()


def _state_of(exchange: Any) -> dict[str, str]:
    """What an exchange object keeps."""
    return {
        f"{type(exchange).__name__}().{name}": _print(value, _DEEP)
        for name, value in getattr(exchange, "__dict__", {}).items()
    }


def _kept(subject: Subject) -> dict[str, str]:
    """Everything that may change in the plugin's modules, and in the classes that it uses, by
    where it is."""
    found: dict[str, str] = {}
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] == subject.package
    ]
    homes = {kind.__module__ for kind in _classes(subject)} - {m.__name__ for m in modules}
    modules += [sys.modules[name] for name in sorted(homes) if name in sys.modules]
    for module in modules:
        for name, value in list(vars(module).items()):
            if name.startswith("__") or isinstance(value, ModuleType):
                continue
            if isinstance(value, type):
                if value.__module__ == module.__name__:
                    found |= _of_class(value)
            else:
                found[f"{module.__name__}.{name}"] = _print(value, _DEEP)
    for kind in _classes(subject):
        found |= _of_class(kind)
    return found


def _classes(subject: Subject) -> Iterator[type[Any]]:
    """The classes that are in use, and those that they inherit from, wherever they are written."""
    exchange = subject.exchange
    objects: list[Any] = [exchange, exchange.dialect()]
    if subject.channels:
        objects += [exchange.codec(exchange.route(case.subscription)) for case in subject.cases()]
    for each in objects:
        for kind in type(each).__mro__:
            if kind is not object and not kind.__module__.startswith(
                ("ccrs_core.", "abc", "typing")
            ):
                yield kind


def _of_class(kind: type[Any]) -> dict[str, str]:
    where = f"{kind.__module__}.{kind.__qualname__}"
    return {
        f"{where}.{name}": _print(value, _DEEP)
        for name, value in list(vars(kind).items())
        if not (name.startswith(("__", "_abc_")) and name != "__slots__")
    }


def _print(value: Any, depth: int) -> str:
    """What a value holds, in words that are equal only where it holds the same."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if depth == 0:
        return type(value).__name__
    if type(value).__module__ == _MEMO:
        return type(value).__name__  # what texts mean, which is the same for everybody
    inner = depth - 1
    if isinstance(value, Mapping):
        items = [f"{_print(k, inner)}:{_print(v, inner)}" for k, v in list(value.items())]
        return f"{type(value).__name__}{{{','.join(items)}}}"
    if isinstance(value, list | tuple | deque):
        return f"{type(value).__name__}[{','.join(_print(item, inner) for item in list(value))}]"
    if isinstance(value, Set):
        return f"{type(value).__name__}{sorted(_print(item, inner) for item in list(value))}"
    if isinstance(value, bytearray | itertools.count):
        return repr(value)
    if isinstance(value, random.Random):
        return f"Random {hash(value.getstate())}"
    if isinstance(value, staticmethod | classmethod | MethodType):
        return _print(value.__func__, inner)
    if isinstance(value, partial):
        return f"partial {_print(value.args, inner)} {_print(value.keywords, inner)}"
    if isinstance(value, FunctionType):
        held = [_content(cell) for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__, vars(value)]
        return f"{value.__qualname__} {_print([*defaults, *held], inner)}"
    if isinstance(value, type):
        return value.__qualname__
    fields = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                fields[name] = getattr(value, name)
    return f"{type(value).__name__}({_print(fields, inner)})" if fields else type(value).__name__


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
