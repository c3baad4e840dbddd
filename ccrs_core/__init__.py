"""ccrs: connectivity to crypto exchanges. Public names only; each is imported on first use."""

__version__ = "0.1.0"
