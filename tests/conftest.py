"""For every test: Hypothesis without a wall-clock deadline, because machines are shared.

`--hypothesis-profile nightly` is for tests that draw more examples at night.
"""

from hypothesis import settings

settings.register_profile("papertape", deadline=None, print_blob=True)
settings.register_profile("nightly", settings.get_profile("papertape"))
settings.load_profile("papertape")
