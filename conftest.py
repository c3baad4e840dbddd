"""What all tests of this repository have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is; tests whose subject is time measure it.
settings.register_profile("ccrs", deadline=None)
settings.load_profile("ccrs")

_MUTANTS = Path(__file__).parent / "tests" / "mutants"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Hundreds of broken plugins are tried only where they are asked for."""
    asked = any("mutants" in argument for argument in config.invocation_params.args)
    return True if collection_path == _MUTANTS and not asked else None
