"""What a comparison of a ledger with its exchange has found: values alone."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Difference:
    """One thing of which ledger and exchange say different things."""

    about: str
    """``order``, ``fill``, ``position`` or ``balance``."""
    what: str
    """Which one, for people."""
    ledger: str
    """What the ledger says of it; empty: nothing."""
    exchange: str
    """What the exchange says of it; empty: nothing."""

    def __str__(self) -> str:
        sides = (("ledger", self.ledger), ("exchange", self.exchange))
        said = (f"the {who} says {text}" if text else f"the {who} has none" for who, text in sides)
        return f"{self.about} {self.what}: {', '.join(said)}"


@attrs.frozen(kw_only=True)
class Comparison:
    """A ledger held against the exchange's lists."""

    differences: tuple[Difference, ...] = ()
    """What isn't the same, and was not in a second look either."""
    looked_at: tuple[str, ...] = ()
    """What was compared, for people: of what, from when to when, how many."""
    left_out: tuple[str, ...] = ()
    """What couldn't be judged, and why: what the exchange keeps no more, what is too young."""
    unread: tuple[str, ...] = ()
    """Lists, or rows of them, that the exchange didn't answer, or not readably: of these nothing
    is known. Try again."""
    newer: tuple[str, ...] = ()
    """What came after the ledger was read last, and so isn't wrong: whoever opens it takes it."""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs of what was compared. What wasn't is in ``left_out`` and
        ``unread``: a verdict on the whole account wants ``complete``, too."""
        return not self.differences

    @property
    def complete(self) -> bool:
        """Whether each list was answered and read."""
        return not self.unread
