"""Settings from arguments, variables and a file: the nearest goes first, and none is mistyped."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import Options, UsageError, load_settings
from ccrs_core.client.settings import _IN_VARIABLES

NAMES = {
    "environment": ["testnet", "demo", "emulator", "other"],
    "base_url": ["http://a", "http://b", "http://c", "http://d"],
    "transport": ["aiohttp", "picows", "x", "y"],
    "source_address": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"],
    "trust_env": [True, False, True, False],
    "connect_timeout": [1.5, 2.0, 3.25, 4.0],
    "max_failures": [1, 2, 3, 4],
    "backoff_max": [1.0, 2.0, 3.0, 4.0],
}
LAYERS = ("argument", "variable", "section", "file")


def toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def loaded(folder: Path, text: str = "", **variables: str) -> ccrs_core.Settings:
    file = folder / "settings.toml"
    file.write_text(text, "utf-8")
    return load_settings("bybit", file=file, variables=variables)


def shown(settings: ccrs_core.Settings, name: str) -> Any:
    for holder in (settings, settings.options, settings.options.transport):
        if name in {field.name for field in holder.__attrs_attrs__} and not (
            holder is settings.options and name == "transport"
        ):
            return getattr(holder, name)
    raise AssertionError(name)


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.sets(st.sampled_from(LAYERS))))
def test_what_is_nearer_goes_first_and_what_nobody_says_is_the_default(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, set[str]]
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    layers: dict[str, dict[str, Any]] = {layer: {} for layer in LAYERS}
    for name, where in told.items():
        for layer in where:
            layers[layer][name] = NAMES[name][LAYERS.index(layer)]
    lines = [f"{name} = {toml(value)}" for name, value in layers["file"].items()]
    lines += ["[exchanges.okx]", 'environment = "not-mine"', "[exchanges.bybit]"]
    lines += [f"{name} = {toml(value)}" for name, value in layers["section"].items()]
    file = folder / "settings.toml"
    file.write_text("\n".join(lines), "utf-8")
    variables = {f"CCRS_{name.upper()}": str(value) for name, value in layers["variable"].items()}
    found = load_settings("bybit", file=file, variables=variables, **layers["argument"])
    plain = load_settings("bybit", variables={"HOME": str(folder)})
    for name, choices in NAMES.items():
        nearest = next((layer for layer in LAYERS if layer in told.get(name, ())), None)
        wanted = shown(plain, name) if nearest is None else choices[LAYERS.index(nearest)]
        assert shown(found, name) == wanted, name
    assert plain == ccrs_core.Settings() == ccrs_core.Settings(options=Options())


def test_all_that_options_and_patience_have_in_plain_words_can_be_said(tmp_path: Path) -> None:
    known = {"proxy", "max_frame_bytes", "request_attempts", "patience_ack", "ways", "ca_file"}
    assert known <= _IN_VARIABLES.keys()
    text = """
        ways = ["10.0.0.1", "10.0.0.2,http://proxy.test:1"]
        [patience]
        ack = 2
        login = 3.0
        [exchanges.bybit.patience]
        login = 4
        [exchanges.bybit.addresses]
        public = "wss://other.test"
    """
    found = loaded(tmp_path, text, CCRS_PATIENCE_FIRST="7.5", CCRS_REPLACE_LOSERS="yes")
    patience = found.options.patience
    assert (patience.ack, patience.login, patience.first) == (2, 4, 7.5)
    assert found.options.replace_losers is True
    assert [way.source for way in found.options.ways] == ["10.0.0.1", "10.0.0.2"]
    assert found.addresses == {"public": "wss://other.test"}
    assert loaded(tmp_path, text, CCRS_WAYS="10.0.0.9").options.ways[0].source == "10.0.0.9"
    client = ccrs_core.connect("bybit", **loaded(tmp_path, 'environment="demo"').arguments())
    assert client.environment == "demo"


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ('enviroment = "demo"', {}, "no setting 'enviroment'; did you mean environment"),
        ('[exchanges.okx]\nprxy = "x"', {}, "exchanges.okx.*did you mean proxy"),
        ("[patience]\nakc = 1", {}, "did you mean ack"),
        ("zzzzzz = 1", {}, "known: "),
        ("max_failures = true", {}, "max_failures must be a whole number"),
        ('backoff_max = "x"', {}, "backoff_max must be a number"),
        ("backoff_max = -1", {}, "backoff_max must be above zero"),
        ("trust_env = 1", {}, "trust_env must be true or false"),
        ("exchanges = 1", {}, "must be tables"),
        ("a = ", {}, "can't be read"),
        ('ca_file = "/nowhere"', {}, "holds no certificates"),
        ("", {"CCRS_PROXI": "x"}, "CCRS_PROXI means nothing.*did you mean CCRS_PROXY"),
        ("", {"CCRS_TRUST_ENV": "perhaps"}, "CCRS_TRUST_ENV must be true or false"),
        ("", {"CCRS_MAX_FAILURES": "1.5"}, "CCRS_MAX_FAILURES must be a whole number"),
        ("", {"CCRS_CONNECT_TIMEOUT": "soon"}, "must be a number"),
    ],
)
def test_what_is_mistyped_is_told_with_what_was_likely_meant(
    tmp_path: Path, text: str, variables: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        loaded(tmp_path, text, **variables)


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    of_others = {"CCRS_TOY_API_KEY": "x", "CCRS_MY_PLUGINS_OWN": "x"}
    assert loaded(tmp_path, "", **of_others) == loaded(tmp_path, "")


def test_files_are_looked_for_where_they_are_named_or_at_home_and_never_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ccrs.toml").write_text("environment = 1")
    monkeypatch.chdir(tmp_path)
    home = {"HOME": str(tmp_path)}
    assert load_settings("bybit", variables=home).environment == "mainnet"
    file = tmp_path / ".config" / "ccrs" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('environment = "demo"')
    assert load_settings("bybit", variables=home).environment == "demo"
    other = tmp_path / "other.toml"
    other.write_text('environment = "testnet"')
    named = {**home, "CCRS_CONFIG": str(other), "CCRS_DEBUG": "1"}
    assert load_settings("bybit", variables=named).environment == "testnet"
    assert load_settings("bybit", variables={**home, "XDG_CONFIG_HOME": "/nowhere"}) == (
        ccrs_core.Settings()
    )
    with pytest.raises(UsageError, match="can't be read"):
        load_settings("bybit", variables={"CCRS_CONFIG": str(tmp_path / "none.toml")})


def test_certificates_of_a_file_are_trusted(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    found = load_settings("bybit", variables={"HOME": str(tmp_path)}, ca_file=authority)
    assert isinstance(found.options.transport.ssl, ssl.SSLContext)
