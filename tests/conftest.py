"""Settings for all tests."""

from hypothesis import settings

# A busy machine is no bug: durations are measured in benchmarks/, never asserted.
settings.register_profile("ups", deadline=None)
settings.load_profile("ups")
