"""How the emulator speaks an exchange's protocol; written by the plugin."""


class Dialect:
    """Placeholder."""
