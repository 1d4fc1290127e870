"""Settings for all tests."""

import os
import signal

from hypothesis import settings

# Files are tested side by side (`make test`), and tensors this small gain nothing from several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore SIGINT, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no bug: durations are measured in benchmarks/, never asserted.
settings.register_profile("ups", deadline=None)
settings.load_profile("ups")
