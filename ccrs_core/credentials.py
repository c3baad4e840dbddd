"""API keys. Secrets never occur in a repr, a log line, an exception or a recording."""

from __future__ import annotations

import attrs


@attrs.frozen
class Credentials:
    """Key, secret and, where the exchange has one, passphrase of an API key."""

    key: str = attrs.field(repr=lambda key: f"'{key[:4]}…'" if key else "''")
    secret: str = attrs.field(repr=False)
    passphrase: str = attrs.field(repr=False, default="")
