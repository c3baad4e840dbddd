"""Libraries that only some need, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from ccrs_core.errors import ExtraNotInstalled


def library(name: str, extra: str, what: str) -> Any:
    """A library that comes with an extra of the core.

    :param what: what it is wanted for, for people.
    :raises ExtraNotInstalled: where it isn't there.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExtraNotInstalled(
            f"{what} needs {name.partition('.')[0]}: pip install 'ccrs-core[{extra}]'", extra
        ) from error
