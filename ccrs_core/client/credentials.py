"""Where an account's keys come from: arguments, variables, a file, a keyring; the nearest goes
first. No message here repeats what may be a secret, nor a name that may be one by a slip."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ccrs_core.client.key_files import read_private
from ccrs_core.contract.accounts import DEFAULT
from ccrs_core.contract.credentials import Credentials
from ccrs_core.errors import CredentialsMissing, UsageError
from ccrs_core.transport.addresses import EMULATOR

MAINNET = "mainnet"
PLAY_MONEY = Credentials("emulator", "emulator", "emulator")
"""Of the account that every emulator has."""

_FIELDS = ("api_key", "secret", "secret_file", "passphrase", "environment")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38}[A-Za-z0-9])?")
_PLACE = re.compile(r"[\w.:\[\]-]{1,80}", re.ASCII)
_MISSPELT = {
    "apikey": "api_key",
    "key": "api_key",
    "api_secret": "secret",
    "apisecret": "secret",
    "secret_key": "secret",
    "api_passphrase": "passphrase",
    "password": "passphrase",
}
"""What others call them."""


@attrs.frozen
class FoundCredentials:
    """Credentials, and where they were."""

    credentials: Credentials
    source: str
    """For people."""


def load_credentials(
    exchange: str,
    *,
    account: str = DEFAULT,
    environment: str = MAINNET,
    file: str | Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Credentials:
    """The keys of an account, from the first of these that has them.

    1. Variables: ``CCRS_EXCHANGE_API_KEY``, with the exchange's name, ``CCRS_EXCHANGE_SECRET`` (or
       ``_SECRET_FILE``, which names a file: an RSA key, say), ``_PASSPHRASE`` where the exchange
       has one; of the account ``maker`` ``CCRS_EXCHANGE_MAKER_API_KEY`` and so on.
       ``CCRS_EXCHANGE_KEY_ENVIRONMENT`` says where alone they count.
    2. A file of keys, which only you can read: ``CCRS_KEYS_FILE``, or ``~/.config/ccrs/keys.toml``.
       The exchange's section (``[exchange]``, of the account ``maker`` ``[exchange.maker]``) has
       ``api_key``, ``secret`` or ``secret_file``, ``passphrase``, and the ``environment`` where
       they count, ``mainnet`` unless it is told. Another section within (``[exchange.testnet]``,
       ``[exchange.maker.testnet]``) may have those of an environment.
    3. The keyring of the system, with ``ccrs-core[keyring]``: the same names, in ``ccrs:exchange``
       or ``ccrs:exchange.maker``.

    The emulator takes its own, ``emulator`` and ``emulator``, unless keys say that they are its.

    :param environment: as of :attr:`Client.environment`: the host, where addresses were given.
    :param file: another file of keys.
    :param variables: instead of those of the process.
    :raises CredentialsMissing: where there are none; the message says where they were looked for.
    :raises CredentialsUnsafe: where others can read a file.
    :raises UsageError: where they can't be read, or something in them can't be.
    """
    return find_credentials(
        exchange, environment, account, file=file, variables=variables
    ).credentials


def credentials_of(
    exchange: str, environment: str, account: str, given: Credentials | None = None
) -> Credentials:
    """What is given, else :func:`load_credentials`."""
    if given is None:
        return load_credentials(exchange, account=account, environment=environment)
    if not isinstance(given, Credentials):
        raise UsageError("credentials must be of the type Credentials, not that")
    return given


def find_credentials(
    exchange: str,
    environment: str,
    account: str = DEFAULT,
    *,
    file: str | Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> FoundCredentials:
    """As :func:`load_credentials`, and where they were."""
    if not _NAME.fullmatch(account):
        raise UsageError(
            "the name of an account is up to 40 letters and digits of ASCII, with - and _ between"
        )
    told = os.environ if variables is None else variables
    looked: list[str] = []
    for found in (
        _of_variables(exchange, environment, account, told, looked),
        _of_file(exchange, environment, account, _path(file, told), looked),
    ):
        if found is not None:
            return found
    if environment == EMULATOR:
        if account == DEFAULT:
            return FoundCredentials(PLAY_MONEY, "the emulator's own")
    else:
        kept = _of_keyring(exchange, environment, account, looked)
        if kept is not None:
            return kept
    raise CredentialsMissing(
        f"no keys for the account {account} of {exchange} ({environment}): " + "; ".join(looked)
    )


@attrs.frozen
class _Where:
    """One place that may hold the keys of an account: how it and its fields are called."""

    called: str
    field: Mapping[str, str]

    def of(self, name: str) -> str:
        return f"{self.called}{self.field[name]}"


def _checked(found: Mapping[str, str], where: _Where, folder: Path | None) -> Credentials:
    """Credentials from the fields of one place.

    :raises CredentialsMissing: where some are there and others not.
    :raises UsageError: where what is there can't be.
    """
    if "secret" in found and "secret_file" in found:
        raise UsageError(
            f"{where.of('secret')} and {where.field['secret_file']} exclude each other"
        )
    if "api_key" not in found:
        some = next(name for name in found if name != "environment")
        raise CredentialsMissing(f"{where.of(some)} is there, but no {where.field['api_key']}")
    if "secret" in found:
        secret, called = found["secret"], where.of("secret")
    elif "secret_file" in found:
        called = f"the file that {where.of('secret_file')} names"
        path = Path(found["secret_file"].strip()).expanduser()
        secret = read_private(path if folder is None else folder / path, called)
    else:
        both = f"{where.field['secret']} nor {where.field['secret_file']}"
        raise CredentialsMissing(f"{where.of('api_key')} is there, but neither {both}")
    return Credentials(
        _one_word(found["api_key"], where.of("api_key")),
        _secret(secret, called),
        found.get("passphrase", "").strip("\r\n"),
    )


def _secret(text: str, called: str) -> str:
    text = text.strip()
    if not text.startswith("-----BEGIN "):
        return _one_word(text, called)
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\\n", "\n")  # as it stands in files of variables
    kind = text.partition("\n")[0]
    if "PRIVATE" not in kind:
        raise UsageError(f"{called} holds no private key, which is the one that signs")
    if "ENCRYPTED" in text[:200]:
        raise UsageError(f"{called} holds a key under a password: openssl pkey takes it off")
    return text + "\n"


def _one_word(text: str, called: str) -> str:
    text = text.strip()
    if not text:
        raise UsageError(f"{called} is empty")
    if not all("!" <= letter <= "~" for letter in text):
        raise UsageError(f"{called} has a blank in it, or another character that no key has")
    return text


def _elsewhere(found: Mapping[str, str], environment: str, called: str) -> str | None:
    """What to say of keys that count in another environment; None where they count in this one."""
    counts = found["environment"]
    if counts == environment:
        return None
    if not _PLACE.fullmatch(counts):
        return f"{called} names an environment that can't be"
    return f"those of {called} count for {counts} alone"


# --- variables ---


def _of_variables(
    exchange: str,
    environment: str,
    account: str,
    variables: Mapping[str, str],
    looked: list[str],
) -> FoundCredentials | None:
    start = _variable(exchange) if account == DEFAULT else _variable(exchange, account)
    names = {field: f"{start}_{field.upper()}" for field in _FIELDS}
    names["environment"] = f"{start}_KEY_ENVIRONMENT"
    found = {field: variables[name] for field, name in names.items() if variables.get(name)}
    called = f"the variables {names['api_key']} and {names['secret']}"
    if found.keys() <= {"environment"}:
        looked.append(f"set {called}" + _meant(variables, start))
        return None
    if environment == EMULATOR or "environment" in found:
        # Whoever tries the emulator may have their real keys at hand.
        other = _elsewhere({"environment": MAINNET, **found}, environment, called)
        if other is not None:
            looked.append(other)
            return None
    where = _Where("", names)
    credentials = _checked(found, where, None)
    return FoundCredentials(credentials, f"the variable {names['api_key']}")


def _variable(*parts: str) -> str:
    return "_".join(("CCRS", *(re.sub(r"[^A-Z0-9]", "_", part.upper()) for part in parts)))


def _meant(variables: Mapping[str, str], start: str) -> str:
    """Of variables that others would call so, what they should be called."""
    for wrong, right in _MISSPELT.items():
        name = f"{start}_{wrong.upper()}"
        if variables.get(name):
            return f" (not {name}: {start}_{right.upper()})"
    return ""


# --- the file ---


def _path(file: str | Path | None, variables: Mapping[str, str]) -> tuple[Path, bool]:
    """The file of keys, and whether somebody said that there is one."""
    named = file or variables.get("CCRS_KEYS_FILE")
    if named:
        return Path(named).expanduser(), True
    base = variables.get("XDG_CONFIG_HOME") or variables.get("HOME", "~") + "/.config"
    return Path(base).expanduser() / "ccrs" / "keys.toml", False


def _of_file(
    exchange: str,
    environment: str,
    account: str,
    place: tuple[Path, bool],
    looked: list[str],
) -> FoundCredentials | None:
    path, told = place
    sections = _sections(exchange, account)
    called = f"[{'.'.join(sections)}]"
    if not told and not os.path.lexists(path):
        looked.append(f"or write a section {called} into {path}, and chmod 600 it")
        return None
    found: Any = _read(path)
    for part in sections:
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        looked.append(f"{path} has no section {called}")
        return None
    own = {name: value for name, value in found.items() if not isinstance(value, dict)}
    inner = found.get(environment)
    counting = own, inner if isinstance(inner, dict) else {}
    for names, fields in zip((sections, (*sections, environment)), counting, strict=True):
        called = f"{path}, [{'.'.join(names)}]"
        texts = _texts(fields, f"{called}: ")
        if texts.keys() <= {"environment"}:
            continue
        texts = {"environment": MAINNET, **texts}
        other = _elsewhere(texts, environment, called)
        if other is None:
            where = _Where(f"{called}: ", {name: name for name in _FIELDS})
            return FoundCredentials(_checked(texts, where, path.parent), called)
        looked.append(other)
    looked.append(f"{path}, [{'.'.join(sections)}] has none for {environment}")
    return None


def _sections(exchange: str, account: str) -> tuple[str, ...]:
    return (exchange,) if account == DEFAULT else (exchange, account)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    text = read_private(path, f"the file of keys {path}")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = re.search(r"at line \d+, column \d+", str(error))
    # Raised out here, so that no foreign error hangs on to it: theirs may repeat what stands there.
    raise UsageError(f"the keys in {path} are no TOML" + (f" ({at[0]})" if at else ""))


def _texts(fields: Mapping[str, Any], where: str) -> dict[str, str]:
    for name, value in fields.items():
        if name not in _FIELDS:
            known = ", ".join(_FIELDS)
            right = _MISSPELT.get(name.lower().replace("-", "_"))
            if right is not None:
                raise UsageError(f"{where}it is called {right}, not {name}")
            raise UsageError(f"{where}there is a name that means nothing; known: {known}")
        if not isinstance(value, str):
            raise UsageError(f"{where}{name} must be text")
    return {name: value for name, value in fields.items() if value}


# --- the keyring ---


def _of_keyring(
    exchange: str, environment: str, account: str, looked: list[str]
) -> FoundCredentials | None:
    ask = _keyring(looked)
    if ask is None:
        return None
    sections = _sections(exchange, account)
    for section in (sections, (*sections, environment)):
        service = f"ccrs:{'.'.join(section)}"
        found: dict[str, str] = {}
        for name in _FIELDS:
            # Most have none: then one question is enough.
            if name == "api_key" or found:
                value = ask.get(service, name)
                if value:
                    found[name] = value
        if not found:
            continue
        texts = {"environment": MAINNET, **found}
        called = f"the keyring, {service}"
        other = _elsewhere(texts, environment, called)
        if other is None:
            where = _Where(f"{called}: ", {name: name for name in _FIELDS})
            return FoundCredentials(_checked(texts, where, None), called)
        looked.append(other)
    service = f"ccrs:{'.'.join(sections)}"
    looked.append(f"or keep them in the keyring: keyring set {service} api_key (and secret)")
    return None


class _Keyring:
    """The system's keyring; what goes wrong in it is told without its words."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def get(self, service: str, name: str) -> str | None:
        try:
            value: str | None = self._library.get_password(service, name)
        except Exception as error:  # backends of others, with errors of their own
            failed = type(error).__name__
        else:
            return value
        if failed == "NoKeyringError":
            return None
        raise UsageError(
            f"the keyring can't be read ({failed}): unlock it, or give the keys by variables or a "
            "file"
        )


def _keyring(looked: list[str]) -> _Keyring | None:
    try:
        import keyring
    except ImportError:
        looked.append("a keyring needs pip install 'ccrs-core[keyring]'")
        return None
    return _Keyring(keyring)
