"""``python -m ccrs_core.cli``: the same as ``ccrs``."""

from ccrs_core.cli import main

main()
