"""Gaps, silence and recovery in one line for people."""

from __future__ import annotations

from ccrs_core.cli import form
from ccrs_core.model.events import AnyEvent, Gap, InstrumentChanged, Resumed, Stale


def parts(notice: AnyEvent) -> tuple[str, str, str]:
    """When, what, and of what."""
    at = form.clock(notice.received_time_ns)
    match notice:
        case Gap(
            about=about, reason=reason, last_sequence=last, next_sequence=following, lost=lost
        ):
            what = f"{notice.symbol} {about.value} ({reason.value})"
            if lost is not None:
                what += f" {lost} lost"
            if last is not None and following is not None:
                what += f" {last} → {following}"
            return at, "gap", what
        case Stale(about=about, reason=reason):
            return at, "stale", f"{notice.symbol} {about.value} ({reason.value})"
        case Resumed(about=about, stale_ns=lasted):
            after = "" if lasted is None else f" after {lasted / 1e9:.2f} s"
            return at, "resumed", f"{notice.symbol} {about.value}{after}"
        case InstrumentChanged():
            return at, "changed", f"{notice.symbol} {_changes(notice)}"
        case _:
            return at, notice.type, notice.symbol


def _changes(notice: InstrumentChanged) -> str:
    before, after = notice.before, notice.after
    if after is None:
        return "is no longer listed"
    if before is None:
        return "is listed again"
    return ", ".join(
        f"{name} {getattr(before, name)} → {getattr(after, name)}" for name in notice.changed
    )


def describe(notice: AnyEvent) -> str:
    at, word, what = parts(notice)
    return f"{at} {word.upper()} {what}"
