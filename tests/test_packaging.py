"""What the packages say about themselves, as far as that can be told without building them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import ccrs_core
from ccrs_core.contract.exchange import CONTRACT
from ccrs_core.transport.base import TransportOptions

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PACKAGES = [ROOT, *PLUGINS]
TRANSPORTS = [path for path in PLUGINS if path.name == "ccrs-picows"]
EXCHANGES = [path for path in PLUGINS if path not in TRANSPORTS]

CORE_DEPENDENCIES = {
    *("pluggy", "aiohttp", "attrs", "cattrs", "orjson", "tenacity", "click", "rich"),
}


def metadata(package: Path) -> dict[str, Any]:
    return tomllib.loads((package / "pyproject.toml").read_text())


def project(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = metadata(package)["project"]
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in requirements}


def module(package: Path) -> str:
    """The one import package that a distribution ships."""
    (found,) = metadata(package)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert isinstance(found, str)
    return found


def by_name(package: Path) -> str:
    return package.name if package != ROOT else "ccrs-core"


every_package = pytest.mark.parametrize("package", PACKAGES, ids=by_name)
every_exchange = pytest.mark.parametrize("package", EXCHANGES, ids=by_name)
every_transport = pytest.mark.parametrize("package", TRANSPORTS, ids=by_name)


def test_the_core_depends_on_eight_libraries_and_nothing_else() -> None:
    assert names(project(ROOT)["dependencies"]) == CORE_DEPENDENCIES


def test_the_extras_bring_what_they_say() -> None:
    extras = project(ROOT)["optional-dependencies"]
    assert names(extras["conformance"]) == {"pytest", "hypothesis", "trustme"}
    assert names(extras["arrow"]) == {"pyarrow"}
    assert names(extras["pandas"]) == {"pandas", "pyarrow"}
    assert names(extras["polars"]) == {"polars", "pyarrow"}
    assert set(extras) - {"arrow", "pandas", "polars"} == {
        *("conformance", "fuzz", "keyring", "socks", "tls", "zstd")
    }
    assert len(extras["socks"]) == len(extras["tls"]) == len(extras["zstd"]) == 1


@every_exchange
def test_a_plugin_depends_on_the_core_alone(package: Path) -> None:
    about = project(package)
    assert names(about["dependencies"]) == {"ccrs-core"}
    assert about["name"] == package.name
    ((requirement,),) = [about["dependencies"]]
    major_minor = ".".join(ccrs_core.__version__.split(".")[:2])
    assert requirement.startswith(f"ccrs-core>={major_minor},<")


@every_package
def test_dependencies_have_lower_bounds_and_no_pins(package: Path) -> None:
    about = project(package)
    extras: dict[str, list[str]] = about.get("optional-dependencies", {})
    for requirement in [*about["dependencies"], *(r for extra in extras.values() for r in extra)]:
        assert ">=" in requirement
        assert "==" not in requirement
        assert "@" not in requirement


@every_package
def test_every_package_is_typed_licensed_and_for_python_311(package: Path) -> None:
    about = project(package)
    assert about["requires-python"] == ">=3.11"
    assert about["license"] == "MIT"
    assert "MIT License" in (package / "LICENSE").read_text()
    assert (package / about["readme"]).is_file()
    assert (package / module(package) / "py.typed").is_file()
    assert "Typing :: Typed" in about["classifiers"]


@every_package
def test_every_package_builds_with_hatchling_and_names_what_it_ships(package: Path) -> None:
    about = metadata(package)
    assert about["build-system"] == {"requires": ["hatchling"], "build-backend": "hatchling.build"}
    shipped = about["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert f"/{module(package)}" in shipped
    assert "/README.md" in shipped
    assert "/LICENSE" in shipped
    assert not {"/plugins", "/docs", "/uv.lock"} & set(shipped)


def test_the_version_is_the_same_wherever_it_stands() -> None:
    assert project(ROOT)["version"] == ccrs_core.__version__ == distribution("ccrs-core").version


@every_package
def test_the_installed_package_is_this_one(package: Path) -> None:
    about = project(package)
    found = distribution(about["name"])
    assert found.version == about["version"]
    declared = {
        (group, name, target)
        for group, entries in about.get("entry-points", {}).items()
        for name, target in entries.items()
    } | {("console_scripts", name, target) for name, target in about.get("scripts", {}).items()}
    assert {(e.group, e.name, e.value) for e in found.entry_points} == declared


def test_the_command_is_called_ccrs() -> None:
    assert project(ROOT)["scripts"] == {"ccrs": "ccrs_core.cli:main"}
    (script,) = distribution("ccrs-core").entry_points.select(group="console_scripts")
    assert callable(script.load())


@every_transport
def test_a_transports_entry_point_makes_one(package: Path) -> None:
    assert project(package)["entry-points"]["ccrs.transports"]
    for entry in distribution(project(package)["name"]).entry_points:
        transport = entry.load()(TransportOptions())
        assert callable(transport.connect)
        assert callable(transport.request)


@every_exchange
def test_a_plugins_entry_point_leads_to_its_exchange(package: Path) -> None:
    offered = project(package)["entry-points"]["ccrs.exchanges"]
    assert offered
    for entry in distribution(project(package)["name"]).entry_points:
        exchange = entry.load()
        assert exchange.name == entry.name
        assert exchange.contract == CONTRACT


@every_package
def test_no_address_of_a_package_registry_stands_anywhere(package: Path) -> None:
    text = (package / "pyproject.toml").read_text()
    assert not re.findall(r"https?://\S*(?:pypi|index|simple|registry)\S*", text)
    assert not re.findall(r"(?m)^\s*(?:index|find-links|extra-index)", text)


def test_no_python_version_is_pinned_for_contributors() -> None:
    assert not (ROOT / ".python-version").exists()


def test_nothing_that_is_built_or_cached_is_in_the_repository() -> None:
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    bad = re.compile(r"(__pycache__|\.egg-info|\.dist-info|/dist/|\.py[co]$|\.(?:mypy|ruff)_cache)")
    assert not [path for path in listed if bad.search(path)]
