"""What a check found, one line each."""

from __future__ import annotations

import attrs
import click

from ccrs_core.cli import form

OK, CAREFUL, FAILED, UNUSED = "ok", "careful", "FAILED", "not used"
_MARKS = {
    OK: ("✓", "green"),
    CAREFUL: ("!", "yellow"),
    FAILED: ("✗", "red"),
    UNUSED: ("·", "bright_black"),
}


@attrs.frozen
class Verdict:
    """One line of a report."""

    what: str
    outcome: str
    text: str

    def say(self) -> None:
        mark, colour = _MARKS[self.outcome]
        click.echo(
            f"{click.style(mark, colour)} {self.what:<20} "
            f"{click.style(f'{self.outcome:<8}', colour)}  {form.printable(self.text)}"
        )
