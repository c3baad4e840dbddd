"""Rows for people and for machines: a table on a terminal, lines with tabs elsewhere, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import attrs
import click
from rich.table import Table
from rich.text import Text

from ccrs_core.cli import form
from ccrs_core.cli.live.panels import Cell, laid_out
from ccrs_core.cli.output import note
from ccrs_core.model.serialize import to_json

T = TypeVar("T")
_NOTHING = frozenset({"", form.NONE})


@attrs.frozen
class Listing(Generic[T]):
    """What rows of a kind look like."""

    columns: tuple[str, ...]
    cells: Callable[[T], Sequence[Cell]]
    left_out: tuple[str, ...] = ()
    """Columns that go where there isn't room for all, the first one first."""
    giving_way: str = ""
    """The column that is cut where that doesn't suffice; empty: the first one."""
    whole: bool = False
    """Whether that is cut only once all of ``left_out`` have gone."""

    def table(self, values: Iterable[T], width: int) -> Table:
        rows = [[_printable(cell) for cell in self.cells(value)] for value in values]
        # What may be left out, and says nothing of any row, is.
        kept = [
            place
            for place, name in enumerate(self.columns)
            if name not in self.left_out or any(str(row[place]) not in _NOTHING for row in rows)
        ]
        columns = [self.columns[place] for place in kept]
        cut = columns.index(self.giving_way) if self.giving_way else 0
        shown = [[row[place] for place in kept] for row in rows]
        return laid_out(columns, shown, width, cut, self.left_out, whole=self.whole)


def _printable(cell: Cell) -> Cell:
    """Without anything of others that a terminal would obey."""
    if isinstance(cell, str):
        return form.printable(cell)
    return Text(form.printable(cell.plain), style=cell.style)


def say(
    values: Sequence[T],
    listing: Listing[T],
    *,
    as_json: bool,
    nothing: str,
    shown: Callable[[T], Any] | None = None,
) -> None:
    """Print rows; where there are none, ``nothing`` to people.

    :param shown: what stands for a value in JSON, where it isn't the value itself.
    """
    if as_json:
        for value in values:
            click.echo(to_json(value if shown is None else shown(value)))
    elif not values:
        note(nothing)
    elif sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        console.print(listing.table(values, console.width))
    else:
        for value in values:
            click.echo("\t".join(form.printable(str(cell)) for cell in listing.cells(value)))
