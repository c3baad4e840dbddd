"""Settings of this folder's property tests."""

from hypothesis import settings

# Machines under load are slow; that is no failure.
settings.register_profile("ccrs-okx", deadline=None)
settings.load_profile("ccrs-okx")
