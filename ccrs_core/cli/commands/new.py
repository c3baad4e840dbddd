"""``ccrs new``: a complete package for an exchange, which installs and passes the suite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import attrs
import click

from ccrs_core.errors import UsageError

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN = frozenset({"core"})
"""Names whose distribution would be called like one of this project's own."""
_LICENCE_LINES = re.compile(r"(?m)^(license|license-files|authors) = .*\n")
_SKIPPED = ("__pycache__", ".pyc")


@click.command("new", short_help="Write a package for an exchange of your own.")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder in which to write it; the present one otherwise.",
)
@click.option("--title", help="The exchange's name for people; made of NAME otherwise.")
@click.option("--author", help="Adds an MIT licence in this name.")
def command(name: str, folder: Path, title: str | None, author: str | None) -> None:
    """Write the package ccrs-NAME: complete, installable, green.

    It speaks an invented protocol with its own emulator until you make it your exchange's.
    """
    package = Package.of(name, title, author)
    place = package.write(folder)
    path = place if place.is_absolute() else f"./{place}"
    click.echo(
        f"Wrote {place}. Next:\n"
        f"  pip install -e '{path}[test]'\n"
        f"  ccrs conformance {name}\n"
        f"Then follow {place / 'README.md'}: one channel at a time."
    )


@attrs.frozen
class Package:
    """What of the template differs from package to package."""

    name: str
    title: str
    author: str | None

    @classmethod
    def of(cls, name: str, title: str | None = None, author: str | None = None) -> Package:
        """Check the names.

        :raises UsageError: where one of them can't be used.
        """
        if not _NAME.fullmatch(name) or len(name) > 40:
            raise UsageError(
                f"{name!r} is no name for an exchange: lower-case letters, digits and hyphens "
                "between them, such as my-exchange"
            )
        if name in _TAKEN:
            raise UsageError(f"the package ccrs-{name} is this project's own: take another name")
        title = " ".join(part.capitalize() for part in name.split("-")) if title is None else title
        for what, text in (("title", title), ("author", author or "x")):
            # They come to stand in TOML and in Python strings.
            if not text.strip() or not text.isprintable() or set(text) & set('"\\'):
                raise UsageError(f"{text!r} is no {what}: plain text without quotes or backslashes")
        return cls(name, title, author)

    @property
    def module(self) -> str:
        """What follows ``ccrs_`` in the name of the import package."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Name of the exchange's class; never one that its module imports."""
        import ccrs_core
        from ccrs_core import emulator

        made = "".join(part.capitalize() for part in self.name.split("-"))
        if made[0].isdigit():
            made = f"X{made}"
        names = {*ccrs_core.__all__, *emulator.__all__, "Any", "None", "True", "False"}
        return f"{made}Exchange" if made in names else made

    def write(self, folder: Path) -> Path:
        """Write the package into a folder of its own within ``folder``, and return that.

        :raises UsageError: where it exists already.
        """
        place = folder / f"ccrs-{self.name}"
        if place.exists():
            raise UsageError(f"{place} exists already: remove it, or choose another --dir")
        # All texts first, so that nothing is left half written.
        files = dict(self._files())
        for path, text in files.items():
            target = place.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        return place

    def _files(self) -> Iterator[tuple[PurePosixPath, str]]:
        for path, text in _walk(resources.files("ccrs_core") / "_template", PurePosixPath()):
            if path.name == "LICENSE" and self.author is None:
                continue
            if path.name == "pyproject.toml" and self.author is None:
                yield path, self._filled(_LICENCE_LINES.sub("", text))
            else:
                yield PurePosixPath(self._filled(str(path))), self._filled(text)

    def _filled(self, text: str) -> str:
        """A text of the template with this package's names in the place of the template's."""
        from datetime import UTC, datetime

        names = {
            "My Exchange": self.title,
            "MyExchange": self.class_name,
            "my-exchange": self.name,
            "my_exchange": self.module,
            "The Author": self.author or "",
            "THE_YEAR": str(datetime.now(UTC).year),
            # Kept without the dot, lest they act on the template itself.
            "dot_git": ".git",
        }
        return re.sub("|".join(names), lambda found: names[found[0]], text)


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(_SKIPPED):
            continue
        if entry.is_dir():
            yield from _walk(entry, path / entry.name)
        else:
            yield path / entry.name, entry.read_text(encoding="utf-8")
