"""Keys come from arguments, variables, a file, a keyring, and nothing that is said shows them."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Credentials,
    CredentialsMissing,
    CredentialsUnsafe,
    UsageError,
    load_credentials,
    load_settings,
)
from ccrs_core.client.credentials import credentials_of, find_credentials

SECRET = "hQ7zWsNobody0kX1"
PEM = f"-----BEGIN PRIVATE KEY-----\nMIIE{SECRET}\n-----END PRIVATE KEY-----\n"


def keys_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "keys.toml"
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """What a keyring holds, by service and name."""
    held: dict[tuple[str, str], str] = {}
    library: Any = ModuleType("keyring")
    library.get_password = lambda service, name: held.get((service, name))
    monkeypatch.setitem(sys.modules, "keyring", library)
    return held


@pytest.fixture(autouse=True)
def no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own keys take part, unless a test says so."""
    monkeypatch.setitem(sys.modules, "keyring", None)


# --- where they come from -------------------------------------------------------------------

SOURCES = ("variables", "file", "keyring")


@given(
    st.sets(st.sampled_from(SOURCES)),
    st.sampled_from(["default", "maker", "Market-Maker_2"]),
    st.sampled_from(["mainnet", "testnet"]),
    st.booleans(),
)
def test_what_is_nearer_goes_first_and_is_taken_whole(
    tmp_path_factory: pytest.TempPathFactory,
    there: set[str],
    account: str,
    environment: str,
    inner: bool,
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    variables = {"CCRS_BYBIT_OTHER_API_KEY": "x", "CCRS_OKX_SECRET": "x"}
    if "variables" in there:
        start = "CCRS_BYBIT_" + ("" if account == "default" else "MARKET_MAKER_2_")
        start = "CCRS_BYBIT_MAKER_" if account == "maker" else start
        variables |= {f"{start}API_KEY": " from-variables\n", f"{start}SECRET": SECRET}
    parts = ["bybit", *([] if account == "default" else [account])]
    text = '[okx]\napi_key = "of-another"\n'
    if "file" in there:
        if inner and environment != "mainnet":
            text += f'[{".".join(parts)}]\napi_key = "of-mainnet"\nsecret = "x"\n'
            text += f"[{'.'.join((*parts, environment))}]\n"
        else:
            text += f"[{'.'.join(parts)}]\n"
        text += f'environment = "{environment}"\napi_key = "from-file"\nsecret = "{SECRET}"\n'
        text += 'passphrase = "two words"\n'
    held = {}
    if "keyring" in there:
        service = "ccrs:" + ".".join(parts)
        held = {(service, "api_key"): "from-keyring", (service, "secret"): SECRET}
        held[service, "environment"] = environment
    library: Any = ModuleType("keyring")
    library.get_password = lambda service, name: held.get((service, name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "keyring", library)

        def found() -> Credentials:
            return load_credentials(
                "bybit",
                account=account,
                environment=environment,
                file=keys_file(folder, text),
                variables=variables,
            )

        nearest = next((each for each in SOURCES if each in there), None)
        if nearest is None:
            with pytest.raises(CredentialsMissing, match=f"account {account} of bybit"):
                found()
        else:
            assert found().key == f"from-{nearest}"
            assert found().secret == SECRET
            assert found().passphrase == ("two words" if nearest == "file" else "")


def test_what_is_given_goes_before_all_and_is_credentials() -> None:
    given = Credentials("key", SECRET)
    assert credentials_of("bybit", "mainnet", "default", given) is given
    with pytest.raises(UsageError) as refused:
        credentials_of("bybit", "mainnet", "default", SECRET)  # type: ignore[arg-type]
    assert SECRET not in all_of(refused.value)


def test_an_rsa_key_is_read_from_a_file_that_is_named(tmp_path: Path) -> None:
    pem = tmp_path / "private.pem"
    pem.write_bytes(PEM.replace("\n", "\r\n").encode())
    pem.chmod(0o600)
    variables = {"CCRS_BYBIT_API_KEY": "key", "CCRS_BYBIT_SECRET_FILE": str(pem)}
    assert load_credentials("bybit", variables=variables).secret == PEM
    inline = {"CCRS_BYBIT_API_KEY": "key", "CCRS_BYBIT_SECRET": PEM.strip().replace("\n", "\\n")}
    assert load_credentials("bybit", variables=inline).secret == PEM
    file = keys_file(tmp_path, '[bybit]\napi_key = "key"\nsecret_file = "private.pem"')
    assert load_credentials("bybit", file=file, variables={}).secret == PEM
    pem.chmod(0o640)
    with pytest.raises(CredentialsUnsafe, match=f"chmod 600 {pem}"):
        load_credentials("bybit", file=file, variables={})


def test_the_usual_file_is_read_where_there_is_one_and_a_named_one_must_be_there(
    tmp_path: Path,
) -> None:
    (tmp_path / ".config/ccrs").mkdir(parents=True)
    home = {"HOME": str(tmp_path)}
    with pytest.raises(CredentialsMissing, match=r"write a section \[bybit\] into .*keys.toml"):
        load_credentials("bybit", variables=home)
    text = f'[bybit]\napi_key = "key"\nsecret = "{SECRET}"'
    path = keys_file(tmp_path / ".config/ccrs", text)
    assert load_credentials("bybit", variables=home).key == "key"
    assert str(path) in find_credentials("bybit", "mainnet", variables=home).source
    with pytest.raises(UsageError, match=r"nowhere\.toml can't be read: No such file"):
        load_credentials("bybit", variables={"CCRS_KEYS_FILE": "/nowhere.toml"})


def test_keys_count_for_the_environment_that_they_name(tmp_path: Path) -> None:
    file = keys_file(tmp_path, f'[bybit]\napi_key = "real"\nsecret = "{SECRET}"')
    for elsewhere in ("testnet", "127.0.0.1:8080"):
        with pytest.raises(CredentialsMissing, match="count for mainnet alone"):
            load_credentials("bybit", environment=elsewhere, file=file, variables={})
    variables = {"CCRS_BYBIT_API_KEY": "test", "CCRS_BYBIT_SECRET": SECRET}
    assert load_credentials("bybit", environment="demo", variables=variables).key == "test"
    variables["CCRS_BYBIT_KEY_ENVIRONMENT"] = "testnet"
    for wanted, key in (("testnet", "test"), ("mainnet", "real")):
        found = load_credentials("bybit", environment=wanted, file=file, variables=variables)
        assert found.key == key


def test_the_emulator_takes_its_own_keys_and_nobodys_real_ones(
    tmp_path: Path, ring: dict[tuple[str, str], str]
) -> None:
    real = f'[bybit]\napi_key = "real"\nsecret = "{SECRET}"\n'
    ring[("ccrs:bybit", "api_key")] = "real"
    variables = {"CCRS_BYBIT_API_KEY": "real", "CCRS_BYBIT_SECRET": SECRET}

    def found(text: str, **more: str) -> str:
        file = keys_file(tmp_path, text)
        return load_credentials(
            "bybit", environment="emulator", file=file, variables={**variables, **more}
        ).key

    assert found(real) == "emulator"
    assert found(real, CCRS_BYBIT_KEY_ENVIRONMENT="emulator") == "real"
    play = '[bybit.emulator]\nenvironment = "emulator"\napi_key = "mine"\nsecret = "x"'
    assert found(real + play) == "mine"
    with pytest.raises(CredentialsMissing):
        load_credentials("bybit", environment="emulator", account="other", variables={})


def test_what_is_there_in_part_is_told_and_never_made_up_for_from_elsewhere(
    tmp_path: Path,
) -> None:
    whole = keys_file(tmp_path, f'[bybit]\napi_key = "key"\nsecret = "{SECRET}"')
    for variables, said in (
        ({"CCRS_BYBIT_API_KEY": "k"}, "neither CCRS_BYBIT_SECRET nor CCRS_BYBIT_SECRET_FILE"),
        ({"CCRS_BYBIT_SECRET": SECRET}, "CCRS_BYBIT_SECRET is there, but no CCRS_BYBIT_API_KEY"),
        ({"CCRS_BYBIT_PASSPHRASE": SECRET}, "no CCRS_BYBIT_API_KEY"),
    ):
        with pytest.raises(CredentialsMissing, match=said):
            load_credentials("bybit", file=whole, variables=variables)
    empty = {"CCRS_BYBIT_API_KEY": "", "CCRS_BYBIT_SECRET": ""}
    assert load_credentials("bybit", file=whole, variables=empty).key == "key"
    wrong = {"CCRS_BYBIT_APIKEY": "k", "CCRS_BYBIT_API_SECRET": SECRET}
    with pytest.raises(CredentialsMissing, match="not CCRS_BYBIT_APIKEY: CCRS_BYBIT_API_KEY"):
        load_credentials("bybit", variables={"HOME": str(tmp_path), **wrong})


@pytest.mark.parametrize("text", ["[bybit]", '[bybit]\nenvironment = "mainnet"', "[bybit.maker]"])
def test_a_section_without_keys_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(CredentialsMissing, match=r"\[bybit\] has none for mainnet"):
        load_credentials("bybit", file=keys_file(tmp_path, text), variables={})


def test_settings_take_no_offence_at_keys() -> None:
    names = ("BYBIT_API_KEY", "BYBIT_SECRET", "CA_FIL_SECRET_FILE", "BYBIT_KEY_ENVIRONMENT")
    load_settings("bybit", variables={"HOME": "/", **{f"CCRS_{name}": "x" for name in names}})


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", "x" * 41, "a.b"])
def test_an_accounts_name_is_a_plain_word(name: Any) -> None:
    with pytest.raises(UsageError, match="the name of an account"):
        load_credentials("bybit", account=name, variables={})


# --- files ----------------------------------------------------------------------------------

GOOD = f'[bybit]\napi_key = "key"\nsecret = "{SECRET}"'


@given(st.integers(0, 0o777))
def test_a_file_that_others_can_touch_is_refused(
    tmp_path_factory: pytest.TempPathFactory, mode: int
) -> None:
    mode |= 0o400  # who isn't the superuser couldn't read it else
    file = keys_file(tmp_path_factory.mktemp("keys"), GOOD, mode)
    if mode & 0o077:
        with pytest.raises(CredentialsUnsafe, match=f"chmod 600 {file}"):
            load_credentials("bybit", file=file, variables={})
    else:
        assert load_credentials("bybit", file=file, variables={}).key == "key"


@pytest.mark.parametrize(
    ("owner", "mode", "fine"),
    [(1, 0o600, False), (1, 0o440, False), (0, 0o440, True), (0, 0o444, False), (0, 0o460, False)],
)
def test_a_file_of_somebody_else_is_refused_but_for_those_that_the_superuser_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, fine: bool
) -> None:
    file = keys_file(tmp_path, GOOD, mode)
    real = os.fstat

    def owned(opened: int) -> os.stat_result:
        found = list(real(opened))
        found[4] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", owned)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if fine:
        assert load_credentials("bybit", file=file, variables={}).key == "key"
        return
    with pytest.raises(CredentialsUnsafe, match="belongs to the user 1" if owner else "chmod 440"):
        load_credentials("bybit", file=file, variables={})


def test_links_lead_to_what_is_judged(tmp_path: Path) -> None:
    file = keys_file(tmp_path, GOOD)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert load_credentials("bybit", file=link, variables={}).key == "key"
    file.chmod(0o604)
    with pytest.raises(CredentialsUnsafe):
        load_credentials("bybit", file=link, variables={})
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(UsageError, match="can't be read"):
        load_credentials("bybit", file=circle, variables={})


def a_fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def large(path: Path) -> None:
    path.write_bytes(b"#" * 70_000)


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe" + SECRET.encode("utf-16-le"))


def marked(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "no regular file"),
        (a_fifo, "no regular file"),
        (a_socket, "can't be read"),
        (large, "longer than any keys are"),
        (binary, "is no text"),
        (marked, None),
        (Path.touch, r"no section \[bybit\]"),
    ],
)
def test_odd_files_are_told_and_none_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], said: str | None
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    file = Path("odd.toml")
    make(file)
    file.chmod(0o700)
    if said is None:
        assert load_credentials("bybit", file=file, variables={}).key == "key"
        return
    with pytest.raises(UsageError, match=said):
        load_credentials("bybit", file=file, variables={})


# --- secrecy --------------------------------------------------------------------------------

S = SECRET
BAD_FILES = [
    f"[bybit]\napi_key = {S}",
    f'[bybit]\n"{S}" = "x"',
    f"[bybit]\n{S} = 1",
    f'[bybit]\n{S} = 1\n{S} = 2\napi_key = "x"',
    f'[bybit]\napi_key = "k"\nsecret = ["{S}"]',
    f'[bybit]\napi_key = "k"\nsecret = "{S}',
    f'[bybit]\nsecret = "{S}"',
    f'[bybit]\napi_key = "{S} "\nsecret_file = "{S}"',
    f'[bybit]\napi_key = "k"\nsecret = "{S}"\nsecret_file = "{S}"',
    f'[bybit]\napi_key = "k"\nsecret = "{S} {S}"',
    f'[bybit]\napi_key = "k"\nsecret = "ü{S}"',
    f'[bybit]\napi_key = "k"\nsecret = "{S}"\nenvironment = "{S} "',
    f'[bybit]\napi_key = "k"\napi_secret = "{S}"',
    f'[bybit]\napi_key = "k"\nsecret = "-----BEGIN PUBLIC KEY-----{S}"',
    f'[bybit]\napi_key = "k"\nsecret = "-----BEGIN ENCRYPTED PRIVATE KEY-----{S}"',
    f'[bybit]\napi_key = ""\nsecret = "{S}"',
    f'bybit = "{S}"',
    f"{S}",
    f"[bybit]\n\\u{S}",
    "[bybit]\na = " + "9" * 5000 + f"  # {S}",
    f"[bybit]\na = {'[' * 5000}{S}",
    f'[bybit]\napi_key = "k"\nsecret_file = "{S}\\u0000"',
]


def all_of(error: BaseException | None) -> str:
    """Whatever of an error, and of what it hangs on to, could be shown by whoever shows errors."""
    found = ""
    while error is not None:
        held = [getattr(error, name, None) for name in ("object", "doc", "filename")]
        found += f"{error!r} {error} {error.args} {vars(error)} {held}"
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize("text", BAD_FILES)
def test_what_is_said_of_a_bad_file_shows_none_of_it(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UsageError) as refused:
        load_credentials("bybit", file=keys_file(tmp_path, text), variables={})
    assert SECRET not in all_of(refused.value) + caplog.text
    assert refused.value.__context__ is None, "others' errors may show what they were about"


BAD_VARIABLES: list[Mapping[str, str]] = [
    {"SECRET": SECRET},
    {"API_KEY": "k", "SECRET_FILE": SECRET},
    {"API_KEY": "k", "SECRET_FILE": f"/nowhere/{SECRET}"},
    {"API_KEY": "k", "SECRET_FILE": PEM},
    {"API_KEY": "k", "SECRET_FILE": SECRET * 400},
    {"API_KEY": "k", "SECRET": f"{SECRET}\t{SECRET}"},
    {"API_KEY": f"{SECRET} {SECRET}", "SECRET": "x"},
    {"API_KEY": "k", "SECRET": SECRET, "KEY_ENVIRONMENT": f"{SECRET} {SECRET}"},
    {"API_SECRET": SECRET},
]


@pytest.mark.parametrize("variables", BAD_VARIABLES)
def test_what_is_said_of_bad_variables_shows_none_of_them(
    tmp_path: Path, variables: Mapping[str, str]
) -> None:
    told = {f"CCRS_BYBIT_{name}": value for name, value in variables.items()}
    with pytest.raises(UsageError) as refused:
        load_credentials("bybit", variables={"HOME": str(tmp_path), **told})
    assert SECRET not in all_of(refused.value)


def test_a_keyring_that_fails_is_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class NoKeyringError(RuntimeError):
        pass

    library: Any = ModuleType("keyring")
    failure: list[Exception] = [RuntimeError(f"locked, at {SECRET}")]

    def fails(service: str, name: str) -> str:
        raise failure[0]

    library.get_password = fails
    monkeypatch.setitem(sys.modules, "keyring", library)
    home = {"HOME": str(tmp_path)}
    with pytest.raises(UsageError, match="keyring can't be read") as refused:
        load_credentials("bybit", variables=home)
    assert SECRET not in all_of(refused.value)
    failure[0] = NoKeyringError()
    with pytest.raises(CredentialsMissing, match="keyring set ccrs:bybit api_key"):
        load_credentials("bybit", variables=home)


def test_found_credentials_show_no_secret_in_any_way() -> None:
    variables = {
        "CCRS_BYBIT_API_KEY": "public-key",
        "CCRS_BYBIT_SECRET": SECRET,
        "CCRS_BYBIT_PASSPHRASE": SECRET,
    }
    found = find_credentials("bybit", "mainnet", variables=variables)
    for value in (found, found.credentials, copy.deepcopy(found.credentials)):
        shown = f"{value} {value!r} {ccrs_core.to_plain(value)} {[value]} {value!a}"
        assert SECRET not in shown
        with pytest.raises(TypeError, match="aren't pickled"):
            pickle.dumps(value)
