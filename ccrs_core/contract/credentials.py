"""API keys. Secrets never occur in a repr, a log line, an exception, a recording or a pickle."""

from __future__ import annotations

from typing import Any, NoReturn, SupportsIndex

import attrs


@attrs.frozen
class Credentials:
    """Key, secret and, where the exchange has one, passphrase of an API key."""

    key: str = attrs.field(repr=lambda key: f"'{key[:4]}…'" if key else "''")
    secret: str = attrs.field(repr=False)
    passphrase: str = attrs.field(repr=False, default="")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "credentials aren't pickled, since a pickle would show the secret: let each process "
            "read them itself, from the environment or a file"
        )

    def __copy__(self) -> Credentials:
        return self

    def __deepcopy__(self, memo: Any) -> Credentials:
        return self
