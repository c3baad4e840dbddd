"""``ccrs new``: what it writes installs, passes, and asks for more with every capability."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ccrs_core
from ccrs_core.cli.commands.new import Package
from ccrs_core.errors import UsageError
from tests.installing import environment, install

from .conftest import Command

CHANNELS = ("top", "trades", "book")

FILES = {
    *(".github/workflows/test.yml", ".gitignore", "README.md", "pyproject.toml"),
    "tests/test_conformance.py",
    *(f"ccrs_my_toy/{name}.py" for name in ("__init__", "exchange", "channels", "codec")),
    *(f"ccrs_my_toy/{name}.py" for name in ("rest", "symbols")),
    *("ccrs_my_toy/emulator.py", "ccrs_my_toy/facts.toml", "ccrs_my_toy/py.typed"),
    *("ccrs_my_toy/samples/errors.json", "ccrs_my_toy/samples/symbols.json"),
    *(f"ccrs_my_toy/samples/requests/time.{e}" for e in ("json", "body")),
    *(f"ccrs_my_toy/samples/requests/instruments.{e}" for e in ("json", "body")),
    *(f"ccrs_my_toy/samples/later/{n}.{e}" for n in CHANNELS for e in ("jsonl", "expected.json")),
}  # fmt: skip


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A new package, ``ccrs-my-toy``."""
    return Package.of("my-toy").write(tmp_path)


def switch_on(package: Path, *channels: str) -> None:
    """Switch channels on as the package's README tells."""
    codec = package / "ccrs_my_toy" / "channels.py"
    text = codec.read_text("utf-8")
    streams = package / "ccrs_my_toy" / "samples" / "streams"
    streams.mkdir()
    for channel in channels:
        text, found = re.subn(rf'# (Channel\.\w+: Stream\("{channel}\..*\),)', r"\1", text)
        assert found == 1
        for sample in streams.parent.glob(f"later/{channel}.*"):
            sample.rename(streams / sample.name)
    codec.write_text(text, "utf-8")


def run_beside(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where the package is installed."""
    site = package.parent / "site"
    if not site.exists():
        install(package, site)
    empty = package.parent / "empty"
    empty.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "ccrs_core.cli", *arguments],
        env=environment(site),
        cwd=empty,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not list(empty.iterdir()), "something was left behind"
    return done


# --- what is written ---


def test_a_new_package_is_complete(package: Path) -> None:
    files = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    assert files == FILES


def test_nothing_of_the_templates_names_is_left(package: Path) -> None:
    for path in package.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            left = re.findall(r"(?i)my.?exchange|dot_git|THE_YEAR|The Author", text + path.name)
            assert not left, path


def test_every_module_compiles_and_is_named_after_the_exchange(package: Path) -> None:
    for path in package.rglob("*.py"):
        compile(path.read_text("utf-8"), str(path), "exec", ast.PyCF_ONLY_AST)
    exchange = (package / "ccrs_my_toy" / "exchange.py").read_text("utf-8")
    assert "class MyToy(Exchange):" in exchange
    assert 'title: ClassVar[str] = "My Toy"' in exchange


def test_the_metadata_offers_the_exchange_and_needs_this_core(package: Path) -> None:
    about = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))
    project = about["project"]
    assert project["entry-points"] == {"ccrs.exchanges": {"my-toy": "ccrs_my_toy:MyToy"}}
    major_minor = ".".join(ccrs_core.__version__.split(".")[:2])
    assert project["dependencies"][0].startswith(f"ccrs-core>={major_minor},<")
    assert "license" not in project


def test_an_author_gets_a_licence(tmp_path: Path) -> None:
    package = Package.of("toy", author="J. Doe").write(tmp_path)
    assert re.search(r"Copyright \(c\) \d{4} J\. Doe\n", (package / "LICENSE").read_text("utf-8"))
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "MIT"
    assert project["authors"] == [{"name": "J. Doe"}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("toy", "Toy"),
        ("my-toy-2", "MyToy2"),
        ("1inch", "X1inch"),
        ("exchange", "ExchangeExchange"),
        ("market", "MarketExchange"),
        ("none", "NoneExchange"),
    ],
)
def test_the_class_is_named_so_that_it_hides_nothing(name: str, expected: str) -> None:
    assert Package.of(name).class_name == expected


# --- what is refused ---


@pytest.mark.parametrize("name", ["Toy", "my_toy", "-toy", "toy-", "a--b", "", "ä", "a/b", "core"])
def test_a_name_that_cant_be_used_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        Package.of(name)


@pytest.mark.parametrize("title", ['a"b', "a\\b", "a\nb", " "])
def test_a_title_that_would_break_the_files_is_refused(title: str) -> None:
    with pytest.raises(UsageError, match="title"):
        Package.of("toy", title)


def test_a_wrong_name_is_one_line_and_exit_code_2(ccrs: Command, tmp_path: Path) -> None:
    done = ccrs("new", "My_Toy", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_as_it_is(ccrs: Command, tmp_path: Path) -> None:
    (tmp_path / "ccrs-toy").mkdir()
    done = ccrs("new", "toy", "--dir", str(tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert b"exists already" in done.stderr
    assert not list((tmp_path / "ccrs-toy").iterdir())


def test_the_command_writes_the_package_and_says_what_is_next(
    ccrs: Command, tmp_path: Path
) -> None:
    done = ccrs("new", "toy", "--dir", str(tmp_path / "new"), "--title", "The Toy")
    assert done.returncode == 0, done.stderr
    assert b"ccrs conformance toy" in done.stdout
    readme = (tmp_path / "new" / "ccrs-toy" / "README.md").read_text("utf-8")
    assert readme.startswith("# ccrs-toy\n\nThe Toy for ccrs")


# --- what it can do ---


def test_the_command_that_its_readme_begins_with_works_at_once(package: Path) -> None:
    found = re.search(r"(?m)^ccrs (.*)$", (package / "README.md").read_text("utf-8"))
    assert found is not None
    done = run_beside(package, *found[1].split())
    assert done.returncode == 0, done.stderr
    assert "BTC/USD" in done.stdout


def test_the_package_is_found_and_declares_no_channel(package: Path) -> None:
    done = run_beside(package, "exchanges")
    assert done.returncode == 0, done.stderr
    assert "✓ my-toy  My Toy  ccrs-my-toy 0.1.0" in done.stdout


def test_the_doctor_finds_a_new_package_well_with_channels_and_without(package: Path) -> None:
    done = run_beside(package, "doctor", "my-toy", "--environment", "emulator")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"market data +not used +my-toy declares no channels", done.stdout)
    switch_on(package, *CHANNELS)
    done = run_beside(package, "doctor", "my-toy", "--environment", "emulator")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"✓ market data +ok ", done.stdout)


def test_a_new_package_passes_the_suite(package: Path) -> None:
    done = run_beside(package, "conformance", "my-toy", "--profile", "quick")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_channels_that_are_switched_on_pass_the_suite(package: Path) -> None:
    switch_on(package, *CHANNELS)
    done = run_beside(package, "conformance", "my-toy", "--profile", "quick")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_channel_passes_with_its_sample_and_asks_for_it_without(package: Path) -> None:
    switch_on(package, "trades")
    arguments = ("conformance", "my-toy", "--profile", "quick", "--only", "sample")
    done = run_beside(package, *arguments)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    for sample in (package / "ccrs_my_toy" / "samples" / "streams").iterdir():
        sample.unlink()
    done = run_beside(package, *arguments)
    assert done.returncode == 1
    assert "no frame shows trades of a spot instrument" in done.stdout
    assert "samples/streams/" in done.stdout
