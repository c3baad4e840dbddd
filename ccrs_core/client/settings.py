"""Settings from the environment and a file, on request, with the same names everywhere.

What is nearer goes first: arguments, variables (``CCRS_PROXY``), the exchange's section of the
file, the rest of the file, the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.options import Options
from ccrs_core.transport.patience import Patience

if TYPE_CHECKING:
    import ssl

_PREFIX = "CCRS_"
_OTHER_VARIABLES = frozenset(
    {"CONFIG", "DEBUG", "FIXTURES", "IMPORT_SECONDS", "COMPLETE", "KEYS_FILE", "LEDGERS"}
)
"""Variables of ours that are no settings."""
_OF_KEYS = ("_API_KEY", "_SECRET", "_SECRET_FILE", "_PASSPHRASE", "_KEY_ENVIRONMENT")
"""How those end that hold the keys of an account."""
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})

_WHERE = {
    "environment": "str",
    "base_url": "str",
    "transport": "str",
    "addresses": "table",
    "ca_file": "str",
    "ways": "list",
}
_SIMPLE = {"str", "bool", "int", "float", "str | None", "int | None", "float | None"}


def _simple(kind: type[Any]) -> dict[str, str]:
    """The options of a class that a line of text can give, and of what kind they are."""
    return {f.name: str(f.type) for f in attrs.fields(kind) if str(f.type) in _SIMPLE}


_NETWORK, _OPTIONS, _PATIENCE = map(_simple, (TransportOptions, Options, Patience))
_KNOWN = {**_WHERE, **_NETWORK, **_OPTIONS, "patience": "table"}
_IN_VARIABLES = {
    **{name: kind for name, kind in _KNOWN.items() if kind != "table"},
    **{f"patience_{name}": kind for name, kind in _PATIENCE.items()},
}


@attrs.frozen(kw_only=True)
class Settings:
    """Where an exchange is and how to get there, as :func:`load_settings` found it."""

    environment: str = "mainnet"
    base_url: str | None = None
    addresses: Mapping[str, str] | None = None
    transport: str | None = None
    options: Options = attrs.field(factory=Options)

    def arguments(self) -> dict[str, Any]:
        """Those of :func:`connect`: ``connect(exchange, **settings.arguments())``."""
        return {field.name: getattr(self, field.name) for field in attrs.fields(Settings)}


def load_settings(
    exchange: str,
    *,
    file: str | Path | None = None,
    variables: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Settings:
    """The settings of an exchange that the environment and a file tell, but for what is given here.

    Nothing else in this library reads either. The file is ``CCRS_CONFIG``, or
    ``~/.config/ccrs/config.toml`` where there is one; never one of the folder that a program
    happens to run in, which may be anybody's.

    :param file: another file.
    :param variables: instead of those of the process.
    :param arguments: settings by name, which go before all; None: not given.
    :raises UsageError: for a setting that doesn't exist, or that has a value that can't be.
    """
    told = os.environ if variables is None else variables
    found: dict[str, Any] = {}
    path = _path(file, told)
    if path is not None:
        content = _read(path)
        sections = content.pop("exchanges", {})
        if not isinstance(sections, dict) or not all(
            isinstance(s, dict) for s in sections.values()
        ):
            raise UsageError(f"{path}: exchanges must be tables such as [exchanges.{exchange}]")
        own = {
            name: _checked(part, f"{path}, [exchanges.{name}]") for name, part in sections.items()
        }
        _lay(found, _checked(content, str(path)))
        _lay(found, own.get(exchange, {}))
    _lay(found, _of_variables(told))
    given = {name: value for name, value in arguments.items() if value is not None}
    _lay(found, _checked(given, "an argument"))
    return _settings(found)


def _settings(found: Mapping[str, Any]) -> Settings:
    from ccrs_core.transport.ways import Way

    network = {name: found[name] for name in _NETWORK if name in found}
    general = {name: found[name] for name in _OPTIONS if name in found}
    if "ca_file" in found:
        network["ssl"] = trusting(found["ca_file"])
    if "ways" in found:
        general["ways"] = [Way.parse(str(each)) for each in found["ways"]]
    options = Options(
        transport=TransportOptions(**network),
        patience=Patience(**found.get("patience", {})),
        **general,
    )
    place = {
        n: found[n] for n in ("environment", "base_url", "addresses", "transport") if n in found
    }
    return Settings(options=options, **place)


def trusting(ca_file: str | Path) -> ssl.SSLContext:
    """Verification by the certificates of a file (PEM) instead of the system's.

    :raises UsageError: where it holds none.
    """
    import ssl

    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (ssl.SSLError, OSError) as error:
        raise UsageError(f"{ca_file} holds no certificates: {error}") from None


def _lay(over: dict[str, Any], found: Mapping[str, Any]) -> None:
    """What is nearer takes the place of what is there; of patience each single time."""
    both = {**over.get("patience", {}), **found.get("patience", {})}
    over.update(found)
    if both:
        over["patience"] = both


# --- the file ---


def _path(file: str | Path | None, variables: Mapping[str, str]) -> Path | None:
    named = file or variables.get("CCRS_CONFIG")
    if named:
        return Path(named).expanduser()
    base = variables.get("XDG_CONFIG_HOME") or variables.get("HOME", "~") + "/.config"
    usual = Path(base).expanduser() / "ccrs" / "config.toml"
    return usual if usual.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the settings in {path} can't be read: {error}") from None


_KINDS: dict[str, tuple[type[Any], ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "table": (dict,),
    "list": (list, tuple),
}


def _checked(
    found: Mapping[str, Any], where: str, known: Mapping[str, str] = _KNOWN
) -> dict[str, Any]:
    """Settings with those names and of those kinds.

    :raises UsageError: where there is another.
    """
    for name, value in found.items():
        if name not in known:
            raise UsageError(f"{where}: there is no setting {name!r}; {_nearest(name, known)}")
        kind = known[name].removesuffix(" | None")
        fits = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
        if name == "ca_file":
            fits = isinstance(value, str | Path)
        if not fits:
            raise UsageError(f"{where}: {name} must be {_WORDS[kind]}")
        if name == "patience":
            _checked(value, f"{where}, patience", _PATIENCE)
    return dict(found)


_WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "table": "a table",
    "list": "a list of texts",
}


def _nearest(name: str, known: Mapping[str, str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"


# --- variables ---


def _of_variables(variables: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.startswith(_PREFIX) or variable[len(_PREFIX) :] in _OTHER_VARIABLES:
            continue
        if variable.endswith(_OF_KEYS):
            continue
        name = variable[len(_PREFIX) :].lower()
        if name not in _IN_VARIABLES:
            _look_for_slip(variable, name)
            continue
        value = _value(variable, text, _IN_VARIABLES[name])
        if name.startswith("patience_"):
            found.setdefault("patience", {})[name.removeprefix("patience_")] = value
        else:
            found[name] = value
    return found


def _look_for_slip(variable: str, name: str) -> None:
    """Others may have variables of this prefix, such as plugins; a slip of the pen must not pass.

    :raises UsageError: where a variable looks like one of ours.
    """
    import difflib

    near = difflib.get_close_matches(name, _IN_VARIABLES, n=1, cutoff=0.75)
    if near:
        meant = f"did you mean {_PREFIX}{near[0].upper()}?"
        raise UsageError(f"the variable {variable} means nothing to ccrs; {meant}")


def _value(variable: str, text: str, kind: str) -> Any:
    kind = kind.removesuffix(" | None")
    try:
        match kind:
            case "bool":
                if text.lower() not in _YES | _NO:
                    raise ValueError
                return text.lower() in _YES
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "list":
                return text.split()
    except ValueError:
        raise UsageError(f"the variable {variable} must be {_WORDS[kind]}") from None
    return text
